"""What a trial reports while it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback


class TrialReporter(Callback):
    """Reports the metric after every validation, and ends a training that is not worth its end.

    Args:
        metric: The metric.
        report: Takes its value and the number of the validation, from 1, and says whether the
            training is to end.
        note: Takes the number of the validation after which it did, before the run is finished.
    """

    def __init__(
        self,
        metric: str,
        report: Callable[[float, int], bool],
        note: Callable[[int], None],
    ) -> None:
        self._metric, self._report, self._note = metric, report, note
        self.validations = 0
        """How many there were."""
        self.pruned = 0
        """After which validation the training was ended; 0 if it was not."""

    @property
    def stop_reason(self) -> str:
        """Why it ended the training, said at the training's end."""
        if not self.pruned:
            return ""
        return f"pruned, as {self._metric} at validation {self.pruned} is behind the other trials"

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Report."""
        if trainer.sanity_checking or (value := trainer.callback_metrics.get(self._metric)) is None:
            return
        self.validations += 1
        if not self.pruned and self._report(float(value), self.validations):
            self.pruned = self.validations
        if self.pruned:
            trainer.should_stop = True

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note it."""
        if self.pruned:
            self._note(self.pruned)

    def state_dict(self) -> dict[str, Any]:
        """What a trial that is continued needs to know."""
        return {"validations": self.validations, "pruned": self.pruned}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take it."""
        self.validations, self.pruned = state_dict["validations"], state_dict["pruned"]
