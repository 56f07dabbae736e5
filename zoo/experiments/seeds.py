"""``zoo train RECIPE --seeds 1-5``: a run a seed in one folder, and one summary.

    write down what belongs together (group.json)
    train each seed in a process of its own, some at once (zoo.experiments.processes)
    compare what came to its end; say what did not, and why

A seed's run is the one that ``zoo train RECIPE --seed K`` makes, to the last bit of its weights
where both have as many threads.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.errors import UsageError, format_problems
from zoo.experiments.locks import lockable
from zoo.experiments.processes import Outcome, run_members
from zoo.recipes.recipe import Recipe, override, read_recipe
from zoo.registry.registry import registry
from zoo.report.comparison import write_comparison
from zoo.report.group_report import write_group_report
from zoo.runs.compare import Comparison, compare
from zoo.runs.group import FILE, Group, create_group, is_group, open_group
from zoo.runs.pooling import differing, flatten
from zoo.runs.record import read_record
from zoo.runs.run import RUNS, discard_folder, require_empty, timed_folder
from zoo.runs.seed_list import check_seeds, read_seeds

KIND = "seeds"


@dataclass(frozen=True)
class TrainedSeeds:
    """What came of the seeds of a recipe.

    Attributes:
        group: The folder of the runs.
        failed: Folder name to reason, of the seeds that did not come to their end.
        comparison: The finished seeds as a row; None if there are none.
        continued_by: The command that trains those again that failed.
    """

    group: Group
    failed: Mapping[str, str]
    comparison: Comparison | None
    continued_by: str


def train_seeds(
    recipe: str | Path,
    seeds: str | Sequence[int] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    jobs: int = 1,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    trust: bool = False,
) -> TrainedSeeds:
    """Train a recipe once a seed, each in a process of its own, and summarize.

    Args:
        recipe: A recipe's name or its YAML file.
        seeds: Such as ``"1-5"``, ``"1,3,7"`` or ``[1, 3, 7]``; may be omitted with ``resume``, and
            adds seeds to what is resumed otherwise.
        overrides: Dotted keys to values, as for ``zoo.train``.
        jobs: How many at once; they share the processor's cores.
        out: The folder of the group; ``runs/<recipe>/<time>`` by default.
        resume: A group's folder, or ``"auto"`` for the newest unfinished one of the recipe: its
            unfinished seeds are trained.
        trust: As for ``zoo.train``.

    Returns:
        The group, what failed, and the mean of the others. ``summary.json`` and ``summary.csv``
        in the folder say the same.

    Raises:
        UsageError: the call is wrong, or the group was made by another; nothing was written.
        ExperimentInterrupted: Ctrl-C or SIGTERM came.
    """
    call = ["train", str(recipe), *(["--trust"] if trust else [])]
    plan = _Plan(read_recipe(recipe), call, _words(overrides), out, resume, jobs)
    return _train(plan, seeds)


def finetune_seeds(
    reference: str | Path,
    seeds: str | Sequence[int] | None = None,
    data: str | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    freeze: str = "none",
    unfreeze_at_epoch: int | None = None,
    lr_backbone: float | None = None,
    jobs: int = 1,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    trust: bool = False,
) -> TrainedSeeds:
    """Fine-tune a trained model once a seed, each in a process of its own, and summarize.

    Args:
        reference: The model to start from, as for ``zoo.finetune``, as are the others.
        seeds: As for ``train_seeds``.
        data: The registered dataset to train on.
        overrides: Dotted keys to values.
        freeze: ``backbone`` or ``none``.
        unfreeze_at_epoch: The epoch from which a frozen backbone is trained too.
        lr_backbone: Learning rate of everything but the head.
        jobs: How many at once.
        out: The folder of the group; ``runs/finetune/<from>-<data>/<time>`` by default.
        resume: A group's folder, or ``"auto"``.
        trust: As for ``zoo.finetune``.

    Returns:
        As ``train_seeds``.

    Raises:
        UsageError: the call is wrong; nothing was written.
        ExperimentInterrupted: Ctrl-C or SIGTERM came.
    """
    from zoo.training.finetune import finetuning_recipe  # loads torch, to read the bundle

    base = finetuning_recipe(reference, data, freeze, unfreeze_at_epoch, lr_backbone)
    call = ["finetune", str(reference), "--freeze", freeze]
    options = {"data": data, "unfreeze-at-epoch": unfreeze_at_epoch, "lr-backbone": lr_backbone}
    for name, value in options.items():
        call += [] if value is None else [f"--{name}", str(value)]
    call += ["--trust"] if trust else []
    return _train(_Plan(base, call, _words(overrides), out, resume, jobs), seeds)


@dataclass(frozen=True)
class _Plan:
    """What each seed is trained by.

    Attributes:
        base: The recipe, without overrides.
        call: The words after ``zoo`` that train it.
        words: Overrides as they are typed.
        out: As asked for.
        resume: As asked for.
        jobs: How many at once.
    """

    base: Recipe
    call: Sequence[str]
    words: Mapping[str, str]
    out: str | Path | None
    resume: str | Path | None
    jobs: int


def _train(plan: _Plan, seeds: str | Sequence[int] | None) -> TrainedSeeds:
    if isinstance(seeds, str):
        seeds = read_seeds(seeds)
    chosen = None if seeds is None else check_seeds(seeds)
    if plan.jobs < 1:
        raise UsageError(f"the number of jobs has to be 1 or more, not {plan.jobs}")
    if int(os.environ.get("WORLD_SIZE") or 1) > 1:
        raise UsageError(
            "several seeds are trained by one process, which starts the others: call it without "
            "torchrun, or train a seed at a time (--seed)"
        )
    _check(plan.base, plan.words)
    found = _resumed(plan.base.name, plan.out, plan.resume)
    if found is None:
        group = _planned(plan.base, chosen, plan.words, plan.out)
    else:
        _refuse_other(found, plan.base, plan.words)
        more = {f"seed-{seed}": {"seed": seed} for seed in chosen or ()}
        group = replace(found, members={**found.members, **more})
    changes = [f"--{key}={word}" for key, word in group.settings["overrides"].items()]

    def command_of(name: str) -> list[str]:
        place = ["--out", str(group.path / name), "--resume", "auto", "--json"]
        return [*plan.call, *changes, "--seed", str(group.members[name]["seed"]), *place]

    at_once = ["--jobs", str(plan.jobs)] if plan.jobs > 1 else []
    again = shlex.join(["zoo", *plan.call, "--resume", str(group.path), *at_once])
    with _alone(group, new=found is None, named=plan.out is not None):
        return _summarize(group, run_members(group, plan.jobs, command_of, again), again)


def _check(base: Recipe, words: Mapping[str, str]) -> None:
    """Refuse what is wrong with the recipe's form. What its classes do not take is refused by the
    first process that trains, before anything is written."""
    if "seed" in words:
        raise UsageError("'seed' is given twice: omit it, as every run has one of the seeds")
    asked = override(base, words)
    registry().model(asked.model_name)
    registry().dataset(asked.data_name)
    if asked.trainer.get("fast_dev_run") not in (None, False, "false", "0"):
        raise UsageError("'trainer.fast_dev_run' keeps nothing of a run: omit it, or the seeds")


def _words(overrides: Mapping[str, Any] | None) -> dict[str, str]:
    """Overrides as they are typed."""
    given = (overrides or {}).items()
    return {key: each if isinstance(each, str) else json.dumps(each) for key, each in given}


def _planned(
    base: Recipe, seeds: Sequence[int] | None, words: Mapping[str, str], out: str | Path | None
) -> Group:
    """A new group, of which nothing is written yet but an empty folder."""
    if seeds is None:
        raise UsageError("no seeds are given: name them, as in --seeds 1-5")
    if out is not None:
        require_empty(out)
    path = Path(out) if out is not None else timed_folder(RUNS / base.name)
    members = {f"seed-{seed}": {"seed": seed} for seed in seeds}
    settings = {"recipe": _content(base), "overrides": dict(words)}
    return Group(path, KIND, base.name, members, settings)


def _content(base: Recipe) -> dict[str, Any]:
    """What the runs of a group have in common, before the overrides."""
    content = base.as_dict()
    return {key: value for key, value in content.items() if key not in ("about", "seed")}


def _resumed(name: str, out: str | Path | None, resume: str | Path | None) -> Group | None:
    """The group to continue; None for a new one.

    Raises:
        UsageError: the given folder is not a group, or ``out`` contradicts it.
    """
    if resume is None:
        return None
    if str(resume) != "auto":
        if out is not None and Path(out).resolve() != Path(resume).resolve():
            raise UsageError("--resume GROUP continues in GROUP: omit --out")
        return open_group(resume)
    if out is not None:
        return open_group(out) if is_group(out) else None
    found = [(file.stat().st_mtime, file.parent) for file in (RUNS / name).glob(f"*/{FILE}")]
    groups = (open_group(path) for _, path in sorted(found, reverse=True))
    return next((each for each in groups if each.kind == KIND and not each.finished), None)


def _refuse_other(group: Group, base: Recipe, words: Mapping[str, str]) -> None:
    """Refuse to continue a group by another experiment."""
    if group.kind != KIND:
        raise UsageError(
            f"{group.path} is not a group of seeds but of kind {group.kind!r}: continue it with "
            "the command that made it"
        )
    if group.recipe != base.name:
        raise UsageError(f"the group {group.path} is of the recipe {group.recipe}, not {base.name}")
    before, kept = group.settings.get("recipe"), group.settings.get("overrides")
    if not isinstance(before, dict) or not isinstance(kept, dict):
        raise UsageError(f"{group.path / FILE} is damaged: its settings are missing")
    now = json.loads(json.dumps(_content(base), default=str))
    changed = differing([flatten(before), flatten(now)])
    problems = [f"{key!r} was {old!r}, not {new!r}" for key, (old, new) in changed.items()]
    problems += [
        f"'{key}' was {kept.get(key, 'not given')!r}, not {word!r}"
        for key, word in words.items()
        if kept.get(key) != word
    ]
    if problems:
        where = f"the group {group.path} continues as it began, and there"
        raise UsageError(format_problems(where, problems) + "; start another without --resume")


@contextlib.contextmanager
def _alone(group: Group, new: bool, named: bool) -> Iterator[None]:
    """While this process works on the group, no other does. A new one that is refused leaves
    nothing behind."""
    if new:
        create_group(group)
    lock = FileLock(group.path / ".lock")
    try:
        with lockable(group.path):
            lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"another process is training the seeds in {group.path}: wait for it, or stop it"
        ) from error
    try:
        if not new:  # seeds may have been added
            group.write()
        yield
    except UsageError:
        if new:
            _discard(group.path, named)
        raise
    finally:
        lock.release()


def _discard(path: Path, named: bool) -> None:
    """Remove a group that has no run."""
    for name in (FILE, ".lock"):
        (path / name).unlink(missing_ok=True)
    if named:
        with contextlib.suppress(OSError):  # it has other things in it after all
            path.rmdir()
    else:
        discard_folder(path)


def _summarize(group: Group, outcomes: Sequence[Outcome], again: str) -> TrainedSeeds:
    reasons = {each.name: each.reason for each in outcomes if each.failed}
    records = {name: read_record(run.path) for name, run in group.runs.items()}
    failed = {
        name: reasons.get(name) or record.problem or record.state
        for name, record in records.items()
        if not record.measured
    }
    done = [record.path for record in records.values() if record.measured and record.metrics]
    if not done:
        sentences = tuple(f"{name} failed: {reason}" for name, reason in failed.items())
        write_group_report(group, sentences)
        return TrainedSeeds(group, failed, None, again)
    found = compare(done)
    notes = [f"{name} failed and is not in the mean: {reason}" for name, reason in failed.items()]
    found = replace(found, notes=(*notes, *found.notes))
    write_comparison(found, group.path)
    return TrainedSeeds(group, failed, found, again)
