"""The sound of a video as features: mel-frequency cepstral coefficients."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from scipy.fft import dct

from zoo.plugin import UsageError
from zoo_lipreading.video.decode import first_time
from zoo_lipreading.video.pyav import LONGEST_GAP, opened

RATE = 16_000
"""Samples a second that sound is brought to."""
HOP, WINDOW, POINTS = 320, 400, 512
"""20 ms from one feature vector to the next, each of 25 ms, and the Fourier transform's length."""
FEATURES = 26
"""13 coefficients and their slopes."""
_COEFFICIENTS, _BANDS, _LOW = 13, 26, 20.0
_EMPHASIS = 0.97
_FLOOR = 1e-10
_JITTER = 0.02
"""Seconds by which sound that goes on without a break may be off its timestamps."""


def read_sound(path: Path) -> np.ndarray:
    """Decode the sound of a video to one channel at `RATE`, on the clock of its frames.

    Sample 0 is heard when the first frame is shown: sound that begins later has silence before it,
    of sound that begins earlier the beginning is left out, and what is missing in between is
    silence.

    Returns:
        float32 (samples,), from -1 to 1.

    Raises:
        MissingDependencyError: PyAV is not installed.
        UsageError: the file has no sound, cannot be decoded, the sound has ended when the frames
            begin, or its timestamps leave out a minute.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder of images and has no sound")

    def fault(reason: str) -> str:
        return f"the sound of {path} cannot be decoded ({reason})"

    with opened(path, fault) as container:
        if not container.streams.audio:
            raise UsageError(f"{path} has no sound")
        zero = first_time(container, path)
    with opened(path, fault) as container:  # from the beginning again
        pieces = _pieces(container, path)
    return _placed([(start - zero, samples) for start, samples in pieces], path)


def _pieces(container: Any, path: Path) -> list[tuple[float, np.ndarray]]:
    """Uninterrupted stretches of the sound: when each begins, in seconds, and its samples."""
    from av import AudioResampler

    found: list[tuple[float, np.ndarray]] = []
    parts: list[np.ndarray] = []
    begin = end = 0.0
    resampler = None

    def finish() -> None:
        if resampler is not None:
            parts.extend(part.to_ndarray()[0] for part in resampler.resample(None))
        if parts:
            found.append((begin, np.concatenate(parts)))
        parts.clear()

    for frame in container.decode(container.streams.audio[0]):
        time = end if frame.time is None else float(frame.time)
        if resampler is None or abs(time - end) > _JITTER:
            finish()
            if found and time - end > LONGEST_GAP:
                raise UsageError(
                    f"the sound of {path} is missing from {end:.2f} s to {time:.2f} s: cut the "
                    "file there, or mend its timestamps"
                )
            resampler, begin, end = AudioResampler("flt", "mono", RATE), time, time
        end += frame.samples / frame.sample_rate
        parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    finish()
    return found


def _placed(pieces: list[tuple[float, np.ndarray]], path: Path) -> np.ndarray:
    """The stretches at their times, silence around them."""
    if not pieces:
        raise UsageError(f"the sound of {path} is empty")
    if pieces[0][0] > LONGEST_GAP:
        raise UsageError(f"the sound of {path} begins {pieces[0][0]:.0f} s after its first frame")
    places = [(round(start * RATE), samples) for start, samples in pieces]
    length = max(place + len(samples) for place, samples in places)
    if length <= 0:
        raise UsageError(f"the sound of {path} ends before its first frame is shown")
    placed = np.zeros(length, np.float32)
    for place, samples in places:
        kept = samples[max(0, -place) :]
        first = max(0, place)
        placed[first : first + len(kept)] = kept
    return placed


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
