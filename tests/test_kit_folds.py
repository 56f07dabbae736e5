"""What the conformance kit says of datasets that divide their samples wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import Faults, Faulty, assert_fails, checks_of, data, make

FOLDS = """
fold = None

def fold_samples(self):
    from zoo.plugin import FoldSamples
    labels = [*(i % 3 for i in range(self.size)), *(i % 3 for i in range(16))]
    classes = [f"cloud {label}" for label in labels]
    return FoldSamples([f"point {index}" for index in range(len(classes))], classes)

def use_fold(self, fold):
    self.fold = fold

def setup(self, stage):
    super().setup(stage)
    if self.fold is None:
        return
    chosen = torch.tensor(self.fold.is_val(self.fold_samples(), "here"))
    pool = torch.utils.data.ConcatDataset([self.parts["train"], self.parts["val"]])
    for part, wanted in (("train", ~chosen), ("val", chosen)):
        self.parts[part] = torch.utils.data.Subset(pool, wanted.nonzero()[:, 0].tolist())
"""


def spoiled(old: str, new: str) -> Faults:
    assert old in FOLDS
    return data(FOLDS.replace(old, new))


FAULTY: Faulty = [
    ("folds", "dataset", spoiled("self.fold = fold", "pass"), "and validation has 16"),
    (
        "folds",
        "dataset",
        spoiled("wanted.nonzero()[:, 0].tolist()", "wanted.nonzero()[:, 0].tolist()[::-1]"),
        "in another order",
    ),
    ("folds", "dataset", spoiled('("train", ~chosen), ', '("test", chosen), '), "test part is"),
    (
        "folds",
        "dataset",
        spoiled(
            'self.fold.is_val(self.fold_samples(), "here")',
            "[i in self.fold.val for i in range(self.fold.samples)]",
        ),
        "made of other samples is taken",
    ),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("folds")


def test_what_divides_its_samples_is_sound(write: Callable) -> None:
    write(data(FOLDS))
    assert make("folds", "dataset").note == "56 samples"
