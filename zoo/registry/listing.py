"""``zoo.list_models`` and its like: names of what is registered, for Python."""

from __future__ import annotations

from fnmatch import fnmatchcase

from zoo.registry.registry import registry


def list_models(pattern: str = "*") -> list[str]:
    """Names of the registered models that fit a pattern such as ``mp*``; families under theirs."""
    return [name for name in registry().models if fnmatchcase(name, pattern)]


def list_datasets(pattern: str = "*") -> list[str]:
    """Names of the registered datasets that fit a pattern."""
    return [name for name in registry().datasets if fnmatchcase(name, pattern)]


def list_recipes(pattern: str = "*") -> list[str]:
    """Names of the recipes that fit a pattern such as ``vision/*``."""
    return [name for name in registry().recipes if fnmatchcase(name, pattern)]


def list_checkpoints(pattern: str = "*") -> list[str]:
    """Names of the registered checkpoints that fit a pattern; ``zoo.load`` takes them."""
    return [name for name in registry().checkpoints if fnmatchcase(name, pattern)]
