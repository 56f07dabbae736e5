"""Mouths kept on disk, so that a video is decoded once."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zoo.plugin import UsageError, write_atomically
from zoo_lipreading.video.decode import images_in

log = logging.getLogger(__name__)
VERSION = 2
"""Of decoding and cropping: a change of either takes another number."""


def default_folder() -> Path:
    """Under the user's cache folder: data are read in place, and nothing is written there."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "zoo" / "mouths"


def key_of(path: Path, parameters: Mapping[str, Any]) -> str:
    """A name that changes with the file, the parameters and this code.

    Args:
        path: A file, or a folder of images: told by place, size and time of change.
        parameters: JSON values.
    """
    files = images_in(path) if path.is_dir() else [path]
    identity = [
        [str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns] for file in files
    ]
    text = json.dumps([VERSION, identity, dict(parameters)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def cached(folder: Path, key: str, make: Callable[[], np.ndarray]) -> Path:
    """The file of an array, made unless it is there and whole.

    Args:
        folder: The cache.
        key: Of `key_of`.
        make: Gives the array.

    Raises:
        UsageError: the cache cannot be written to.
    """
    path = folder / key[:2] / f"{key}.npy"
    if path.is_file():
        try:
            np.load(path, mmap_mode="r")
            return path
        except (OSError, ValueError, EOFError) as error:
            log.warning("%s in the cache is broken (%s) and is made again", path, error)
    array = make()
    try:
        write_atomically(path, partial(np.save, arr=array), durable=False)
    except OSError as error:
        raise UsageError(
            f"the cache {folder} cannot be written to ({error.strerror or error}); name another "
            "by --data.cache"
        ) from error
    return path
