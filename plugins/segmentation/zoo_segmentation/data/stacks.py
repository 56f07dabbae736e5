"""TIFF stacks of 8-bit gray slices."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile

from zoo.plugin import UsageError

SUFFIXES = (".tif", ".tiff")


def read_stack(path: str | Path) -> np.ndarray:
    """Read all slices of a stack.

    Returns:
        uint8 (D, H, W); D is 1 for a single image.

    Raises:
        UsageError: the file is missing, empty, damaged, not 8-bit gray, or its slices differ in
            size.
    """
    path = Path(path)
    again = "copy or export it again"
    try:
        if path.is_file() and path.stat().st_size == 0:
            raise UsageError(f"{path} is an empty file; {again}")
        with _complaints() as complaints, tifffile.TiffFile(path) as file:
            sizes = {page.shape for page in file.pages}
            kinds = {page.dtype for page in file.pages}
            if kinds != {np.dtype(np.uint8)}:
                found = ", ".join(sorted(str(kind) for kind in kinds))
                raise UsageError(
                    f"{path} holds {found} values and has to hold 8-bit ones (uint8); convert it"
                )
            if len(sizes) != 1:
                raise UsageError(f"{path} holds slices of {len(sizes)} sizes; they have to agree")
            if len(shape := sizes.pop()) != 2 or 0 in shape:
                raise UsageError(
                    f"{path} holds slices of {'x'.join(map(str, shape))} values; they have to be "
                    "gray, with one value a pixel"
                )
            slices = np.stack([page.asarray() for page in file.pages])
        if complaints:
            raise UsageError(f"{path} is damaged or cut short ({complaints[0]}); {again}")
    except FileNotFoundError as error:
        raise UsageError(f"there is no file {path}") from error
    except (tifffile.TiffFileError, ValueError, RuntimeError, EOFError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"{path} is not a readable TIFF file ({reason}); {again}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); {again}") from error
    return slices


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """What tifffile logs as errors and otherwise passes over, such as missing pages."""
    found: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            found.append(" ".join(record.getMessage().split()))

    handler, log = Collect(logging.ERROR), logging.getLogger("tifffile")
    log.addHandler(handler)
    try:
        yield found
    finally:
        log.removeHandler(handler)


def write_stack(path: Path, array: np.ndarray) -> None:
    """Write (D, H, W), or (D, K, H, W) with K channels, of uint8 or float32, compressed.

    Args:
        path: Its folder is made.
        array: One page each (H, W).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, compression="zlib", photometric="minisblack")
