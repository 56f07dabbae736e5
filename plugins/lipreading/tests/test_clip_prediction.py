"""From a user's file to words with times, and what is written of them."""

from __future__ import annotations

import csv
import io
import itertools
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import zoo
from zoo.plugin import UsageError
from zoo_lipreading import ctc_times
from zoo_lipreading.clip_files import clips_of_speaker, read_clip
from zoo_lipreading.data.avletters import AVLetters, read_lips
from zoo_lipreading.data.grid import Grid
from zoo_lipreading.prediction import SentenceReading, WordReading

WHOLE = {"size": [10, 20], "normalization": "clip", "crop": {"finder": "whole"}}


class Words(WordReading):
    """Says how bright a word is, and how long: what it was given decides."""

    label_names = ["dark", "bright"]  # noqa: RUF012
    frame_rate = 25.0
    device = torch.device("cpu")

    def __init__(self, preprocessing: dict[str, Any], audio_features: int | None = None) -> None:
        self.preprocessing = preprocessing
        self.given: list[dict[str, Tensor]] = []
        self._audio_features = audio_features

    @property
    def audio_features(self) -> int | None:
        return self._audio_features

    def to(self, device: torch.device) -> Words:
        """A model's, which has no weights here."""
        return self

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        self.given.append(batch)
        bright = torch.sigmoid(batch["video"].sum(dim=(1, 2, 3)))
        return torch.stack([1 - bright, bright], dim=1)


class Sentences(SentenceReading):
    """Spells what its probabilities are set to."""

    frame_rate = 25.0
    device = torch.device("cpu")
    preprocessing = WHOLE

    def __init__(self, names: list[str], path: list[int]) -> None:
        self.label_names = names
        self.path = path

    def predict_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        shares = torch.full((1, len(self.path), len(self.label_names)), 0.1)
        shares[0, range(len(self.path)), self.path] = 0.8
        return shares

    def decode_symbols(self, log_probabilities: Tensor) -> list[int]:
        best = log_probabilities.argmax(dim=1).tolist()
        return [symbol for symbol, _ in itertools.groupby(best) if symbol]


def test_a_clip_is_one_word(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.video(tmp_path / "a.mpg", make.moving(12))
    model = Words(WHOLE)
    output = model.predict_sample(model.read_file(path))
    (word,) = output.words
    assert (word.start, word.end) == (0.0, 0.48)
    assert model.given[0]["video"].shape == (1, 12, 10, 20)
    row = model.describe_prediction(output)
    assert row["text"] == word.word
    assert row["confidence"] == word.confidence
    json.dumps(row)


@pytest.mark.parametrize("place", ["a.align", "../align/a.align"])
def test_an_alignment_beside_the_file_gives_word_by_word(
    tmp_path: Path, make: SimpleNamespace, place: str
) -> None:
    path = make.video(tmp_path / "video" / "a.mpg", make.moving(14))
    make.align(path.parent / place, ["any", "words", "here"])
    model = Words(WHOLE)
    sample = model.read_file(path)
    output = model.predict_sample(sample)
    assert [(word.start, word.end) for word in output.words] == [
        (0.04, 0.12), (0.12, 0.2), (0.2, 0.28),
    ]  # fmt: skip
    given = model.given[0]
    assert given["lengths"].tolist() == [2, 2, 2]
    for index in range(3):
        torch.testing.assert_close(given["video"][index], sample.video[1 + 2 * index :][:2])


def test_a_wrong_alignment_is_refused(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.video(tmp_path / "a.mpg", make.moving(5))
    make.align(tmp_path / "a.align", ["word"], frames=14)
    with pytest.raises(UsageError, match=r"a\.align:2: 'word' ends at 2990, .* of 2 frames"):
        read_clip(make.video(tmp_path / "a.mpg", make.moving(2)), WHOLE, 25.0, None)
    assert path.is_file()


def test_the_bundle_s_statistics_prepare_a_file_as_training_did(avletters: Path) -> None:
    module = AVLetters(str(avletters), size=[12, 16], audio=True, val_fraction=0.0)
    facts = json.loads(json.dumps(module.facts))
    path = avletters / "Lips" / "A3_Ann-lips.mat"
    clip = next(clip for clip in module.parts.test if clip.name == path.name)
    trained = module.test_dataloader().dataset.unlabelled(clip)
    sample = read_clip(path, facts["preprocessing"], 25.0, facts["audio_size"])
    torch.testing.assert_close(sample.video, trained["video"], rtol=0, atol=0)
    assert sample.audio is not None
    torch.testing.assert_close(sample.audio, trained["audio"], rtol=0, atol=0)
    assert sample.mouth.dtype == np.uint8


def test_a_grid_clip_is_prepared_as_training_did(grid: Path, tmp_path: Path, finder: str) -> None:
    module = Grid(
        str(grid), size=[10, 20], finder=finder, cache=str(tmp_path / "c"), unit="sentence"
    )
    facts = json.loads(json.dumps(module.facts))
    clip = module.parts.test[0]
    trained = module.test_dataloader().dataset.unlabelled(clip)
    speaker, code = clip.name.split("/")
    path = grid / speaker / "video" / f"{code}.mpg"
    sample = read_clip(path, facts["preprocessing"], facts["frame_rate"], None)
    torch.testing.assert_close(sample.video, trained["video"], rtol=0, atol=0)
    assert sample.segments is not None
    assert len(sample.segments) == 6


@pytest.mark.parametrize("normalization", ["global", "clip"])
def test_words_are_prepared_as_training_did(
    grid: Path,
    tmp_path: Path,
    finder: str,
    normalization: str,
) -> None:
    module = Grid(
        str(grid),
        size=[10, 20],
        finder=finder,
        cache=str(tmp_path / "c"),
        normalization=normalization,
    )
    clips = module.parts.test
    speaker, code = clips[0].name.split()[0].split("/")
    data = module.test_dataloader().dataset
    wanted = [data.unlabelled(c)["video"] for c in clips if c.recording == f"{speaker}/{code}"]
    model = Words(module.facts["preprocessing"])
    model.predict_sample(model.read_file(grid / speaker / "video" / f"{code}.mpg"))
    torch.testing.assert_close(list(model.given[0]["video"]), wanted, rtol=0, atol=0)


def test_a_model_normalized_by_speaker_looks_at_the_speaker_s_other_clips(
    avletters: Path, caplog: pytest.LogCaptureFixture
) -> None:
    preprocessing = {"size": [60, 80], "normalization": "speaker"}
    path = avletters / "Lips" / "A3_Ann-lips.mat"
    own = [avletters / "Lips" / f"{a}{n}_Ann-lips.mat" for a in "ABCD" for n in (1, 2, 3)]
    assert clips_of_speaker(path) == tuple(own)
    frames = np.concatenate([read_lips(each) for each in own]).astype(np.float64)
    sample = read_clip(path, preprocessing, 25.0, None)
    expected = (read_lips(path) - frames.mean(axis=0)) / frames.std(axis=0)
    np.testing.assert_allclose(sample.video.numpy(), expected, atol=5e-3)
    assert not caplog.text
    for each in own[4:8]:
        each.write_text("broken")
    for each in own[8:]:
        each.unlink()
    read_clip(path, preprocessing, 25.0, None)
    assert "holds 4 clip(s) of the speaker; 10 or more" in caplog.text


def test_of_many_clips_an_even_choice_is_looked_at(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number:03d}.mpg").touch()
    (tmp_path / "a.mp4").touch()
    found = clips_of_speaker(tmp_path / "007.mpg")
    assert len(found) == 40
    assert [found[0].stem, found[-1].stem] == ["000", "099"]
    assert clips_of_speaker(tmp_path / "a.mp4") == (tmp_path / "a.mp4",)


def test_another_version_of_the_finder_is_told(
    tmp_path: Path, make: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    path = make.video(tmp_path / "a.mpg", make.moving(5))
    read_clip(path, {**WHOLE, "crop": {"finder": "whole", "finder_version": ""}}, 25.0, None)
    assert not caplog.text
    read_clip(path, {**WHOLE, "crop": {"finder": "whole", "finder_version": "7"}}, 25.0, None)
    assert "was trained with version 7" in caplog.text


def test_another_frame_rate_is_brought_to_the_model_s(
    tmp_path: Path, make: SimpleNamespace
) -> None:
    path = make.video(tmp_path / "a.mp4", make.moving(30), rate=50)
    assert len(read_clip(path, WHOLE, 25.0, None).video) == 15
    assert len(read_clip(path, WHOLE, 100.0, None).video) == 60


def test_mouths_in_an_array(tmp_path: Path, make: SimpleNamespace) -> None:
    frames = make.moving(9, 20, 40)
    np.save(tmp_path / "a.npy", frames)
    sample = read_clip(tmp_path / "a.npy", WHOLE, 25.0, None)
    assert sample.mouth.shape == (9, 10, 20)
    np.save(tmp_path / "b.npy", frames.astype(float))
    with pytest.raises(UsageError, match=r"b\.npy is float64 of 9 x 20 x 40; it takes mouths"):
        read_clip(tmp_path / "b.npy", WHOLE, 25.0, None)
    (tmp_path / "c.npy").write_text("no array")
    with pytest.raises(UsageError, match=r"c\.npy is not a readable \.npy file"):
        read_clip(tmp_path / "c.npy", WHOLE, 25.0, None)


def test_a_model_of_sound_and_lips_needs_sound(
    tmp_path: Path, make: SimpleNamespace, avletters: Path
) -> None:
    path = make.video(tmp_path / "a.mpg", make.moving(5))
    published = {**WHOLE, "sound": "publisher"}
    with pytest.raises(UsageError, match=r"takes sound too: give it \.mat files of AVLetters"):
        read_clip(path, published, 25.0, 26)
    with pytest.raises(UsageError, match=r"a\.mpg has no sound"):
        read_clip(path, {**WHOLE, "sound": "mfcc"}, 25.0, 26)
    lips = avletters / "Lips" / "A1_Ann-lips.mat"
    with pytest.raises(UsageError, match="its sound has 26 features, and the model takes 12"):
        read_clip(lips, published, 25.0, 12)
    with pytest.raises(UsageError, match="give it videos with sound"):
        read_clip(lips, {**WHOLE, "sound": "mfcc"}, 25.0, 26)
    model = Words(published, audio_features=26)
    model.predict_sample(model.read_file(lips))
    frames = len(read_lips(lips))
    assert model.given[0]["audio_lengths"].tolist() == [2 * frames - 1]


def test_a_sentence_in_characters() -> None:
    names = ["<blank>", " ", "a", "b"]
    #        -  a  a  -  b  _  _  b  b  -
    path = [0, 2, 2, 0, 3, 1, 1, 3, 3, 0]
    model = Sentences(names, path)
    output = model.predict_sample(sample_of(10))
    assert [(w.word, w.start, w.end) for w in output.words] == [
        ("ab", 0.04, 0.2),
        ("b", 0.28, 0.36),
    ]
    assert all(abs(word.confidence - 0.8) < 1e-4 for word in output.words)
    assert model.describe_prediction(output)["text"] == "ab b"


def test_a_sentence_in_words_and_one_of_none() -> None:
    names = ["<blank>", "bin", "blue"]
    output = Sentences(names, [0, 1, 1, 2, 0]).predict_sample(sample_of(5))
    assert [(w.word, w.start, w.end) for w in output.words] == [
        ("bin", 0.04, 0.12), ("blue", 0.12, 0.16),
    ]  # fmt: skip
    nothing = Sentences(names, [0, 0, 0])
    silent = nothing.predict_sample(sample_of(3))
    assert nothing.describe_prediction(silent) == {"text": "", "confidence": 0.0, "words": []}


def sample_of(frames: int) -> Any:
    mouth = np.random.default_rng(0).integers(0, 256, (frames, 10, 20)).astype(np.uint8)
    video = torch.from_numpy(mouth.astype(np.float32))
    return SimpleNamespace(mouth=mouth, video=video, frame_rate=25.0, segments=None, audio=None)


@pytest.mark.parametrize("symbols", [[1], [1, 2], [1, 1], [2, 1, 2]])
def test_alignment_is_the_likeliest_path_of_all(symbols: list[int]) -> None:
    random = np.random.default_rng(len(symbols))
    for _ in range(5):
        frames = 6
        shares = np.log(random.dirichlet(np.ones(3), frames))
        best, where = -np.inf, None
        for path in itertools.product(range(3), repeat=frames):
            if [s for s, _ in itertools.groupby(path) if s] != symbols:
                continue
            score = sum(shares[t, s] for t, s in enumerate(path))
            if score > best:
                best, where = score, path
        assert where is not None
        runs, now = [], 0
        for symbol, group in itertools.groupby(where):
            length = len(list(group))
            if symbol:
                runs.append((now, now + length - 1))
            now += length
        assert ctc_times.align(shares, symbols) == runs


def test_too_few_frames() -> None:
    with pytest.raises(ValueError, match="2 frames are too few for 2 symbols"):
        ctc_times.align(np.log(np.full((2, 3), 1 / 3)), [1, 1])
    assert ctc_times.align(np.zeros((2, 3)), []) == []


def test_what_is_written(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.video(tmp_path / "in" / "a.mpg", make.moving(14))
    make.align(path.with_suffix(".align"), ["one", "two"])
    bad = tmp_path / "in" / "b.mpg"
    bad.write_text("no video")
    model = Words(WHOLE)
    found = zoo.predict(model, [path, bad], out=tmp_path / "out", probabilities=True)
    assert list(found.failures) == [str(bad)]
    (row,) = found.rows
    written = {kind: tmp_path / "out" / name for kind, name in row["written"].items()}
    table = list(csv.DictReader(io.StringIO(written["words"].read_text())))
    assert [float(line["start"]) for line in table] == [0.04, 0.12]
    assert set(table[0]) == {"word", "start", "end", "confidence"}
    shares = list(csv.reader(io.StringIO(written["probabilities"].read_text())))
    assert shares[0] == ["word", "dark", "bright"]
    assert sum(map(float, shares[1][1:])) == pytest.approx(1)
    with Image.open(written["mouths"]) as image:
        assert image.format == "GIF"
        assert image.n_frames > 1
        total = 0
        for index in range(image.n_frames):
            image.seek(index)
            total += image.info["duration"]
    assert total == 14 * 40  # as long as the clip
    assert found.pictures[0].stat().st_size > 1000
