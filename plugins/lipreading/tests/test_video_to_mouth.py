"""Decoding, finding the mouth, cropping it, and keeping it."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_lipreading.video.cache import cached, default_folder, key_of
from zoo_lipreading.video.crop import crop_mouth
from zoo_lipreading.video.decode import read_video
from zoo_lipreading.video.face import NoMouthError, find_by_haar, mouth_finder, whole_frame
from zoo_lipreading.video.mouths import Mouths, read_mouth


@pytest.mark.parametrize("suffix", [".mpg", ".avi", ".mp4"])
def test_frames_are_counted_by_decoding(tmp_path: Path, make: SimpleNamespace, suffix: str) -> None:
    frames = make.moving(17)
    video = read_video(make.video(tmp_path / f"a{suffix}", frames))
    assert video.frames.shape == frames.shape
    assert video.at(25) is video.frames
    assert video.end == pytest.approx(17 / 25)
    assert np.abs(video.frames.astype(int) - frames).mean() < 6  # lossy, but black is black


def test_the_rate_of_the_shortest_clip(tmp_path: Path, make: SimpleNamespace) -> None:
    # Of two frames the container knows no average rate.
    video = read_video(make.video(tmp_path / "a.mpg", make.moving(2)))
    assert (len(video.frames), len(video.at(25))) == (2, 2)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(1600))
    with pytest.raises(UsageError, match=r"a\.wav has no video, only audio"):
        read_video(path)


def test_odd_sizes_have_no_padding(tmp_path: Path, make: SimpleNamespace) -> None:
    frames = make.moving(3, height=46, width=70)
    assert read_video(make.video(tmp_path / "a.mp4", frames)).frames.shape == (3, 46, 70)


def test_pictures_are_taken_by_their_numbers(tmp_path: Path) -> None:
    for number in (10, 9, 1, 2):
        picture = np.full((8, 8), 20 * number, np.uint8)
        cv2.imwrite(str(tmp_path / f"frame{number}.png"), picture)
    (tmp_path / "notes.txt").write_text("no image")
    frames = read_video(tmp_path).frames
    assert frames[:, 0, 0].tolist() == [20, 40, 180, 200]


def test_pictures_that_are_missing_or_there_twice_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in (1, 2, 3, 4):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((8, 8), number, np.uint8))
    (tmp_path / "._1.png").write_bytes(b"of a Mac")
    assert len(read_video(tmp_path).frames) == 4
    assert not caplog.text
    (tmp_path / "3.png").unlink()
    assert len(read_video(tmp_path).frames) == 3
    assert "the images after number 2 are missing" in caplog.text
    cv2.imwrite(str(tmp_path / "4.jpg"), np.full((8, 8), 4, np.uint8))
    with pytest.raises(UsageError, match=r"several formats \(4\.jpg and 4\.png\)"):
        read_video(tmp_path)


def test_what_is_no_video(tmp_path: Path, make: SimpleNamespace) -> None:
    text = tmp_path / "a.mpg"
    text.write_text("this is text " * 500)
    with pytest.raises(UsageError, match=r"a\.mpg cannot be decoded as a video"):
        read_video(text)
    (tmp_path / "empty.mpg").write_bytes(b"")
    with pytest.raises(UsageError, match=r"empty\.mpg cannot be decoded"):
        read_video(tmp_path / "empty.mpg")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UsageError, match=r"folder has no frame"):
        read_video(tmp_path / "folder")
    (tmp_path / "folder" / "1.jpg").write_text("no image")
    with pytest.raises(UsageError, match=r"1\.jpg cannot be read as an image"):
        read_video(tmp_path / "folder")


def test_pictures_of_two_sizes(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((8, 8), np.uint8))
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((8, 9), np.uint8))
    with pytest.raises(UsageError, match="frames of 8x8 and 9x8; they have to be of one size"):
        read_video(tmp_path)


def test_a_crop_at_its_own_size_is_a_cut() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (4, 30, 40)).astype(np.uint8)
    crop = crop_mouth(frames, lambda _: np.array([5, 7, 16, 8]), (8, 16))
    np.testing.assert_array_equal(crop, frames[:, 7:15, 5:21])


def test_a_large_box_is_averaged() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 40, 80)).astype(np.uint8)
    crop = crop_mouth(frames, lambda _: np.array([0, 0, 80, 40]), (10, 20))
    mean = frames.reshape(2, 10, 4, 20, 4).mean(axis=(2, 4))
    assert np.abs(crop - mean).max() <= 1


def test_a_box_is_widened_to_the_shape_around_its_center() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (1, 40, 80)).astype(np.uint8)
    thin = crop_mouth(frames, lambda _: np.array([30, 18, 20, 4]), (10, 20))
    wide = crop_mouth(frames, lambda _: np.array([30, 15, 20, 10]), (10, 20))
    np.testing.assert_array_equal(thin, wide)


def test_beyond_the_edge_the_last_pixels_go_on() -> None:
    frames = np.tile(np.arange(40, dtype=np.uint8) * 4, (1, 20, 1))
    crop = crop_mouth(frames, lambda _: np.array([-10, -5, 20, 10]), (10, 20))
    assert (crop[0, :, :10] == 0).all()
    assert (crop[0, :, 10:] == frames[0, 0, :10]).all()


def test_a_box_for_every_frame_follows_the_mouth() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, 30, 40)).astype(np.uint8)
    boxes = np.array([[2 * t, t, 20, 10] for t in range(3)])
    crop = crop_mouth(frames, lambda _: boxes, (10, 20))
    for t in range(3):
        np.testing.assert_array_equal(crop[t], frames[t, t : t + 10, 2 * t : 2 * t + 20])


def test_gray_and_faceless_clips() -> None:
    gray = np.full((20, 96, 96), 128, np.uint8)
    with pytest.raises(NoMouthError, match="all gray"):
        crop_mouth(gray, whole_frame, (40, 80))
    noise = np.random.default_rng(0).integers(0, 256, (9, 96, 96)).astype(np.uint8)
    with pytest.raises(NoMouthError, match="no face"):
        crop_mouth(noise, find_by_haar, (40, 80))


def test_a_clip_that_is_gray_only_at_first_is_kept() -> None:
    frames = np.full((20, 20, 40), 128, np.uint8)
    frames[12:] = np.random.default_rng(0).integers(0, 256, (8, 20, 40))
    assert crop_mouth(frames, whole_frame, (10, 20)).shape == (20, 10, 20)


@pytest.mark.parametrize("boxes", [np.zeros(3), np.zeros((2, 4)), np.array([0, 0, 0, 5])])
def test_a_finder_that_gives_no_box(boxes: np.ndarray) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (5, 30, 40)).astype(np.uint8)
    with pytest.raises(UsageError, match="the mouth finder gave"):
        crop_mouth(frames, lambda _: boxes, (10, 20))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("dlib", "no mouth finder 'dlib'; it is haar or whole, or a function of yours"),
        ("no.such.module:find", "'no.such.module:find' cannot be imported"),
        ("math:nothing", "'math:nothing' cannot be imported"),
        ("math:pi", "'math:pi' is not a function"),
    ],
)
def test_a_finder_that_is_not_there(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        mouth_finder(name)


def test_the_cache_is_used_and_follows_file_and_parameters(
    tmp_path: Path, make: SimpleNamespace, finder: str
) -> None:
    path = make.video(tmp_path / "a.mpg", make.moving(9))
    folder = tmp_path / "cache"
    first = Mouths((10, 20), finder, cache=folder).file(path)
    made = first.stat().st_mtime_ns
    assert Mouths((10, 20), finder, cache=folder).file(path) == first
    assert first.stat().st_mtime_ns == made
    np.testing.assert_array_equal(np.load(first), read_mouth(path, mouth_finder(finder), (10, 20)))
    assert Mouths((20, 40), finder, cache=folder).file(path) != first
    assert Mouths((10, 20), "whole", cache=folder).file(path) != first
    make.video(path, make.moving(9, seed=5))
    os.utime(path, ns=(1, 1))
    changed = Mouths((10, 20), finder, cache=folder).file(path)
    assert changed != first
    assert not np.array_equal(np.load(changed), np.load(first))
    assert not list(folder.rglob("*.tmp"))


def test_a_finder_s_version_is_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    keys = {key_of(tmp_path / "a", {"finder_version": version}) for version in ("1", "2")}
    assert len(keys) == 2


def test_a_broken_file_of_the_cache_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = cached(tmp_path, "abcd", lambda: np.arange(30, dtype=np.uint8).reshape(3, 2, 5))
    path.write_bytes(path.read_bytes()[:-7])
    again = cached(tmp_path, "abcd", lambda: np.zeros((3, 2, 5), np.uint8))
    assert np.load(again).sum() == 0
    assert "broken" in caplog.text


def test_a_cache_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match=r"file cannot be written to .*; name another by --data"):
        cached(tmp_path / "file", "abcd", lambda: np.zeros(3))


def test_nothing_is_kept_of_what_fails(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.video(tmp_path / "a.mpg", np.full((9, 48, 64), 90, np.uint8))
    with pytest.raises(NoMouthError, match=r"a\.mpg: the clip is all gray"):
        Mouths(cache=tmp_path / "cache").file(path)
    assert not list((tmp_path / "cache").rglob("*.npy"))


def test_the_cache_is_the_user_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "zoo" / "mouths"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_folder() == tmp_path / ".cache" / "zoo" / "mouths"


def test_real_faces(real: Callable[[str], Path]) -> None:
    paths = [sorted(folder.glob("*.mpg"))[0] for folder in sorted(real("grid").glob("s*/video"))]
    assert paths
    for path in paths:
        frames = read_video(path).frames
        assert frames.shape == (75, 288, 360)
        box = find_by_haar(frames)
        assert box is not None, path
        x, y, width, height = box
        assert 50 < width < 140
        assert 144 < y + height / 2 < 288  # in the lower half
        assert 72 < x + width / 2 < 288
        mouth = read_mouth(path, find_by_haar)
        assert mouth.shape == (75, 40, 80)
        # What moves is the mouth: more in the middle of the crop than at its sides.
        moves = mouth.astype(float).std(axis=0)
        assert moves[8:32, 20:60].mean() > moves[:, [*range(8), *range(72, 80)]].mean()
