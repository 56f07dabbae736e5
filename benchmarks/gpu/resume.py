"""A run that is cut within an epoch and resumed ends as one that was never cut.

On a GPU a repeated run may differ from itself where torch has no deterministic kernel, so that
the resumed run is held against the uncut one with the difference of a repeated one as the measure.
"""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback

import zoo
from gpu.cases import QUICK, experiment, run
from gpu.record import attempt, finish
from zoo.training.interruption import TrainingInterrupted

NAMES = ("mpcnn", "mcdnn-stacked", "pyramid-graphed", "monai-unet", "lipreader", "fusion", "hpg")
TWO_EPOCHS = {**QUICK, "trainer.max_epochs": 2, "trainer.deterministic": "warn"}


class Cut(Callback):
    """Ctrl-C after the first batch of the second epoch."""

    def on_train_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Interrupt."""
        if trainer.current_epoch == 1 and batch_idx == 0:
            signal.raise_signal(signal.SIGINT)


def main() -> None:
    """One case of each kind of state."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by jobs in the background
    for name in NAMES:
        attempt("resume", name, lambda name=name: cut_and_resumed(name))
    finish()


def cut_and_resumed(name: str) -> dict[str, Any]:
    """Three runs: uncut, repeated, cut and resumed.

    Returns:
        The largest difference of a weight from the uncut run: ``repeated`` and ``resumed``.

    Raises:
        AssertionError: the resumed run differs by more than the repeated one, or was not cut.
    """
    with tempfile.TemporaryDirectory() as folder:
        runs = [Path(folder) / each for each in ("uncut", "repeated", "cut")]
        found = experiment(name, TWO_EPOCHS)
        run(found, runs[0])
        run(found, runs[1])
        try:
            run(found, runs[2], [Cut()])
        except TrainingInterrupted:
            zoo.train(found.recipe, out=runs[2], resume="auto")
        else:
            raise AssertionError("the run was not cut")
        uncut, repeated, resumed = (zoo.load(path).state_dict() for path in runs)
        apart = [
            max(
                float((value.double() - other[key].double()).abs().max())
                for key, value in uncut.items()
                if value.numel()
            )
            for other in (repeated, resumed)
        ]
    said = f"resumed it differs by {apart[1]:.1e}, repeated by {apart[0]:.1e}"
    assert apart[1] <= apart[0], said
    return {"repeated": apart[0], "resumed": apart[1]}


if __name__ == "__main__":
    main()
