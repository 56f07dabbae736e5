"""What callbacks monitor: refused by name before it costs an epoch, where that can be known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping

from zoo.errors import UsageError, nearest
from zoo.plugin.parts import has_part


def refuse_without_validation(
    callbacks: Iterable[Callback], data: LightningDataModule, limit_val_batches: Any = None
) -> None:
    """Refuse callbacks that monitor a validation which does not happen.

    Args:
        callbacks: All of a Trainer's.
        data: Set up for fitting.
        limit_val_batches: The Trainer's argument; 0 leaves validation out.

    Raises:
        UsageError: there are such callbacks; the sentence names one.
    """
    asked = [
        (kind, name) for kind, name in _monitored(callbacks) if name.startswith(("val/", "val_"))
    ]
    if not asked:
        return
    kind, name = asked[0]
    if limit_val_batches == 0:
        reason = "with trainer.limit_val_batches 0 nothing is validated"
    elif not has_part(data, "val"):
        reason = "the data have no validation part"
    else:
        return
    raise UsageError(
        f"'trainer.callbacks': {kind} monitors {name!r}, and {reason}: omit it, monitor a metric "
        "of the training such as 'train/loss', or give the data a validation part"
    )


def ask_after_validations(callbacks: Iterable[Callback]) -> None:
    """Let EarlyStopping look at a validation's metric when there was one.

    Where each epoch ends with a validation, Lightning's looks at the end of epochs, and fails in
    the last one if ``max_steps`` cut it short before the first validation.

    Args:
        callbacks: The user's; those that say themselves when they look stay as they are.
    """
    for each in callbacks:
        if not isinstance(each, EarlyStopping) or not each.monitor.startswith(("val/", "val_")):
            continue
        if each._check_on_train_epoch_end is None:  # noqa: SLF001  # its argument of this name
            each._check_on_train_epoch_end = False  # noqa: SLF001


class MonitorNames(Callback):
    """Refuses a monitored metric that the sanity check of the validation did not log.

    Args:
        callbacks: The user's, some of which may monitor a metric.
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self._known: set[str] = set()

    @property
    def unsure(self) -> bool:
        """Whether a callback monitors what may never be logged, and then ends the training."""
        return any(name not in self._known for _, name in _monitored(self._callbacks))

    def on_sanity_check_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compare what is monitored with what was logged.

        Raises:
            UsageError: a name is not among them, and is a validation's or like one of them.
        """
        self._known.update(trainer.callback_metrics)
        known = sorted(self._known)
        for kind, name in _monitored(self._callbacks) if known else ():
            near = "" if name.startswith("train/") else nearest(name, known, 1)
            wrong = (near or name.startswith("val/")) and name not in known
            if wrong and not any(name.startswith(f"{each}/") for each in known):  # of one class
                hint = f"did you mean {near}?" if near else f"there are {', '.join(known)}"
                raise UsageError(
                    f"'trainer.callbacks': {kind} monitors {name!r}, which the validation does not "
                    f"log: {hint}"
                )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """From here on every name is known."""
        self._known.update(trainer.callback_metrics)


def _monitored(callbacks: Iterable[Callback]) -> Iterator[tuple[str, str]]:
    """The class of each callback that monitors a metric, and the metric."""
    for each in callbacks:
        name = getattr(each, "monitor", None)
        if isinstance(name, str) and name:
            yield type(each).__name__, name
