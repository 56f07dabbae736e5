"""Noise on the features of a sound."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zoo_lipreading.layers.masking import placed_like, valid_frames

CLEAN = math.inf
"""The signal-to-noise ratio of a sound without noise."""


def add_noise(
    audio: Tensor, lengths: Tensor, snr: Tensor, generator: torch.Generator | None = None
) -> Tensor:
    """Add white Gaussian noise to features at a signal-to-noise ratio.

    The signal is each clip's mean square over its own frames and features, so that the ratio is
    of what the model is given (such as normalized MFCCs), not of the sound's waveform.

    Args:
        audio: float (N, T, F), padded after each clip's end.
        lengths: int64 (N,), feature vectors of each clip.
        snr: (N,), decibels; infinite adds nothing.
        generator: Where the noise comes from, on the CPU; without, torch's global one of the
            sound's device.

    Returns:
        (N, T, F), as before after each clip's end.
    """
    lengths = placed_like(lengths, audio)
    own = valid_frames(lengths, audio.shape[1])[..., None].to(audio.dtype)
    count = lengths.to(audio.dtype) * audio.shape[2]
    power = (audio * own).square().sum(dim=(1, 2)) / count
    deviation = (power * 10 ** (-snr.to(audio) / 10)).sqrt()
    device = audio.device if generator is None else "cpu"
    drawn = torch.randn(audio.shape, generator=generator, dtype=audio.dtype, device=device)
    drawn = drawn.to(audio.device)
    return audio + drawn * deviation[:, None, None] * own


def name_of(snr: float) -> str:
    """How metrics call a ratio: ``clean``, ``-10dB``."""
    return "clean" if snr == CLEAN else f"{snr:g}dB"
