"""GTSRB in its publisher's layouts: generated signs everywhere, the real ones where they are."""

from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import numpy as np
import pytest
from PIL import Image

from zoo.plugin import UsageError
from zoo_vision.data.gtsrb import CLASSES, GTSRB

PARTS = ("train", "val", "test")
COLUMNS = "Filename;Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId"


def ppm(value: int, size: int = 20) -> bytes:
    """A sign of one gray value in a black border of 5 pixels."""
    pixels = np.zeros((size, size, 3), dtype=np.uint8)
    pixels[5:-5, 5:-5] = value
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "ppm")
    return stream.getvalue()


def signs(
    folder: str, classes: int = 3, tracks: int = 5, frames: int = 4, tables: bool = False
) -> dict[str, bytes]:
    """Files of a training set; the gray value tells class and track."""
    files: dict[str, bytes] = {}
    for label in range(classes):
        rows = [COLUMNS]
        for track in range(tracks):
            for frame in range(frames):
                name = f"{track:05}_{frame:05}.ppm"
                files[f"{folder}/{label:05}/{name}"] = ppm(50 * label + 5 * track + 30)
                rows.append(f"{name};20;20;5;5;15;15;{label}")
        if tables:
            files[f"{folder}/{label:05}/GT-{label:05}.csv"] = "\r\n".join(rows).encode()
    return files


def final_test(count: int = 6, labels: str = "") -> dict[str, bytes]:
    rows = [COLUMNS]
    files: dict[str, bytes] = {}
    for number in range(count):
        files[f"GTSRB/Final_Test/Images/{number:05}.ppm"] = ppm(250)
        rows.append(f"{number:05}.ppm;20;20;5;5;15;15;{labels or number % 3}")
    files["GT-final_test.csv"] = "\n".join(rows).encode()
    return files


def unpacked(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def load(root: Path, **arguments) -> GTSRB:
    data = GTSRB(str(root), **{"image_size": 12, **arguments})
    data.setup()
    return data


def sizes(data: GTSRB) -> list[int]:
    return [len(data.samples(part)) for part in PARTS]


def tracks_of(data: GTSRB, part: str) -> set[tuple[int, int]]:
    """Class and track of the images of a part, read from their gray values."""
    images = data.samples(part)
    return {
        (int(label), int(value))
        for label, value in zip(images.labels, images.images[:, 0, 6, 6], strict=True)
    }


@pytest.mark.parametrize(
    "folder", ["GTSRB/Training", "GTSRB/Final_Training/Images", "Training", "GTSRB/elsewhere"]
)
def test_folders_and_zips_give_the_same_images(tmp_path, folder):
    files = signs(folder)
    in_folder = load(unpacked(tmp_path / "folder", files))
    in_zip = load(zipped(tmp_path / "zip" / "signs.zip", files))
    beside = load(tmp_path / "zip")
    for part in PARTS:
        first = in_folder.samples(part).images
        assert np.array_equal(first, in_zip.samples(part).images)
        assert np.array_equal(first, beside.samples(part).images)
    assert in_folder.facts["num_classes"] == 43
    assert in_folder.facts["label_names"] == CLASSES
    assert in_folder.facts["image_size"] == [12, 12]


def test_no_track_is_in_two_parts_and_every_class_in_all(tmp_path):
    data = load(unpacked(tmp_path, signs("GTSRB/Training")))
    assert sizes(data) == [3 * 3 * 4, 3 * 1 * 4, 3 * 1 * 4]
    tracks = [tracks_of(data, part) for part in PARTS]
    assert sum(map(len, tracks)) == len(set.union(*tracks)) == 15
    assert all({label for label, _ in part} == {0, 1, 2} for part in tracks)
    assert tracks_of(load(tmp_path, seed=5, val_fraction=0), "test") == tracks[2]


def test_split_all_makes_every_image_test_data(tmp_path):
    assert sizes(load(unpacked(tmp_path, signs("Training")), split="all")) == [0, 0, 60]


def test_the_final_training_set_is_used_alone(tmp_path):
    unpacked(tmp_path, signs("GTSRB/Training"))
    zipped(tmp_path / "final.zip", signs("GTSRB/Final_Training/Images", frames=6))
    assert sum(sizes(load(tmp_path))) == 3 * 5 * 6


def test_what_is_unpacked_and_zipped_counts_once(tmp_path):
    files = signs("GTSRB/Training")
    zipped(tmp_path / "signs.zip", files)
    unpacked(tmp_path, files)
    assert sum(sizes(load(tmp_path))) == 60


def test_the_publishers_test_set_is_the_test_part(tmp_path):
    zipped(tmp_path / "images.zip", signs("GTSRB/Final_Training/Images"))
    zipped(tmp_path / "test.zip", final_test())
    data = load(tmp_path)
    assert sizes(data) == [3 * 4 * 4, 3 * 1 * 4, 6]
    assert data.samples("test").labels.tolist() == [0, 1, 2, 0, 1, 2]


def test_the_sign_can_be_cut_out(tmp_path):
    unpacked(tmp_path, signs("Training", tables=True) | final_test())
    whole, cut = load(tmp_path), load(tmp_path, crop_to_sign=True)
    for part in ("train", "test"):
        assert (whole.samples(part).images[:, :, 0, 0] == 0).all()
        assert (cut.samples(part).images > 20).all()


def test_cutting_out_needs_the_tables(tmp_path):
    unpacked(tmp_path, signs("Training"))
    with pytest.raises(UsageError, match=r"no GT-<class>\.csv .* set crop_to_sign to false"):
        load(tmp_path, crop_to_sign=True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "00000_00000.ppm;20;20;5;5;x;15;0",
            r"Roi\.X2 of 00000_00000\.ppm is 'x' and not",
        ),
        ("00000_00000.ppm;20;20;9;5;9;15;0", r"box of 00000_00000\.ppm is empty"),
        ("00000_00000.ppm;20", "is None and not a number"),
    ],
)
def test_a_damaged_table_is_named(tmp_path, row, message):
    files = signs("Training", tables=True)
    files["Training/00001/GT-00001.csv"] = f"{COLUMNS}\n{row}\n".encode()
    unpacked(tmp_path, files)
    with pytest.raises(UsageError, match=rf"GT-00001\.csv: .*{message}"):
        load(tmp_path, crop_to_sign=True)


def test_test_images_and_their_table_have_to_agree(tmp_path):
    unpacked(tmp_path, signs("Training") | final_test())
    unpacked(tmp_path, {"GTSRB/Final_Test/Images/00099.ppm": ppm(1)})
    with pytest.raises(UsageError, match=r"00099\.ppm is not listed in .*GT-final_test\.csv"):
        load(tmp_path)
    unpacked(tmp_path, {"GT-final_test.csv": b"Filename,ClassId\n00000.ppm,1\n"})
    with pytest.raises(UsageError, match="lacks the columns Filename, ClassId"):
        load(tmp_path)


def test_labels_outside_the_classes_are_refused(tmp_path):
    unpacked(tmp_path / "a", signs("Training") | final_test(labels="43"))
    with pytest.raises(UsageError, match="6 labels lie outside the 43 classes"):
        load(tmp_path / "a")
    unpacked(tmp_path / "b", signs("Training") | {"Training/00043/00000_00000.ppm": ppm(1)})
    with pytest.raises(UsageError, match="class 43 is outside the 43 classes"):
        load(tmp_path / "b")


def kaggle(tracks: int = 5, frames: int = 4, tests: int = 6) -> dict[str, bytes]:
    """The layout of the archive at Kaggle."""

    def png(value: int) -> bytes:
        stream = io.BytesIO()
        Image.open(io.BytesIO(ppm(value))).save(stream, "png")
        return stream.getvalue()

    columns = "Width,Height,Roi.X1,Roi.Y1,Roi.X2,Roi.Y2,ClassId,Path"
    files: dict[str, bytes] = {}
    train, test = [columns], [columns]
    for label in range(3):
        for track in range(tracks):
            for frame in range(frames):
                name = f"Train/{label}/{label:05}_{track:05}_{frame:05}.png"
                files[name] = png(50 * label + 5 * track + 30)
                train.append(f"20,20,5,5,15,15,{label},{name}")
    for number in range(tests):
        files[f"Test/{number:05}.png"] = png(250)
        test.append(f"20,20,5,5,15,15,{number % 3},Test/{number:05}.png")
    files["Train.csv"] = "\n".join(train).encode()
    files["Test.csv"] = "\n".join(test).encode()
    files["Meta/0.png"] = png(1)
    return files


@pytest.mark.parametrize("below", ["", "archive/"])
def test_kaggles_archive_is_read_in_place(tmp_path, below):
    files = {f"{below}{name}": content for name, content in kaggle().items()}
    in_folder = load(unpacked(tmp_path / "folder", files))
    in_zip = load(zipped(tmp_path / "zip" / "archive.zip", files))
    publishers = load(unpacked(tmp_path / "ppm", signs("Training")), test_fraction=0)
    for data in (in_folder, in_zip):
        assert sizes(data) == [3 * 4 * 4, 3 * 1 * 4, 6]
        assert data.samples("test").labels.tolist() == [0, 1, 2, 0, 1, 2]
        for part in ("train", "val"):
            assert np.array_equal(data.samples(part).images, publishers.samples(part).images)
            assert data.tracks[part] == publishers.tracks[part]
    cut = load(tmp_path / "folder", crop_to_sign=True)
    for part in ("train", "test"):
        assert (in_folder.samples(part).images[:, :, 0, 0] == 0).all()
        assert (cut.samples(part).images > 20).all()


def test_kaggles_copies_in_small_letters_count_once(tmp_path):
    files = kaggle()
    copies = {name.lower(): content for name, content in files.items() if "csv" not in name}
    assert sizes(load(zipped(tmp_path / "a.zip", {**files, **copies}))) == [48, 12, 6]


def test_kaggles_tests_and_their_table_have_to_agree(tmp_path):
    unpacked(tmp_path, kaggle())
    unpacked(tmp_path, {"Test/00099.png": ppm(1)})
    with pytest.raises(UsageError, match=r"00099\.png is not listed in .*Test\.csv"):
        load(tmp_path)
    (tmp_path / "Test" / "00099.png").unlink()
    (tmp_path / "Test" / "00001.png").unlink()
    with pytest.raises(UsageError, match=r"Test\.csv lists Test/00001\.png, which is not there"):
        load(tmp_path)


def test_appledouble_files_and_links_in_circles_are_left_alone(tmp_path):
    files = signs("GTSRB/Training")
    hidden = {
        "GTSRB/Training/00000/._00000_00000.ppm": b"x",
        "__MACOSX/GTSRB/Training/00000/00000_00000.ppm": b"x",
    }
    assert sum(sizes(load(zipped(tmp_path / "a.zip", {**hidden, **files})))) == 60
    root = unpacked(tmp_path / "folder", {**hidden, **files})
    (root / "GTSRB" / "Training" / "up").symlink_to(root)
    assert sum(sizes(load(root))) == 60


def test_a_member_that_unpacks_to_much_more_than_a_picture_is_not_unpacked(tmp_path):
    files = signs("Training")
    files["Training/00001/00002_00003.ppm"] = b"P6 9000 9000 255\n" + bytes(70_000_000)
    path = tmp_path / "bomb.zip"
    with ZipFile(path, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    del files
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=r"1 of 60 .*bomb\.zip:.*announces 70,000,017 bytes"):
            load(path)
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**7
    finally:
        tracemalloc.stop()


def test_images_that_do_not_decode_are_named_and_counted(tmp_path):
    files = signs("Training")
    files["Training/00001/00002_00003.ppm"] = b"no image"
    files["Training/00002/00000_00000.ppm"] = files["Training/00002/00000_00000.ppm"][:-50]
    with pytest.raises(UsageError, match="2 of 60 image files do not decode") as caught:
        load(zipped(tmp_path / "signs.zip", files))
    assert "signs.zip:Training/00001/00002_00003.ppm" in str(caught.value)
    assert "Training/00002/00000_00000.ppm" in str(caught.value)


def test_a_damaged_zip_is_named(tmp_path):
    path = zipped(tmp_path / "signs.zip", signs("Training"))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(UsageError, match=r"signs\.zip is a damaged zip file"):
        load(tmp_path)
    with pytest.raises(UsageError, match=r"signs\.zip is a damaged zip file"):
        load(path)


def test_a_damaged_image_inside_a_zip_is_named(tmp_path):
    path = zipped(tmp_path / "signs.zip", signs("Training"))
    content = bytearray(path.read_bytes())
    content[200] ^= 0xFF  # in the first image's pixels, which the checksum covers
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"1 of 60 .*00000_00000\.ppm"):
        load(tmp_path)


def test_a_missing_or_empty_folder_is_named(tmp_path):
    with pytest.raises(UsageError, match="nowhere is neither a folder nor a zip file; fetch"):
        load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="holds no images <class>/<track>_<frame>"):
        load(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [{"val_fraction": 0.5, "test_fraction": 0.5}, {"test_fraction": -0.1}, {"image_size": 0}],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match="has to be"):
        GTSRB(**arguments)


def test_the_real_signs():
    folder = Path(os.environ.get("ZOO_DATA", "../shared/data")) / "gtsrb"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; set ZOO_DATA to the folder that holds gtsrb/")
    data = GTSRB(str(folder))
    assert sum(sizes(data)) >= 4000
    tracks = [set(data.tracks[part]) for part in PARTS]
    assert sum(map(len, tracks)) == len(set.union(*tracks))
    assert [len(data.tracks[part]) for part in PARTS] == sizes(data)
    for part in PARTS:
        assert set(data.samples(part).labels.tolist()) == set(range(43))
