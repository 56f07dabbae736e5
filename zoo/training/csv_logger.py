"""``metrics.csv``: one row for every epoch (or logged step), continued after a resume."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from zoo.errors import ZooError
from zoo.io.atomic import write_atomically
from zoo.io.rank_zero import rank_zero_print
from zoo.runs.history import read_history, series

_QUICK = 0.02


class MetricsLogger(Logger):
    """Writes what the module logs as CSV with the columns ``epoch, step, <name>...``.

    What is logged for the same epoch and step, such as training and validation metrics, shares
    a row.

    Args:
        path: The file. Rows already in it are kept up to the step from which logging continues.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.rows: list[dict[str, float]] = []
        self.counters: Callable[[], Mapping[str, int]] = dict
        """What a learner counts now, a part of every row."""
        self.read()
        self._resumed = bool(self.rows)
        self._written = 0.0
        self._cost = 0.0

    def read(self) -> None:
        """Take the rows of the file, such as those that another process wrote."""
        self.rows, fault = read_history(self._path)
        if fault:
            rank_zero_print(f"{self._path} is damaged ({fault}): rows from there on are lost")
        self._changed = False

    @property
    def name(self) -> str:
        """Name of the logger."""
        return "csv"

    @property
    def version(self) -> str:
        """There is one version a run."""
        return ""

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Nothing: the run folder holds the recipe."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add metrics to the row of their epoch and step."""
        values = {**metrics, **self.counters()}
        key = {"epoch": values.pop("epoch", 0), "step": step or 0}
        if self._resumed:  # rows after the checkpoint are about to be written again
            self.rows = [row for row in self.rows if row["step"] < key["step"] and not _tested(row)]
            self._resumed = False
        if self.rows and all(self.rows[-1][name] == value for name, value in key.items()):
            self.rows[-1].update(values)
        elif values:
            self.rows.append({**key, **values})
        self._changed = True

    def forget_from(self, epoch: int) -> None:
        """Drop the rows from an epoch on, that of a test included: a resumed training is about to
        write them again.

        Args:
            epoch: Counted from 0; nothing of it is trained.
        """
        self.rows = [row for row in self.rows if row["epoch"] < epoch]

    @rank_zero_only
    def save(self) -> None:
        """Write the file if there is anything new. A log so long that writing it takes more than
        ``_QUICK`` seconds is written less often, so that a twentieth of the time goes into it."""
        waited = time.monotonic() - self._written
        if self._changed and (self._cost < _QUICK or waited >= 20 * self._cost):
            self.write()

    def write(self) -> None:
        """Write the file.

        Raises:
            ZooError: its folder was removed meanwhile, which is not to be made again.
        """
        self._require_folder()
        start = time.monotonic()
        columns = list(dict.fromkeys(name for row in self.rows for name in row))
        columns = columns[:2] + sorted(columns[2:])
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_atomically(self._path, text.getvalue().encode(), durable=False)
        self._changed = False
        self._written = time.monotonic()
        self._cost = self._written - start

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Write the last rows."""
        self._require_folder()
        if self._changed:
            self.write()

    def _require_folder(self) -> None:
        if self._written and not self._path.parent.is_dir():
            raise ZooError(
                f"the run folder {self._path.parent} was removed or moved while its training ran: "
                "put it back and continue with --resume, or start another run"
            )

    def series(self, counters: Sequence[str] = ()) -> dict[str, list[tuple[float, float]]]:
        """Every metric as points (x, value).

        Args:
            counters: Columns that are counts. The first of them is x; without, x is the epoch,
                counted from 1.
        """
        return series(self.rows, counters)


def metrics_of(trainer: Trainer) -> dict[str, float]:
    """The last value of everything logged, under whatever name."""
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


def with_tested(metrics: Mapping[str, float], tested: Mapping[str, float]) -> dict[str, float]:
    """The final metrics of a run: those of its training and its test, which decides where both
    have one name. That is told."""
    if both := sorted(metrics.keys() & tested.keys()):
        rank_zero_print(
            f"the test logs {', '.join(both[:4])} under the names of the training: metrics.json "
            "holds those of the test, metrics.csv all. To tell them apart, give the model "
            f'metric_names = {{"{both[0]}": "{{stage}}/{both[0]}"}}'
        )
    return {**metrics, **tested}


def _tested(row: dict[str, float]) -> bool:
    """Whether it is the row of a test, which comes last."""
    return any(name.startswith("test/") for name in row)
