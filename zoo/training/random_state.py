"""The states of all random generators, carried through a checkpoint."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class RandomState(Callback):
    """Carries the states of Python's, numpy's and torch's generators through a checkpoint, and
    around each validation: what a model or a loader draws there changes no training.

    The states are kept as lists of integers and tensors, which load under ``weights_only``.
    """

    def __init__(self) -> None:
        self._resumed: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._loop: Any = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note the states before a validation makes its loaders' iterators, which draw too."""
        loop: Any = trainer.fit_loop.epoch_loop.val_loop
        if stage != "fit" or loop is self._loop:
            return
        self._loop, run = loop, loop.run

        def noted() -> Any:
            self._before = self.state_dict()
            return run()

        loop.run = noted

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue where the training was, before checkpoints are written."""
        state, self._before = self._before, {}
        if state:
            self._restore(state)

    def state_dict(self) -> dict[str, Any]:
        """The states now."""
        version, words, gauss = random.getstate()
        name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
        return {
            "python": [version, list(words), gauss],
            "numpy": [
                str(name),
                np.asarray(keys).tolist(),
                int(position),
                int(has_gauss),
                float(cached),
            ],
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts: what happens before may draw as well."""
        self._resumed = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue to draw where the checkpoint was taken; every process draws its own numbers."""
        state, self._resumed = self._resumed, {}
        if state:
            self._restore(state)
        if trainer.global_rank:
            torch.manual_seed(int(torch.randint(2**62, ())) + trainer.global_rank)

    def _restore(self, state: dict[str, Any]) -> None:
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
        torch.set_rng_state(state["torch"].cpu())
        if torch.cuda.is_available() and len(state["cuda"]) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([each.cpu() for each in state["cuda"]])
