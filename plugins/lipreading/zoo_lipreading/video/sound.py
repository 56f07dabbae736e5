"""The sound of a video as features: mel-frequency cepstral coefficients."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np
from scipy.fft import dct

from zoo.plugin import UsageError

RATE = 16_000
"""Samples a second that sound is brought to."""
HOP, WINDOW, POINTS = 320, 400, 512
"""20 ms from one feature vector to the next, each of 25 ms, and the Fourier transform's length."""
FEATURES = 26
"""13 coefficients and their slopes."""
_COEFFICIENTS, _BANDS, _LOW = 13, 26, 20.0
_EMPHASIS = 0.97
_FLOOR = 1e-10


def read_sound(path: Path) -> np.ndarray:
    """Decode the sound of a video to one channel at `RATE`.

    Returns:
        float32 (samples,), from -1 to 1.

    Raises:
        UsageError: the file has no sound or cannot be decoded.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder of images and has no sound")
    pieces: list[np.ndarray] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise UsageError(f"{path} has no sound")
            resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
            for frame in container.decode(container.streams.audio[0]):
                pieces += [part.to_ndarray()[0] for part in resampler.resample(frame)]
            pieces += [part.to_ndarray()[0] for part in resampler.resample(None)]
    except (av.FFmpegError, OSError, ValueError) as error:
        raise UsageError(f"the sound of {path} cannot be decoded ({error})") from error
    if not pieces:
        raise UsageError(f"the sound of {path} is empty")
    return np.concatenate(pieces).astype(np.float32)


def mfcc(samples: np.ndarray) -> np.ndarray:
    """Mel-frequency cepstral coefficients, and their slopes.

    Source: Davis, Mermelstein: Comparison of Parametric Representations for Monosyllabic Word
    Recognition, IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4), 1980;
    slopes are a regression over five vectors, as in the HTK Book, section 5.9.

    Args:
        samples: float (samples,) at `RATE`.

    Returns:
        float32 (vectors, `FEATURES`), one for every 20 ms begun, the sound padded with silence.
    """
    signal = np.asarray(samples, dtype=np.float64)
    signal = np.append(signal[:1], signal[1:] - _EMPHASIS * signal[:-1])
    count = max(1, -(-len(signal) // HOP))
    # A vector stands for the 20 ms in the middle of its window.
    before = (WINDOW - HOP) // 2
    padded = np.zeros((count - 1) * HOP + WINDOW)
    padded[before : before + len(signal)] = signal
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, POINTS)) ** 2 / POINTS
    energies = np.log(np.maximum(power @ mel_bands().T, _FLOOR))
    cepstra = dct(energies, norm="ortho")[:, :_COEFFICIENTS]
    wide = np.pad(cepstra, ((2, 2), (0, 0)), mode="edge")
    slopes = (wide[3:-1] - wide[1:-3] + 2 * (wide[4:] - wide[:-4])) / 10
    return np.concatenate([cepstra, slopes], axis=1).astype(np.float32)


@cache
def mel_bands() -> np.ndarray:
    """Triangular filters, evenly spaced in mel from 20 Hz up: (26, 257)."""
    edges = _hertz(np.linspace(_mel(_LOW), _mel(RATE / 2), _BANDS + 2))
    at = np.fft.rfftfreq(POINTS, 1 / RATE)
    low, middle, high = (edges[start : start + _BANDS, None] for start in range(3))
    rising, falling = (at - low) / (middle - low), (high - at) / (high - middle)
    bands: np.ndarray = np.maximum(0, np.minimum(rising, falling))
    return bands


def _mel(hertz: float) -> float:
    return 2595 * float(np.log10(1 + hertz / 700))


def _hertz(mel: np.ndarray) -> np.ndarray:
    return 700 * (10 ** (mel / 2595) - 1)
