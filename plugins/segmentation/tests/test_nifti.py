"""Reading NIfTI files into one orientation, refusing what cannot be used, and writing back."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.nifti import (
    count_channels,
    read_image,
    read_labels,
    read_scan,
    stem,
    write_nifti,
)

# From voxel indices to mm: x runs to the left in steps of 2, y is the third axis, and the second
# runs downwards in steps of 3.
ODD = np.array([[-2.0, 0, 0, 10], [0, 0, 1, -5], [0, -3, 0, 7], [0, 0, 0, 1]])


def values(*shape: int) -> np.ndarray:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def test_axes_run_up_forward_and_right(tmp_path, nifti):
    array = values(4, 5, 6)
    scan = read_scan(nifti(tmp_path / "a.nii.gz", array))
    assert scan.array.shape == (1, 6, 5, 4)
    assert scan.array[0, 3, 2, 1] == array[1, 2, 3]
    assert scan.spacing == (1.0, 1.0, 1.0)


def test_any_orientation_is_brought_to_the_same(tmp_path, nifti):
    array = values(4, 5, 6)
    scan = read_scan(nifti(tmp_path / "odd.nii.gz", array, ODD))
    assert scan.spacing == (3.0, 1.0, 2.0)
    assert scan.array.shape == (1, 5, 6, 4)
    # The file's second axis runs down and its first to the left: both are reversed.
    assert scan.array[0, 4, 5, 3] == array[0, 0, 5]
    assert scan.array[0, 0, 0, 0] == array[3, 4, 0]
    assert np.array_equal(scan.to_file_axes(scan.array[0]), array)


def test_an_oblique_scan_keeps_its_spacing(tmp_path, nifti):
    angle = np.deg2rad(20)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    scan = read_scan(nifti(tmp_path / "a.nii", values(4, 5, 6), turn @ np.diag([2, 3, 4, 1.0])))
    assert scan.spacing == (4.0, 3.0, 2.0)


def test_channels_are_the_fourth_axis(tmp_path, nifti):
    array = values(4, 5, 6, 2)
    path = nifti(tmp_path / "a.nii.gz", array)
    scan = read_image(path, 2)
    assert scan.array.shape == (2, 6, 5, 4)
    assert scan.array[1, 3, 2, 1] == array[1, 2, 3, 1]
    assert count_channels(path) == 2
    assert read_image(nifti(tmp_path / "b.nii", values(4, 5, 6, 1))).array.shape == (1, 6, 5, 4)


def test_scaled_integers_are_unscaled(tmp_path):
    image = nib.Nifti1Image(np.full((3, 3, 3), 7, dtype=np.int16), np.eye(4))
    image.header.set_slope_inter(2.0, 1.0)
    nib.save(image, tmp_path / "a.nii")
    assert read_image(tmp_path / "a.nii").array.max() == 15


def test_a_map_is_written_into_the_space_of_its_scan(tmp_path, nifti):
    path = nifti(tmp_path / "odd.nii.gz", values(4, 5, 6).astype(np.int16), ODD)
    scan = read_scan(path)
    label = (scan.array[0] > 60).astype(np.uint8)
    write_nifti(tmp_path / "out" / "label.nii.gz", label, scan)
    write_nifti(tmp_path / "out" / "share.nii.gz", np.stack([label, label], axis=-1) / 2, scan)
    source, written = nib.load(path), nib.load(tmp_path / "out" / "label.nii.gz")
    assert written.shape == source.shape
    assert written.get_data_dtype() == np.uint8
    assert np.allclose(written.affine, ODD)
    for kind in ("sform_code", "qform_code"):
        assert written.header[kind] == source.header[kind]
    assert np.array_equal(np.asarray(written.dataobj), np.asarray(source.dataobj) > 60)
    assert np.array_equal(read_scan(tmp_path / "out" / "label.nii.gz").array[0], label)
    assert nib.load(tmp_path / "out" / "share.nii.gz").shape == (4, 5, 6, 2)


def test_nifti_2_is_read_and_written_back(tmp_path):
    nib.save(nib.Nifti2Image(values(4, 5, 6), ODD), tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    write_nifti(tmp_path / "b.nii", scan.array[0], scan)
    assert np.array_equal(read_scan(tmp_path / "b.nii").array, scan.array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda data: b"", "is an empty file"),
        (lambda data: b"no image at all", "is not a readable NIfTI file"),
        (lambda data: data[: len(data) // 2], "damaged or cut short"),
        (lambda data: data[:-400] + bytes(300) + data[-100:], "damaged or cut short"),
        (lambda data: gzip.compress(gzip.decompress(data)[:500]), "damaged or cut short"),
        (lambda data: gzip.compress(b"text"), "is not a readable NIfTI file"),
    ],
    ids=["empty", "text", "cut", "flipped", "short", "packed text"],
)
def test_damaged_files_are_named(tmp_path, nifti, content, message):
    noise = np.random.default_rng(0).normal(size=(12, 12, 12)).astype(np.float32)
    path = nifti(tmp_path / "a.nii.gz", noise)
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(UsageError, match=message) as caught:
        read_scan(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_volume_is_named(tmp_path, nifti):
    with pytest.raises(UsageError, match=r"there is no file .*gone\.nii"):
        read_scan(tmp_path / "gone.nii")
    with pytest.raises(UsageError, match=r"flat\.nii has the axes 4x5; a volume has three"):
        read_scan(nifti(tmp_path / "flat.nii", values(4, 5)))
    with pytest.raises(UsageError, match=r"five\.nii has the axes"):
        read_scan(nifti(tmp_path / "five.nii", values(2, 2, 2, 2, 2)))
    color = np.zeros((3, 3, 3), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(UsageError, match=r"rgb\.nii holds values of type .*numbers"):
        read_scan(nifti(tmp_path / "rgb.nii", color))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_voxels_that_are_no_numbers_are_counted(tmp_path, nifti, bad):
    array = values(4, 5, 6)
    array[1, 2, 3] = array[2, 2, 2] = bad
    path = nifti(tmp_path / "a.nii.gz", array)
    with pytest.raises(UsageError, match=r"a\.nii\.gz: 2 of 120 voxels are NaN or infinite"):
        read_image(path)


def test_a_singular_affine_is_refused(tmp_path, nifti):
    path = nifti(tmp_path / "a.nii", values(3, 3, 3))
    image = nib.load(path)
    image.header["srow_x"] = 0
    nib.Nifti1Image(np.asarray(image.dataobj), None, image.header).to_filename(tmp_path / "b.nii")
    data = bytearray((tmp_path / "b.nii").read_bytes())
    data[252:256] = np.array([0, 1], dtype="<i2").tobytes()  # qform_code 0, sform_code 1
    (tmp_path / "b.nii").write_bytes(data)
    with pytest.raises(UsageError, match=r"b\.nii: the affine matrix is singular"):
        read_scan(tmp_path / "b.nii")


def test_a_missing_channel_is_counted(tmp_path, nifti):
    path = nifti(tmp_path / "a.nii.gz", values(4, 5, 6))
    with pytest.raises(UsageError, match=r"a\.nii\.gz has 1 channel, not 4"):
        read_image(path, 4)


def test_labels_belong_to_their_image(tmp_path, nifti):
    image_path = nifti(tmp_path / "image.nii.gz", values(4, 5, 6))
    image = read_image(image_path)

    def read(array: np.ndarray, affine: np.ndarray | None = None, classes: int = 3) -> np.ndarray:
        path = nifti(tmp_path / "label.nii.gz", array, affine)
        return read_labels(path, image, image_path, classes)

    good = (values(4, 5, 6) % 3).astype(np.uint8)
    assert np.array_equal(read(good), good.transpose(2, 1, 0))
    assert read(good.astype(np.float64)).dtype == np.uint8
    assert read(good, np.eye(4) + 1e-4).shape == (6, 5, 4)  # rounding is no difference
    with pytest.raises(UsageError, match=r"label\.nii\.gz has 5x4x6 voxels and its image .*4x5x6"):
        read(good.transpose(1, 0, 2))
    moved = np.eye(4)
    moved[2, 3] = 1
    with pytest.raises(UsageError, match=r"different affine matrices: .* up to 1 mm apart"):
        read(good, moved)
    with pytest.raises(UsageError, match=r"label\.nii\.gz: 40 voxels of 120 .* no class \(2\); "):
        read(good, classes=2)
    with pytest.raises(UsageError, match=r"no class \(0\.5, 1\.5, 2\.5\)"):
        read(good + 0.5)
    with pytest.raises(UsageError, match=r"no class \(-1"):
        read(good.astype(np.int16) - 1)
    with pytest.raises(UsageError, match="has 2 channels; a label map has one"):
        read(np.stack([good, good], axis=-1))


@pytest.mark.parametrize(
    ("name", "expected"), [("a.b.nii.gz", "a.b"), ("a.NII", "a"), ("a.b.tif", "a.b")]
)
def test_names_lose_their_suffix(tmp_path, name, expected):
    assert stem(tmp_path / name) == expected
