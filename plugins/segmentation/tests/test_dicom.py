"""DICOM series: read by pydicom where it is installed, and otherwise a sentence."""

from __future__ import annotations

import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

import zoo
from zoo.plugin import UsageError
from zoo_segmentation.data.dicom import THICKNESS, is_dicom, read_series
from zoo_segmentation.data.nifti import write_nifti
from zoo_segmentation.data.volume_folder import VolumeFolder
from zoo_segmentation.data.volume_pairs import find_pairs
from zoo_segmentation.pyramid_lstm import SmallPyramidLSTMSegmenter

STORED = np.arange(4 * 5 * 6, dtype=np.uint16).reshape(4, 5, 6)  # (slice, row, column)


def save(folder: Path, name: str, number: int, **changes) -> Path:
    """Slice ``number`` of a series whose slices lie 3 mm apart, pixels 1 mm high and 2 mm wide."""
    pydicom = pytest.importorskip("pydicom")
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = CTImageStorage
    meta.MediaStorageSOPInstanceUID = f"1.2.3.{number + 1}"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one = pydicom.dataset.FileDataset(name, {}, file_meta=meta, preamble=bytes(128))
    values = {
        "SOPClassUID": CTImageStorage,
        "SOPInstanceUID": f"1.2.3.{number + 1}",
        "SeriesInstanceUID": "1.2.3",
        "Rows": 5,
        "Columns": 6,
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelSpacing": [1, 2],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [10, 20, 30 + 3 * number],
        "RescaleSlope": 2,
        "RescaleIntercept": -1000,
        "PixelData": STORED[number % 4].tobytes(),
    }
    for key, value in {**values, **changes}.items():
        if value is not None:
            setattr(one, key, value)
    folder.mkdir(parents=True, exist_ok=True)
    one.save_as(folder / name, enforce_file_format=True)
    return folder / name


def series(folder: Path, **changes) -> Path:
    """Four slices whose names do not tell their order."""
    paths = [save(folder, f"{name}.dcm", n, **changes) for n, name in enumerate("dbca")]
    return paths[0]


def test_a_series_is_one_volume_in_its_place(tmp_path):
    save(tmp_path, "other.dcm", 0, SeriesInstanceUID="9.9")
    scan = read_series(series(tmp_path))
    assert scan.spacing == (3.0, 1.0, 2.0)
    # Rows run to the back in DICOM, and forward here; columns to the left, and here to the right.
    expected = STORED[:, ::-1, ::-1].astype(np.float32) * 2 - 1000
    assert np.array_equal(scan.array[0], expected)
    assert np.allclose(scan.affine @ [0, 0, 0, 1], [-10, -20, 30, 1])
    assert np.allclose(scan.affine @ [1, 1, 1, 1], [-12, -21, 33, 1])
    assert scan.notes == ()


def test_sagittal_slices_are_turned(tmp_path):
    for number in range(4):
        place = {"ImagePositionPatient": [3 * number, 0, 0]}
        turned = {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}
        path = save(tmp_path, f"{number}.dcm", number, **place, **turned)
    scan = read_series(path)
    assert scan.spacing == (1.0, 2.0, 3.0)
    assert scan.array.shape == (1, 5, 6, 4)
    assert scan.array[0, 4, 5, 3] == -1000  # up, in front, to the right


def test_a_single_slice_says_what_was_assumed(tmp_path):
    scan = read_series(save(tmp_path, "a.dcm", 0, SliceThickness=4))
    assert (scan.spacing, scan.notes) == ((4.0, 1.0, 2.0), (THICKNESS,))


@pytest.mark.parametrize(
    ("last", "message"),
    [
        ({"ImagePositionPatient": [10, 20, 45]}, r"lie 3 to 9 mm apart, and have to be even"),
        ({"ImagePositionPatient": [10, 20, 33]}, "several slices in one place"),
        ({"ImagePositionPatient": [10, 25, 39]}, "do not lie above one another .a tilted gantry"),
        ({"PixelSpacing": [1, 1]}, "differ in size, direction or pixel spacing"),
        ({"NumberOfFrames": 7}, "holds 7 frames, and one slice a file is read; convert"),
        ({"ImagePositionPatient": None}, "lacks ImagePositionPatient, and one slice"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "holds MONOCHROME1 values; they have to be"),
        ({"PixelData": b"1234"}, "its pixels cannot be read"),
    ],
)
def test_what_is_no_even_series_is_refused_by_name(tmp_path, last, message):
    for number in range(3):
        path = save(tmp_path, f"{number}.dcm", number)
    save(tmp_path, "3.dcm", 3, **last)
    with pytest.raises(UsageError, match=message):
        read_series(path)


def test_a_folder_of_series_is_predicted_series_by_series(tmp_path):
    series(tmp_path / "in" / "patient")
    series(tmp_path / "in" / "other", SeriesInstanceUID="9.9")
    model = SmallPyramidLSTMSegmenter([2, 2], in_channels=1)
    found = zoo.predict(model, [tmp_path / "in"], out=tmp_path / "out")
    assert (len(found.rows), found.failures) == (2, {})
    written = nib.load(tmp_path / "out" / "labels" / "patient.nii.gz")
    assert written.shape == (6, 5, 4)
    assert np.allclose(written.affine, read_series(tmp_path / "in" / "patient" / "a.dcm").affine)


def fake(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(128) + b"DICM")
    return path


def test_without_pydicom_a_folder_is_refused_once_with_both_remedies(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    for name in "abc":
        fake(tmp_path / f"{name}.dcm")
    found = zoo.predict(
        SmallPyramidLSTMSegmenter([2, 2], in_channels=1), [tmp_path], out=tmp_path / "out"
    )
    (reason,) = found.failures.values()
    assert "with its extra dicom, or convert the series with dcm2niix" in reason


def test_damaged_files_are_named(tmp_path):
    pytest.importorskip("pydicom")
    (tmp_path / "a.dcm").write_bytes(b"no picture")
    with pytest.raises(UsageError, match=r"a\.dcm is not a readable DICOM file"):
        read_series(tmp_path / "a.dcm")
    assert not is_dicom(tmp_path / "gone.dcm")


def test_slices_in_no_folder_of_their_own_are_refused(tmp_path):
    fake(tmp_path / "images" / "IM0001")
    (tmp_path / "labels").mkdir()
    with pytest.raises(UsageError, match=r"images holds DICOM files, such as IM0001; .*dcm2niix"):
        find_pairs(tmp_path / "images", tmp_path / "labels")


def test_a_folder_of_slices_is_trained_on(tmp_path):
    for number in range(3):
        path = series(tmp_path / "images" / f"case_{number}")
        scan = read_series(path)
        marks = (scan.array[0] > scan.array.mean()).astype(np.uint8)
        write_nifti(tmp_path / "labels" / f"case_{number}.nii.gz", marks, scan)
    data = VolumeFolder(str(tmp_path), patch_size=[2, 2, 2], test_fraction=0.3, val_fraction=0)
    assert data.facts["spacing"] == [3, 1, 2]
    volume = data.samples("train")[0]
    assert (volume.label > 0).mean() == pytest.approx(0.5, abs=0.1)
    assert volume.image[0][volume.label > 0].min() > volume.image[0][volume.label == 0].max()
