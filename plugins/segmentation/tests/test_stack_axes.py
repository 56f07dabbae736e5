"""The axes of TIFF stacks, by their metadata."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from zoo.plugin import UsageError
from zoo_segmentation.data.stacks import read_channel_stack, read_stack
from zoo_segmentation.data.volume_folder import VolumeFolder

STACK = np.arange(2 * 3 * 6 * 5, dtype=np.uint8).reshape(2, 3, 6, 5)  # (C, Z, Y, X)


def test_channels_of_imagej_are_no_slices(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK.transpose(1, 0, 2, 3), imagej=True, metadata={"axes": "ZCYX"})
    assert np.array_equal(read_channel_stack(path), STACK)
    with pytest.raises(UsageError, match=r"has the axes channels 2 x slices 3 x 6x5; one channel"):
        read_stack(path)


@pytest.mark.parametrize("order", ["CZYX", "ZCYX"])
def test_channels_of_ome_are_no_slices(tmp_path, order):
    path = tmp_path / "a.ome.tif"
    axes = ["CZYX".index(axis) for axis in order]
    tifffile.imwrite(path, STACK.transpose(axes), metadata={"axes": order}, ome=True)
    assert np.array_equal(read_channel_stack(path), STACK)


def test_one_channel_alone_is_a_stack_without_slices(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[:, 0], imagej=True, metadata={"axes": "CYX"})
    assert np.array_equal(read_channel_stack(tmp_path / "a.tif"), STACK[:, :1])


@pytest.mark.parametrize(
    ("axes", "options"),
    [("TZYX", {"imagej": True}), ("TZYX", {"ome": True}), ("TYX", {"imagej": True})],
)
def test_times_are_refused_by_name(tmp_path, axes, options):
    values = STACK if axes == "TZYX" else STACK[:, 0]
    tifffile.imwrite(tmp_path / "a.tif", values, metadata={"axes": axes}, **options)
    with pytest.raises(UsageError, match=r"a\.tif has the axes times 2 x .*height 6 x width 5;"):
        read_stack(tmp_path / "a.tif")


def test_a_stack_in_one_directory_is_read_whole(tmp_path):
    gray = {"photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "a.tif", STACK[0], volumetric=True, tile=(16, 16, 16), **gray)
    tifffile.imwrite(tmp_path / "b.tif", STACK[0], **gray)
    with tifffile.TiffWriter(tmp_path / "c.tif") as file:  # as ImageJ writes beyond 4 GB
        description = "ImageJ=1.54f\nimages=3\nslices=3\nloop=false\n"
        file.write(STACK[0, 0], description=description, metadata=None)
    with (tmp_path / "c.tif").open("r+b") as file:
        content = bytearray(file.read())
        offset = content.find(STACK[0, 0].tobytes())
        file.seek(offset)
        file.write(STACK[0].tobytes())
    for name in ("a", "b", "c"):
        assert np.array_equal(read_stack(tmp_path / f"{name}.tif"), STACK[0]), name


def test_pages_written_one_by_one_are_a_stack(tmp_path):
    for page in STACK[0]:
        tifffile.imwrite(tmp_path / "a.tif", page, append=True)
    assert np.array_equal(read_stack(tmp_path / "a.tif"), STACK[0])


def test_min_is_white_is_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", 255 - STACK[0], photometric="miniswhite")
    assert np.array_equal(read_stack(tmp_path / "a.tif"), STACK[0])
    with tifffile.TiffWriter(tmp_path / "b.tif") as file:
        file.write(STACK[0, 0], photometric="miniswhite")
        file.write(STACK[0, 1], photometric="minisblack")
    with pytest.raises(UsageError, match="slices in which 0 is white and others in which"):
        read_stack(tmp_path / "b.tif")


def test_colors_are_refused_by_name(tmp_path):
    colors = np.zeros((3, 256), dtype=np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", STACK[0, 0], photometric="palette", colormap=colors)
    with pytest.raises(UsageError, match="numbers of a palette of colors"):
        read_stack(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.zeros((6, 5, 3), np.uint8), photometric="rgb")
    with pytest.raises(UsageError, match=r"slices of 6x5x3 values; they have to be gray"):
        read_stack(tmp_path / "b.tif")


def test_sizes_that_a_file_cannot_hold_are_told_before_memory_is_taken(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((40, 50), dtype=np.uint8))
    with tifffile.TiffFile(path, mode="r+b") as file:
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            file.pages[0].tags[name].overwrite(60000)
    with pytest.raises(UsageError, match=r"claims 60000x60000 values and has"):
        read_stack(path)
    tifffile.imwrite(path, np.zeros((40, 50), dtype=np.uint8), compression="zlib")
    monkeypatch.setattr("zoo_segmentation.memory.physical_memory", lambda: 1000)
    with pytest.raises(UsageError, match=r"its 40x50 values would take 8e-06 GB, and this machine"):
        read_stack(path)


@pytest.fixture
def stacks_and_labels(tmp_path):
    for number in range(4):
        values = np.random.default_rng(number).integers(0, 255, (3, 8, 9)).astype(np.uint8)
        for kind, array in (("images", values), ("labels", 255 * (values > 99).astype(np.uint8))):
            (tmp_path / kind).mkdir(exist_ok=True)
            tifffile.imwrite(
                tmp_path / kind / f"case_{number}.tif", array, photometric="minisblack"
            )
    return tmp_path


def test_stacks_are_trained_on(stacks_and_labels, capsys):
    data = VolumeFolder(
        str(stacks_and_labels), patch_size=[2, 4, 4], labels={0: 0, 255: 1}, test_fraction=0.3
    )
    assert data.facts["label_values"] == [0, 255]
    assert data.samples("train")[0].image.shape == (1, 3, 8, 9)
    assert data.samples("test")[0].label.max() == 1
    assert "does not say how large its voxels are" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((3, 8, 8), np.uint8), "has 3x8x8 voxels and its image .* 3x8x9"),
        (np.full((3, 8, 9), 7, np.uint8), r"labels that are no class \(7\)"),
        (np.zeros((3, 8, 9), np.float32), "has to hold 8-bit ones"),
    ],
)
def test_labels_that_do_not_fit_a_stack_are_refused(stacks_and_labels, array, message):
    tifffile.imwrite(stacks_and_labels / "labels" / "case_2.tif", array, photometric="minisblack")
    data = VolumeFolder(str(stacks_and_labels), patch_size=[2, 4, 4], labels={0: 0, 255: 1})
    with pytest.raises(UsageError, match=message):
        data.setup()
