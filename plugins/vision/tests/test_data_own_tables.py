"""A user's own CSV: labels, parts, groups, several labels a file; lists of files; patterns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.class_counts import balancing_weights
from zoo_vision.data.groups import hold_out_spread, units
from zoo_vision.data.image_folder import ImageFolder

RANDOM = np.random.default_rng(3)


def fill(folder: Path, names: list[str]) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RANDOM.integers(0, 256, (6, 6, 3), dtype=np.uint8)).save(path)
    return folder


def load(root: Path, **arguments: object) -> ImageFolder:
    data = ImageFolder(str(root), **{"image_size": 6, "batch_size": 4, **arguments})
    data.setup()
    return data


def labels(data: ImageFolder) -> dict[str, list]:
    return {part: data.samples(part).labels.tolist() for part in ("train", "val", "test")}


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return fill(tmp_path / "photos", [f"{number:02}.png" for number in range(24)])


def table(folder: Path, lines: list[str], name: str = "labels.csv") -> str:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(path)


def test_file_label_and_part_of_a_table_elsewhere(photos, tmp_path, capsys):
    rows = [
        f"{n:02};{' Cat' if n % 2 else 'dog '};{'Train' if n < 16 else 'test'}" for n in range(20)
    ]
    csv = table(tmp_path, ["image_id;label;split", *rows])
    data = load(photos, labels=csv, val_fraction=0.25)
    assert data.facts["label_names"] == ["Cat", "dog"]
    assert {part: len(each) for part, each in labels(data).items()} == {
        "train": 12,
        "val": 4,
        "test": 4,
    }
    said = capsys.readouterr().err
    assert "parts come from the column 'split': Train is train, test is test" in said
    assert "labels with blanks around them, which are removed: 20 (" in said
    assert "found by search below" in said
    assert "images in no row, which are left out: 4" in said
    assert "training images of each class: Cat 6, dog 6" in said


@pytest.mark.parametrize(
    ("lines", "arguments", "message"),
    [
        (
            ["file,label", *(f"absent/{n}.png,a" for n in range(9)), "00.png,b"],
            {},
            r"9 of 10 images that .*labels\.csv lists do not exist: .* and 4 more; add them",
        ),
        (["file,label,part", "00.png,a,train", "01.png,b,exam"], {"part_column": "part"}, "line 3"),
        (["file,kind", "00.png,a"], {}, "no column 'label'; name the column of labels"),
        (["where,label", "00.png,a"], {}, "no column 'file_name'; .*--data.file_column: there are"),
        (["file,label", "00.png,a", "00.png,b"], {}, "before 'a'; keep one, or give .*multilabel"),
        (["file,label", "00.png,a"], {"group_column": "patient"}, "the column of groups by"),
        (["file,a,b", "00.png,1,2"], {"label_columns": ["a", "b"]}, "'b' is '2'; .* hold 0 or 1"),
    ],
)
def test_a_table_that_does_not_hold_is_refused(photos, tmp_path, lines, arguments, message):
    csv = table(tmp_path, lines)
    with pytest.raises(UsageError, match=message):
        load(photos, labels=csv, val_fraction=0, test_fraction=0, **arguments)


def test_a_column_that_only_may_be_of_parts_is_not_used_and_told(photos, tmp_path, capsys):
    rows = [f"{n:02}.png,{'ab'[n % 2]},fold{n % 3}" for n in range(24)]
    load(photos, labels=table(tmp_path, ["file,label,split", *rows]))
    assert (
        "'split' holds 'fold0', which is not a part of the data: it is not"
        in capsys.readouterr().err
    )


def test_labels_that_differ_in_case_are_told(photos, tmp_path, capsys):
    names = ["cat", "Cat", "dog"]
    rows = [f"{n:02}.png,{names[n % 3]}" for n in range(24)]
    load(photos, labels=table(tmp_path, ["file,label", *rows]))
    assert "differ in case or blanks alone are taken for several: 'cat' (8) and 'Cat' (8)" in (
        capsys.readouterr().err.replace("'Cat' (8) and 'cat' (8)", "'cat' (8) and 'Cat' (8)")
    )


@pytest.mark.parametrize("kind", ["cells", "rows", "columns"])
def test_several_labels_of_a_file(photos, tmp_path, kind):
    held = {f"{n:02}.png": [c for i, c in enumerate("abc") if (n >> i) & 1] for n in range(24)}
    arguments = {"multilabel": True}
    if kind == "cells":
        lines = ["file,label", *(f"{file},{'|'.join(each)}" for file, each in held.items())]
        arguments["label_separator"] = "|"
    elif kind == "rows":
        lines = ["file,label", *(f"{f},{c}" for f, each in held.items() for c in each or [""])]
    else:
        lines = [
            "file,a,b,c",
            *(f"{f},{','.join(str(int(c in each)) for c in 'abc')}" for f, each in held.items()),
        ]
        arguments = {"label_columns": ["a", "b", "c"]}
    data = load(photos, labels=table(tmp_path, lines), val_fraction=0, **arguments)
    assert data.facts["multilabel"] is True
    assert data.facts["label_names"] == ["a", "b", "c"]
    found = labels(data)
    assert len(found["test"]) in (3, 4)
    assert sorted(found["train"] + found["test"]) == sorted(
        [int(c in each) for c in "abc"] for each in held.values()
    )
    assert data.facts["class_shares"] == pytest.approx(np.mean(found["train"], axis=0), abs=1e-5)


def test_lists_of_files(photos, tmp_path, capsys):
    for number in range(24):
        name = f"{number:02}.png"
        (photos / "ab"[number % 2]).mkdir(exist_ok=True)
        (photos / name).rename(photos / "ab"[number % 2] / name)
    paths = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))
    lists = {
        "train_list": table(tmp_path, paths[::2], "train.txt"),
        "test_list": table(tmp_path, paths[1::4], "test.txt"),
    }
    data = load(photos, val_fraction=0, **lists)
    assert [len(each) for each in labels(data).values()] == [12, 0, 6]
    assert "images in no list, which are left out: 6" in capsys.readouterr().err
    table(tmp_path, [*paths[1::4], paths[0]], "test.txt")
    with pytest.raises(UsageError, match="and in the list of the part train; keep it in one"):
        load(photos, **lists)
    table(tmp_path, ["a/absent.png"], "test.txt")
    with pytest.raises(UsageError, match=r"1 of 1 files that .*test\.txt lists are not images"):
        load(photos, **lists)


def test_groups_by_pattern_stay_together(tmp_path):
    names = [f"{c}/{track}_{frame}.png" for c in "ab" for track in range(6) for frame in range(3)]
    root = fill(tmp_path, names)
    data = load(root, group_pattern=r"([ab])/(\d+)_", memory_mb=0)
    tracks = {
        part: {Path(p).parent.name + Path(p).name[0] for p in data.samples(part).paths}
        for part in ("train", "val", "test")
    }
    assert [len(each) for each in tracks.values()] == [8, 2, 2]
    assert not tracks["train"] & (tracks["test"] | tracks["val"])
    assert data.fold_samples().groups is not None
    with pytest.raises(UsageError, match=r"finds nothing in 36 of 36 paths, such as a/0_0\.png"):
        load(root, group_pattern="patient")
    with pytest.raises(UsageError, match=r"too few groups .* to hold out a test part"):
        load(root, group_pattern="[ab]")
    with pytest.raises(UsageError, match="is not a regular expression"):
        ImageFolder(str(root), group_pattern="(")


def test_groups_of_a_column_that_hold_several_classes(photos, tmp_path):
    rows = [f"{n:02}.png,{'ab'[n % 2]},p{n // 4}" for n in range(24)]
    csv = table(tmp_path, ["file,label,patient", *rows])
    found = labels(load(photos, labels=csv, group_column="patient", memory_mb=0))
    assert [len(each) for each in found.values()] == [16, 4, 4]
    given = table(
        tmp_path,
        [
            "file,label,patient,part",
            *(f"{r},{'test' if i % 4 else 'train'}" for i, r in enumerate(rows)),
        ],
    )
    with pytest.raises(UsageError, match=r"6 of 6 groups lie in several parts .*'p0' in train and"):
        load(photos, labels=given, group_column="patient")


def test_copies_join_groups():
    copies = np.array([0, 1, 0, 3, 4, 5])
    assert units(copies, []).tolist() == copies.tolist()
    assert units(copies, ["x", "y", "y", "", "z", "z"]).tolist() == [0, 0, 0, 3, 4, 4]


def test_whole_units_are_held_out_in_proportion():
    random = np.random.default_rng(0)
    groups = random.integers(0, 120, 2000)
    held = random.random((2000, 5)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05])
    chosen = hold_out_spread(held, 0.2, groups)
    assert not set(groups[chosen]) & set(groups[~chosen])
    assert held[chosen].sum(0) / held.sum(0) == pytest.approx([0.2] * 5, abs=0.02)
    assert not hold_out_spread(held, 0.2, np.zeros(2000)).any()
    assert hold_out_spread(held[:2], 0.01, np.array([0, 1])).sum() == 1


def test_a_balanced_sampler_draws_every_class_as_often(tmp_path):
    root = fill(tmp_path, [f"a/{n}.png" for n in range(27)] + [f"b/{n}.png" for n in range(3)])
    data = load(root, sampler="balanced", val_fraction=0, test_fraction=0, memory_mb=0)
    loader = data.train_dataloader()
    drawn = [label for _, each in loader for label in each.tolist()]
    assert (drawn.count(0), drawn.count(1)) == (15, 15)
    loader.sampler.set_epoch(1)
    again = [label for _, each in loader for label in each.tolist()]
    assert again != drawn
    loader.load_state_dict({"batches": 3})
    assert [label for _, each in loader for label in each.tolist()] == again[12:]
    several = balancing_weights(torch.tensor([[1, 0], [1, 1], [0, 0], [1, 0]]).byte())
    assert several.tolist() == pytest.approx([1 / 3, 1, 1, 1 / 3])
