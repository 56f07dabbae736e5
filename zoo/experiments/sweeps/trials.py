"""The trials of a sweep, shared by any number of processes, each trial done once.

A trial belongs to the folder in which it runs: it was made with that folder's identity. Whoever
runs it holds a lock, which ends with the process. A trial that is unfinished and whose lock is free
was cut, and the next process that looks continues it. Another folder's trials, on a machine that
does not see this one, are left to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from optuna.storages import BaseStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from zoo.experiments.locks import alone_in, try_lock
from zoo.experiments.sweeps.space import Parameter
from zoo.experiments.sweeps.storage import answering

FOLDER = "folder"
"""The attribute of a trial that names the folder it runs in."""
REASON = "reason"
SECONDS = "seconds"


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs, and nobody else.

    Attributes:
        trial: Optuna's.
        values: What it sets, by key.
        cut: Whether it was begun before.
        lock: Held until it is told.
    """

    trial: Trial
    values: Mapping[str, Any]
    cut: bool
    lock: FileLock

    @property
    def name(self) -> str:
        """Of its run's folder."""
        return trial_name(self.trial.number)


class Trials:
    """The trials of one study.

    Args:
        study: Optuna's.
        storage: The storage it is in.
        address: How the user wrote that, for messages.
        space: What is varied.
        folder: The folder of the runs.
        identity: Of that folder.
        count: How many trials the sweep is to have.
    """

    def __init__(
        self,
        study: Study,
        storage: BaseStorage,
        address: str,
        space: Mapping[str, Parameter],
        folder: Path,
        identity: str,
        count: int,
    ) -> None:
        self.study, self.space, self.count = study, space, count
        self.folder = folder
        self._storage, self._address, self._identity = storage, address, identity
        with answering(address):
            self._study_id = storage.get_study_id_from_name(study.study_name)

    @property
    def all(self) -> list[FrozenTrial]:
        """Those that the sweep has so far, in order."""
        with answering(self._address):
            found = self.study.get_trials(deepcopy=False)
        return [each for each in found if each.number < self.count or each.state.is_finished()]

    def claim(self) -> Claim | None:
        """The next trial for this process: one that was cut, or a new one.

        Returns:
            None where all are done or being run by others.
        """
        with alone_in(self.folder), answering(self._address):
            for each in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                ours = each.user_attrs.get(FOLDER) == self._identity
                if not ours or each.number >= self.count:
                    continue
                if lock := try_lock(self._lock_of(each.number)):
                    return self._opened(each.number, lock, cut=True)
            if len(self.study.get_trials(deepcopy=False)) >= self.count:
                return None
            # At once with the folder's identity: it is nobody's trial at no moment.
            template = create_trial(state=TrialState.RUNNING, user_attrs={FOLDER: self._identity})
            trial_id = self._storage.create_new_trial(self._study_id, template)
            number = self._storage.get_trial_number_from_id(trial_id)
            if number >= self.count:  # another folder's process was faster; it waits for more
                return None
            lock = try_lock(self._lock_of(number))
            assert lock is not None
            return self._opened(number, lock, cut=False)

    def report(self, claim: Claim, value: float, step: int) -> bool:
        """Take a value that a trial has reached.

        A trial that was cut measures again what it had reported before; what was decided then
        holds.

        Args:
            claim: The trial.
            value: Of the metric.
            step: Which validation it was, from 1.

        Returns:
            Whether the trial is to end here.
        """
        with answering(self._address):
            known = self._storage.get_trial(self._id(claim.trial.number)).intermediate_values
            if step not in known:
                claim.trial.report(value, step)
            if known and step < max(known):
                return False
            return claim.trial.should_prune()

    def tell(
        self,
        claim: Claim,
        state: TrialState,
        value: float | None = None,
        reason: str = "",
        seconds: float | None = None,
    ) -> None:
        """Note how a trial ended, and let go of it."""
        with alone_in(self.folder), answering(self._address):
            if reason:
                claim.trial.set_user_attr(REASON, reason)
            if seconds is not None:
                claim.trial.set_user_attr(SECONDS, seconds)
            self.study.tell(claim.trial.number, value, state)
            claim.lock.release()
            Path(claim.lock.lock_file).unlink(missing_ok=True)  # of no use any more

    def _opened(self, number: int, lock: FileLock, cut: bool) -> Claim:
        try:
            trial = Trial(self.study, self._id(number))
            values = {key: each.suggest(trial) for key, each in self.space.items()}
        except BaseException:
            lock.release()
            raise
        return Claim(trial, values, cut, lock)

    def _id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _lock_of(self, number: int) -> Path:
        return self.folder / f".{trial_name(number)}.lock"


def trial_name(number: int) -> str:
    """The folder of a trial's run."""
    return f"trial-{number:04}"
