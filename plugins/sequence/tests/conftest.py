"""Small generated recordings, and where the real data lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

DATA = Path(os.environ.get("ZOO_DATA", "../shared/data"))


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The folder of real data of that name; skips where it is missing."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there; set ZOO_DATA to the folder that holds {name}/")
        return folder

    return find


def _save_tone(
    path: Path, pitch: float = 300.0, rate: int = 8000, seconds: float = 0.3, channels: int = 1
) -> Path:
    """A tone with a little noise as 16-bit integers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    random = np.random.default_rng(int(pitch))
    wave = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.01 * random.normal(size=len(time))
    data = (32767 * wave).astype(np.int16)
    wavfile.write(path, rate, data if channels == 1 else np.stack([data] * channels, 1))
    return path


@pytest.fixture(scope="session")
def save_tone() -> Callable[..., Path]:
    """Writes a tone into a .wav file."""
    return _save_tone


@pytest.fixture
def digits(tmp_path: Path) -> Path:
    """Three digits by two speakers, indices 0, 5, 6 and 45: tones whose pitch is the digit's."""
    for speaker, shift in (("ann", 1.0), ("bob", 1.3)):
        for digit in range(3):
            for index in (0, 5, 6, 45):
                name = f"{digit}_{speaker}_{index}.wav"
                _save_tone(tmp_path / "recordings" / name, shift * (300 + 400 * digit) + index)
    return tmp_path
