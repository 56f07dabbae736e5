"""What is told of the volumes found, and of what is suspicious about them."""

from __future__ import annotations

import numpy as np
import pytest

from zoo_segmentation.data.overview import doubts, look_at, summary
from zoo_segmentation.data.volume import Volume

NAMES = ["background", "left", "right"]
TRAIN, VAL, TEST = 0, 1, 2


def volume(name: str, *classes: int, seed: int | None = None, **options) -> Volume:
    seed = sum(map(ord, name)) if seed is None else seed
    image = np.random.default_rng(seed).normal(size=(1, 2, 3, 4)).astype(np.float32)
    label = np.resize(np.array(classes, dtype=np.uint8), (2, 3, 4))
    return Volume(name, options.pop("image", image), label, (1.0, 1.0, 1.0), **options)


def told(*cases: tuple[int, Volume]) -> list[str]:
    return list(doubts([look_at(one, part, len(NAMES)) for part, one in cases], NAMES, "volume"))


GOOD = [(TRAIN, volume("a", 0, 1, 2)), (VAL, volume("b", 0, 1, 2)), (TEST, volume("c", 0, 1, 2))]


def test_good_volumes_are_not_doubted_and_counted_in_a_line():
    assert told(*GOOD) == []
    seen = [look_at(one, part, 3) for part, one in GOOD]
    assert summary("root", seen, NAMES, "volume") == (
        "root: 3 volumes (1 training, 1 validation, 1 test) of 2x3x4 voxels of 1x1x1 mm; voxels by "
        "class: background: 24 (33.33%), left: 24 (33.33%), right: 24 (33.33%)"
    )


def test_many_classes_are_counted_shortly():
    names = [str(number) for number in range(40)]
    seen = [look_at(volume("a", 0, 1), TRAIN, 40)]
    assert summary("root", seen, names, "volume").endswith("11: 0 (0.00%), and 28 more")


@pytest.mark.parametrize(
    ("cases", "sentence"),
    [
        (
            [*GOOD[:1], (VAL, volume("b", 0, 1)), *GOOD[2:]],
            "the validation part lacks the class 'right': the metrics of this part say nothing of "
            "it",
        ),
        (
            [(TRAIN, volume("a", 0, 1)), *GOOD[1:]],
            "the training part lacks the class 'right': it cannot be learned",
        ),
        (
            [(TRAIN, volume("a", 0, 1)), (TEST, volume("b", 1, 0))],
            "no label map has the class 'right': a class that cannot be learned here",
        ),
        (
            [*GOOD, (TRAIN, volume("d", 0))],
            "1 of 4 label maps are background alone: d",
        ),
        (
            [*GOOD, (TRAIN, volume("d", 0, 1, 2, image=np.ones((1, 2, 3, 4), np.float32)))],
            "1 of 4 images have a channel whose voxels are all alike, from which nothing can be "
            "learned: d",
        ),
        (
            [*GOOD, (TEST, volume("d", 0, 1, 2, seed=ord("a")))],
            "2 images are copies of one another and lie in several parts, so that the metrics "
            "flatter, such as a (training), d (test): keep one of each",
        ),
        (
            [*GOOD, (TRAIN, volume("d", 0, 1, 2, seed=ord("a")))],
            "2 images are copies of one another, such as a (training), d (training): keep one of "
            "each",
        ),
        (
            [*GOOD, (TRAIN, volume("d", 0, 1, 2, notes=("no unit",)))],
            "1 of 4 volumes (d): no unit",
        ),
    ],
)
def test_what_is_suspicious_is_told_once(cases, sentence):
    assert told(*cases) == [sentence]


def test_what_holds_of_all_is_told_of_all():
    assert told((TRAIN, volume("d", 0, 1, 2, notes=("no unit",)))) == ["all 1 volumes: no unit"]
