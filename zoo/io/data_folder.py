"""Where a dataset's files are looked for: ``$ZOO_DATA``."""

from __future__ import annotations

import os
from pathlib import Path


def data_folder(dataset: str) -> Path:
    """Where a dataset is looked for unless told otherwise: ``$ZOO_DATA/<dataset>``, or
    ``data/<dataset>`` in the working directory."""
    return Path(os.environ.get("ZOO_DATA", "data")) / dataset
