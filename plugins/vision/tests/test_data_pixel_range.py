"""Black and white of images with more than 8 bits: one range a folder, kept with the model."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import zoo
from zoo.plugin import UsageError
from zoo_vision.data.decoding import read_image
from zoo_vision.data.image_folder import ImageFolder
from zoo_vision.mpcnn import MPCNN


def gray(path: Path, values: object, dtype: str = "uint16", **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, dtype=dtype)).save(path, **options)
    return path


def color_png(path: Path, values: np.ndarray) -> Path:
    """16-bit RGB or RGBA (height, width, channels), which Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    height, width, channels = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + parts)
    return path


def first_row(path: Path, channels: int = 1, width: int = 3) -> list:
    pixels = read_image(path, channels, (1, width))[:, 0]
    return pixels[0].tolist() if channels == 1 else pixels.T.tolist()


@pytest.mark.parametrize(
    ("values", "dtype", "wanted"),
    [
        ([[0, 128, 255]], "uint16", [0, 128, 255]),
        ([[0, 2048, 4095]], "uint16", [0, 128, 255]),
        ([[0, 32896, 65535]], "uint16", [0, 128, 255]),
        ([[0, 16, 1000]], "uint16", [0, 1, 62]),
        ([[0, 500, 1000]], "int32", [0, 31, 62]),
        ([[0, 32896, 65535]], "int32", [0, 128, 255]),
        ([[0, 0.5, 1]], "float32", [0, 128, 255]),
        ([[0, 128, 255]], "float32", [0, 128, 255]),
    ],
)
def test_a_file_by_itself(tmp_path, values, dtype, wanted):
    assert first_row(gray(tmp_path / "a.tif", values, dtype)) == wanted


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([[-1, 5, 9]], "int32"),
        ([[0, 5, 70000]], "int32"),
        ([[-1000, 0, 3000]], "float32"),
        ([[0, 1, 1.5]], "float32"),
        ([[0, 1, 4095]], "float32"),
        ([[0, 1, np.nan]], "float32"),
        ([[0, 1, np.inf]], "float32"),
    ],
)
def test_values_of_no_known_range_are_refused(tmp_path, values, dtype):
    with pytest.raises(UsageError, match="no known range"):
        read_image(gray(tmp_path / "a.tif", values, dtype), 1, (1, 3))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_large_values_may_be_dark(tmp_path, dtype):
    white = {"uint8": 255, "uint16": 65535, "float32": 1}[dtype]
    path = gray(tmp_path / "a.tif", [[0, 0, white]], dtype, tiffinfo={262: 0})
    with Image.open(path) as image:
        assert image.tag_v2[262] == 0
        stored = np.asarray(image)[0, 2]
    # Pillow turns 8 bits round itself, when it writes and when it reads.
    wanted = [0, 0, 255] if dtype == "uint8" else [255, 255, 0]
    assert stored == white
    assert first_row(path) == wanted


def test_twelve_bits_in_color_and_beside_transparency(tmp_path):
    values = np.array([[[0, 2048, 4095], [4095, 0, 16], [0, 0, 0]]])
    assert first_row(color_png(tmp_path / "a.png", values), 3) == [
        [0, 128, 255],
        [255, 0, 1],
        [0, 0, 0],
    ]
    opaque = np.concatenate([values, [[[65535], [65535], [0]]]], axis=-1)
    assert first_row(color_png(tmp_path / "b.png", opaque), 3)[2] == [255, 255, 255]
    assert first_row(color_png(tmp_path / "c.png", values * 16), 3)[0] == [0, 128, 255]


@pytest.fixture
def deep(tmp_path) -> Path:
    """12 bits in 16, a dark class and a bright one."""
    random = np.random.default_rng(0)
    for name, base in (("dark", 0), ("bright", 3000)):
        for number in range(8):
            values = base + random.integers(0, 90, (6, 6))
            gray(tmp_path / "data" / name / f"{number}.png", values)
    gray(tmp_path / "data" / "bright" / "white.png", np.full((6, 6), 4095) - np.eye(6))
    return tmp_path / "data"


def load(root: Path, **arguments: object) -> ImageFolder:
    data = ImageFolder(str(root), **{"image_size": 6, "in_channels": 1, **arguments})
    data.setup()
    return data


@pytest.mark.parametrize("memory_mb", [0, 100])
@pytest.mark.parametrize("check", ["decode", "open"])
def test_one_range_for_the_whole_folder(deep, memory_mb, check, capsys):
    data = load(deep, memory_mb=memory_mb, check=check, split="all")
    assert data.facts["pixel_ranges"] == {"uint16": [0, 4095]}
    images = data.samples("test")
    pixels = images.pixels(images.labels.nonzero()[:, 0])  # the dark ones
    assert pixels.max() <= 6
    said = capsys.readouterr().err
    assert "17 images of uint16 values, from 0 to 4095: 0 is taken for black and 4095" in said
    assert "--data.range" in said


def test_kinds_of_values_have_ranges_of_their_own(tmp_path, capsys):
    for name, values, dtype in (
        ("a", 200, "int32"),
        ("b", 40000, "int32"),
        ("c", 0.9, "float32"),
        ("d", 128, "float32"),
    ):
        gray(tmp_path / name / "x.tif", np.full((4, 4), values), dtype)
    data = load(tmp_path, split="all")
    assert data.facts["pixel_ranges"] == {"int32": [0, 65535], "float32": [0, 255]}
    images = data.samples("test").images
    assert images[:, 0, 0, 0].tolist() == [1, 156, 1, 128]
    said = capsys.readouterr().err
    assert "2 images of int32 values, from 200 to 40000" in said
    assert "1 of them have no value above 4095.94 and come out nearly black" in said
    assert "images of one color all over: 4 of 4" in said


def test_a_stated_range_cuts_off_what_lies_beyond(deep, tmp_path):
    gray(deep / "dark" / "hounsfield.tif", [[-1000, 1000, 2000]] * 3, "float32")
    data = load(deep, range=[0, 2000], image_size=3, split="all")
    assert data.facts["pixel_ranges"] == {"stated": [0, 2000]}
    images = data.samples("test")
    assert (images.images[images.labels == 0] == 255).all()
    assert images.images[-1, 0].tolist() == [[0, 128, 255]] * 3
    with pytest.raises(UsageError, match=r"hounsfield\.tif: pixels from -1000 .*--data\.range"):
        load(deep)
    for wrong in ([1], [5, 5], [2, 1]):
        with pytest.raises(UsageError, match="range is"):
            ImageFolder(range=wrong)


@pytest.fixture
def run(deep, tmp_path) -> zoo.Run:
    return zoo.train(
        "vision/mpcnn-digits",
        {
            "model.net": "1x6x6-4C3-N",
            "data.name": "image-folder",
            "data.root": str(deep),
            "data.image_size": 6,
            "data.in_channels": 1,
            "trainer.max_epochs": 1,
            "trainer.logger": False,
            "trainer.enable_progress_bar": False,
        },
        out=tmp_path / "run",
    )


def test_prediction_uses_the_range_of_the_training(run, deep, tmp_path, capsys):
    net = zoo.load(run.path)
    assert net.pixel_ranges == {"uint16": [0, 4095]}
    assert net.preprocessing["pixel_ranges"] == {"uint16": [0, 4095]}
    dark, beyond = deep / "dark" / "0.png", gray(tmp_path / "beyond.png", [[9, 60000]])
    found = zoo.predict(net, [dark, beyond])
    assert net.read_file(dark).max() <= 6
    assert [row["file"] for row in found.rows] == [str(dark)]
    assert "values go from 9 to 60000, where 0 is black and 4095 white" in str(found.failures)
    assert f"{dark}: its largest value is" in capsys.readouterr().err


def test_a_test_on_other_values_is_refused(run, deep, tmp_path):
    other = tmp_path / "other"
    for name in ("bright", "dark"):
        gray(other / name / "a.png", np.arange(36).reshape(6, 6) * 1700)
        gray(other / name / "b.png", np.arange(36).reshape(6, 6) * 1500 + len(name))
    overrides = {"data.root": str(other), "data.split": "all"}
    with pytest.raises(UsageError, match=r"give --data\.range '\[0, 4095\]'"):
        zoo.evaluate(run.path, overrides=overrides)
    assert zoo.evaluate(run.path, overrides={"data.root": str(deep), "data.split": "all"})


def test_files_of_one_call_share_a_range_that_training_did_not_see(tmp_path, capsys):
    net = MPCNN("1x3x3-4C3-N", image_size=[1, 3])
    one = gray(tmp_path / "one.tif", [[0, 0.5, 1]], "float32")
    other = gray(tmp_path / "other.tif", [[0, 128, 255]], "float32")
    broken = gray(tmp_path / "broken.tif", [[-7, 128, 255]], "float32")
    assert net.read_file(one)[0, 0].tolist() == [0, 128, 255]
    assert net.group_files([one, other, broken]) == [one, other, broken]
    assert net.read_file(one)[0, 0].tolist() == [0, 0, 1]
    assert net.read_file(other)[0, 0].tolist() == [0, 128, 255]
    with pytest.raises(UsageError, match=r"broken\.tif .*values go from -7"):
        net.read_file(broken)
    said = capsys.readouterr().err
    assert said.count("2 images of float32 values, from 0 to 255") == 1
    assert "one.tif: its largest value is 1, where 0 is black and 255 white" in said


def test_of_several_pages_the_first_is_read_and_told(tmp_path, capsys):
    pages = [Image.fromarray(np.full((4, 4), value, np.uint8)) for value in (200, 10)]
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        pages[0].putpixel((0, 0), ord(name))
        pages[0].save(tmp_path / name / "x.tif", save_all=True, append_images=pages[1:])
    data = load(tmp_path, image_size=4, split="all")
    assert data.samples("test").images[:, 0, 3, 3].tolist() == [200, 200]
    said = capsys.readouterr().err
    assert "TIFF files of several pages, of which the first is read: 2, the first is" in said
    MPCNN("1x4x4-4C3-N", image_size=[4, 4]).read_file(tmp_path / "a" / "x.tif")
    assert "x.tif: of its pages the first is read" in capsys.readouterr().err
