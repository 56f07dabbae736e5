"""From recordings to the frames that a recognizer sees."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.axes import Axes
from scipy.io import wavfile
from scipy.signal import resample_poly
from torch import Tensor

from zoo.plugin import UsageError, above, at_least

_CLIPPED = 0.01
"""Share of the samples at full scale above which a recording counts as clipped."""


@dataclass(frozen=True)
class Wave:
    """A recording as one channel.

    Attributes:
        samples: float32 (N,), from -1 to 1.
        rate: Samples a second.
        notes: What was done to it and what is suspicious: resampled, channels averaged, clipped.
    """

    samples: Tensor
    rate: int
    notes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.rate

    def draw(self, axes: Axes, end: float) -> None:
        """The samples, from 0 to ``end`` seconds."""
        axes.plot(
            np.arange(len(self.samples)) / self.rate, self.samples, linewidth=0.4, color="0.3"
        )
        axes.set_xlim(0, end)


def read_wave(path: Path, rate: int | None = None) -> Wave:
    """Read a .wav file.

    Args:
        path: The file.
        rate: Samples a second to bring it to; as it is if None.

    Raises:
        UsageError: it is not a readable .wav file, holds no sound, or numbers that are not finite.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks that are no sound
            own, data = wavfile.read(path)
    except (OSError, ValueError, EOFError, TypeError) as error:
        raise UsageError(f"{path} cannot be read as a .wav file: {error}") from error
    except Exception as error:  # struct.error and others of a damaged header
        raise UsageError(f"{path} is damaged: {type(error).__name__}: {error}") from error
    samples, notes = _one_channel(np.asarray(data))
    if len(samples) == 0 or own < 1:
        raise UsageError(f"{path} holds no sound; record it again or leave it out")
    if not np.isfinite(samples).all():
        raise UsageError(f"{path} has samples that are not finite; leave it out")
    if not np.ptp(samples):
        raise UsageError(f"{path} is silent: all its samples are the same; leave it out")
    if (share := float((np.abs(samples) >= 0.999).mean())) > _CLIPPED:
        notes.append(f"clipped: {share:.0%} of the samples at full scale")
    if rate is not None and own != rate:
        common = math.gcd(int(own), rate)
        samples = resample_poly(samples, rate // common, int(own) // common)
        notes.append(f"resampled from {own} Hz")
    wave = torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))
    return Wave(wave, rate or int(own), tuple(notes))


def _one_channel(data: np.ndarray) -> tuple[np.ndarray, list[str]]:
    notes = []
    if data.dtype == np.uint8:
        data = (data.astype(np.float64) - 128) / 128
    elif np.issubdtype(data.dtype, np.integer):
        data = data.astype(np.float64) / -float(np.iinfo(data.dtype).min)
    else:
        data = data.astype(np.float64)
    if data.ndim == 2:
        if data.shape[1] > 1:
            notes.append(f"{data.shape[1]} channels averaged")
        data = data.mean(1) if data.shape[1] else data.reshape(-1)
    return data, notes


@dataclass(frozen=True)
class FrontEnd:
    """Mel-frequency cepstral coefficients and their first differences in time.

    Attributes:
        rate: Samples a second of the sound.
        window: Of a frame, in seconds; Hamming.
        step: From frame to frame, in seconds.
        filters: Triangles, evenly spaced in mel.
        cepstra: Coefficients kept, the zeroth (the level) among them.
        stack: Neighboring frames joined into one, so that there are fewer.

    Raises:
        UsageError: an attribute is out of its range.
    """

    rate: int = 8000
    window: float = 0.025
    step: float = 0.01
    filters: int = 26
    cepstra: int = 13
    stack: int = 2
    suffixes: ClassVar[tuple[str, ...]] = (".wav",)
    unit: ClassVar[str] = "seconds"

    def __post_init__(self) -> None:
        at_least("rate", self.rate, 1000)
        above("window", self.window, 0)
        above("step", self.step, 0)
        at_least("filters", self.filters, 2)
        at_least("cepstra", self.cepstra, 1)
        at_least("stack", self.stack, 1)

    @property
    def features(self) -> int:
        """Numbers of a frame."""
        return 2 * self.cepstra * self.stack

    @property
    def bands(self) -> int:
        """Cepstra, of which training may blank out some."""
        return self.cepstra

    @property
    def input_described(self) -> str:
        """What a net of it takes."""
        return "frames of mel-frequency cepstral coefficients, float32 (N, T, features)"

    def read(self, path: Path) -> Wave:
        """A recording at the rate of the front end; see ``read_wave``."""
        return read_wave(path, self.rate)

    def step_of(self, source: Wave) -> float:
        """Seconds from a stacked frame to the next."""
        return self.step * self.stack

    def count(self, samples: Tensor) -> int:
        """Stacked frames of so many samples (N,)."""
        length, hop = round(self.window * self.rate), round(self.step * self.rate)
        frames = max(0, (len(samples) - length) // hop) + 1
        return max(1, frames // self.stack)

    @property
    def described(self) -> dict[str, Any]:
        """As JSON values, from which ``FrontEnd(**described)`` makes it again."""
        return asdict(self)

    def frames(self, samples: Tensor, warp: float = 1.0, tempo: float = 1.0) -> Tensor:
        """Frames of a recording.

        Args:
            samples: float32 (N,); padded with zeros where it is shorter than a stacked frame.
            warp: Factor on the filters' frequencies: another length of the vocal tract. Source:
                Jaitly, Hinton: Vocal Tract Length Perturbation, ICML workshop 2013.
            tempo: Factor on the speed; the pitch stays.

        Returns:
            float32 (T, features).
        """
        length = round(self.window * self.rate)
        hop = max(1, round(self.step * self.rate * tempo))
        short = length + (self.stack - 1) * hop - len(samples)
        if short > 0:
            samples = F.pad(samples, (0, short))
        emphasized = torch.cat([samples[:1], samples[1:] - 0.97 * samples[:-1]])
        windows = emphasized.unfold(0, length, hop) * torch.hamming_window(length, periodic=False)
        size = 1 << (length - 1).bit_length()
        power = torch.fft.rfft(windows, size).abs().square()
        mel = (power @ _filters(size, self.rate, self.filters, round(warp, 2))).clamp_min(1e-8)
        static = mel.log() @ _cosines(self.filters, self.cepstra)
        both = torch.cat([static, _differences(static)], 1)
        count = len(both) // self.stack
        return both[: count * self.stack].reshape(count, self.features)

    def write_examples(self, folder: Path, names: Sequence[str]) -> list[Path]:
        """Two short tones; what they are to be called is of no matter."""
        paths = [folder / "low.wav", folder / "high.wav"]
        time = np.arange(self.rate // 2) / self.rate
        for path, pitch in zip(paths, (220, 660), strict=True):
            tone = (8000 * np.sin(2 * np.pi * pitch * time)).astype(np.int16)
            wavfile.write(path, self.rate, tone)
        return paths


def _mel(hertz: np.ndarray | float) -> Any:
    return 2595 * np.log10(1 + np.asarray(hertz) / 700)


@cache
def _filters(size: int, rate: int, count: int, warp: float) -> Tensor:
    """Triangles (size / 2 + 1, count) over the frequencies of a Fourier transform."""
    edges = 700 * (10 ** (np.linspace(0, _mel(rate / 2), count + 2) / 2595) - 1)
    edges = np.minimum(edges * warp, rate / 2 * (1 - np.arange(count + 2)[::-1] * 1e-6))
    bins = np.linspace(0, rate / 2, size // 2 + 1)[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - low) / np.maximum(middle - low, 1e-9)
    falling = (high - bins) / np.maximum(high - middle, 1e-9)
    return torch.from_numpy(np.maximum(0, np.minimum(rising, falling)).astype(np.float32))


@cache
def _cosines(count: int, kept: int) -> Tensor:
    """The orthonormal discrete cosine transform (count, kept)."""
    places = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    basis = torch.cos(math.pi * places[:, None] * torch.arange(kept)) * math.sqrt(2 / count)
    basis[:, 0] /= math.sqrt(2)
    return basis.float()


def _differences(static: Tensor) -> Tensor:
    """Slopes over five frames, the ends repeated."""
    padded = F.pad(static.T[None], (2, 2), mode="replicate")[0].T
    slope = padded[3:-1] - padded[1:-3] + 2 * (padded[4:] - padded[:-4])
    return slope / 10
