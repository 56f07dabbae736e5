"""Labels from a table beside the images, as Hugging Face's imagefolder has them."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.image_folder import ImageFolder

RANDOM = np.random.default_rng(0)


def fill(folder: Path, count: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        pixels = RANDOM.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def write(folder: Path, rows: Sequence[dict[str, Any]], kind: str = "jsonl") -> None:
    path = folder / f"metadata.{kind}"
    if kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return
    with path.open("w", encoding="utf-8-sig", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def load(root: Path, **arguments: object) -> ImageFolder:
    data = ImageFolder(str(root), **{"image_size": 8, **arguments})
    data.setup()
    return data


def sizes(data: ImageFolder) -> tuple[int, ...]:
    return tuple(len(data.samples(part)) for part in ("train", "val", "test"))


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
@pytest.mark.parametrize("wrapper", ["", "data"])
def test_a_table_in_each_part(tmp_path, kind, wrapper):
    root = tmp_path / wrapper
    for part, count in (("train", 12), ("validation", 4), ("test", 6)):
        fill(root / part, count)
        rows = [{"file_name": f"{n}.png", "label": n % 11} for n in range(count)]
        write(root / part, rows, kind)
    data = load(tmp_path)
    assert sizes(data) == (12, 4, 6)
    assert data.facts["label_names"] == [str(number) for number in range(11)]
    assert data.samples("val").labels.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_one_table_for_all_parts(tmp_path, kind):
    fill(tmp_path / "train", 8)
    fill(tmp_path / "test", 4)
    names = [f"train/{n}.png" for n in range(8)] + [f"test/{n}.png" for n in range(4)]
    write(tmp_path, [{"file_name": n, "label": "ab"[i % 2]} for i, n in enumerate(names)], kind)
    assert sizes(load(tmp_path, val_fraction=0)) == (8, 0, 4)


def test_a_table_without_parts_is_split(tmp_path, capsys):
    fill(tmp_path / "pictures", 14)
    rows = [
        {"file_name": f"pictures/{n}.png", "species": ["ant", "bee", None][n % 3]}
        for n in range(12)
    ]
    write(tmp_path, rows)
    data = load(tmp_path, label_column="species")
    assert sum(sizes(data)) == 8
    assert data.facts["label_names"] == ["ant", "bee"]
    said = capsys.readouterr().err
    assert "rows without a label, whose images are left out: 4" in said
    assert "images in no row, which are left out: 2" in said
    with pytest.raises(
        UsageError, match=r"no column 'label'; .*--data\.label_column: there are sp"
    ):
        load(tmp_path)


def test_folders_are_the_classes_where_the_table_has_no_labels(tmp_path, capsys):
    for name in ("cat", "dog"):
        fill(tmp_path / name, 6)
    write(tmp_path, [{"file_name": "cat/0.png", "text": "a cat"}])
    assert load(tmp_path).facts["label_names"] == ["cat", "dog"]
    assert "has no column 'label': the folders are the classes" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"file_name": "0.png", "label": [1, 2]}', r"line 1: 'label' is \[1, 2\]; .* one label"),
        ('{"file_name": "0.png", "label": 1}\n{', "line 2 is not JSON"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"label": 1}', "has no column 'file_name'; name .* --data.file_column: there are label"),
        ('{"file_name": "0.png", "label": 1}\n{"label": 1}', "line 2 has no file_name"),
        ('{"file_name": "../0.png", "label": 1}', "'../0.png' lies outside"),
        ('{"file_name": "/etc/x.png", "label": 1}', "lies outside the table's folder"),
        ('{"file_name": "0.png", "label": 1}', r"holds 1 label\(s\); a classifier needs two"),
        (
            '{"file_name": "0.png", "label": 1}\n{"file_name": "9.png", "label": 2}',
            r"1 of 2 images .* do not exist: .*9\.png; add them",
        ),
        (
            '{"file_name": "0.png", "label": 1}\n{"file_name": "0.png", "label": 2}',
            r"line 2: .*0\.png is labelled '2' and before '1'",
        ),
    ],
)
def test_a_wrong_table_is_named_with_its_line(tmp_path, content, message):
    fill(tmp_path, 2)
    (tmp_path / "metadata.jsonl").write_text(content)
    with pytest.raises(UsageError, match=message):
        load(tmp_path, val_fraction=0, test_fraction=0)


def test_tables_in_other_formats_and_encodings_are_refused(tmp_path):
    fill(tmp_path, 2)
    (tmp_path / "metadata.csv").write_bytes("file_name,label\n0.png,Grün\n".encode("latin-1"))
    with pytest.raises(UsageError, match=r"metadata\.csv is not UTF-8 text"):
        load(tmp_path)
    (tmp_path / "metadata.parquet").write_bytes(b"PAR1")
    with pytest.raises(
        UsageError, match=r"metadata\.parquet is not read; save it as metadata\.csv"
    ):
        load(tmp_path)
