"""Images in tar files: what webdataset writes, and what is no such file."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.image_folder import ImageFiles
from zoo_vision.data.images import TensorImages
from zoo_vision.data.webdataset import WebDataset

RANDOM = np.random.default_rng(0)


def picture(dtype: str = "uint8", most: int = 256, suffix: str = "png") -> bytes:
    stream = io.BytesIO()
    shape = (8, 8, 3) if dtype == "uint8" else (8, 8)
    Image.fromarray(RANDOM.integers(0, most, shape).astype(dtype)).save(stream, suffix)
    return stream.getvalue()


def tar(path: Path, files: dict[str, bytes], mode: str = "w") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def shard(count: int = 12, start: int = 0, label: str = "cls") -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for number in range(start, start + count):
        files[f"{number:06}.png"] = picture()
        value = number % 3
        text = str(value) if label == "cls" else json.dumps({"label": f"class {value}", "x": 1})
        files[f"{number:06}.{label}"] = text.encode()
    return files


def load(root: Path, **arguments: object) -> WebDataset:
    data = WebDataset(str(root), **{"image_size": 8, **arguments})
    data.setup()
    return data


def sizes(data: WebDataset) -> tuple[int, ...]:
    return tuple(len(data.samples(part)) for part in ("train", "val", "test"))


@pytest.mark.parametrize("label", ["cls", "json"])
@pytest.mark.parametrize(
    "names",
    [
        ("train-000000.tar", "train-000001.tar", "val-000000.tar", "test-000000.tar"),
        ("pets-train-0.tar", "pets-train-1.tar", "pets-val-0.tar", "pets-test-0.tar"),
        ("train/0.tar", "train/1.tar", "Validation/0.tar", "testing/0.tar"),
    ],
)
def test_parts_by_the_names_of_the_files(tmp_path, names, label):
    for index, name in enumerate(names):
        tar(tmp_path / name, shard(6, 10 * index, label))
    data = load(tmp_path)
    assert sizes(data) == (12, 6, 6)
    names = ["0", "1", "2"] if label == "cls" else ["class 0", "class 1", "class 2"]
    assert data.facts["label_names"] == names
    assert data.samples("val").labels.tolist() == [2, 0, 1, 2, 0, 1]


def test_one_file_is_split_and_read_in_memory_and_in_place_alike(tmp_path):
    path = tar(tmp_path / "all.tar", shard(30))
    kept, lazy = load(path), load(path, memory_mb=0, num_workers=1)
    assert sizes(kept) == sizes(lazy) == (21, 3, 6)
    assert kept.facts == lazy.facts
    assert isinstance(kept.samples("test"), TensorImages)
    assert isinstance(lazy.samples("test"), ImageFiles)
    for first, second in zip(kept.test_dataloader(), lazy.test_dataloader(), strict=True):
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1], second[1])


def test_copies_ranges_and_hidden_members_are_treated_as_in_folders(tmp_path, capsys):
    files = shard(9)
    files["./again.png"], files["./again.cls"] = files["000000.png"], b"0"
    files["deep.tif"], files["deep.cls"] = picture("uint16", 4096, "tiff"), b"1"
    files["__MACOSX/._000001.png"] = files["._000001.png"] = b"no image"
    files["lonely.png"] = picture()
    data = load(tar(tmp_path / "all.tar", files), split="all")
    assert sizes(data) == (0, 0, 11)
    assert data.facts["pixel_ranges"] == {"uint16": [0, 4095]}
    said = capsys.readouterr().err
    assert "copies of others in their class: 1 (" in said
    assert "images without a label, which are left out: 1" in said


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"0.png": b"x", "0.cls": b"0"}, r"1 different label\(s\)"),
        ({"0.png": b"x", "0.jpg": b"x", "0.cls": b"0"}, "are both images of one key"),
        ({"0.png": b"x", "0.json": b"{"}, r"x\.tar: 0\.json is not a label"),
        ({"0.png": b"x", "0.json": b"[1]"}, "0.json is not a JSON object"),
        ({"0.png": b"x", "0.json": b'{"label": [1]}'}, r"'label' is \[1\]; .*one label an image"),
        ({"0.png": b"x", "0.cls": bytes(2**20 + 1)}, r"0\.cls has 1,048,577 bytes, too many"),
        ({**shard(6), "9.png": b"no image", "9.cls": b"1"}, r"1 of 7 .*x\.tar/9\.png \(no known"),
    ],
)
def test_wrong_members_are_named(tmp_path, files, message):
    with pytest.raises(UsageError, match=message):
        load(tar(tmp_path / "x.tar", files), split="all")


def test_wrong_files_are_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere is neither a tar file nor a folder"):
        load(tmp_path / "nowhere")
    tar(tmp_path / "train-0.tar.gz", shard(), "w:gz")
    with pytest.raises(UsageError, match=r"no file that ends in \.tar; unpack .*train-0\.tar\.gz"):
        load(tmp_path)
    path = tar(tmp_path / "train-0.tar", shard())
    tar(tmp_path / "more.tar", shard())
    with pytest.raises(UsageError, match=r"the name of .*more\.tar says no part"):
        load(tmp_path)
    path.write_bytes(path.read_bytes()[:6000])
    with pytest.raises(UsageError, match=r"train-0\.tar is a damaged tar file"):
        load(path)
