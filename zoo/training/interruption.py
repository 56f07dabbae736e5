"""Ctrl-C and SIGTERM: what they do to Lightning becomes ``TrainingInterrupted``.

The signal handlers themselves, which let a run end between two batches, are installed by
``zoo.training.checkpoint.LastCheckpoint``.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

from lightning.pytorch import Trainer
from lightning.pytorch.utilities.exceptions import SIGTERMException

from zoo.errors import ZooError
from zoo.runs.run import Run
from zoo.training.csv_logger import metrics_of


class TrainingInterrupted(ZooError):
    """The user or a scheduler ended the run, which can be continued.

    Args:
        run: The run so far.
        status: The exit status: 130 for Ctrl-C, 143 for SIGTERM.
    """

    def __init__(self, run: Run, status: int) -> None:
        super().__init__(
            f"stopped; the run so far lies in {run.path}, continue it with "
            f"`zoo train {run.environment['recipe']} --resume {run.path}`"
        )
        self.run = run
        self.status = status


@contextlib.contextmanager
def interruptible(trainer: Trainer, run: Run) -> Iterator[None]:
    """Around a part of a run: an interruption leaves the metrics so far and the seconds taken.

    Raises:
        TrainingInterrupted: Ctrl-C or SIGTERM came.
    """
    started = time.monotonic()
    try:
        yield
    except SIGTERMException as error:
        _keep(trainer, run, started)
        raise TrainingInterrupted(run, 143) from error
    except SystemExit as error:  # what Lightning makes of Ctrl-C
        if not isinstance(error.__context__, KeyboardInterrupt):
            raise
        _keep(trainer, run, started)
        raise TrainingInterrupted(run, 130) from error
    except KeyboardInterrupt as error:
        _keep(trainer, run, started)
        raise TrainingInterrupted(run, 130) from error


def _keep(trainer: Trainer, run: Run, started: float) -> None:
    if trainer.is_global_zero:
        run.write_json("metrics.json", {**run.metrics, **metrics_of(trainer)})
        before = run.environment.get("fit_seconds", 0.0)
        run.note(fit_seconds=round(before + time.monotonic() - started, 2))
