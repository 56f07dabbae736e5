"""The Trainer whose arguments the section ``trainer`` of a recipe takes."""

from __future__ import annotations

from typing import Any

import torch
from lightning.pytorch import Trainer as LightningTrainer


class Trainer(LightningTrainer):
    """Lightning's, with two settings of the machine that it leaves to chance.

    Args:
        tf32: On GPUs, compute float32 matrix products and convolutions with TensorFloat-32
            factors, which have 10 bits after the point instead of 23 (sums stay float32): several
            times faster. False computes both in full float32. torch's own defaults are
            TensorFloat-32 for convolutions and float32 for products.
        compile: Compile the networks with ``torch.compile``; those that cannot be are run as they
            are, and a line says why.
        settings: Of Lightning's Trainer.
    """

    def __init__(self, *, tf32: bool = True, compile: bool = False, **settings: Any) -> None:
        super().__init__(**settings)
        self.tf32, self.compile = tf32, compile
        self.benchmark: bool | None = settings.get("benchmark")
        """As given."""
        if self.strategy.root_device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = tf32
            torch.backends.cudnn.allow_tf32 = tf32
