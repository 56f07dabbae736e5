"""What NIfTI headers say, and what they claim: units, places, containers, sizes."""

from __future__ import annotations

import gzip
import struct
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.nifti import (
    NO_PLACE,
    NO_UNIT,
    TWO_PLACES,
    read_image,
    read_labels,
    read_scan,
    write_nifti,
)
from zoo_segmentation.data.preprocessing import require_resampled

VALUES = np.arange(60, dtype=np.int16).reshape(3, 4, 5)


def image_of(
    values: np.ndarray = VALUES, affine: np.ndarray | None = None, unit: str = "mm"
) -> nib.Nifti1Image:
    image = nib.Nifti1Image(values, np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units(unit)
    return image


@pytest.mark.parametrize(("unit", "millimetres"), [("meter", 1000), ("mm", 1), ("micron", 0.001)])
def test_lengths_are_in_the_unit_that_the_header_names(tmp_path, unit, millimetres):
    affine = np.diag([2, 3, 4, 1]) / millimetres
    affine[3, 3] = 1
    nib.save(image_of(affine=affine, unit=unit), tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    assert scan.spacing == (4.0, 3.0, 2.0)
    assert scan.notes == ()
    write_nifti(tmp_path / "out.nii", scan.array[0], scan)
    written = nib.load(tmp_path / "out.nii")
    assert np.array_equal(written.affine, nib.load(tmp_path / "a.nii").affine)
    assert written.header.get_xyzt_units()[0] == unit


def test_no_unit_is_taken_for_millimetres_and_told(tmp_path):
    nib.save(image_of(unit="unknown"), tmp_path / "a.nii")
    scan = read_scan(tmp_path / "a.nii")
    assert (scan.spacing, scan.notes) == ((1.0, 1.0, 1.0), (NO_UNIT,))


def test_voxels_of_nanometres_keep_their_digits(tmp_path):
    nib.save(image_of(affine=np.diag([4.5e-6, 4.5e-6, 5e-5, 1])), tmp_path / "a.nii")
    assert read_scan(tmp_path / "a.nii").spacing == (5e-5, 4.5e-6, 4.5e-6)


def test_labels_without_a_unit_have_their_images(tmp_path):
    affine = np.diag([1000.0, 1000, 1000, 1])
    nib.save(image_of(affine=affine, unit="micron"), tmp_path / "image.nii")
    nib.save(image_of(VALUES % 2, affine, "unknown"), tmp_path / "label.nii")
    image = read_image(tmp_path / "image.nii")
    label = read_labels(tmp_path / "label.nii", image, "image.nii", 2)
    assert np.array_equal(label, image.array[0] % 2)


def with_places(sform: np.ndarray | None, qform: np.ndarray | None) -> nib.Nifti1Image:
    image = image_of(VALUES % 2, None)
    image.set_sform(sform, code=0 if sform is None else 2)
    image.set_qform(qform, code=0 if qform is None else 1)
    return image


def test_labels_may_share_one_of_two_places_with_their_image(tmp_path):
    scanner, template = np.diag([-1.0, -1, 1, 1]), np.eye(4)
    template[:3, 3] = 7
    nib.save(with_places(template, scanner), tmp_path / "image.nii")
    nib.save(with_places(None, scanner), tmp_path / "label.nii")
    image = read_image(tmp_path / "image.nii")
    assert image.notes == (TWO_PLACES,)
    # Voxel by voxel, although the label's own matrix turns it around.
    label = read_labels(tmp_path / "label.nii", image, "image.nii", 2)
    assert np.array_equal(label, image.array[0])
    nib.save(with_places(template + 2, None), tmp_path / "label.nii")
    with pytest.raises(UsageError, match="different affine matrices"):
        read_labels(tmp_path / "label.nii", image, "image.nii", 2)


def test_an_unknown_orientation_is_told(tmp_path):
    nib.save(with_places(None, None), tmp_path / "a.nii")
    assert read_scan(tmp_path / "a.nii").notes == (NO_PLACE,)


@pytest.mark.parametrize("kind", [np.int16, np.float64])
def test_scaled_labels_are_the_whole_numbers_next_to_them(tmp_path, kind):
    values = (VALUES % 3).astype(np.float64)
    image = image_of(values if kind is np.float64 else values.astype(np.float64))
    image.set_data_dtype(np.int16)  # so that nibabel scales
    nib.save(image, tmp_path / "a.nii.gz")
    scan = read_image(tmp_path / "a.nii.gz")
    label = read_labels(tmp_path / "a.nii.gz", scan, "a.nii.gz", 3)
    assert np.array_equal(label, np.rint(scan.array[0]))
    nib.save(image_of((VALUES % 3 * 0.9999999).astype(np.float32)), tmp_path / "b.nii.gz")
    assert read_labels(tmp_path / "b.nii.gz", scan, "a.nii.gz", 3).max() == 2


def test_labels_that_are_not_whole_are_shown_in_full(tmp_path):
    nib.save(image_of(np.where(VALUES == 7, 0.998, 0).astype(np.float32)), tmp_path / "a.nii")
    scan = read_image(tmp_path / "a.nii")
    with pytest.raises(UsageError, match=r"1 voxel of 60 .* no class \(0\.998\); labels are whole"):
        read_labels(tmp_path / "a.nii", scan, "a.nii", 2)


def test_the_wrong_container_is_told_with_the_right_name(tmp_path):
    nib.save(image_of(), tmp_path / "a.nii")
    plain = (tmp_path / "a.nii").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(plain)
    (tmp_path / "c.nii").write_bytes(gzip.compress(plain, mtime=0))
    with pytest.raises(UsageError, match=r"not compressed although .*: name it b\.nii, or"):
        read_scan(tmp_path / "b.nii.gz")
    with pytest.raises(UsageError, match=r"gzip-compressed bytes .*: name it c\.nii\.gz"):
        read_scan(tmp_path / "c.nii")


@pytest.mark.parametrize(
    ("name", "content", "advice"),
    [
        ("a.dcm", bytes(128) + b"DICM", "DICOM; convert the series with dcm2niix"),
        ("a.nii", bytes(128) + b"DICM", "DICOM; convert the series with dcm2niix"),
        ("a.mgz", gzip.compress(b"x", mtime=0), r"MGH; convert it: mri_convert a\.mgz a\.nii\.gz"),
        ("a.mnc", b"\x89HDF\r\n\x1a\n", r"MINC; convert it: mnc2nii a\.mnc a\.nii"),
        ("a.nrrd", b"NRRD0004", "NRRD; convert it"),
        ("a.mha", b"ObjectType = Image", "MetaImage; convert it"),
    ],
)
def test_other_formats_are_named_with_a_converter(tmp_path, name, content, advice):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=rf"not a NIfTI file, but .*{advice}"):
        read_scan(tmp_path / name)


def lying(path: Path, length: int, content: bytes = b"") -> Path:
    """A header that claims length^3 voxels of int16."""
    header = bytearray(image_of().header.binaryblock)
    struct.pack_into("<3h", header, 42, length, length, length)
    struct.pack_into("<f", header, 108, 352)  # where the voxels begin
    data = bytes(header) + bytes(4) + content
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_more_than_the_file_holds_is_told_before_memory_is_taken(
    tmp_path, name
):
    path = lying(tmp_path / name, 30000, bytes(1000))
    with pytest.raises(UsageError, match=r"header claims 30000x30000x30000 voxels, 54,000,000,"):
        read_scan(path)


def test_a_file_that_unpacks_to_more_than_its_header_claims_is_not_unpacked(tmp_path):
    path = lying(tmp_path / "a.nii.gz", 10, bytes(8 << 20))
    with pytest.raises(UsageError, match=r"claims 2,352 bytes, and it unpacks to more"):
        read_scan(path)


def test_what_no_machine_holds_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("zoo_segmentation.memory.physical_memory", lambda: 1000)
    nib.save(image_of(np.zeros((10, 10, 10), dtype=np.uint8)), tmp_path / "a.nii")
    with pytest.raises(UsageError, match=r"its 10x10x10 voxels would take 4e-06 GB, and this"):
        read_scan(tmp_path / "a.nii")
    with pytest.raises(UsageError, match=r"a: resampled from .* 1000x1000x1000 mm to 1x1x1 mm, "):
        require_resampled("a", [9, 9, 9], [1000] * 3, [1] * 3, 2)


def test_a_scan_knows_all_its_places(tmp_path):
    nib.save(with_places(np.eye(4), np.diag([-1.0, -1, 1, 1])), tmp_path / "a.nii")
    scan = replace(read_scan(tmp_path / "a.nii"), unit=0.5)
    assert [np.diag(place)[:3].tolist() for place in scan.places] == [
        [0.5, 0.5, 0.5],
        [0.5, 0.5, 0.5],
        [-0.5, -0.5, 0.5],
    ]
