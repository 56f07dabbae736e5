"""What a learner counts, in its run: logged, carried through checkpoints, and as intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from zoo.errors import UsageError, ZooError
from zoo.plugin._lightning_internals import (
    batches_that_stepped,
    metrics_of_steps,
    restore_metrics,
    validate_when,
)
from zoo.plugin.counters import counters, counters_of, require_counted
from zoo.plugin.parts import has_part
from zoo.plugin.stopping import StopWhenSolved
from zoo.training.checkpoint import LastCheckpoint
from zoo.training.csv_logger import MetricsLogger

_TIMES = {"weeks", "days", "hours", "minutes", "seconds", "milliseconds", "microseconds"}
"""Lightning's own keys of ``val_check_interval``."""


def put_back(checkpoint: Mapping[str, Any], model: object, data: object) -> None:
    """Set counters that are a plain dict to what a checkpoint holds of them."""
    carried = checkpoint.get("zoo_counters", {}).get("carried", {})
    for place, owner in _carried(model, data).items():
        owner.counters.update(carried.get(place, {}))


class Counting(Callback):
    """Logs the counts, keeps them whole over a resume, and validates at intervals of them.

    Where nothing is validated, the callbacks that follow validations are asked at these intervals,
    and go by what the training steps log.

    Args:
        log: Gets them as columns.
        interval: A unit to the count from one validation to the next; empty for epochs or batches.
    """

    def __init__(self, log: MetricsLogger, interval: Mapping[str, int]) -> None:
        self._log = log
        self._interval = interval
        self._validated: dict[str, int] = {}
        self._before: dict[str, int] = {}
        self._unvalidated = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """While fitting, every row has the counts."""
        if stage == "fit":
            self._log.counters = lambda: counters_of(trainer)
            if self._interval:
                data = trainer.datamodule  # type: ignore[attr-defined]
                self._unvalidated = not (trainer.enable_validation and has_part(data, "val"))
                validate_when(trainer, lambda: self._is_due(trainer))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """A test counts nothing."""
        self._log.counters = dict

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """See that a resumed run continues to count."""
        self._require_growth(trainer, "the checkpoint")

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Where nothing is validated, ask those that would follow.

        Raises:
            UsageError: one of them monitors what no training step logs.
        """
        if not self._unvalidated or not (trainer.should_stop or self._is_due(trainer)):
            return
        self._show(trainer)
        self._validated = counters_of(trainer)
        callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]
        for each in _followers(callbacks):
            _require_monitored(each, trainer)
            each.on_validation_end(trainer, pl_module)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Checkpoints may have them in their names."""
        if not trainer.sanity_checking:
            self._show(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The next interval begins."""
        if not trainer.sanity_checking:
            self._validated = counters_of(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Give them to the loggers that are not ours."""
        self._require_growth(trainer, "the epoch before")
        self._show(trainer)
        step = batches_that_stepped(trainer) - 1
        for each in trainer.loggers if self._before else ():
            if each is not self._log:
                each.log_metrics({k: float(v) for k, v in self._before.items()}, step)

    def on_save_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Note the counts, and those of the last validation."""
        carried = _carried(pl_module, trainer.datamodule)  # type: ignore[attr-defined]
        checkpoint["zoo_counters"] = {
            "now": counters_of(trainer),
            "validated": self._validated,
            "carried": {place: dict(owner.counters) for place, owner in carried.items()},
        }

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put back what is a plain dict; the rest its owner has kept."""
        found = checkpoint.get("zoo_counters", {})
        self._before, self._validated = found.get("now", {}), found.get("validated", {})
        put_back(checkpoint, pl_module, trainer.datamodule)  # type: ignore[attr-defined]

    def _is_due(self, trainer: Trainer) -> bool:
        counts = counters_of(trainer)
        return any(
            counts[unit] // every > self._validated.get(unit, 0) // every
            for unit, every in self._interval.items()
        )

    def _show(self, trainer: Trainer) -> None:
        shown = {name: torch.tensor(count) for name, count in counters_of(trainer).items()}
        restore_metrics(trainer, shown)

    def _require_growth(self, trainer: Trainer, before: str) -> None:
        counts = counters_of(trainer)
        for name, count in self._before.items():
            if counts.get(name, 0) < count:
                raise ZooError(
                    f"the counter {name!r} is {counts.get(name, 0)}, and was {count} in {before}: "
                    "a counter only grows. Keep it in a dict `self.counters`, in a buffer, or in "
                    "`state_dict` of the datamodule"
                )
        self._before = counts


def split_interval(settings: dict[str, Any]) -> dict[str, int]:
    """Take a ``val_check_interval`` in counts, such as ``{evaluations: 500}``, out of the
    Trainer's settings.

    Args:
        settings: The Trainer's arguments; those of an interval in batches take its place, so that
            callbacks which follow validations do not look at the ends of epochs.
    """
    given = settings.get("val_check_interval")
    if not isinstance(given, dict) or not given or set(given) <= _TIMES:
        return {}
    settings |= {"val_check_interval": 2, "check_val_every_n_epoch": None}
    return dict(given)


def refuse_uncounted(
    budget: Mapping[str, int],
    interval: Mapping[str, int],
    callbacks: Iterable[Callback],
    model: LightningModule,
    data: LightningDataModule,
) -> None:
    """Refuse units that neither model nor data count.

    Args:
        budget: Of the recipe.
        interval: Of its ``trainer.val_check_interval``.
        callbacks: The user's.
        model: What is about to be trained.
        data: Its data, set up for fitting.

    Raises:
        UsageError: one is not counted, or a validation is asked for that does not happen.
    """
    counted = counters(model, data)
    require_counted(budget, counted, "'budget'")
    require_counted(interval, counted, "'trainer.val_check_interval'")
    for each in callbacks:
        if isinstance(each, StopWhenSolved) and each.unit is not None:
            require_counted([each.unit], counted, "'trainer.callbacks': StopWhenSolved")
    if any(every < 1 for every in interval.values()):
        raise UsageError(f"'trainer.val_check_interval' has to be counts of 1 or more: {interval}")
    if interval and not (has_part(data, "val") or list(_followers(callbacks))):
        raise UsageError(
            f"'trainer.val_check_interval' is {dict(interval)}, and the data have no validation "
            "part: omit it, give them one, or name an EarlyStopping or a ModelCheckpoint among "
            "trainer.callbacks, which then goes by what training steps log"
        )


def _followers(callbacks: Iterable[Callback]) -> Iterator[EarlyStopping | ModelCheckpoint]:
    """The callbacks of the user that follow validations."""
    for each in callbacks:
        if isinstance(each, EarlyStopping | ModelCheckpoint) and not isinstance(
            each, LastCheckpoint
        ):
            yield each


def _require_monitored(callback: EarlyStopping | ModelCheckpoint, trainer: Trainer) -> None:
    name = callback.monitor
    if name is None or name in trainer.callback_metrics:
        return
    known = ", ".join(metrics_of_steps(trainer))
    raise UsageError(
        f"'trainer.callbacks': {type(callback).__name__} monitors {name!r}, which no training step "
        "has logged: log it in training_step with on_step=True"
        + (f", or name one of those that are: {known}" if known else "")
    )


def _carried(model: object, data: object) -> dict[str, Any]:
    """Of the module and the datamodule those whose counters are a plain dict, by place."""
    owners = {"model": model, "data": data}
    return {k: each for k, each in owners.items() if _is_plain(each)}


def _is_plain(owner: object) -> bool:
    return owner is not None and isinstance(vars(owner).get("counters"), dict)
