"""Videos to gray frames."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np

from zoo.plugin import UsageError

VIDEO_SUFFIXES = (".mpg", ".mpeg", ".mp4", ".avi", ".mov", ".mkv", ".webm", ".gif")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
DEFAULT_RATE = 25.0
"""Frames a second, where nothing says."""
_SLACK = 0.02
_LUMA_FIRST = ("yuv", "gray", "nv12", "nv21")


@dataclass(frozen=True)
class Video:
    """Decoded frames.

    Attributes:
        frames: uint8 (T, H, W), 0 black to 255 white.
        rate: Frames a second.
    """

    frames: np.ndarray
    rate: float

    def at(self, rate: float) -> Video:
        """The same at another rate, frames repeated or left out; a difference of up to 2 % is
        taken for none."""
        if abs(self.rate / rate - 1) <= _SLACK:
            return self
        count = max(1, round(len(self.frames) * rate / self.rate))
        return Video(self.frames[np.arange(count) * len(self.frames) // count], rate)


def read_video(path: Path) -> Video:
    """Decode a video file, or a folder of numbered images, to gray.

    Frames are counted by decoding: what a container says of their number may be wrong.

    Args:
        path: A file with one of `VIDEO_SUFFIXES` (others are tried), or a folder of JPEG or PNG
            files, which are taken in the order of their numbers.

    Raises:
        UsageError: it is not a video, has no frame, or the frames differ in size.
    """
    if path.is_dir():
        return Video(_read_images(path), DEFAULT_RATE)
    frames: list[np.ndarray] = []
    rate = DEFAULT_RATE
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UsageError(f"{path} has no video, only {_kinds(container)}")
            stream = container.streams.video[0]
            frames.extend(_gray(frame) for frame in container.decode(stream))
            # An MPEG program stream has no average until enough of it is read.
            stated = stream.average_rate or stream.codec_context.framerate or stream.guessed_rate
            rate = float(stated or DEFAULT_RATE)
    except (av.FFmpegError, OSError, ValueError) as error:
        # A broken end is told from no video at all.
        after = f" after {len(frames)} frames" if frames else ""
        raise UsageError(f"{path} cannot be decoded as a video{after} ({_brief(error)})") from error
    return Video(_stacked(path, frames), rate)


def _gray(frame: av.VideoFrame) -> np.ndarray:
    """(H, W) from black 0 to white 255.

    The luma plane is taken as it lies there, which is several times faster than a conversion.
    """
    name = frame.format.name
    # Of more than 8 bits a sample takes two bytes.
    if not name.startswith(_LUMA_FIRST) or frame.format.components[0].bits != 8:
        return frame.to_ndarray(format="gray")
    plane = frame.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, plane.line_size)
    luma = rows[:, : plane.width]
    full = name.startswith(("yuvj", "gray")) or frame.color_range == 2  # AVCOL_RANGE_JPEG
    return luma.copy() if full else cv2.LUT(np.ascontiguousarray(luma), _FULL_RANGE)


def _read_images(folder: Path) -> np.ndarray:
    paths = images_in(folder)
    frames = []
    for path in paths:
        frame = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        if frame is None:
            raise UsageError(f"{path} cannot be read as an image")
        frames.append(frame)
    return _stacked(folder, frames)


def images_in(folder: Path) -> list[Path]:
    """The images of a folder in the order of the numbers in their names."""
    paths = (path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    return sorted(paths, key=lambda path: (_number(path), path.name))


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


def _kinds(container: av.container.InputContainer) -> str:
    return ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"


def _brief(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)


_FULL_RANGE = np.clip((np.arange(256) - 16) * (255 / 219), 0, 255).round().astype(np.uint8)
"""Video luma goes from 16 to 235."""
