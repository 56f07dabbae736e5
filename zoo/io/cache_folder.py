"""The one place for what can be fetched or found out again: ``$ZOO_CACHE``."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """``$ZOO_CACHE``, or ``zoo`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zoo"
    return Path(os.environ.get("ZOO_CACHE", default))
