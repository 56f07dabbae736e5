"""Paths whose bytes are not UTF-8, for libraries that open no others."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def utf8_path(path: Path) -> Iterator[Path]:
    """The path itself, or a link to it that has a plain name.

    Args:
        path: Of a file that is to be read.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / f"file{path.suffix}"
            link.symlink_to(path.absolute())
            yield link
    else:
        yield path
