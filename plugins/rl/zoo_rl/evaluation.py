"""Evaluation: seeded episodes as rows of a loader, and what their returns say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import TensorDataset

from zoo.plugin import ResumableLoader
from zoo_rl.seeding import episode_seeds
from zoo_rl.statistics import bootstrap_interval


def episode_loader(part: str, count: int, batch_size: int, *more: str) -> ResumableLoader:
    """A loader of the seeds of evaluation episodes, always the same ones.

    A batch is ``(seeds,)``, int64 (N,): the episodes that ``validation_step`` or ``test_step``
    plays.

    Args:
        part: ``val`` or ``test``.
        count: Number of episodes.
        batch_size: Episodes played at once.
        more: Further parts whose episodes are added.
    """
    seeds = [seed for each in (part, *more) for seed in episode_seeds(each, count)]
    return ResumableLoader(TensorDataset(torch.tensor(seeds)), batch_size, shuffle=False)


def return_metrics(returns: Sequence[float] | np.ndarray | torch.Tensor) -> dict[str, float]:
    """Metrics of the returns of episodes, by the names they are logged under.

    Args:
        returns: One for every episode.

    Returns:
        ``return``, their mean; ``return/low`` and ``return/high``, the ends of its 95 % bootstrap
        interval; ``return/std``, their population standard deviation.
    """
    values = np.asarray(returns, dtype=np.float64)
    low, high = bootstrap_interval(values)
    return {
        "return": float(values.mean()),
        "return/low": low,
        "return/high": high,
        "return/std": float(values.std()),
    }
