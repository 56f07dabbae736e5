"""AVLetters on small files in its layout, and on the real ones where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.io import loadmat, savemat

from zoo.plugin import UsageError
from zoo_lipreading.data.avletters import AVLetters, read_lips
from zoo_lipreading.data.htk import read_htk


def data(root: Path, **arguments: object) -> AVLetters:
    return AVLetters(str(root), batch_size=4, **{"size": [12, 16], **arguments})


def test_columns_are_transposed_frames(avletters: Path) -> None:
    path = avletters / "Lips" / "A1_Ann-lips.mat"
    vid = loadmat(path)["vid"]
    frames = read_lips(path)
    assert frames.shape == (vid.shape[1], 60, 80)
    for t, row, column in ((0, 0, 0), (2, 59, 3), (4, 7, 79)):
        assert frames[t, row, column] == vid[column * 60 + row, t]


def test_parts_and_facts(avletters: Path) -> None:
    module = data(avletters)
    facts = module.facts
    assert facts["speakers"] == ["Ann", "Bob", "Cyd"]
    assert facts["num_classes"] == len(facts["label_names"]) == 26
    assert facts["image_size"] == [12, 16]
    assert facts["train_size"] == 22  # 24 less a tenth
    assert facts["audio_size"] is None
    batches = list(module.test_dataloader())
    assert sum(len(batch["label"]) for batch in batches) == 12
    assert sorted({int(n) for batch in batches for n in batch["label"]}) == [0, 1, 2, 3]
    assert batches[0]["video"].shape[2:] == (12, 16)


def test_labels_and_speakers_are_those_of_the_names(avletters: Path) -> None:
    batch = next(iter(data(avletters, split="leave-out:Cyd").test_dataloader()))
    assert batch["label"].tolist() == [0, 1, 2, 3]
    assert batch["speaker"].tolist() == [2, 2, 2, 2]
    assert batch["lengths"].tolist() == [5 + ord(letter) % 3 for letter in "ABCD"]


def test_sound_comes_along(avletters: Path) -> None:
    module = data(avletters, audio=True, split="leave-out:Cyd", target=True)
    assert module.facts["audio_size"] == 26
    batch = next(iter(module.train_dataloader()))
    assert batch["audio"].shape[2] == 26
    assert (batch["audio_lengths"] == 2 * batch["lengths"] - 1).all()
    assert (batch["target"]["audio_lengths"] == 2 * batch["target"]["lengths"] - 1).all()
    assert set(batch["target"]["speaker"].tolist()) == {2}
    assert "label" not in batch["target"]


def test_speaker_statistics_of_the_target_come_from_what_may_be_looked_at(avletters: Path) -> None:
    module = data(avletters, split="leave-out:Cyd", normalization="speaker", size=[60, 80])
    seen = [avletters / "Lips" / f"{a}{n}_Cyd-lips.mat" for a in "ABCD" for n in (1, 2)]
    frames = np.concatenate([read_lips(path) for path in seen]).astype(np.float64)
    batch = next(iter(module.test_dataloader()))
    length = int(batch["lengths"][0])
    raw = read_lips(avletters / "Lips" / "A3_Cyd-lips.mat")
    expected = (raw - frames.mean(axis=0)) / frames.std(axis=0)
    np.testing.assert_allclose(batch["video"][0, :length].numpy(), expected, atol=5e-3)


def test_global_statistics_leave_the_target_out(avletters: Path) -> None:
    whole = data(avletters, split="leave-out:Cyd", val_fraction=0.0).facts["preprocessing"]
    for path in (avletters / "Lips").glob("*_Cyd-lips.mat"):
        savemat(path, {"vid": np.zeros((4800, 6), np.uint8)})
    again = data(avletters, split="leave-out:Cyd", val_fraction=0.0).facts["preprocessing"]
    assert whole == again


def test_target_seconds_bound_what_is_looked_at(avletters: Path) -> None:
    module = data(avletters, split="leave-out:Cyd", target=True, target_seconds=0.5)
    module.setup()
    adapt = module.parts.adapt
    frames = [clip.frames for clip in adapt]
    assert sum(frames) >= 12.5 > sum(frames) - max(frames)


def test_nobody_to_adapt_to_is_refused(avletters: Path) -> None:
    with pytest.raises(UsageError, match="no target speaker to adapt to"):
        data(avletters, target=True).setup()


def test_a_target_never_looked_at_cannot_be_normalized_by_speaker(avletters: Path) -> None:
    module = data(avletters, split="Ann->Bob,Cyd", normalization="speaker", target_seconds=0.04)
    with pytest.raises(UsageError, match=r"to normalize those of (Bob|Cyd); allow more"):
        module.setup()


def test_a_missing_folder_names_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no .*nowhere/Lips; point --data\.root at"):
        data(tmp_path / "nowhere").setup()
    (tmp_path / "Lips").mkdir()
    with pytest.raises(UsageError, match=r"no file in .* is named as A1_Anya-lips\.mat is"):
        data(tmp_path).setup()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"other": np.zeros(3)}, "holds no variable 'vid'"),
        ({"vid": np.zeros((4801, 5), np.uint8)}, "'vid' is uint8 of 4801 x 5; it takes uint8 of"),
        ({"vid": np.zeros((4800, 5))}, "'vid' is float64"),
        ({"vid": np.zeros((4800, 0), np.uint8)}, "'vid' is uint8 of 4800 x 0"),
    ],
)
def test_a_wrong_file_is_named(avletters: Path, content: dict, words: str) -> None:
    path = avletters / "Lips" / "B2_Bob-lips.mat"
    savemat(path, content)
    with pytest.raises(UsageError) as caught:
        data(avletters).setup()
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


def test_many_wrong_files_come_in_one_report(avletters: Path, make: SimpleNamespace) -> None:
    (avletters / "Lips" / "A1_Ann-lips.mat").write_text("no mat")
    savemat(avletters / "Lips" / "B2_Bob-lips.mat", {"x": 1})
    sound = avletters / "Audio" / "mfcc" / "Clean"
    (sound / "C3_Cyd.mfcc").unlink()
    make.htk(sound / "D1_Ann.mfcc", np.zeros((60, 26)))
    with pytest.raises(UsageError) as caught:
        data(avletters, audio=True).setup()
    text = str(caught.value)
    assert text.startswith("4 files under")
    for word in ("A1_Ann", "B2_Bob", "C3_Cyd.mfcc cannot be read", "D1_Ann.mfcc lasts 1.20 s"):
        assert word in text
    module = data(avletters, audio=True, skip_faulty=True)
    assert module.facts["skipped_clips"] == 4
    assert len(module.parts.test) == 11


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            {"normalization": "none"},
            "normalization has to be one of global, speaker, clip, not 'none'",
        ),
        ({"size": [12]}, "size is \\[12\\]"),
        ({"target_seconds": 0}, "target_seconds has to be above 0"),
        ({"val_fraction": 1.0}, "val_fraction has to be 0 or more and below 1"),
        ({"adaptation": "both"}, "adaptation has to be one of inductive, transductive"),
        ({"all_of_source": True, "test_on": "source"}, "no clip of the source is left"),
    ],
)
def test_arguments_out_of_range(tmp_path: Path, arguments: dict, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        data(tmp_path, **arguments)


def test_htk(tmp_path: Path, make: SimpleNamespace) -> None:
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    found, period = read_htk(make.htk(tmp_path / "a.mfcc", features))
    np.testing.assert_array_equal(found, features)
    assert period == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda content: content[:8], "8 bytes; an HTK file has a header of 12"),
        (lambda content: content[:-4], "has 56 bytes, and 4 frames of 12 bytes make 60"),
        (lambda content: bytes(12) + content[12:], "no HTK feature file"),
        (lambda content: content[:10] + b"\x05\x46" + content[12:], "compressed"),
        (lambda content: content[:-4] + b"\x7f\xc0\x00\x00", "values that are not numbers"),
    ],
)
def test_a_damaged_htk_file(
    tmp_path: Path, make: SimpleNamespace, damage: Callable[[bytes], bytes], words: str
) -> None:
    path = make.htk(tmp_path / "a.mfcc", np.ones((4, 3)))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match=words):
        read_htk(path)


def test_the_real_one(real: Callable[[str], Path]) -> None:
    module = AVLetters(str(real("avletters")), audio=True)
    assert module.facts["audio_size"] == 26
    assert len(module.parts.test) == 26 * len(module.facts["speakers"])
    batch = next(iter(module.train_dataloader()))
    assert torch.isfinite(batch["video"]).all()
    assert abs(float(batch["video"][0, : batch["lengths"][0]].mean())) < 2
