"""Metrics of segmented volumes, class by class, by MONAI's measures.

A class that a volume does not have gives no metric: where truth and prediction are both
without it, Dice says nothing, and where one of them is, there is no distance between surfaces.
Such volumes are left out of the class's mean, and counted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric

from zoo_segmentation.data.volume import IGNORED

NAMES = ("dice", "hd95", "avd")
CLASSES = 5
"""Classes that a sentence names."""


def measure(
    predicted: Tensor,
    labels: Tensor,
    classes: int,
    spacing: Sequence[float] | None = None,
    distances: bool = True,
) -> Tensor:
    """Metrics of one volume.

    Args:
        predicted: int64 (1, 1, *spatial).
        labels: int64 (1, 1, *spatial); voxels labelled `IGNORED` do not count.
        classes: Number of classes, background included.
        spacing: Voxel edges, mm; 1 without.
        distances: False leaves the Hausdorff distance out, which takes longest.

    Returns:
        (3, classes - 1) float64: Dice, 95th-percentile Hausdorff distance in mm, and absolute
        difference of volume relative to the true one; nan where there is none.
    """
    # All of MONAI, which takes seconds, and which a prediction needs not.
    from monai.metrics import compute_dice, compute_hausdorff_distance

    counted = labels != IGNORED
    # As background, which has no metric, in both: they are neither right nor wrong.
    predicted, labels = predicted.where(counted, 0), labels.where(counted, 0)
    shape = (1, classes, *labels.shape[2:])
    pred, target = (
        torch.zeros(shape, dtype=torch.bool, device=labels.device).scatter_(1, volume, True)
        for volume in (predicted, labels)
    )
    pred_size, target_size = (volume[0, 1:].flatten(1).sum(1).double() for volume in (pred, target))
    # MONAI leaves a class out of Dice that the truth lacks; one that is wrongly found scores 0.
    dice = compute_dice(pred, target, include_background=False, ignore_empty=False)[0].double()
    dice = dice.masked_fill((pred_size == 0) & (target_size == 0), torch.nan)
    difference = (pred_size - target_size).abs() / target_size.clamp(min=1)
    avd = torch.where(target_size > 0, difference, torch.nan)
    hd95 = torch.full_like(dice, torch.nan)
    both = ((pred_size > 0) & (target_size > 0)).nonzero()[:, 0].tolist() if distances else []
    for index in both:
        with warnings.catch_warnings():  # of MONAI about its own calls
            warnings.simplefilter("ignore", FutureWarning)
            distance = compute_hausdorff_distance(
                pred[:, index + 1 : index + 2].float(),
                target[:, index + 1 : index + 2].float(),
                include_background=True,
                percentile=95,
                spacing=spacing,
            )
        hd95[index] = distance.double().item()
    return torch.stack((dice, hd95, avd))


def describe_left_out(
    fractions: Mapping[str, Sequence[float]], names: Sequence[str]
) -> Iterator[str]:
    """Which metrics leave volumes out, in a sentence for all that leave out the same.

    Args:
        fractions: For each metric the share of volumes that it leaves out, class by class.
        names: The classes' names, without background.
    """
    metrics: dict[tuple[float, ...], list[str]] = {}
    for metric, shares in fractions.items():
        if any(shares):
            metrics.setdefault(tuple(shares), []).append(metric)
    for shares, those in metrics.items():
        affected = [pair for pair in zip(names, shares, strict=True) if pair[1]]
        listed = ", ".join(f"{name} {share:.0%}" for name, share in affected[:CLASSES])
        more = f" and {len(affected) - CLASSES} more classes" if len(affected) > CLASSES else ""
        where = " and ".join(f"test/{metric}" for metric in those)
        yield (
            f"{where} {'leaves' if len(those) == 1 else 'leave'} out volumes in which truth or "
            f"prediction lacks the class: {listed}{more} of the volumes"
        )


class Scores(Metric):
    """Means of ``measure`` over volumes, class by class, and how many each is of.

    Args:
        classes: Number of classes, background included.
    """

    full_state_update = False
    total: Tensor
    count: Tensor
    volumes: Tensor
    wrong: Tensor
    voxels: Tensor

    def __init__(self, classes: int) -> None:
        super().__init__()
        shape = (len(NAMES), classes - 1)
        self.add_state("total", torch.zeros(shape), dist_reduce_fx="sum")
        self.add_state("count", torch.zeros(shape), dist_reduce_fx="sum")
        self.add_state("volumes", torch.zeros(()), dist_reduce_fx="sum")
        self.add_state("wrong", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")
        self.add_state("voxels", torch.zeros((), dtype=torch.long), dist_reduce_fx="sum")

    def update(self, scores: Tensor, wrong: Tensor, voxels: int) -> None:
        """Add a volume.

        Args:
            scores: As ``measure`` gives them.
            wrong: Number of wrong voxels.
            voxels: Number of all.
        """
        self.total += scores.nan_to_num(0.0).to(self.total)
        self.count += scores.isfinite().to(self.count)
        self.volumes += 1
        self.wrong += wrong.to(self.wrong)
        self.voxels += voxels

    def read(self) -> dict[str, Tensor]:
        """What ``compute`` says, and start over."""
        values = self.compute()
        self.reset()
        # torchmetrics makes scalars of the metrics of one class.
        return {k: v.view(-1) if k in NAMES else v for k, v in values.items()}

    def compute(self) -> dict[str, Tensor]:
        """``dice``, ``hd95`` and ``avd`` (classes - 1), nan without a volume; ``left_out``, the
        share of volumes without the metric, likewise for each, (3, classes - 1); ``error``."""
        means = torch.where(self.count > 0, self.total / self.count.clamp(min=1), torch.nan)
        result = dict(zip(NAMES, means, strict=True))
        result["left_out"] = 1 - self.count / self.volumes.clamp(min=1)
        result["error"] = self.wrong / self.voxels.clamp(min=1)
        return result
