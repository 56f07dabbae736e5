"""Optuna's samplers, seeded for every trial, and its pruners."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, MedianPruner, NopPruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

_SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed, multivariate=True, constant_liar=True),
    "random": lambda seed: RandomSampler(seed=seed),
}
_PRUNERS: Mapping[str, Callable[[], BasePruner]] = {
    "median": lambda: MedianPruner(n_startup_trials=5, n_warmup_steps=2),
    "halving": SuccessiveHalvingPruner,
    "none": NopPruner,
}


def make_sampler(name: str, seed: int) -> BaseSampler:
    """A sampler by its name, one of ``zoo.experiments.sweeps.options.SAMPLERS``."""
    return _SeededByTrial(_SAMPLERS[name], seed)


def make_pruner(name: str) -> BasePruner:
    """A pruner by its name, one of ``zoo.experiments.sweeps.options.PRUNERS``."""
    return _PRUNERS[name]()


class _SeededByTrial(BaseSampler):
    """Draws by the seed of the trial, and not by how many were drawn before in this process: what
    is proposed depends on the trials before alone, however often the sweep was continued.

    Args:
        make: Makes a sampler out of a seed.
        seed: Of the sweep.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int) -> None:
        self._make, self._seed = make, seed
        self._number, self._sampler = -1, make(0)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """As Optuna's."""
        return self._of(trial).infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As Optuna's."""
        return self._of(trial).sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """As Optuna's; of a trial that was cut while it was proposed the rest is as it would have
        been, so each parameter has a seed of its own."""
        sampler = self._make(self._seed_of(trial, param_name))
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Study, trial: FrozenTrial, state: TrialState, values: Any) -> None:
        """As Optuna's."""
        self._of(trial).after_trial(study, trial, state, values)

    def _of(self, trial: FrozenTrial) -> BaseSampler:
        if trial.number != self._number:
            self._number, self._sampler = trial.number, self._make(self._seed_of(trial))
        return self._sampler

    def _seed_of(self, trial: FrozenTrial, name: str = "") -> int:
        text = f"{self._seed}/{trial.number}/{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
