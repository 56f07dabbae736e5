"""Checks of how a dataset is divided into folds."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from torch import Tensor

from zoo.errors import UsageError
from zoo.experiments.fold_groups import joined
from zoo.plugin.declarations import fixed_test_batches, not_foldable
from zoo.plugin.folds import Fold, FoldSamples, make_folds
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import Foldable, offers
from zoo.testing.check import check
from zoo.testing.checks.model import tensors
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import DatasetSubject

COUNT = 2
BATCHES = 4


@check(
    "folds",
    "dataset",
    why="cross-validation tells nothing where a sample is trained on and validated on, or never",
    remedy="let use_fold decide which samples of fold_samples are validated on, in their order, "
    "and leave the test part alone; Fold.is_val refuses other data",
)
def folds(subject: DatasetSubject) -> str:
    """Each sample is validated on in one fold, in the order of ``fold_samples``; what belongs
    together stays so, and the test part is the same."""
    if not offers(subject.cls, Foldable):
        why = not_foldable(subject.cls)
        raise Skip(f"it has no folds: {why}" if why else "it has no fold_samples and use_fold")
    plain: Any = subject.build()
    samples: FoldSamples = plain.fold_samples()
    divided = _divided(samples)
    tested = _batches(plain)
    for fold in divided:
        data: Any = subject.build()
        data.use_fold(fold)
        data.setup("fit")
        if data.fold_samples().fingerprint != samples.fingerprint:
            raise CheckFailed("fold_samples is another list once a fold is set")
        _check_validation(data, fold, samples)
        _check_test(data, tested)
    _check_other_data(subject, divided[0])
    return f"{len(samples)} samples"


def _divided(samples: FoldSamples) -> list[Fold]:
    for name in ("classes", "groups", "together"):
        values = getattr(samples, name)
        if values is not None and len(values) != len(samples):
            raise CheckFailed(f"fold_samples has {len(samples)} names and {len(values)} {name}")
    if samples.ordered:
        half = len(samples) // COUNT
        return make_folds(samples, [int(i >= half) for i in range(len(samples))], COUNT)
    units: Sequence[int] = range(len(samples))
    if samples.groups is not None or samples.together is not None:
        units = joined(samples.groups, samples.together)
    number = {unit: place % COUNT for place, unit in enumerate(dict.fromkeys(units))}
    if len(number) < COUNT:
        raise Skip(f"it has {len(number)} sets of samples, too few to divide")
    return make_folds(samples, [number[unit] for unit in units], COUNT)


def _check_validation(data: Any, fold: Fold, samples: FoldSamples) -> None:
    if not has_part(data, "val") or not has_part(data, "train"):
        raise CheckFailed(f"fold {fold.number} leaves no training or no validation part")
    loader = data.val_dataloader()
    found: list[str] = []
    count = 0
    names = data.facts.get("label_names")
    for batch in loader[0] if isinstance(loader, list) else loader:
        size, labels = _read(batch)
        count += size
        if labels is not None and names:
            found += [str(names[int(label)]) for label in labels]
    if not samples.ordered and count != len(fold.val):
        raise CheckFailed(
            f"fold {fold.number} holds out {len(fold.val)} samples, and validation has {count}"
        )
    if samples.classes is None or not found:
        return
    expected = [str(samples.classes[index]) for index in fold.val]
    if found != expected:
        raise CheckFailed(
            f"the validation part of fold {fold.number} has other classes than the samples that it "
            "holds out, or in another order"
        )


def _check_test(data: Any, tested: list[list[Tensor]]) -> None:
    found = _batches(data)
    if [[each.shape for each in batch] for batch in found] != [
        [each.shape for each in batch] for batch in tested
    ]:
        raise CheckFailed("the test part is another once a fold is set")
    if fixed_test_batches(data):
        pairs = zip(found, tested, strict=True)
        if not all(a.equal(b) for one, two in pairs for a, b in zip(one, two, strict=True)):
            raise CheckFailed(
                "fixed_test_batches is true, and the test batches differ once a fold is set"
            )


def _check_other_data(subject: DatasetSubject, fold: Fold) -> None:
    other = Fold(fold.number, fold.of, fold.samples, "0" * len(fold.names), fold.val)
    data: Any = subject.build()
    data.use_fold(other)
    try:
        _ = data.facts
        data.setup("fit")
    except UsageError:
        return
    raise CheckFailed("a fold that was made of other samples is taken: call Fold.is_val")


def _batches(data: Any) -> list[list[Tensor]]:
    if not has_part(data, "test"):
        return []
    return [tensors(batch) for batch in islice(data.test_dataloader(), BATCHES)]


def _read(batch: Any) -> tuple[int, Tensor | None]:
    """How many samples a batch has, and the class of each where it tells one."""
    if isinstance(batch, dict):
        label = batch.get("label")
        first = next(value for value in batch.values() if isinstance(value, Tensor))
    else:
        first, label = batch[0], batch[1] if len(batch) > 1 else None
    one_each = isinstance(label, Tensor) and label.ndim == 1 and not label.is_floating_point()
    return len(first), label if one_each else None
