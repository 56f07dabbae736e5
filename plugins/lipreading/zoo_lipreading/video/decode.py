"""Videos to gray frames."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from zoo.plugin import UsageError
from zoo_lipreading.video.orientation import Turn, square_pixels, turn_of
from zoo_lipreading.video.pyav import LONGEST_GAP, opened, picture_stream

log = logging.getLogger(__name__)
VIDEO_SUFFIXES = (".mpg", ".mpeg", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
DEFAULT_RATE = 25.0
"""Frames a second, where nothing says."""
_ROUNDING = 0.0011
"""Seconds that a timestamp may be rounded by."""
_LUMA_FIRST = ("yuv", "gray", "nv12", "nv21")


@dataclass(frozen=True)
class Video:
    """Decoded frames, upright and of square pixels.

    Attributes:
        frames: uint8 (T, H, W), 0 black to 255 white.
        times: float64 (T,), when each begins to be shown, in seconds from the first, rising.
        end: When the last is no longer shown.
    """

    frames: np.ndarray
    times: np.ndarray
    end: float

    def at(self, rate: float) -> np.ndarray:
        """The frames at so many a second: those shown at 0, 1/rate, 2/rate, ... seconds.

        Frames that come at that rate as it is, each within half a frame of its time, are taken
        one by one.

        Returns:
            uint8 (T', H, W).
        """
        if (np.abs(self.times * rate - np.arange(len(self.times))) < 0.5).all():
            return self.frames
        asked = np.arange(max(1, round(self.end * rate))) / rate + _ROUNDING
        return self.frames[np.searchsorted(self.times, asked, side="right") - 1]


def read_video(path: Path) -> Video:
    """Decode a video file, or a folder of numbered images, to gray.

    Frames are counted by decoding, and their times are those of their timestamps: what a container
    says of number and rate may be wrong, and phones record at a changing rate.

    Args:
        path: A file with one of `VIDEO_SUFFIXES` (others are tried), or a folder of JPEG or PNG
            files, which are taken in the order of their numbers, 25 a second.

    Raises:
        MissingDependencyError: it is a file, and PyAV is not installed.
        UsageError: it is not a video, has no frame, the frames differ in size, it is to be shown
            turned by an odd angle, or its timestamps leave out a minute.
    """
    if path.is_dir():
        frames = _read_images(path)
        return Video(frames, np.arange(len(frames)) / DEFAULT_RATE, len(frames) / DEFAULT_RATE)
    decoded: list[np.ndarray] = []
    times: list[float | None] = []
    length = 0.0

    def fault(reason: str) -> str:
        # A broken end is told from no video at all.
        after = f" after {len(decoded)} frames" if decoded else ""
        return f"{path} cannot be decoded as a video{after} ({reason})"

    with opened(path, fault) as container:
        stream = picture_stream(container, path)
        turns: dict[bytes | None, Turn] = {}
        for frame in container.decode(stream):
            matrix = _matrix(frame)
            if matrix not in turns:
                turns[matrix] = turn_of(matrix, path)
            picture = square_pixels(_gray(frame), stream.sample_aspect_ratio)
            decoded.append(turns[matrix](picture))
            times.append(frame.time)
            length = float((frame.duration or 0) * (frame.time_base or 0))
        # An MPEG program stream has no average until enough of it is read.
        stated = stream.average_rate or stream.codec_context.framerate or stream.guessed_rate
        rate = float(stated or DEFAULT_RATE)
    stacked = _stacked(path, decoded)
    shown = _shown_at(times, rate, path)
    return Video(stacked, shown, float(shown[-1]) + (length or 1 / rate))


def first_time(container: Any, path: Path) -> float:
    """When the first frame is shown, in seconds on the container's clock; 0 of sound alone.

    Raises:
        UsageError: there is no frame.
    """
    if not container.streams.video:
        return 0.0
    frame = next(container.decode(picture_stream(container, path)), None)
    if frame is None:
        raise UsageError(f"{path} has no frame")
    return float(frame.time or 0.0)


def _shown_at(times: list[float | None], rate: float, path: Path) -> np.ndarray:
    """Times from the first on, (T,); evenly spaced where there are none to go by."""
    even = np.arange(len(times)) / rate
    if any(time is None for time in times):
        log.warning("%s has frames without timestamps: read as %g frames a second", path, rate)
        return even
    shown = np.array(times, np.float64)
    steps = np.diff(shown)
    if (steps <= 0).any():
        log.warning("%s has timestamps that do not rise: read as %g frames a second", path, rate)
        return even
    if len(steps) and steps.max() > LONGEST_GAP:
        where = int(steps.argmax())
        raise UsageError(
            f"{path} has no frame between {shown[where]:.2f} s and {shown[where + 1]:.2f} s: cut "
            "it there, or mend its timestamps"
        )
    relative: np.ndarray = shown - shown[0]
    return relative


def _matrix(frame: Any) -> bytes | None:
    found = frame.side_data.get("DISPLAYMATRIX")
    return None if found is None else bytes(found)


def _gray(frame: Any) -> np.ndarray:
    """(H, W) from black 0 to white 255.

    The luma plane is taken as it lies there, which is several times faster than a conversion.
    """
    name = frame.format.name
    # Of more than 8 bits a sample takes two bytes.
    if not name.startswith(_LUMA_FIRST) or frame.format.components[0].bits != 8:
        converted: np.ndarray = frame.to_ndarray(format="gray")
        return converted
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    luma = rows[:, : plane.width]
    full = name.startswith(("yuvj", "gray")) or frame.color_range == 2  # AVCOL_RANGE_JPEG
    return luma.copy() if full else cv2.LUT(np.ascontiguousarray(luma), _FULL_RANGE)


def _read_images(folder: Path) -> np.ndarray:
    paths = images_in(folder)
    _check_numbers(folder, paths)
    frames = []
    for path in paths:
        frame = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if frame is None:
            raise UsageError(f"{path} cannot be read as an image")
        frames.append(frame)
    return _stacked(folder, frames)


def images_in(folder: Path) -> list[Path]:
    """The images of a folder in the order of the numbers in their names."""
    paths = (
        path
        for path in folder.iterdir()
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
    return sorted(paths, key=lambda path: (_number(path), path.name))


def _check_numbers(folder: Path, paths: list[Path]) -> None:
    """Refuse a frame that is there twice, and say where frames are missing."""
    stems = Counter(path.stem for path in paths)
    twice = [path.name for path in paths if stems[path.stem] > 1]
    if twice:
        raise UsageError(
            f"{folder} has a frame in several formats ({' and '.join(twice[:2])}): remove all "
            "but one"
        )
    numbers = [_number(path) for path in paths]
    steps = Counter(after - before for before, after in pairwise(numbers))
    if len(steps) > 1 and min(steps) > 0:
        gap = next(before for before, after in pairwise(numbers) if after - before > min(steps))
        log.warning(
            "%s: the images after number %d are missing, and those that follow are taken for the "
            "next frames",
            folder,
            gap,
        )


def _number(path: Path) -> int:
    digits = "".join(letter if letter.isdigit() else " " for letter in path.stem).split()
    return int(digits[-1]) if digits else -1


def _stacked(path: Path, frames: list[np.ndarray]) -> np.ndarray:
    if not frames:
        raise UsageError(f"{path} has no frame")
    sizes = {frame.shape for frame in frames}
    if len(sizes) > 1:
        listed = " and ".join(f"{width}x{height}" for height, width in sorted(sizes))
        raise UsageError(f"{path} has frames of {listed}; they have to be of one size")
    return np.stack(frames)


_FULL_RANGE = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255).round().astype(np.uint8)
"""Video luma goes from 16 to 235."""
