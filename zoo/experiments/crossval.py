"""Cross-validation: a run for each fold, and what each says of what it was not trained on.

    the samples of the training and the validation part are divided into folds
    for each fold: train on the others, validate on it, test as any other run does
    what each model says of its own fold, together: out-of-fold predictions and metrics

The folds are the runs of a group, and the group is a reference that ``test``, ``predict`` and
``export`` take as an ensemble. Each run's recipe holds its fold, so that a run repeats by itself.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from lightning.pytorch import seed_everything

from zoo.bundles.stages import require_earlier_stages
from zoo.errors import UsageError, ZooError, format_problems
from zoo.experiments.fold_report import FOLDS, SUMMARY, report_folds, write_folds
from zoo.experiments.fold_splits import divide
from zoo.experiments.locks import lockable
from zoo.experiments.processes import ExperimentInterrupted, run_members
from zoo.io.bounds import read_json
from zoo.io.failures import one_line
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.folds import Fold, FoldSamples
from zoo.recipes.experiment import require_foldable, resolve, with_trainer_defaults
from zoo.recipes.recipe import Recipe, make_recipe, override, read_recipe
from zoo.recipes.trust import refuse_untrusted
from zoo.runs.group import FILE, Group, create_group, is_group, open_group
from zoo.runs.pooling import differing, flatten
from zoo.runs.run import RUNS, Run, create_run, discard_folder, require_empty, timed_folder
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train

KIND = "crossval"
_MAX_BYTES = 16 << 20
"""Of a summary, some thousands a fold."""


@dataclass(frozen=True)
class CrossValidation:
    """A finished cross-validation.

    Attributes:
        group: Its runs.
        summary: What ``summary.json`` holds.
        failed: Folds that did not come to their end, with the reason.
    """

    group: Group
    summary: Mapping[str, Any]
    failed: Mapping[str, str]


def crossval(
    recipe: str | Path | Recipe | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    folds: int | None = None,
    stratify: bool | None = None,
    group_by: str | None = None,
    split_seed: int | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    trust: bool = False,
) -> CrossValidation:
    """Train a model for each fold of a recipe's data.

    Args:
        recipe: As for ``zoo.train``.
        overrides: Dotted keys to values, as for ``zoo.train``.
        folds: How many; 5 without.
        stratify: Every fold has the shares of the classes; None: where the samples have a class
            each.
        group_by: What lies in one fold: ``layout`` (what the publisher's layout names, such as
            tracks, speakers or subjects), ``regex:PATTERN`` over the files' names (its first
            group), ``csv:FILE:COLUMN``, or ``none``; None: by the layout where it names groups.
        split_seed: Of the choice of folds, which does not depend on the recipe's seed; 0 without.
        jobs: How many folds are trained at once, each in a process of its own; they share the
            processor's cores. 0 trains one after another in this process.
        out: The folder of the group; ``runs/<recipe>/<time>`` by default.
        resume: ``"auto"`` continues the newest unfinished cross-validation of the recipe (or the
            one in ``out``) and starts a new one if there is none; a folder continues that one.
        trust: As for ``zoo.train``.

    Raises:
        UsageError: recipe, overrides or data are wrong, or the data cannot be divided so, and
            nothing was written; or what is resumed was made by another call.
        ExperimentInterrupted: Ctrl-C or SIGTERM ended it.
    """
    if jobs < 0:
        raise UsageError(f"the number of jobs has to be 1 or more, not {jobs}")
    options = {"stratify": stratify, "group_by": group_by, "split_seed": split_seed}
    asked = _asked(recipe, overrides or {}, trust)
    group = _find_resumed(asked.name, out, resume)
    if group is None:
        group = _begin(asked, 5 if folds is None else folds, options, out)
    else:
        _refuse_other(group, overrides or {}, {"folds": folds, **options})
        if _finished(group):
            return CrossValidation(group, _summary(group), {})
    with _alone(group):
        failed = _train_here(group) if jobs == 0 else _train_apart(group, jobs)
        return CrossValidation(group, report_folds(group, failed), failed)


def _asked(
    recipe: str | Path | Recipe | Mapping[str, Any], overrides: Mapping[str, Any], trust: bool
) -> Recipe:
    if isinstance(recipe, Recipe):
        found = recipe
    elif isinstance(recipe, Mapping):
        found = make_recipe(recipe, "recipe")
    else:
        found = read_recipe(recipe)
    if trust and found.path:
        found = replace(found, source="")
    asked = override(found, overrides)
    refuse_untrusted(asked)
    return asked


def _find_resumed(name: str, out: str | Path | None, resume: str | Path | None) -> Group | None:
    if resume is None:
        return None
    if str(resume) != "auto":
        if out is not None and Path(out).resolve() != Path(resume).resolve():
            raise UsageError("--resume FOLDER continues in FOLDER: omit --out")
        return _opened(resume)
    if out is not None:
        return _opened(out) if is_group(out) else None
    found = [path.parent for path in (RUNS / name).glob(f"*/{FILE}")]
    groups = [group for group in map(_opened_if_ours, found) if group and not _finished(group)]
    return max(groups, key=lambda group: (group.path / FILE).stat().st_mtime_ns, default=None)


def _opened(path: str | Path) -> Group:
    group = open_group(path)
    if group.kind != KIND:
        raise UsageError(f"{path} is a group of {group.kind}, not a cross-validation")
    return group


def _opened_if_ours(path: Path) -> Group | None:
    try:
        group = open_group(path)
    except UsageError:  # damaged: it is continued by its name, which says so
        return None
    return group if group.kind == KIND else None


def _finished(group: Group) -> bool:
    """Whether every fold is, and what they say together is written down."""
    return group.finished and _summary(group).get("finished") == len(group.members)


def _summary(group: Group) -> dict[str, Any]:
    """What ``summary.json`` holds; empty where it is missing or damaged, and written again."""
    try:
        content = read_json(group.path / SUMMARY, _MAX_BYTES)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _begin(asked: Recipe, count: int, options: Mapping[str, Any], out: str | Path | None) -> Group:
    """Divide the data, see that the first fold can be trained, and write down the group."""
    if out is not None:
        require_empty(out, resumable=False)
    if asked.fold:
        raise UsageError(
            f"the recipe {asked.path or asked.name} is a fold of a cross-validation itself: give "
            "the recipe that it is of"
        )
    if asked.trainer.get("fast_dev_run"):
        raise UsageError("trainer.fast_dev_run keeps no run, and each fold is one: omit it")
    experiment = resolve(with_trainer_defaults(asked))
    require_earlier_stages(experiment.recipe)
    samples = _samples(experiment.recipe)
    divided = divide(
        samples,
        count,
        stratify=options["stratify"],
        group_by=options["group_by"],
        seed=options["split_seed"] or 0,
    )
    _require_trainable(experiment.recipe, divided[0])
    path = Path(out) if out is not None else timed_folder(RUNS / asked.name)
    members = {f"fold-{fold.number}": {"fold": fold.as_dict()} for fold in divided}
    settings = {"recipe": experiment.recipe.as_dict(), "folds": count, **options}
    group = Group(path, KIND, experiment.recipe.name, members, settings)
    try:
        create_group(group)
    except UsageError:
        if out is None:
            discard_folder(path)
        raise
    write_folds(group.path / FOLDS, samples, divided, options["group_by"])
    return group


def _samples(recipe: Recipe) -> FoldSamples:
    data = resolve(recipe).build_data()
    foldable = require_foldable(data, recipe.data_name)
    data.prepare_data()
    return foldable.fold_samples()


def _require_trainable(recipe: Recipe, fold: Fold) -> None:
    """Refuse now what the first fold would be refused for: data that cannot be prepared without
    what it holds out, and a model that does not fit them.

    Raises:
        UsageError: data or model refuse.
    """
    experiment = resolve(replace(recipe, fold=fold.as_dict()))
    seed_everything(recipe.seed, workers=True, verbose=False)
    data = experiment.build_data()
    data.prepare_data()
    experiment = experiment.with_facts(dict(data.facts))
    data.setup("fit")
    experiment.build_model()


def _refuse_other(group: Group, overrides: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Refuse to continue by another experiment.

    Raises:
        UsageError: overrides or options are not those that it began by.
    """
    kept = group.settings
    if not isinstance(kept.get("recipe"), dict):
        raise UsageError(f"{group.path / FILE} is damaged: its settings are missing")
    before = make_recipe(kept["recipe"], group.recipe)
    now = resolve(override(before, overrides)).recipe
    changed = differing([flatten(before.as_dict()), flatten(now.as_dict())])
    problems = [f"{key!r} was {old!r}, not {new!r}" for key, (old, new) in changed.items()]
    problems += [
        f"'--{name.replace('_', '-')}' was {kept.get(name)!r}, not {value!r}"
        for name, value in options.items()
        if value is not None and value != kept.get(name)
    ]
    if problems:
        where = f"the cross-validation {group.path} continues as it began, and there"
        raise UsageError(format_problems(where, problems) + "; start another without --resume")


@contextlib.contextmanager
def _alone(group: Group) -> Iterator[None]:
    """While this process works on the group, no other does."""
    lock = FileLock(group.path / ".lock")
    try:
        with lockable(group.path):
            lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"another process is training the folds in {group.path}: wait for it, or stop it"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _train_apart(group: Group, jobs: int) -> dict[str, str]:
    """Train the folds that are left, each in a process of its own.

    Returns:
        Those that failed, with the reason: it does not keep the others from being trained.
    """
    for name in group.members:
        _ensure_begun(group, name)

    def command_of(name: str) -> list[str]:
        run = group.runs[name]
        # Whoever began may have been asked for --trust; the recipe is what was resolved then.
        return ["train", str(run.recipe_file), "--resume", str(run.path), "--trust", "--json"]

    outcomes = run_members(group, jobs, command_of, _continued_by(group))
    return {each.name: each.reason for each in outcomes if each.failed}


def _train_here(group: Group) -> dict[str, str]:
    """The same, one after another in this process."""
    failed: dict[str, str] = {}
    for name, run in group.runs.items():
        if run.finished:
            continue
        rank_zero_print(f"{name} of {len(group.members)}: {run.path}")
        _ensure_begun(group, name)
        try:
            train(run.recipe_file, resume=run.path, trust=True)
        except TrainingInterrupted as stop:
            raise ExperimentInterrupted(stop.status, _continued_by(group)) from stop
        except ZooError as error:
            failed[name] = str(error)
        except Exception as error:  # noqa: BLE001  # whatever a model raises, of this fold alone
            failed[name] = f"{type(error).__name__}: {one_line(error)}"
        if name in failed:
            rank_zero_print(f"{name} failed: {failed[name]}")
    return failed


def _ensure_begun(group: Group, name: str) -> None:
    """A member's run folder with its recipe, from which its training begins or continues."""
    run: Run = group.runs[name]
    if run.recipe_file.is_file():
        return
    recipe = make_recipe(group.settings["recipe"], group.recipe)
    create_run(run, replace(recipe, fold=group.members[name]["fold"]))


def _continued_by(group: Group) -> str:
    return shlex.join(["zoo", "crossval", group.recipe, "--resume", str(group.path)])
