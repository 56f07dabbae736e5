"""``zoo.sweep``: trials of a recipe with other values, each a run, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.errors import MissingDependencyError, UsageError, install_hint
from zoo.experiments.built import ask
from zoo.experiments.sweeps.options import PRUNERS, SAMPLERS, TRIALS
from zoo.experiments.sweeps.result import Sweep
from zoo.experiments.sweeps.space import Parameter, is_marked, read_space
from zoo.io.bounds import read_json
from zoo.recipes.recipe import Recipe
from zoo.runs.group import FILE, open_group
from zoo.runs.run import RUNS, require_name

_MAX_BYTES = 16 << 20
"""Of a summary."""


def sweep(
    recipe: str | Path | Recipe | Mapping[str, Any],
    space: str | Path | Mapping[str, Any] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    trials: int = TRIALS,
    metric: str | None = None,
    direction: str | None = None,
    sampler: str = "tpe",
    pruner: str = "median",
    storage: str | None = None,
    study: str | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    trust: bool = False,
) -> Sweep:
    """Search for the values with which a recipe is best, by its validation: Optuna's sweep.

    Every trial is a run of its own, without its test: the test part of the data is not read. The
    same call with the same ``out`` continues a sweep that was cut, and calls in several processes,
    with one ``storage``, share its trials.

    Args:
        recipe: As for ``zoo.train``.
        space: What is varied, a YAML file or a mapping such as ``{"model.lr": "log:1e-4:1e-1",
            "data.batch_size": "choice:32,64"}`` (``zoo.experiments.sweeps.space``).
        overrides: Values that are set, as for ``zoo.train``; those in the form of a space are
            varied too.
        trials: How many trials the sweep is to have, those of other processes included.
        metric: What a validation logs; what the recipe or its model monitors by default.
        direction: ``minimize`` or ``maximize``; by default that of the monitor, or as the metric's
            name says.
        sampler: ``tpe`` or ``random``.
        pruner: ``median``, ``halving`` or ``none``.
        storage: ``sqlite:///FILE``, ``postgresql://USER@HOST/DATABASE`` or the path of a journal
            file; by default one in the folder.
        study: Name of Optuna's study in that storage; the recipe's by default.
        out: The folder; ``runs/sweep/<recipe>/<time>`` by default.
        resume: ``"auto"`` continues the newest of the recipe's sweeps there that has fewer trials
            done, if there is one; a folder is the same as ``out``, and has to be a sweep.
        trust: As for ``zoo.train``, for the recipe's file and the space's.

    Returns:
        The sweep, with its trials so far.

    Raises:
        UsageError: recipe, space, data or storage are wrong; nothing was written.
        SweepInterrupted: Ctrl-C or SIGTERM ended it; it can be continued.
        ZooError: the storage does not answer any more; it can be continued.
    """
    if out is not None:
        require_name(out)
    _refuse_wrong_options(trials, sampler, pruner)
    given = dict(overrides or {})
    varied = {key: value for key, value in given.items() if is_marked(value)}
    found = {**(read_space(space) if space is not None else {}), **read_space(varied)}
    fixed = {key: value for key, value in given.items() if key not in varied}
    _refuse_no_space(found, fixed)
    asked = ask(recipe, fixed, trust)
    try:
        from zoo.experiments.sweeps.sweeping import Sweeping
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise MissingDependencyError(
            f"a sweep needs Optuna, which is not installed: {install_hint('zoo[sweep]')}"
        ) from error
    source = "" if trust or space is None or isinstance(space, Mapping) else f"the space {space}"
    out = _continued(asked.recipe.name, out, resume, trials)
    sweeping = Sweeping(asked, found, source, metric, direction, sampler, pruner, trust)
    return sweeping.run(trials, storage, study or asked.recipe.name, out)


def _continued(
    name: str, out: str | Path | None, resume: str | Path | None, trials: int
) -> str | Path | None:
    """The folder that ``resume`` asks to continue, or ``out``."""
    if resume is None:
        return out
    if str(resume) == "auto":
        return out if out is not None else _newest_unfinished(RUNS / "sweep" / name, trials)
    if out is not None and Path(out).resolve() != Path(resume).resolve():
        raise UsageError("--resume DIR continues in DIR: omit --out")
    return open_group(resume).path


def _newest_unfinished(parent: Path, trials: int) -> Path | None:
    files = sorted(parent.glob(f"*/{FILE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    return next((path.parent for path in files if _ended(path.parent) < trials), None)


def _ended(folder: Path) -> int:
    """How many trials came to an end, a failure included, as far as the summary says."""
    try:
        summary = read_json(folder / "summary.json", _MAX_BYTES)
        return sum(row["state"] not in ("running", "waiting") for row in summary["trials"])
    except (OSError, ValueError, KeyError, TypeError):  # a kill came before there was one
        return 0


def _refuse_no_space(space: Mapping[str, Parameter], fixed: Mapping[str, Any]) -> None:
    if not space:
        raise UsageError(
            "a sweep varies something: give --space FILE, or ranges such as "
            "--model.lr log:1e-4:1e-1 (docs/sweeps.md)"
        )
    if both := [key for key in fixed if key in space]:
        raise UsageError(f"--{both[0]} is set and is varied by the space: omit one of the two")


def _refuse_wrong_options(trials: int, sampler: str, pruner: str) -> None:
    for option, value, known in (("--sampler", sampler, SAMPLERS), ("--pruner", pruner, PRUNERS)):
        if value not in known:
            raise UsageError(f"{option} has to be one of {', '.join(known)}, not {value!r}")
    if trials < 1:
        raise UsageError(f"--trials has to be 1 or more, not {trials}")
