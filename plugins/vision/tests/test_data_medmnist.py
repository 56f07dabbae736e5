"""MedMNIST's npz files, and files that only look like them."""

from __future__ import annotations

import io
import struct
import tracemalloc
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_vision.data.medmnist import MedMNIST

PARTS = {"train": 12, "val": 4, "test": 6}


def arrays(shape: tuple[int, ...] = (28, 28), labels: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    made: dict[str, np.ndarray] = {}
    for part, count in PARTS.items():
        made[f"{part}_images"] = random.integers(0, 256, (count, *shape), dtype=np.uint8)
        made[f"{part}_labels"] = (np.arange(count * labels) % 3).reshape(count, labels)
        made[f"{part}_labels"] = made[f"{part}_labels"].astype(np.uint8)
    return made


def saved(path: Path, content: dict[str, np.ndarray]) -> Path:
    np.savez_compressed(path, **content)
    return path


@pytest.mark.parametrize(("shape", "channels"), [((28, 28), 1), ((28, 28, 3), 3), ((64, 64), 1)])
def test_the_publishers_parts(tmp_path, shape, channels):
    content = arrays(shape)
    path = saved(tmp_path / "pathmnist.npz", content)
    for root in (path, tmp_path):
        data = MedMNIST(str(root))
        assert [len(data.samples(part)) for part in PARTS] == list(PARTS.values())
        assert data.facts["num_classes"] == 3
        assert data.facts["in_channels"] == channels
        assert data.facts["image_size"] == list(shape[:2])
        images = data.samples("test").images[:, -1].numpy()
        stored = content["test_images"]
        assert np.array_equal(images, stored if channels == 1 else stored[..., 2])
        assert data.samples("test").labels.tolist() == [0, 1, 2, 0, 1, 2]
    assert len(MedMNIST(str(path), split="all").samples("test")) == 22


def test_an_image_may_have_several_classes_or_none(tmp_path):
    content = arrays(labels=14)
    for part in PARTS:
        content[f"{part}_labels"] %= 2
        content[f"{part}_labels"][0] = 0
    data = MedMNIST(str(saved(tmp_path / "chestmnist.npz", content)))
    assert data.facts["multilabel"] is True
    assert data.facts["num_classes"] == len(data.facts["label_names"]) == 14
    assert np.array_equal(data.samples("val").labels.numpy(), content["val_labels"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (arrays((28, 28, 28)), r"volumes of 28x28x28 voxels.*without 3D"),
        (arrays(labels=14), "14 columns with values other than 0 and 1"),
        (
            {**arrays(), "val_labels": np.zeros((4, 14), np.uint8)},
            "the parts have labels of different shapes",
        ),
        ({"train_images": np.zeros((2, 2))}, "holds no train_labels: it is not a set of MedMNIST"),
        ({**arrays(), "val_labels": np.zeros((3, 1), np.uint8)}, r"val_labels .* for 4 images"),
        ({**arrays(), "val_images": np.zeros((4, 28, 28))}, "val_images are float64"),
        ({**arrays(), "val_images": np.zeros((4, 9, 9), np.uint8)}, "images of different shapes"),
        ({**arrays(), "val_labels": np.array([{}] * 4)}, "holds Python objects"),
    ],
)
def test_other_contents_are_refused_in_a_sentence(tmp_path, change, message):
    with pytest.raises(UsageError, match=message) as caught:
        MedMNIST(str(saved(tmp_path / "x.npz", change))).setup()
    assert str(tmp_path / "x.npz") in str(caught.value)


def test_a_header_of_terabytes_takes_no_memory(tmp_path):
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 28, 28), np.uint8))
    small = stream.getvalue()
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (70000000000, 28, 28), }"
    lie = small[:8] + struct.pack("<H", 118) + header.ljust(117) + b"\n" + bytes(4 * 784)
    content = arrays()
    with ZipFile(tmp_path / "x.npz", "w", ZIP_DEFLATED) as archive:
        for name, values in content.items():
            stream = io.BytesIO()
            np.save(stream, values)
            archive.writestr(f"{name}.npy", lie if name == "val_images" else stream.getvalue())
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match="val_images announces 54,880,000,000,000 bytes"):
            MedMNIST(str(tmp_path / "x.npz")).setup()
        assert tracemalloc.get_traced_memory()[1] < 10**7
    finally:
        tracemalloc.stop()


def test_missing_several_and_damaged_files_are_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere is neither an npz file nor a folder"):
        MedMNIST(str(tmp_path / "nowhere")).setup()
    with pytest.raises(UsageError, match=r"holds no npz file; point --data\.root"):
        MedMNIST(str(tmp_path)).setup()
    path = saved(tmp_path / "a.npz", arrays())
    saved(tmp_path / "b.npz", arrays())
    with pytest.raises(UsageError, match=r"holds a\.npz, b\.npz; point"):
        MedMNIST(str(tmp_path)).setup()
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"a\.npz is damaged or not an npz file"):
        MedMNIST(str(path)).setup()
