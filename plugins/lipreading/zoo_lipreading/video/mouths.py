"""From a video file to the mouth in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from zoo_lipreading.video.cache import cached, key_of
from zoo_lipreading.video.crop import crop_mouth
from zoo_lipreading.video.decode import DEFAULT_RATE, read_video
from zoo_lipreading.video.face import MouthFinder, NoMouthError, mouth_finder
from zoo_lipreading.video.sound import mfcc, read_sound

SIZE = (40, 80)
"""Height and width of a mouth."""


class Mouths:
    """Reads the mouths of video files at 25 frames a second, each once.

    Args:
        size: Height and width of a mouth, in pixels.
        finder: Name of what finds it, see ``zoo_lipreading.video.face``.
        cache: Folder where mouths are kept.

    Raises:
        UsageError: there is no such finder.
    """

    def __init__(self, size: Sequence[int] = SIZE, finder: str = "haar", *, cache: Path) -> None:
        self.find: MouthFinder = mouth_finder(finder)
        self.size = tuple(size)
        self.cache = cache
        self.parameters: dict[str, Any] = {
            "size": list(self.size),
            "finder": finder,
            "finder_version": str(getattr(self.find, "version", "")),
        }

    def file(self, path: Path) -> Path:
        """The .npy file, uint8 (T, H, W), of a video's mouth, made if need be.

        Raises:
            NoMouthError: the clip has no face or is all gray.
            UsageError: it is not a video.
        """
        key = key_of(path, self.parameters)
        return cached(self.cache, key, lambda: read_mouth(path, self.find, self.size))


class Sounds:
    """Computes the features of the sound of video files, each once.

    Args:
        cache: Folder where features are kept.
    """

    def __init__(self, *, cache: Path) -> None:
        self.cache = cache

    def file(self, path: Path) -> Path:
        """The .npy file, float32 (vectors, features), of a video's sound, made if need be.

        Raises:
            UsageError: it has no sound, or cannot be decoded.
        """
        return cached(self.cache, key_of(path, {"sound": "mfcc"}), lambda: mfcc(read_sound(path)))


def read_mouth(
    path: Path,
    find: MouthFinder,
    size: Sequence[int] = SIZE,
    rate: float = DEFAULT_RATE,
) -> np.ndarray:
    """Decode a video and crop the mouth.

    Args:
        path: The video.
        find: Says where the mouth is.
        size: Height and width of the result.
        rate: Frames a second of the result; frames are repeated or left out by their times.

    Returns:
        uint8 (T, *size).

    Raises:
        NoMouthError: the clip has no face or is all gray.
        UsageError: it is not a video.
    """
    frames = read_video(path).at(rate)
    try:
        return crop_mouth(frames, find, size)
    except NoMouthError as error:
        raise NoMouthError(f"{path}: {error}") from error


def stored(path: Path, start: int = 0, stop: int | None = None) -> Callable[[], np.ndarray]:
    """A function that reads rows ``start`` to ``stop`` of a stored mouth or sound."""
    return partial(_read_stored, path, start, stop)


def _read_stored(path: Path, start: int, stop: int | None) -> np.ndarray:
    return np.array(np.load(path, mmap_mode="r")[start:stop])
