"""What is refused before the first epoch of a new run leaves no folder."""

from __future__ import annotations

import contextlib
import shutil
import traceback
from collections.abc import Iterator

from lightning.fabric.utilities.exceptions import MisconfigurationException

from zoo.errors import UsageError, ZooError
from zoo.io.failures import one_line
from zoo.io.rank_zero import is_rank_zero
from zoo.recipes.experiment import Experiment
from zoo.runs.run import Run, discard_folder
from zoo.training.interruption import TrainingInterrupted
from zoo.training.trainer import ResumableTrainer

_MOST = 2000
"""Letters of a reason."""


@contextlib.contextmanager
def refusals(
    run: Run, resumable: ResumableTrainer, experiment: Experiment, resumed: bool, planned: bool
) -> Iterator[None]:
    """Around a run that is locked: what fails before its first epoch removes the new folder, so
    that the corrected call finds it free. What fails later is noted in ``environment.json`` as
    ``failed``, until the run continues.

    Args:
        run: Where.
        resumable: Knows whether training began.
        experiment: What is trained.
        resumed: Whether the folder was there before.
        planned: Whether its name was chosen by the zoo, so that folders around it are new too.

    Raises:
        UsageError: Lightning refused the settings, or a trained model the data.
    """
    if resumed and is_rank_zero():
        _note_failure(run, "")
    try:
        yield
    except Exception as error:
        other = isinstance(error, ZooError) and not isinstance(error, UsageError)  # Ctrl-C
        if resumed or resumable.began or other:
            if is_rank_zero() and not isinstance(error, TrainingInterrupted):
                _note_failure(run, one_line(error) or type(error).__name__)
            raise
        if is_rank_zero():
            # A lock that Windows keeps counts as what a start that was killed left.
            shutil.rmtree(run.path, ignore_errors=True)
            if planned:
                discard_folder(run.path.parent)
        reason = _reason(error, experiment)
        if not reason or isinstance(error, UsageError):
            raise
        raise UsageError(f"{reason}: {' '.join(str(error).split())}") from error


def _note_failure(run: Run, reason: str) -> None:
    """Write down in the run why it failed, for those who look at it later; an empty reason
    removes what an earlier try left."""
    environment = {key: value for key, value in run.environment.items() if key != "failed"}
    if reason:
        environment["failed"] = reason[:_MOST]
    if environment == run.environment or not run.recipe_file.is_file():  # the folder was removed
        return
    with contextlib.suppress(OSError):  # such as the full disk that it failed for
        run.write_json("environment.json", environment)


def _reason(error: Exception, experiment: Experiment) -> str:
    """What was wrong with the call; empty where the error is of another kind."""
    if isinstance(error, MisconfigurationException) or (
        isinstance(error, (ImportError, ValueError)) and _of_lightning(error)
    ):
        return "Lightning refuses the settings --trainer..."
    recipe = experiment.recipe
    other = [
        f"{name} is {value} and was {recipe.model[name]}"
        for name, value in experiment.facts.items()
        if isinstance(value, (int, str)) and recipe.model.get(name, value) != value
    ]
    if recipe.init_from and other:
        reference = recipe.init_from["reference"]
        return f"the model of {reference} does not take these data ({', '.join(other)})"
    return ""


def _of_lightning(error: Exception) -> bool:
    """Whether Lightning itself raised it."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return str(frame.f_globals.get("__name__")).startswith("lightning.")
