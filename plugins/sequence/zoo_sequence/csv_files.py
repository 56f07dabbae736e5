"""Sequences in files of a user's own: a step a line, numbers with commas between."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError


def read_steps(path: Path, features: int) -> Tensor:
    """A sequence.

    Args:
        path: The file.
        features: Numbers of a line.

    Returns:
        float32 (T, features).

    Raises:
        UsageError: it cannot be read, is empty or has other lines.
    """
    try:
        steps = np.loadtxt(path, dtype=np.float32, delimiter=",", ndmin=2)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read as lines of numbers: {error}") from error
    if not len(steps) or steps.shape[1] != features:
        raise UsageError(f"{path} is not lines of {features} numbers with commas between")
    if not np.isfinite(steps).all():
        raise UsageError(f"{path} has a number that is not finite; remove or replace it")
    return torch.from_numpy(steps)
