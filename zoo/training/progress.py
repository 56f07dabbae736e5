"""How far a training has come: in a terminal a bar for the whole of it, and a line an epoch that
stays; in a file the lines alone."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ProgressBar
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.counters import counters_of
from zoo.plugin.protocols import HasMonitor
from zoo.plugin.stopping import budgets
from zoo.training.time_left import TimeLeft, fraction_done

FILE_WIDTH = 100
"""Letters of a line that is not written to a terminal."""
_REFRESH = 0.1
"""Seconds between two looks of the bar."""
_GAP = "  "
_WANTED = 2
"""Quantities of a line for which numbers are cut to three digits."""


class EpochLines(Callback):
    """Writes one line an epoch, no wider than the terminal: where it is, the metrics that matter,
    the seconds it took, the time left in all.

    Args:
        matter: Metrics to show before others, the first first.
        write: Receives each line; standard error by default, so that ``--json`` stays JSON.
    """

    def __init__(
        self, matter: Sequence[str] = (), write: Callable[[str], object] | None = None
    ) -> None:
        super().__init__()
        self._matter = list(matter)
        self._write = write or rank_zero_print
        self._start = 0.0
        self._seconds = 0.0
        self._epoch = ""
        self._left = TimeLeft()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run that continues within an epoch has no start of it."""
        self._left.begin(fraction_done(trainer))
        self._start = time.monotonic()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The metrics of the epoch before are complete only now."""
        self._write_line(trainer)
        self._start = time.monotonic()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The epoch's time ends here."""
        self._epoch = shown_epoch(trainer)
        self._seconds = time.monotonic() - self._start

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the last line."""
        self._write_line(trainer)

    def _write_line(self, trainer: Trainer) -> None:
        if not self._epoch or not trainer.is_global_zero:
            return
        counts = shown_counts(trainer)
        begin = [self._epoch, *(f"{name} {text}" for name, text in counts.items())]
        left = [f"{text} left"] if (text := self._left.text(fraction_done(trainer))) else []
        end = [f"{self._seconds:.1f} s", *left]
        metrics = {k: float(v) for k, v in trainer.callback_metrics.items() if k not in counts}
        order = by_importance(list(metrics), self._matter_of(trainer), _on_bar(trainer))
        chosen = {name: metrics[name] for name in order}
        self._write(fitted(begin, chosen, end, line_width()))
        self._epoch = ""

    def _matter_of(self, trainer: Trainer) -> list[str]:
        module = trainer.lightning_module
        monitors = [module.monitor] if isinstance(module, HasMonitor) else []
        callbacks: list[Any] = trainer.callbacks  # type: ignore[attr-defined]
        monitors += [each.monitor for each in callbacks if getattr(each, "monitor", None)]
        return [*monitors, *self._matter]


class Bar(EpochLines, ProgressBar):
    """One bar for the whole training, in what the learner counts, with the time left in all; the
    lines of the epochs stay above it.

    Args:
        matter: As of ``EpochLines``.
    """

    def __init__(self, matter: Sequence[str] = ()) -> None:
        EpochLines.__init__(self, matter)
        self._progress: Progress | None = None
        self._task = TaskID(0)
        self._enabled = True
        self._looked = 0.0

    def enable(self) -> None:
        """Show it again."""
        self._enabled = True

    def disable(self) -> None:
        """Show nothing, as while Lightning's finders try values."""
        self._enabled = False
        self._close()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The bar begins where the run does, or where it was cut."""
        super().on_train_start(trainer, pl_module)
        self._open(shown_epoch(trainer))
        self._look(trainer, 0)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the bar, some times a second."""
        if time.monotonic() - self._looked >= _REFRESH:
            self._look(trainer, batch_idx + 1)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, *_: Any, **__: Any
    ) -> None:
        """The bar stands while the run validates: say so."""
        if self._progress and not trainer.sanity_checking:
            self._progress.update(self._task, description=f"{shown_epoch(trainer)}, validation")

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """The lines stay, the bar goes."""
        super().on_train_end(trainer, pl_module)
        self._close()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A bar of its own, by batches."""
        self._open("test")

    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Move it."""
        total = trainer.num_test_batches[dataloader_idx]
        if self._progress:
            known = 0 < total < float("inf")
            done = (batch_idx + 1) / total if known else 0.0
            self._show("test", done if known else None, f"{batch_idx + 1}/{total} batches")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """It goes as well."""
        self._close()

    def on_exception(
        self, trainer: Trainer, pl_module: LightningModule, exception: BaseException
    ) -> None:
        """Leave the terminal as it was."""
        self._close()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """The same."""
        self._close()

    def print(self, *args: Any, sep: str = " ", **_: Any) -> None:
        """What a module says with ``self.print`` stands above the bar."""
        rank_zero_print(sep.join(map(str, args)))

    def _open(self, description: str) -> None:
        if self._progress or not self._enabled or not self.trainer.is_global_zero:
            return
        # Standard error, as standard output is for what a command answers.
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task(description, total=1.0, note="")
        self._progress.start()

    def _close(self) -> None:
        if self._progress:
            self._progress.stop()
        self._progress = None

    def _look(self, trainer: Trainer, batches: int) -> None:
        self._looked = time.monotonic()
        if self._progress is None:
            return
        done = fraction_done(trainer, batches)
        counts = [f"{name} {text}" for name, text in shown_counts(trainer).items()]
        left = self._left.text(done)
        loss = trainer.progress_bar_metrics.get("loss")
        notes = [
            "" if done is None else f"{done:4.0%}",
            f"{left} left" if left else "",
            f"loss {shown_number(float(loss))}" if loss is not None else "",
        ]
        note = _GAP.join(filter(None, notes))
        self._show(_GAP.join([shown_epoch(trainer), *counts]), done, note)

    def _show(self, description: str, done: float | None, note: str) -> None:
        assert self._progress is not None
        total = None if done is None else 1.0
        self._progress.update(
            self._task, description=description, completed=done or 0.0, total=total, note=note
        )


def shown_epoch(trainer: Trainer) -> str:
    """As ``epoch 3/40``, counted from 1."""
    last = f"/{trainer.max_epochs}" if (trainer.max_epochs or -1) > 0 else ""
    return f"epoch {trainer.current_epoch + 1}{last}"


def shown_counts(trainer: Trainer) -> dict[str, str]:
    """The counts, whole, those that have a budget as ``300/5000``."""
    limits = budgets(trainer)
    return {
        unit: f"{count}/{limits[unit]}" if unit in limits else str(count)
        for unit, count in counters_of(trainer).items()
    }


def shown_number(value: float, digits: int = 4) -> str:
    """Some digits, and of a whole number all."""
    whole = value.is_integer() and abs(value) < 1e15
    return f"{value:.0f}" if whole else f"{value:.{digits}g}"


def by_importance(names: Sequence[str], matter: Sequence[str], on_bar: Sequence[str]) -> list[str]:
    """Names of metrics, those that matter most first; what repeats another is left out.

    Args:
        names: All there are.
        matter: The first of them, such as what is monitored.
        on_bar: Those that a model logs for the progress bar.
    """
    losses = ["train/loss", "val/loss"]
    twins = [f"train/{name[4:]}" for name in matter if name.startswith("val/")]
    rest = sorted(names, key=lambda name: (name.count("/") > 1, name))
    order = dict.fromkeys([*matter, *losses, *twins, *on_bar, *rest])
    known = set(names)
    return [
        name
        for name in order
        if name in known
        and not name.startswith("test/")
        and not (name.endswith("error") and f"{name[:-5]}accuracy" in known)
        and not name.endswith(("_step", "_epoch"))
        | (name.removesuffix("_step").removesuffix("_epoch") not in known)
    ]


def fitted(
    begin: Sequence[str], metrics: Mapping[str, float], end: Sequence[str], width: int
) -> str:
    """A line of at most a width: of numbers a digit goes, then the least important metrics, then
    the counts.

    Args:
        begin: Where the training is.
        metrics: The most important first.
        end: Times.
        width: Letters.
    """
    begin, shown = list(begin), paired(metrics, 4)
    if _length(begin, shown[:_WANTED], end) > width:
        shown = paired(metrics, 3)
    while _length(begin, shown, end) > width and len(shown) > 1:
        shown.pop()
    while _length(begin, shown, end) > width and len(begin) > 1:
        begin.pop()
    line = _GAP.join([*begin, *shown, *end])
    return line if len(line) <= width else line[: width - 1] + "…"


def paired(metrics: Mapping[str, float], digits: int) -> list[str]:
    """Metrics with their numbers, those of training and validation together: ``loss 0.31 val
    0.35``.

    Args:
        metrics: In order.
        digits: Of each number.
    """
    shown, seen = [], set()
    for name, value in metrics.items():
        quantity = name.removeprefix("train/").removeprefix("val/")
        train, val = f"train/{quantity}", f"val/{quantity}"
        if name in seen:
            continue
        if name in (train, val) and {train, val} <= metrics.keys():
            seen |= {train, val}
            of_train, of_val = (shown_number(metrics[each], digits) for each in (train, val))
            shown.append(f"{quantity} {of_train} val {of_val}")
        else:
            shown.append(f"{name} {shown_number(value, digits)}")
    return shown


def _length(*parts: Sequence[str]) -> int:
    return len(_GAP.join(text for part in parts for text in part))


def line_width() -> int:
    """Letters that a line may have."""
    return shutil.get_terminal_size().columns - 1 if sys.stderr.isatty() else FILE_WIDTH


def progress_callback(matter: Sequence[str] = ()) -> EpochLines:
    """A bar in a terminal, otherwise a line an epoch.

    Args:
        matter: Metrics to show before others.
    """
    return Bar(matter) if sys.stderr.isatty() else EpochLines(matter)


def _on_bar(trainer: Trainer) -> list[str]:
    return [name for name in trainer.progress_bar_metrics if name in trainer.callback_metrics]
