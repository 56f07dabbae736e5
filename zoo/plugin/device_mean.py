"""A mean over an epoch whose updates make no host wait for a GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric


class DeviceMean(MeanMetric):
    """For training steps: as torchmetrics' ``MeanMetric``, whose every update looks for NaN and
    copies its weight to the device, so that on a GPU the host waits twice. Here a NaN makes the
    mean NaN."""

    def __init__(self, **options: Any) -> None:
        super().__init__(nan_strategy="disable", **options)

    def update(self, value: float | Tensor, weight: float | Tensor | None = None) -> None:
        """Add a number, or several.

        Args:
            value: A tensor on the metric's device, or a number.
            weight: How much each counts, such as the samples that it is the mean of; 1 without.
        """
        if isinstance(value, Tensor):
            value = value.detach()
            if not isinstance(weight, Tensor):
                whole = 1.0 if weight is None else weight
                weight = torch.full((), whole, device=value.device)
        super().update(value, 1.0 if weight is None else weight)
