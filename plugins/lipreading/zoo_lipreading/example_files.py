"""Small clips of the kind that a model reads, for the conformance kit's check ``predicts``."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from scipy.io import savemat

FRAMES = 8
HEIGHT, WIDTH = 60, 80


def write_mouths(folder: Path) -> list[Path]:
    """Two files of mouths in motion, uint8 (frames, height, width), as ``.npy``."""
    files = [folder / f"clip-{number}.npy" for number in (1, 2)]
    for number, file in enumerate(files):
        np.save(file, _mouths(number))
    return files


def write_avletters(folder: Path, features: int) -> list[Path]:
    """Two clips in the layout of AVLetters, with the features of their sound.

    Args:
        folder: Gets ``Lips`` and ``Audio``.
        features: Of a frame of sound.
    """
    files = [folder / "Lips" / f"{letter}1_Ann-lips.mat" for letter in "AB"]
    sounds = folder / "Audio" / "mfcc" / "Clean"
    for each in (files[0].parent, sounds):
        each.mkdir(parents=True)
    for number, file in enumerate(files):
        columns = _mouths(number).transpose(0, 2, 1).reshape(FRAMES, -1).T
        savemat(file, {"vid": columns, "siz": np.array([[HEIGHT, WIDTH, FRAMES]])})
        heard = np.random.default_rng(number).normal(0, 1, (2 * FRAMES, features))
        header = struct.pack(">iihh", len(heard), 200_000, 4 * features, 326)  # see data/htk.py
        sound = sounds / file.name.replace("-lips.mat", ".mfcc")
        sound.write_bytes(header + heard.astype(">f4").tobytes())
    return files


def _mouths(seed: int) -> np.ndarray:
    """A bright spot that opens and closes."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    opening = 4 + 3 * np.sin(np.arange(FRAMES) + seed)[:, None, None]
    distance = ((y - HEIGHT / 2) / opening) ** 2 + ((x - WIDTH / 2) / 20) ** 2
    mouths: np.ndarray = (40 + 180 * np.exp(-distance)).astype(np.uint8)
    return mouths
