"""Random numbers that repeat: whatever came before, a test and what is drawn after it get the same.

A model that samples is measured in the run that trained it, and again by ``zoo test``.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.utilities.seed import isolate_rng


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Python's, numpy's and torch's generators begin with a seed, and afterwards continue where
    they were.

    Args:
        seed: From 0 to 2**32 - 1.
    """
    with isolate_rng():
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        yield


class SeededTest(Callback):
    """Seeds a test before its batches are loaded; each process draws its own numbers.

    Args:
        seed: Of the recipe.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._entered = contextlib.ExitStack()

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Begin."""
        if stage == "test":
            seed = (self._seed + trainer.global_rank) % 2**32
            self._entered.enter_context(seeded(seed))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Continue as before the test."""
        self._entered.close()
