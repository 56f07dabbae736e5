"""Why a training ended before the limits that its recipe states."""

from __future__ import annotations

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping

from zoo.io.rank_zero import rank_zero_print


class WhyStopped(Callback):
    """Says which callback ended the training: an EarlyStopping and by which value, or one that has
    a ``stop_reason``, as budgets have."""

    def __init__(self) -> None:
        self.reasons: list[str] = []
        """What was said."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Each that asked for the end."""
        if not trainer.should_stop:
            return
        for each in trainer.callbacks:  # type: ignore[attr-defined]
            if reason := getattr(each, "stop_reason", ""):
                self._say(trainer.current_epoch, reason)
            # An improvement has a message, but is no reason.
            if isinstance(each, EarlyStopping) and each.stopping_reason.value:
                reason = str(each.stopping_reason_message).partition(" Signaling Trainer")[0]
                self._say(each.stopped_epoch + 1, reason)

    def _say(self, epoch: int, reason: str) -> None:
        self.reasons.append(f"after epoch {epoch}: {reason}")
        rank_zero_print(f"training ends after epoch {epoch}: {reason}")
