"""How samples are divided into folds, and what is refused before anything is trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoo.errors import UsageError
from zoo.experiments.fold_splits import divide
from zoo.plugin import Fold, FoldSamples, OtherDataError
from zoo.recipes.recipe import make_recipe

pytest.importorskip("sklearn")
NAMES = [f"patient{index // 4}/{'ab'[index % 2]}/{index}.png" for index in range(40)]
SAMPLES = FoldSamples(NAMES, ["ab"[index % 2] for index in range(40)])
TRACKS = FoldSamples(NAMES, SAMPLES.classes, [str(index // 10) for index in range(40)], "track")


def held_out(folds: list[Fold]) -> list[set[int]]:
    return [set(fold.val) for fold in folds]


def test_folds_are_disjoint_cover_all_and_have_the_shares_of_the_classes() -> None:
    found = held_out(divide(SAMPLES, 5))
    assert sorted(index for fold in found for index in fold) == list(range(40))
    assert [sum(index % 2 for index in fold) for fold in found] == [4] * 5
    assert held_out(divide(SAMPLES, 5)) == found
    assert held_out(divide(SAMPLES, 5, seed=1)) != found


@pytest.mark.parametrize("stratify", [None, False])
def test_what_belongs_together_lies_in_one_fold(stratify: bool | None, tmp_path: Path) -> None:
    table = tmp_path / "patients.csv"
    rows = [f"{name.rpartition('/')[2]};p{index // 4}" for index, name in enumerate(NAMES)]
    table.write_text("\n".join(["file_name;patient", *rows]))
    for by in (r"regex:(patient\d+)/", f"csv:{table}:patient"):
        for fold in held_out(divide(SAMPLES, 5, group_by=by, stratify=stratify)):
            assert len(fold) == 8
            assert all(
                fold >= set(range(index - index % 4, index - index % 4 + 4)) for index in fold
            )


def test_the_layout_groups_by_default() -> None:
    for fold in held_out(divide(TRACKS, 4)):
        assert len({index // 10 for index in fold}) == 1
    assert len({index // 10 for index in divide(TRACKS, 4, group_by="none")[0].val}) > 1


def test_copies_stay_together_however_samples_are_grouped() -> None:
    copies = [index % 20 for index in range(40)]
    samples = FoldSamples(NAMES, SAMPLES.classes, together=copies)
    for fold in held_out(divide(samples, 5)):
        assert fold == {(index + 20) % 40 for index in fold}


def test_of_neighbors_that_are_alike_a_fold_is_a_run() -> None:
    samples = FoldSamples([f"slice {index}" for index in range(7)], ordered=True)
    assert [fold.val for fold in divide(samples, 3)] == [(0, 1, 2), (3, 4), (5, 6)]


def counted(*groups: dict[str, int]) -> FoldSamples:
    """Samples of groups that hold so many of each class."""
    rows = [
        (label, str(number))
        for number, counts in enumerate(groups)
        for label, count in counts.items()
        for _ in range(count)
    ]
    classes, tracks = zip(*rows, strict=True)
    return FoldSamples([f"{i}.png" for i in range(len(rows))], classes, tracks, "track")


UNEVEN = counted({"a": 1, "b": 4, "c": 4}, {"b": 3, "c": 5}, {"a": 1, "c": 5})


def table(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(
    ("samples", "options", "sentence"),
    [
        (SAMPLES, {"count": 1}, "--folds is 1; it has to be 2 or more"),
        (SAMPLES, {"count": 41}, "--folds is 41, and there are 40 samples: take 40 or less"),
        (SAMPLES, {"count": 21}, "the class 'a' has 20 samples, fewer than the 21 folds"),
        (FoldSamples([]), {}, "there is no training part to divide"),
        (TRACKS, {"count": 5}, "--folds is 5, and there are 4 different tracks: take 4 or less"),
        (SAMPLES, {"group_by": "regex:xray"}, "regex:xray matches nothing in 40 of 40 names"),
        (SAMPLES, {"group_by": "regex:("}, "regex:( is not a regular expression"),
        (SAMPLES, {"group_by": "regex:png"}, "all 40 samples are of the one group 'png'"),
        (SAMPLES, {"group_by": "patient"}, "--group-by is 'patient'; it takes none, layout, regex"),
        (SAMPLES, {"group_by": "layout"}, "the publisher's layout names no groups of these data"),
        (SAMPLES, {"group_by": "csv:{lacking}:patient"}, "lacking.csv has no column 'patient'"),
        (SAMPLES, {"group_by": "csv:{few}:patient"}, "few.csv gives 38 of 40 samples no group"),
        (SAMPLES, {"group_by": "csv:nowhere.csv:patient"}, "nowhere.csv cannot be read"),
        (SAMPLES, {"group_by": "csv:patients"}, "csv:patients: name a file and a column"),
        (
            SAMPLES,
            {"group_by": r"regex:/([ab])/", "count": 2},
            "the class 'a' is in 1 of the groups",
        ),
        (
            UNEVEN,
            {"count": 2},
            "fold 2 of 2 would have no sample of the class 'b' to train on: take fewer folds",
        ),
        (FoldSamples(NAMES), {"stratify": True}, "--stratify: these samples have no class each"),
        (
            FoldSamples(NAMES, ordered=True),
            {"group_by": "regex:(a|b)"},
            "--group-by: the neighbors of these samples are alike",
        ),
    ],
)
def test_what_cannot_be_divided_is_refused(
    samples: FoldSamples, options: dict[str, Any], sentence: str, tmp_path: Path
) -> None:
    files = {
        "lacking": table(tmp_path / "lacking.csv", "file_name,patients\n0.png,1\n"),
        "few": table(tmp_path / "few.csv", "file_name,patient\n0.png,1\n1.png,2\n"),
    }
    if "group_by" in options:
        options = {**options, "group_by": options["group_by"].format(**files)}
    with pytest.raises(UsageError) as refused:
        divide(samples, **{"count": 5, **options})
    assert sentence in str(refused.value)


def test_a_fold_is_read_back_from_a_recipe_and_refuses_other_data() -> None:
    fold = divide(SAMPLES, 5)[2]
    assert Fold.read(fold.as_dict()) == fold
    assert sum(fold.is_val(SAMPLES, "here")) == len(fold.val)
    for other in (FoldSamples(NAMES[1:]), FoldSamples(NAMES[::-1])):
        with pytest.raises(OtherDataError, match=r"here: fold 3 of 5 was made of 40 samples"):
            fold.is_val(other, "here")


@pytest.mark.parametrize(
    "change",
    [
        {"number": 9},
        {"of": "5"},
        {"val": "?"},
        {"val": "eJwDAAAAAAE="},
        {"more": 1},
        {"names": None},
    ],
)
def test_a_damaged_fold_of_a_recipe_is_refused(change: dict[str, Any]) -> None:
    content = {"model": {"name": "m"}, "data": {"name": "d"}}
    values = {**divide(SAMPLES, 5)[0].as_dict(), **change}
    recipe = make_recipe({**content, "fold": values}, "mine")
    with pytest.raises(UsageError, match=r"'fold' of the recipe"):
        Fold.read(recipe.fold)
