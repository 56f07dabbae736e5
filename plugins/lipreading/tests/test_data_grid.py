"""GRID on small generated clips in its layouts, and on the real ones where they are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_lipreading.data.align import GRAMMAR, WORDS, transcript
from zoo_lipreading.data.grid import Grid
from zoo_lipreading.data.grid_files import find_grid
from zoo_lipreading.video.decode import read_video

SENTENCES = ("bbaf2n", "lgiz3p", "prwa9s", "swbyza", "bran1n")
"""Of each speaker in conftest's folder."""


@pytest.fixture
def data(tmp_path: Path, finder: str) -> Callable[..., Grid]:
    def build(root: Path, **arguments: object) -> Grid:
        defaults = {"size": [10, 20], "finder": finder, "cache": str(tmp_path / "cache")}
        return Grid(str(root), batch_size=4, **{**defaults, **arguments})

    return build


def clips(module: Grid) -> list:
    parts = module.parts
    return [*parts.train, *parts.val, *parts.test]


def test_words_are_cut_with_their_last_frame(grid: Path, data: Callable[..., Grid]) -> None:
    module = data(grid, split="speaker:s1")
    found = clips(module)
    assert len(found) == 30
    assert {clip.frames for clip in found} == {2}  # 1000 to 2990: frames 1 and 2
    assert module.facts["num_classes"] == 51
    assert module.facts["label_names"] == WORDS
    whole = data(grid, split="speaker:s1", unit="sentence")
    sentence = {clip.name: clip for clip in clips(whole)}["s1/bbaf2n"].read()
    words = {clip.name: clip for clip in found}
    for index, word in enumerate(transcript("bbaf2n") or []):
        clip = words[f"s1/bbaf2n {word}"]
        assert clip.label == WORDS.index(word)
        np.testing.assert_array_equal(clip.read(), sentence[1 + 2 * index : 3 + 2 * index])


def test_words_of_a_sentence_are_never_in_two_parts(grid: Path, data: Callable[..., Grid]) -> None:
    parts = data(grid, val_fraction=0.2).parts
    train, val, test = (
        {c.recording for c in part} for part in (parts.train, parts.val, parts.test)
    )
    assert train
    assert val
    assert test
    assert train.isdisjoint(val)
    assert train.isdisjoint(test)
    assert val.isdisjoint(test)


def test_sentences(grid: Path, data: Callable[..., Grid]) -> None:
    module = data(grid, unit="sentence", split="s1->s10", target=True)
    facts = module.facts
    assert facts["grammar"] == GRAMMAR
    assert facts["label_names"][:2] == ["<blank>", " "]
    assert facts["speakers"] == ["s1", "s2", "s10"]
    batch = next(iter(module.train_dataloader()))
    assert batch["video"].shape[1:] == (14, 10, 20)
    assert set(batch["target"]) == {"video", "lengths", "speaker"}
    assert set(batch["target"]["speaker"].tolist()) == {2}
    spelt = "".join(facts["label_names"][n] for n in batch["targets"][0].tolist() if n)
    assert [word in place for word, place in zip(spelt.split(), GRAMMAR, strict=True)] == [True] * 6


def test_sentences_need_no_alignment_and_words_do(
    grid: Path, data: Callable[..., Grid], caplog: pytest.LogCaptureFixture
) -> None:
    (grid / "s2" / "align" / "bbaf2n.align").unlink()
    assert len(clips(data(grid, unit="sentence"))) == 15
    module = data(grid)
    assert len(clips(module)) == 84
    assert module.facts["skipped_clips"] == 1
    assert "there is no bbaf2n.align" in caplog.text


def test_an_untranscribed_target_is_adapted_to_in_pieces_and_not_tested(
    grid: Path, data: Callable[..., Grid], make: SimpleNamespace
) -> None:
    shutil.rmtree(grid / "s2" / "align")
    align = grid / "s10" / "align"
    for path in sorted(align.iterdir())[1:]:
        path.unlink()
    make.video(grid / "s10" / "video" / "anything.mp4", make.moving(14))
    module = data(grid, split="s1->s10", target=True)
    parts = module.parts
    assert {clip.recording for clip in parts.test} == {"s10/bbaf2n"}  # all that has an alignment
    assert all(clip.transcribed for clip in (*parts.train, *parts.val, *parts.test))
    pieces: dict[str, list[int]] = {}
    for clip in parts.adapt:
        assert not clip.transcribed
        pieces.setdefault(clip.recording or "", []).append(clip.frames)
    assert set(pieces) == {f"s10/{name}" for name in ("anything", *sorted(SENTENCES)[1:])}
    assert all(lengths == [2] * 7 for lengths in pieces.values())  # words have two frames
    # Of a source they are left out; nothing can be learnt from them.
    with pytest.raises(UsageError, match="no clip is in the training part; 5 were left out"):
        data(grid, split="s2->s1").setup()
    # A speaker of whom nothing is transcribed cannot be tested, but can be adapted to.
    with pytest.raises(UsageError, match="no clip is in the test part"):
        data(grid, split="s1->s2", target=True).setup()
    assert data(grid, split="s1->s2", target=True, test_on="source").parts.adapt


def test_an_untranscribed_sentence_is_adapted_to_whole(
    grid: Path, data: Callable[..., Grid], make: SimpleNamespace
) -> None:
    make.video(grid / "s10" / "video" / "anything.mp4", make.moving(14))
    make.video(grid / "s10" / "video" / "faster.mp4", make.moving(28), rate=50)
    module = data(grid, split="s1->s10", target=True, unit="sentence")
    parts = module.parts
    assert {clip.frames for clip in parts.adapt} == {14}
    assert sum(not clip.transcribed for clip in parts.adapt) == 2
    assert "targets" not in next(iter(module.train_dataloader()))["target"]


def test_layouts(tmp_path: Path, make: SimpleNamespace) -> None:
    root = tmp_path / "layouts"
    frames = make.moving(4)
    places = [
        root / "s1" / "video" / "bbaf2n.mpg",
        root / "s2" / "lgiz3p.mpg",
        root / "video" / "s3" / "video" / "mpg_6000" / "prwa9s.mpg",
        root / "s4" / "video" / "mpg_vcd" / "swbyza.avi",
    ]
    for path in places:
        make.video(path, frames)
    folder = root / "s5" / "bran1n"
    folder.mkdir(parents=True)
    for index, frame in enumerate(frames):
        cv2.imwrite(str(folder / f"{index + 1}.jpg"), frame)
    make.align(root / "alignments" / "s2" / "lgiz3p.align", transcript("lgiz3p"))
    make.align(root / "s1" / "align" / "bbaf2n.align", transcript("bbaf2n"))
    (root / "s1" / "video" / "notes.mpg").write_text("not a clip's name")
    (root / "s1" / "notes.txt").write_text("no video")
    files = find_grid(root)
    assert files.speakers == ["s1", "s2", "s3", "s4", "s5"]
    found = [path for speaker in files.speakers for path in files.videos[speaker].values()]
    assert found == [*places, folder]
    assert set(files.aligns) == {"s1", "s2"}
    assert files.untranscribed == {"s1": {"notes": root / "s1" / "video" / "notes.mpg"}}
    np.testing.assert_allclose(read_video(folder).frames.astype(int), frames, atol=12)


def test_a_speaker_s_own_folder_as_the_root(grid: Path, data: Callable[..., Grid]) -> None:
    # The folder's name says who it is.
    assert find_grid(grid / "s1").speakers == ["s1"]


def test_named_splits(tmp_path: Path) -> None:
    speakers = [f"s{number}" for number in (*range(1, 11), 20, 22)]
    named = Grid(str(tmp_path))._named_splits(speakers)
    assert named["unseen"].targets == ("s1", "s2", "s20", "s22")
    assert named["unseen"].sources == tuple(f"s{number}" for number in range(3, 11))
    assert named["1->next:s1"].speakers == ("s1", "s2")
    assert named["4->next:s3"].sources == ("s3", "s4", "s5", "s6")
    assert named["4->next:s3"].targets == ("s7",)
    assert named["8->next:s3"].targets == ("s20",)
    assert "8->next:s5" not in named


def test_overlapped_holds_255_clips_out(grid: Path, data: Callable[..., Grid]) -> None:
    with pytest.raises(
        UsageError, match=r"holds out 255 clips of each speaker, and .* has 5 of s1"
    ):
        data(grid, split="overlapped").setup()
    module = data(grid, split="overlapped")
    codes = [f"{n:06d}" for n in range(1000)]
    held = module._held_out("s1", codes)
    assert len(held) == 255
    assert held == module._held_out("s1", codes) != module._held_out("s2", codes)


def test_clips_without_a_face_are_left_out_and_counted(
    grid: Path, data: Callable[..., Grid], make: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    path = grid / "s2" / "video" / "lgiz3p.mpg"
    make.video(path, np.full((14, 48, 64), 128, np.uint8))
    module = data(grid, unit="sentence")
    assert module.facts["skipped_clips"] == 1
    assert len(clips(module)) == 14
    assert f"{path}: the clip is all gray" in caplog.text
    # The real detector finds no face in any.
    with pytest.raises(UsageError, match="no clip is in the training part; 15 were left out"):
        data(grid, unit="sentence", finder="haar").setup()


def test_what_is_wrong_comes_in_one_report(
    grid: Path, data: Callable[..., Grid], make: SimpleNamespace
) -> None:
    (grid / "s1" / "video" / "bbaf2n.mpg").write_text("no video")
    align = grid / "s1" / "align"
    make.align(align / "lgiz3p.align", transcript("lgiz4p"))
    (grid / "s2" / "align" / "swbyza.align").write_text("0 99000 set\n")
    (grid / "s10" / "align" / "bran1n.align").write_text("2000 1000 bin\n")
    with pytest.raises(UsageError) as caught:
        data(grid).setup()
    text = str(caught.value)
    assert text.startswith("4 files under")
    for words in (
        "bbaf2n.mpg cannot be decoded",
        "lgiz3p.align:6: the word is 'four', and the clip's name says",
        "swbyza.align:1: 'set' ends at 99000, and the clip of 14 frames ends at 14000",
        "bran1n.align:1: 'bin' ends at 1000 and starts at 2000",
    ):
        assert words in text
    assert data(grid, skip_faulty=True).facts["skipped_clips"] == 4


def test_missing_roots(tmp_path: Path, data: Callable[..., Grid]) -> None:
    with pytest.raises(UsageError, match=r"no .*nowhere; point --data\.root at the folder of GRID"):
        data(tmp_path / "nowhere").setup()
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="has no clip of GRID"):
        data(tmp_path / "empty").setup()


def test_unknown_speaker(grid: Path, data: Callable[..., Grid]) -> None:
    with pytest.raises(UsageError, match=r"names 's9', and the speakers under .* are s1, s2, s10"):
        data(grid, split="s1->s9").setup()


def test_only_the_split_s_speakers_are_read(grid: Path, data: Callable[..., Grid]) -> None:
    shutil.rmtree(grid / "s2" / "video")
    (grid / "s2" / "video").mkdir()
    (grid / "s2" / "video" / "bbaf2n.mpg").write_text("no video")
    assert len(clips(data(grid, split="s1->s10", unit="sentence"))) == 5  # 4 of s1, 1 of s10


def test_the_real_one(real: Callable[[str], Path], tmp_path: Path) -> None:
    root = real("grid")
    module = Grid(
        str(root), split="speaker:s2", unit="sentence", cache=str(tmp_path), test_fraction=0.5
    )
    batch = next(iter(module.test_dataloader()))
    assert batch["video"].shape[1:] == (75, 40, 80)


def touch(path: Path) -> Path:
    """An empty file: where files lie is found without reading them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


@pytest.mark.parametrize(
    ("video", "align"),
    [
        ("s1/bbaf2n.mpg", "alignments/s1/bbaf2n.align"),  # of Zenodo's s1.zip and alignments.zip
        ("s1/video/mpg_6000/bbaf2n.mpg", "s1/align/bbaf2n.align"),
        ("s1_processed/bbaf2n.mpg", "s1_processed/align/bbaf2n.align"),  # of LipNet
        ("data/s1/bbaf2n.mpg", "data/alignments/s1/bbaf2n.align"),  # of Kaggle
        ("s1.mpg_vcd/s1/bbaf2n.mpg", "s1.align/bbaf2n.align"),
        ("S1/BBAF2N.MPG", "S1/align/BBAF2N.ALIGN"),
    ],
)
def test_layouts_of_publishers(tmp_path: Path, video: str, align: str) -> None:
    touch(tmp_path / video)
    touch(tmp_path / align)
    touch(tmp_path / video).with_name("._bbaf2n.mpg").touch()
    touch(tmp_path / "__MACOSX" / "s1" / "lgiz3p.mpg")
    touch(tmp_path / ".cache" / "s1" / "prwa9s.mpg")
    files = find_grid(tmp_path)
    assert files.videos == {"s1": {"bbaf2n": tmp_path / video}}
    assert files.aligns == {"s1": {"bbaf2n": tmp_path / align}}
    assert not files.untranscribed


def test_a_folder_s_name_that_is_taken_for_a_speaker_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(tmp_path / "s1_processed" / "bbaf2n.mpg")
    find_grid(tmp_path)
    assert "s1_processed for s1 are taken for speakers" in caplog.text
    caplog.clear()
    touch(tmp_path / "plain" / "s1" / "bbaf2n.mpg")
    find_grid(tmp_path / "plain")
    assert not caplog.text
    touch(tmp_path / "s3-bucket" / "notes.mpg")  # names no speaker
    assert find_grid(tmp_path / "s3-bucket").speakers == []


def test_links_are_followed_once(tmp_path: Path) -> None:
    disk = touch(tmp_path / "disk" / "s1" / "bbaf2n.mpg").parent
    root = tmp_path / "grid"
    root.mkdir()
    (root / "s1").symlink_to(disk)
    (disk / "up").symlink_to("..")
    (disk / "self").symlink_to(disk)
    assert find_grid(root).videos == {"s1": {"bbaf2n": root / "s1" / "bbaf2n.mpg"}}


def test_what_is_there_twice_is_read_once_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = touch(tmp_path / "s1" / "video" / "mpg_6000" / "bbaf2n.mpg")
    second = touch(tmp_path / "s1" / "video" / "mpg_vcd" / "bbaf2n.mpg")
    assert find_grid(tmp_path).videos == {"s1": {"bbaf2n": first}}
    assert f"a second time are left out, 1 in all, such as {second}, as {first} is" in caplog.text
