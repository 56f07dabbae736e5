"""PyAV, by which video files are decoded: the extra ``video``, as its wheels hold parts under the
GPL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.plugin import MissingDependencyError, UsageError

LONGEST_GAP = 60.0
"""Seconds without a frame or a sample, beyond which timestamps are taken for broken."""


@contextmanager
def opened(path: Path, fault: Callable[[str], str]) -> Iterator[Any]:
    """A video file, open for decoding.

    Args:
        path: The file.
        fault: From the reason for which it cannot be decoded to the sentence.

    Raises:
        MissingDependencyError: PyAV is not installed.
        UsageError: the file cannot be decoded.
    """
    try:
        import av
    except ImportError as error:
        raise MissingDependencyError(
            f'{path} is a video file, and decoding one needs PyAV: pip install "av>=14" (what the '
            "extra zoo-lipreading[video] brings; its wheels contain x264 and x265, which are under "
            "the GPL). Folders of images and .mat and .npy files are read without it"
        ) from error
    try:
        with av.open(str(path)) as container:
            yield container
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UsageError(fault(str(getattr(error, "strerror", None) or error))) from error


def picture_stream(container: Any, path: Path) -> Any:
    """The first stream of moving pictures; a cover is not one.

    Raises:
        UsageError: there is none.
    """
    for stream in container.streams.video:
        if not stream.disposition.value & _COVER:
            return stream
    kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise UsageError(f"{path} has no video, only {kinds}")


_COVER = 0x400  # AV_DISPOSITION_ATTACHED_PIC
