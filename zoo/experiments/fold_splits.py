"""Which fold validates on each sample: by scikit-learn's splitters, seeded, with refusals before
anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from zoo.errors import UsageError, install_hint
from zoo.experiments.fold_groups import groups_of, joined
from zoo.plugin.folds import Fold, FoldSamples, make_folds


def divide(
    samples: FoldSamples,
    count: int,
    *,
    stratify: bool | None = None,
    group_by: str | None = None,
    seed: int = 0,
) -> list[Fold]:
    """Divide samples into folds, each held out once.

    Args:
        samples: Those of the training and the validation part.
        count: How many folds.
        stratify: Every fold has the shares of the classes; None: where the samples have classes.
        group_by: As for ``groups_of``: what belongs together lies in one fold.
        seed: Of the choice.

    Raises:
        UsageError: there are too few samples, or too few of a class or too few groups, or the
            groups cannot be told.
    """
    if count < 2:
        raise UsageError(f"--folds is {count}; it has to be 2 or more")
    if not len(samples):
        raise UsageError("there is no training part to divide: with split='all' everything is test")
    if count > len(samples):
        raise UsageError(
            f"--folds is {count}, and there are {len(samples)} samples: take {len(samples)} or less"
        )
    classes = _classes(samples, stratify)
    if samples.ordered:
        _refuse_for_ordered(stratify, group_by)
        return make_folds(samples, [i * count // len(samples) for i in range(len(samples))], count)
    units = _units(samples, count, group_by)
    if classes is not None:
        _require_classes(classes, units, count)
    folds = make_folds(samples, _split(len(samples), classes, units, count, seed), count)
    _require_trained(folds, classes)
    return folds


def _units(samples: FoldSamples, count: int, group_by: str | None) -> list[int] | None:
    """A number for each sample, the same for what is to lie in one fold; None where each sample
    is by itself."""
    groups = groups_of(samples, group_by)
    if groups is not None:
        _require_groups(groups, count, _name_of_groups(samples, group_by))
    if groups is None and samples.together is None:
        return None
    units = joined(groups, samples.together)
    different = len(set(units))
    if different < count:
        raise UsageError(
            f"--folds is {count}, and what belongs together leaves {different} sets of samples: "
            "take fewer folds"
        )
    return None if different == len(units) else units


def _classes(samples: FoldSamples, stratify: bool | None) -> list[str] | None:
    if stratify is False:
        return None
    if samples.classes is None:
        if stratify:
            raise UsageError(
                "--stratify: these samples have no class each, as a picture to classify has; omit "
                "it"
            )
        return None
    return list(samples.classes)


def _refuse_for_ordered(stratify: bool | None, group_by: str | None) -> None:
    given = "--stratify" if stratify else "--group-by" if group_by not in (None, "none") else ""
    if given:
        raise UsageError(
            f"{given}: the neighbors of these samples are alike, as slices of a stack are, so that "
            "a fold is a run of them; omit it"
        )


def _name_of_groups(samples: FoldSamples, group_by: str | None) -> str:
    return samples.group_name if group_by in (None, "layout") else "group"


def _require_groups(groups: Sequence[str], count: int, name: str) -> None:
    found = list(dict.fromkeys(groups))
    if len(found) == 1:
        raise UsageError(
            f"all {len(groups)} samples are of the one {name} {found[0]!r}, which no fold can hold "
            "out: group by something else (--group-by), or by nothing (--group-by none)"
        )
    if len(found) < count:
        raise UsageError(
            f"--folds is {count}, and there are {len(found)} different {name}s: take "
            f"{len(found)} or less, or group by something else (--group-by)"
        )


def _require_classes(classes: Sequence[str], units: Sequence[int] | None, count: int) -> None:
    """Every fold is to hold some of every class."""
    if units is None:
        counts = Counter(classes)
    else:
        counts = Counter(label for label, _ in set(zip(classes, units, strict=True)))
    few = min(sorted(counts), key=lambda label: counts[label])
    if counts[few] < count:
        others = sum(number < count for number in counts.values()) - 1
        more = f" (and {others} other classes have too few)" if others else ""
        where = "has {} samples" if units is None else "is in {} of the groups"
        raise UsageError(
            f"the class {few!r} {where.format(counts[few])}, fewer than the {count} "
            f"folds{more}: take fewer folds, or --no-stratify to divide without regard to classes"
        )


def _require_trained(folds: Sequence[Fold], classes: Sequence[str] | None) -> None:
    for fold in folds:
        if not fold.val or len(fold.val) == fold.samples:
            raise UsageError(
                f"fold {fold.number} of {fold.of} would hold out {len(fold.val)} of {fold.samples} "
                "samples, as the groups are too unequal: take fewer folds, or group otherwise "
                "(--group-by)"
            )
        if classes is None:
            continue
        held_out = set(fold.val)
        trained = {label for index, label in enumerate(classes) if index not in held_out}
        if lacking := sorted(set(classes) - trained):
            raise UsageError(
                f"fold {fold.number} of {fold.of} would have no sample of the class {lacking[0]!r} "
                "to train on: take fewer folds, or group otherwise (--group-by)"
            )


def _split(
    samples: int, classes: list[str] | None, units: list[int] | None, count: int, seed: int
) -> list[int]:
    """The fold, from 0, of each sample."""
    try:
        from sklearn import model_selection
    except ImportError as error:
        raise UsageError(
            f"cross-validation needs scikit-learn, which is not installed: "
            f"{install_hint('zoo[crossval]')}"
        ) from error
    kinds: dict[tuple[bool, bool], Any] = {
        (False, False): model_selection.KFold,
        (True, False): model_selection.StratifiedKFold,
        # Of one class for all: it balances the sizes of folds, which GroupKFold does not shuffled.
        (False, True): model_selection.StratifiedGroupKFold,
        (True, True): model_selection.StratifiedGroupKFold,
    }
    kind = kinds[classes is not None, units is not None]
    splitter = kind(count, shuffle=True, random_state=seed)
    zeros = [0] * samples
    chosen = list(zeros)
    for fold, (_, held_out) in enumerate(splitter.split(zeros, classes or zeros, units)):
        for index in held_out:
            chosen[index] = fold
    return chosen
