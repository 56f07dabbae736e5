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

    def update(self, value: Tensor, weight: float = 1.0) -> None:
        """Add a number, or several of the same weight.

        Args:
            value: On the metric's device.
            weight: How much each counts, such as the samples that it is the mean of.
        """
        value = value.detach()
        super().update(value, torch.full((), weight, device=value.device))
