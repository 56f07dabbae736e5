"""How a world model errs: counts over many segments, and what they come to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

HORIZONS = (1, 5, 15, 50)
LEVELS = torch.linspace(0.1, 0.9, 9)


class Errors:
    """Sums over the segments of a test.

    Args:
        steps: Of the longest imagination.
    """

    def __init__(self, steps: int) -> None:
        self._loss = self._steps = 0.0
        self._squares, self._counts = torch.zeros(steps), torch.zeros(steps)
        self._inside, self._numbers = torch.zeros(len(LEVELS) + 1), 0.0
        self._ends = {"true": 0.0, "found": 0.0, "both": 0.0}
        self._reward = 0.0

    def add_one_step(self, loss: Tensor, below: Tensor, mask: Tensor) -> None:
        """Predictions with everything known before.

        Args:
            loss: Negative log likelihoods (N, T).
            below: The predicted probability to be below what came, of each number, (N, T, F).
            mask: 1 where a step was made, (N, T).
        """
        self._loss += float((loss * mask).sum())
        self._steps += float(mask.sum())
        outside = (2 * below - 1).abs()[mask > 0].flatten()  # the level of the interval it is on
        levels = torch.cat([LEVELS, torch.tensor([0.90])]).to(outside.device)
        self._inside += (outside[:, None] < levels).float().sum(0).cpu()
        self._numbers += outside.numel()

    def add_outcomes(
        self, end_logits: Tensor, ends: Tensor, reward_errors: Tensor, mask: Tensor
    ) -> None:
        """Ends that were predicted, and squared errors of scaled rewards, (N, T) each."""
        found, true = (end_logits > 0) & (mask > 0), ends > 0
        self._ends["true"] += float(true.sum())
        self._ends["found"] += float(found.sum())
        self._ends["both"] += float((found & true).sum())
        self._reward += float((reward_errors * mask).sum())

    def add_imagined(self, squares: Tensor, mask: Tensor) -> None:
        """Squared errors of an imagination that sees nothing, a mean over the features, (N, T)."""
        self._squares += (squares * mask).sum(0).cpu()
        self._counts += mask.sum(0).cpu()

    @property
    def by_horizon(self) -> Tensor:
        """Mean squared error after each number of steps; NaN where no segment was as long."""
        return self._squares / self._counts

    @property
    def calibration(self) -> tuple[Tensor, Tensor]:
        """Levels of intervals, and the part of what came that lay in them."""
        return LEVELS, self._inside[:-1] / max(self._numbers, 1.0)

    def metrics(self, has_ends: bool) -> dict[str, float]:
        """By name; what nothing is known of is left out."""
        steps = max(self._steps, 1.0)
        found = {
            "nll": self._loss / steps,
            "reward_error": self._reward / steps,
            "coverage_90": float(self._inside[-1]) / max(self._numbers, 1.0),
        }
        by_horizon = self.by_horizon
        for horizon in HORIZONS:
            if horizon <= len(by_horizon) and self._counts[horizon - 1] > 0:
                found[f"open_loop_{horizon}"] = float(by_horizon[horizon - 1])
        if has_ends and self._ends["true"] > 0:
            found["end_recall"] = self._ends["both"] / self._ends["true"]
            found["end_precision"] = self._ends["both"] / max(self._ends["found"], 1.0)
        return found


def drawn_horizon(errors: Tensor) -> Figure:
    """Error against the steps imagined."""
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    known = ~errors.isnan()
    axes.plot(np.arange(1, len(errors) + 1)[known.numpy()], errors[known].numpy(), label="imagined")
    axes.axhline(1.0, color="black", linestyle="--", linewidth=1, label="as far off as the mean")
    axes.set(xlabel="steps imagined", ylabel="mean squared error, standardized", ylim=(0, None))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def drawn_calibration(levels: Sequence[float], inside: Sequence[float]) -> Figure:
    """Part of what came that lay in intervals, against what they promise."""
    figure = Figure(figsize=(4.2, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="black", linestyle="--", linewidth=1, label="calibrated")
    axes.plot(levels, inside, marker="o", label="this model")
    axes.set(
        xlabel="level of the interval", ylabel="part of what came inside", xlim=(0, 1), ylim=(0, 1)
    )
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def drawn_beside(real: Tensor, imagined: Tensor, context: int, shown: int = 6) -> Figure:
    """The first features of reality, and of an imagination that begins on the way.

    Args:
        real: Standardized, (T + 1, F).
        imagined: Of the steps after ``context``, (T - context, F).
        context: Steps that were seen.
        shown: Features, at most.
    """
    count = min(shown, real.shape[1])
    figure = Figure(figsize=(6.4, 1.2 * count + 0.5), layout="constrained")
    rows = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for index, axes in enumerate(rows):
        axes.plot(real[:, index].numpy(), color="black", label="real")
        steps = range(context + 1, context + 1 + len(imagined))
        axes.plot(steps, imagined[:, index].numpy(), color="C1", label="imagined")
        axes.axvline(context, color="gray", linestyle=":", linewidth=1)
        axes.set_ylabel(f"feature {index}")
        axes.grid(alpha=0.3)
    rows[0].legend(fontsize=8)
    rows[-1].set_xlabel("steps")
    return figure


def drawn_dreams(features: Tensor, lengths: Tensor, shown: int = 4) -> Figure:
    """The first features along dreams.

    Args:
        features: Standardized, (N, T, F).
        lengths: Steps of each, (N,).
        shown: Features, at most.
    """
    count = min(shown, features.shape[2])
    figure = Figure(figsize=(6.4, 1.4 * count + 0.4), layout="constrained")
    rows = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    for index, axes in enumerate(rows):
        for path, length in zip(features, lengths.tolist(), strict=True):
            axes.plot(path[:length, index].numpy(), linewidth=0.8)
        axes.set_ylabel(f"feature {index}")
        axes.grid(alpha=0.3)
    rows[-1].set_xlabel("steps dreamt")
    return figure
