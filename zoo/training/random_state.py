"""The states of all random generators, carried through a checkpoint."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

from zoo.io.rank_zero import rank_zero_print


class RandomState(Callback):
    """Carries the states of Python's, numpy's and torch's generators through a checkpoint, and
    around each validation: what a model or a loader draws there changes no training.

    The states are kept as lists of integers and tensors, which load under ``weights_only``. Of
    GPUs it is that of the process's own; a run on a CPU does not touch them.
    """

    def __init__(self) -> None:
        self._resumed: dict[str, Any] = {}
        self._before: dict[str, Any] = {}
        self._loop: Any = None
        self._gpu: torch.device | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note the states before a validation makes its loaders' iterators, which draw too."""
        device = trainer.strategy.root_device
        self._gpu = device if device.type == "cuda" else None
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
            "cuda": [] if self._gpu is None else [torch.cuda.get_rng_state(self._gpu)],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Keep the states until training starts: what happens before may draw as well."""
        self._resumed = state_dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Continue to draw where the checkpoint was taken; every process draws its own numbers."""
        state, self._resumed = self._resumed, {}
        if state:
            self._restore(state)
            self._tell_other_device(state["cuda"])
        if trainer.global_rank:
            torch.manual_seed(int(torch.randint(2**62, ())) + trainer.global_rank)

    def _restore(self, state: dict[str, Any]) -> None:
        version, words, gauss = state["python"]
        random.setstate((version, tuple(words), gauss))
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))
        torch.set_rng_state(state["torch"].cpu())
        if self._gpu is not None and state["cuda"]:
            # Until zoo 0.1.0 a checkpoint had the states of all GPUs that its process saw.
            own = (self._gpu.index or 0) if len(state["cuda"]) > 1 else 0
            chosen = state["cuda"][min(own, len(state["cuda"]) - 1)]
            torch.cuda.set_rng_state(chosen.cpu(), self._gpu)

    def _tell_other_device(self, saved: list[Any]) -> None:
        if bool(saved) != (self._gpu is not None):
            before, now = ("a GPU", "a CPU") if saved else ("a CPU", "a GPU")
            rank_zero_print(
                f"the checkpoint was written on {before}: on {now} the training draws other random "
                "numbers than the run that was never cut"
            )
