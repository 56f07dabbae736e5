"""Mean and variance of every pixel, over all training clips, a speaker's, or a clip's own."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args

import numpy as np

Normalization = Literal["global", "speaker", "clip"]
MODES = get_args(Normalization)
LEAST_STD = {"video": 1.0, "audio": 1e-3}
"""What hardly changes is not blown up: one gray level, and next to nothing of a feature."""


class Moments:
    """Mean and standard deviation over the first axis of many arrays, in one pass."""

    def __init__(self) -> None:
        self.count = 0
        self.sum: Any = 0.0
        self.squares: Any = 0.0

    def add(self, array: np.ndarray) -> None:
        """Take in (T, ...)."""
        values = array.astype(np.float64)
        self.count += len(values)
        self.sum = self.sum + values.sum(axis=0)
        self.squares = self.squares + (values * values).sum(axis=0)

    def result(self, least: float) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation (...), the latter no less than ``least``.

        Both are rounded to float16, in which bundles keep them, so that training and prediction
        compute with the same numbers.
        """
        mean = self.sum / self.count
        std = np.sqrt(np.maximum(self.squares / self.count - mean**2, 0))
        return _rounded(mean), _rounded(np.maximum(std, least))


Statistics = tuple[np.ndarray, np.ndarray]
Whole = Callable[[], np.ndarray] | None
"""Gives the recording that a clip was cut from."""


class Normalizer:
    """Subtracts the mean and divides by the standard deviation, pixel by pixel.

    ``global`` takes them from all training clips, ``speaker`` from the clips of the same speaker
    that may be looked at without labels, which is an unsupervised adaptation of its own, and
    ``clip`` from the clip itself, or from the recording it was cut from.

    Args:
        mode: One of the three.
        video: Statistics (H, W) by speaker; under None those of everybody.
        audio: The same of the sound's features, (F,).
    """

    def __init__(
        self,
        mode: Normalization,
        video: Mapping[int | None, Statistics] | None = None,
        audio: Mapping[int | None, Statistics] | None = None,
    ) -> None:
        self.mode = mode
        self.statistics = {"video": dict(video or {}), "audio": dict(audio or {})}

    def video(self, video: np.ndarray, speaker: int, whole: Whole = None) -> np.ndarray:
        """uint8 (T, H, W) to float32 of mean 0 and deviation 1."""
        return self._apply("video", video, speaker, whole)

    def audio(self, audio: np.ndarray, speaker: int, whole: Whole = None) -> np.ndarray:
        """float32 (Ta, F) to the same of mean 0 and deviation 1."""
        return self._apply("audio", audio, speaker, whole)

    def _apply(self, kind: str, array: np.ndarray, speaker: int, whole: Whole) -> np.ndarray:
        if self.mode == "clip":
            mean, std = statistics([whole() if whole else array], kind)
        else:
            mean, std = self.statistics[kind][speaker if self.mode == "speaker" else None]
        return (array.astype(np.float32) - mean) / std


def statistics(arrays: Iterable[np.ndarray], kind: str) -> Statistics:
    """Mean and standard deviation over the frames of all arrays (T, ...).

    Args:
        arrays: At least one, with at least one frame.
        kind: ``video`` or ``audio``: how small a deviation may be.
    """
    moments = Moments()
    for array in arrays:
        moments.add(array)
    return moments.result(LEAST_STD[kind])


def to_text(array: np.ndarray) -> str:
    """An array as text for a bundle: base64 of its float16 values, row by row, little-endian."""
    return base64.b64encode(array.astype("<f2").tobytes()).decode()


def from_text(text: str, size: Iterable[int]) -> np.ndarray:
    """The array of that size, float32."""
    values = np.frombuffer(base64.b64decode(text), "<f2").astype(np.float32)
    return values.reshape(tuple(size))


def _rounded(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float16).astype(np.float32)
