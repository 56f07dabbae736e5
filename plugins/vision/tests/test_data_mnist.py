"""MNIST's idx files: the real ones where they are, generated ones in every state of disrepair."""

from __future__ import annotations

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.plugin import UsageError
from zoo_vision.data.mnist import MNIST, read_idx

NAMES = {
    "train-images": "train-images-idx3-ubyte",
    "train-labels": "train-labels-idx1-ubyte",
    "test-images": "t10k-images-idx3-ubyte",
    "test-labels": "t10k-labels-idx1-ubyte",
}


def idx(values: np.ndarray) -> bytes:
    shape = struct.pack(f">{values.ndim}I", *values.shape)
    return bytes([0, 0, 8, values.ndim]) + shape + values.astype(np.uint8).tobytes()


def generated() -> dict[str, bytes]:
    random = np.random.default_rng(0)
    return {
        "train-images": idx(random.integers(0, 256, (60, 6, 5))),
        "train-labels": idx(np.arange(60) % 10),
        "test-images": idx(random.integers(0, 256, (20, 6, 5))),
        "test-labels": idx(np.arange(20) % 10),
    }


def write(folder: Path, files: dict[str, bytes], packed: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for key, content in files.items():
        if packed:
            (folder / f"{NAMES[key]}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / NAMES[key]).write_bytes(content)
    return folder


def sizes(data: MNIST) -> list[int]:
    return [len(data.samples(part)) for part in ("train", "val", "test")]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("below", ["", "MNIST/raw"])
def test_files_are_found_packed_or_not_and_where_torchvision_puts_them(tmp_path, packed, below):
    write(tmp_path / below, generated(), packed)
    data = MNIST(str(tmp_path))
    assert sizes(data) == [50, 10, 20]
    images, labels = next(iter(data.test_dataloader()))
    stored = read_idx(next((tmp_path / below).glob("t10k-images*")), axes=3)
    assert np.array_equal(images[:, 0].numpy(), stored)
    assert labels.tolist() == [*range(10), *range(10)]
    assert data.facts["image_size"] == [6, 5]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace("-idx", ".idx"),
        str.upper,
        lambda name: f"{name}/{name}",
        lambda name: f"{name.replace('-idx', '.idx')}/{name}",
        lambda name: f"FashionMNIST/raw/{name}",
    ],
    ids=["dots", "capitals", "folders", "folders with dots", "another set of torchvision"],
)
def test_files_are_found_under_the_names_that_programs_give_them(tmp_path, rename, packed):
    for key, content in generated().items():
        name = NAMES[key]
        path = tmp_path / (f"{rename(name)}.gz" if packed else rename(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content) if packed else content)
        (path.parent / f"._{path.name}").write_bytes(b"no idx file")
    assert sizes(MNIST(str(tmp_path))) == [50, 10, 20]


def test_two_sets_are_not_mixed_up(tmp_path):
    write(tmp_path / "FashionMNIST" / "raw", generated())
    write(tmp_path / "KMNIST" / "raw", generated())
    with pytest.raises(
        UsageError, match=r"FashionMNIST/raw and .*KMNIST/raw; point --data\.root at"
    ):
        MNIST(str(tmp_path)).setup()


def test_emnist_is_not_taken_for_mnist(tmp_path):
    (tmp_path / "emnist-digits-train-images-idx3-ubyte.gz").write_bytes(b"")
    with pytest.raises(UsageError, match=r"emnist-digits-train-images-idx3-ubyte\.gz, hold turned"):
        MNIST(str(tmp_path)).setup()


def test_what_a_header_announces_bounds_what_is_unpacked(tmp_path):
    """A header of 2^61 values takes no memory, and one of few values ends a gigabyte of zeros."""
    huge = struct.pack(">3I", 2**31, 2**15, 2**15)
    small = struct.pack(">3I", 10, 28, 28)
    tracemalloc.start()
    try:
        for shape, length, message in (
            (huge, 100, "is cut short: 2147483648x32768x32768 values are announced and 100 bytes"),
            (small, 3 * 10**7, "continues after its last value: 10x28x28 .*more than 7840 bytes"),
        ):
            content = bytes([0, 0, 8, 3]) + shape + bytes(length)
            (tmp_path / "plain").write_bytes(content)
            (tmp_path / "packed.gz").write_bytes(gzip.compress(content, 1))
            del content
            for name in ("plain", "packed.gz"):
                tracemalloc.reset_peak()
                with pytest.raises(UsageError, match=message):
                    read_idx(tmp_path / name, 3)
                assert tracemalloc.get_traced_memory()[1] < 2 * 10**7
    finally:
        tracemalloc.stop()


def test_validation_is_stratified_and_can_be_left_out(tmp_path):
    write(tmp_path, generated())
    data = MNIST(str(tmp_path))
    validation = torch.cat([labels for _, labels in data.val_dataloader()])
    assert torch.bincount(validation).tolist() == [1] * 10
    assert sizes(MNIST(str(tmp_path), val_fraction=0)) == [60, 0, 20]


def test_split_all_needs_no_more_than_one_pair_of_files(tmp_path):
    files = generated()
    write(tmp_path / "both", files)
    assert sizes(MNIST(str(tmp_path / "both"), split="all"))[2] == 80
    write(tmp_path / "test", {key: value for key, value in files.items() if "test" in key})
    assert sizes(MNIST(str(tmp_path / "test"), split="all"))[2] == 20
    with pytest.raises(UsageError, match="lacks train-images-idx3-ubyte, train-labels"):
        MNIST(str(tmp_path / "test")).setup()


def cut(content: bytes) -> bytes:
    return content[:-7]


LABELS_OUTSIDE = idx(np.array([3, 1, 12, 11] + [0] * 56))
DAMAGE = {
    "missing": ("test-labels", None, "lacks t10k-labels-idx1-ubyte .* fetch"),
    "empty": ("train-images", b"", "not an idx file .*starts with nothing.*fetch it again"),
    "other file": ("train-images", b"<html>404</html>", "not an idx file .*starts with 3c68746d"),
    "labels as images": ("train-images", generated()["train-labels"], "with 3 axes"),
    "images as labels": ("train-labels", generated()["train-images"], "with 1 axis"),
    "floats": ("train-labels", b"\0\0\x0d\x01" + bytes(8), "unsigned bytes"),
    "cut in the header": ("train-images", generated()["train-images"][:9], "not an idx file"),
    "cut in the pixels": ("train-images", cut(generated()["train-images"]), "is cut short.*60x6x5"),
    "cut in the labels": ("test-labels", cut(generated()["test-labels"]), "is cut short"),
    "too long": ("train-labels", generated()["train-labels"] + b"\0", "continues after its last"),
    "fewer labels": ("train-labels", idx(np.zeros(59)), "60 images and .* 59 labels"),
    "no images": ("train-images", idx(np.zeros((0, 6, 5))), "0 images and .* 60 labels"),
    "label outside": ("train-labels", LABELS_OUTSIDE, "2 labels lie outside.*is 12 at position 2"),
    "another size": (
        "test-images",
        idx(np.zeros((20, 7, 5))),
        "6x5 pixels and .* images 7x5",
    ),
}


@pytest.mark.parametrize(("key", "content", "message"), DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("packed", [False, True])
def test_damage_is_named_with_the_path(tmp_path, key, content, message, packed):
    files = generated()
    if content is None:
        del files[key]
    else:
        files[key] = content
    write(tmp_path, files, packed)
    with pytest.raises(UsageError, match=message) as caught:
        MNIST(str(tmp_path)).setup("fit")
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    "damage",
    [lambda packed: packed[:-20], lambda packed: b"no gzip", lambda packed: packed + b"more"],
    ids=["cut", "other", "longer"],
)
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    write(tmp_path, generated(), packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match=r"train-images-idx3-ubyte\.gz is a damaged gzip file"):
        _ = MNIST(str(tmp_path)).facts


def test_a_damaged_byte_inside_a_gzip_file_is_found(tmp_path):
    write(tmp_path, generated(), packed=True)
    path = tmp_path / "train-images-idx3-ubyte.gz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(UsageError, match="damaged gzip file"):
        MNIST(str(tmp_path)).setup()


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere is not a folder; fetch the four"):
        MNIST(str(tmp_path / "nowhere")).setup()
    with pytest.raises(UsageError, match=r"lacks train-images-idx3-ubyte, .*t10k-labels"):
        MNIST(str(tmp_path)).setup()


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_fractions_out_of_range_are_refused(fraction):
    with pytest.raises(UsageError, match="val_fraction"):
        MNIST(val_fraction=fraction)


def test_the_real_files():
    folder = Path(os.environ.get("ZOO_DATA", "../shared/data")) / "mnist"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set ZOO_DATA to the folder that holds mnist/")
    data = MNIST(str(folder), val_fraction=0)
    assert sizes(data) == [60000, 0, 10000]
    assert data.facts["image_size"] == [28, 28]
    assert data.facts["mean"] == pytest.approx([0.1307], abs=1e-4)
    assert data.facts["std"] == pytest.approx([0.3081], abs=1e-4)
    _, labels = next(iter(data.test_dataloader()))
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
