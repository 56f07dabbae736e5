"""A plugin-based PyTorch Lightning model zoo."""

__version__ = "0.1.0"
