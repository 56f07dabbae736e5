"""How a sweep goes on, trial by trial.

The order of a trial: claim it (a new one, or one that was cut), train it, note its value. All that
a process knows is in the storage and in the folders of the runs: one that is killed at any moment
is continued by the same command.
"""

from __future__ import annotations

import gc
import logging
import math
import uuid
import warnings
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from zoo.errors import UsageError
from zoo.experiments.built import Asked, build
from zoo.experiments.locks import alone_in
from zoo.experiments.sweeps import checks, files
from zoo.experiments.sweeps.metric import Objective, find_direction, find_metric
from zoo.experiments.sweeps.reporter import TrialReporter
from zoo.experiments.sweeps.result import Sweep, SweepInterrupted
from zoo.experiments.sweeps.space import Parameter
from zoo.experiments.sweeps.storage import JOURNAL, StorageGoneError, open_storage
from zoo.experiments.sweeps.study import describe_sweep, open_study, refuse_other_sweep
from zoo.experiments.sweeps.trials import Claim, Trials
from zoo.io.failures import one_line, system_failure
from zoo.io.rank_zero import rank_zero_print
from zoo.runs.environment import without_password
from zoo.runs.group import Group, create_group, is_group, open_group
from zoo.runs.run import RUNS, Run, require_empty, timed_folder
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train_untested

UNTESTED = "a trial of a sweep"
_KIND = "sweep"


class Sweeping:
    """A sweep whose recipe is read.

    Args:
        asked: The recipe.
        space: What is varied.
        source: Where that comes from, if it may not name code.
        metric: What is asked for; None for what is monitored.
        direction: What is asked for; None for what the metric says.
        sampler: By name.
        pruner: By name.
        trust: Let the recipe name code.

    Raises:
        UsageError: what is asked for does not go together.
    """

    def __init__(
        self,
        asked: Asked,
        space: Mapping[str, Parameter],
        source: str,
        metric: str | None,
        direction: str | None,
        sampler: str,
        pruner: str,
        trust: bool,
    ) -> None:
        _quiet()
        checks.refuse_wrong_space(asked, space, source)
        self._asked, self._space, self._trust = asked, space, trust
        self._aim = _check(asked, space, metric, direction)
        resolved = asked.experiment.recipe
        self._described = describe_sweep(resolved, space, self._aim, sampler, pruner)

    def run(self, count: int, storage: str | None, study: str, out: str | Path | None) -> Sweep:
        """Do trials until there is none left for this process.

        Args:
            count: How many the sweep is to have.
            storage: Where they are kept; None for a journal in the folder.
            study: Name of the study in it.
            out: The folder; None for a new one.

        Raises:
            UsageError: folder or storage are another sweep's, or cannot be used.
            SweepInterrupted: the user ended it.
            StorageGoneError: the storage does not answer any more.
        """
        seed, described = self._asked.recipe.seed, self._described
        if out is not None:
            self._refuse_folder(Path(out), storage, study)
        opened = open_storage(storage) if storage else None  # refused before a folder is made
        if opened and storage:
            open_study(opened, storage, study, described, seed)
        group = self._group(out, storage, study)
        address = storage or str(group.path / JOURNAL)
        opened = opened or open_storage(address)
        found = open_study(opened, address, study, described, seed)
        identity = group.settings["folder"]
        trials = Trials(found, opened, address, self._space, group.path, identity, count)
        while claim := trials.claim():
            try:
                self._try(claim, trials, group)
            finally:
                claim.lock.release()  # also of one that is not told, for the next call
            self._write(group, trials)
        rows, aim = self._write(group, trials), self._aim
        if all(row["state"] != "running" for row in rows):
            files.draw_plots(found, aim.metric, group.path / "plots")
            with alone_in(group.path):
                files.write_page(group, rows, aim)
        best = files.best_of(rows, aim)
        return Sweep(group.path, group.recipe, aim.metric, aim.direction, rows, best)

    def _refuse_folder(self, folder: Path, storage: str | None, study: str) -> None:
        """Refuse a folder that holds something else than this sweep."""
        if not is_group(folder):
            require_empty(folder, resumable=False)
            return
        group = open_group(folder)
        if group.kind != _KIND:
            raise UsageError(
                f"{folder} is a group of the kind {group.kind}, not a sweep: choose another --out"
            )
        where, remedy = f"the folder {folder}", "choose another --out"
        refuse_other_sweep(where, group.settings["sweep"], self._described, remedy)
        before = group.settings["storage"], group.settings["study"]
        if before != (_shown(storage), study):
            raise UsageError(
                f"the sweep in {folder} keeps its trials in {before[0]} as the study "
                f"{before[1]!r}, not in {_shown(storage)} as {study!r}: name those, or choose "
                "another --out"
            )

    def _group(self, out: str | Path | None, storage: str | None, study: str) -> Group:
        """The sweep's folder: made, or found."""
        name = self._asked.recipe.name
        folder = Path(out) if out is not None else timed_folder(RUNS / _KIND / name)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(system_failure(error, "the folder cannot be made")) from error
        with alone_in(folder):
            if not is_group(folder):
                settings = {
                    "sweep": self._described,
                    "storage": _shown(storage),
                    "study": study,
                    "folder": uuid.uuid4().hex,
                }
                create_group(Group(folder, _KIND, name, {}, settings))
        self._refuse_folder(folder, storage, study)  # of processes that start together
        return open_group(folder)

    def _try(self, claim: Claim, trials: Trials, group: Group) -> None:
        """Train one trial and note how it ended."""
        number, run = claim.trial.number, Run(group.path / claim.name)
        said = "  ".join(f"{key} {value}" for key, value in claim.values.items())
        begun = "continued, as it was cut: " if claim.cut else ""
        rank_zero_print(f"trial {number} of {trials.count}: {begun}{said}")
        reporter = TrialReporter(
            self._aim.metric, partial(trials.report, claim), lambda step: run.note(pruned=step)
        )
        try:
            train_untested(
                self._asked.base,
                {**self._asked.overrides, **claim.values},
                UNTESTED,
                out=run.path,
                resume="auto",
                trust=self._trust,
                callbacks=[reporter],
            )
        except TrainingInterrupted as error:
            raise SweepInterrupted(group.path, error.status) from error
        except StorageGoneError:
            raise
        except Exception as error:  # noqa: BLE001  # a trial that fails is a result
            reason = one_line(error) or type(error).__name__
            rank_zero_print(f"trial {number} failed: {reason}")
            trials.tell(claim, TrialState.FAIL, reason=reason)
            gc.collect()  # what it holds of a device's memory
            return
        self._tell(claim, trials, run)

    def _tell(self, claim: Claim, trials: Trials, run: Run) -> None:
        metric, number = self._aim.metric, claim.trial.number
        seconds = run.environment.get("fit_seconds")
        if run.environment.get("pruned"):
            trials.tell(claim, TrialState.PRUNED, seconds=seconds)
            return
        value = run.metrics.get(metric, math.nan)
        if math.isnan(value):
            reason = f"{metric} {'is not a number' if metric in run.metrics else 'was not logged'}"
            rank_zero_print(f"trial {number} failed: {reason}")
            trials.tell(claim, TrialState.FAIL, reason=reason, seconds=seconds)
            return
        rank_zero_print(f"trial {number}: {metric} {value:.6g}")
        trials.tell(claim, TrialState.COMPLETE, value, seconds=seconds)

    def _write(self, group: Group, trials: Trials) -> list[dict[str, Any]]:
        with alone_in(group.path):
            rows = files.rows_of(trials.all, self._space)
            files.write_files(group, self._asked.recipe, self._space, self._aim, rows)
        return rows


def _check(
    asked: Asked, space: Mapping[str, Parameter], metric: str | None, direction: str | None
) -> Objective:
    """What the sweep is judged by; the recipe, its data and the ends of the space are built."""
    recipe = asked.experiment.recipe
    checks.refuse_several_processes(recipe)
    experiment, model, data = build(asked)
    chosen = find_metric(recipe, model, metric)
    checks.refuse_unvalidated(chosen, recipe, model, data)
    checks.refuse_refused_ends(experiment, space)
    return Objective(chosen, find_direction(recipe, model, chosen, direction))


def _quiet() -> None:
    """What Optuna says of each trial is said by the sweep; and its warnings of what may change."""
    optuna.logging.set_verbosity(logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)


def _shown(storage: str | None) -> str:
    return without_password(storage) if storage else JOURNAL
