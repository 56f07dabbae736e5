"""The axes of TIFF stacks, by their metadata."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from zoo.plugin import UsageError
from zoo_segmentation.data.stacks import read_channel_stack, read_stack

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
