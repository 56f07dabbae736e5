"""Seeds of episodes, which training and evaluation never share, and generators from integers.

Everything random is derived from a run's seed and a position in the run, so that a resumed run
needs no generator's state.
"""

from __future__ import annotations

import numpy as np
import torch

RANGES = {
    "train": range(1_000_000, 10_000_000),
    "val": range(500_000, 1_000_000),
    "test": range(1, 500_000),
}
"""Seeds that environments are reset with, by the use of the episode (Srivastava, Shyam, Mutz,
Jaśkowski, Schmidhuber: Training Agents using Upside-Down Reinforcement Learning,
arXiv:1912.02877v1, appendix)."""


def episode_seeds(part: str, count: int, *position: int) -> list[int]:
    """Seeds of environments for ``count`` episodes.

    Args:
        part: ``train``, ``val`` or ``test``: no two of them share a seed.
        count: Number of episodes.
        position: Non-negative integers, such as the run's seed and the iteration. The same ones
            give the same seeds again; for ``val`` and ``test`` they may be omitted.

    Raises:
        KeyError: there is no such part.
    """
    seeds = RANGES[part]
    source = np.random.default_rng([seeds.start, len(position), *position])
    return [seeds[int(index)] for index in source.integers(len(seeds), size=count)]


def generator(*position: int, device: str = "cpu") -> torch.Generator:
    """A generator that depends on the given non-negative integers, in their order, alone.

    Args:
        position: Such as the run's seed, the iteration, and a number for what is drawn.
        device: Where it draws.
    """
    # With their number: a SeedSequence does not tell (1, 2) from (1, 2, 0).
    sequence = np.random.SeedSequence([len(position), *position])
    (state,) = sequence.generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state >> np.uint64(1)))
