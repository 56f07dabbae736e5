"""Recordings: reading, frames, strings of digits, one's own folder, a recognizer of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.fft import dct
from scipy.io import wavfile

from zoo.plugin import Fold, UsageError
from zoo_sequence.ctc_recognizer import CTCRecognizer, evenly_divided, strings
from zoo_sequence.data.recordings import collate
from zoo_sequence.data.spoken_digits import SpokenDigits
from zoo_sequence.data.wave_folder import WaveFolder
from zoo_sequence.encoders import Encoder, MinLSTM, reversed_in_time
from zoo_sequence.sound import FrontEnd, read_wave

Tone = Callable[..., Path]


def test_other_rates_channels_and_clipping_are_said(tmp_path: Path, save_tone: Tone) -> None:
    stereo = read_wave(save_tone(tmp_path / "a.wav", rate=16000, channels=2), 8000)
    assert stereo.notes == ("2 channels averaged", "resampled from 16000 Hz")
    assert len(stereo.samples) == 2400
    assert stereo.seconds == pytest.approx(0.3)
    plain = read_wave(save_tone(tmp_path / "b.wav"))
    torch.testing.assert_close(stereo.samples[200:2000], plain.samples[200:2000], atol=0.05, rtol=0)
    loud = np.clip(40000 * np.sin(np.arange(4000)), -32768, 32767).astype(np.int16)
    wavfile.write(tmp_path / "c.wav", 8000, loud)
    assert "clipped" in read_wave(tmp_path / "c.wav").notes[0]


@pytest.mark.parametrize("kind", [np.uint8, np.int32, np.float32])
def test_samples_of_any_kind_lie_between_minus_one_and_one(tmp_path: Path, kind: Any) -> None:
    wave = 0.5 * np.sin(np.arange(1000))
    scaled = {np.uint8: 128.5 + 128 * wave, np.int32: wave * 2**31, np.float32: wave}[kind]
    wavfile.write(tmp_path / "a.wav", 8000, scaled.astype(kind))
    np.testing.assert_allclose(read_wave(tmp_path / "a.wav").samples, wave, atol=0.01)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (np.zeros(0, np.int16), "holds no sound"),
        (np.full(100, 7, np.int16), "silent"),
        (np.full(100, np.nan, np.float32), "not finite"),
        (b"RIFF nothing", "cannot be read|damaged"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path: Path, content: Any, says: str) -> None:
    path = tmp_path / "a.wav"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        wavfile.write(path, 8000, content)
    with pytest.raises(UsageError, match=says):
        read_wave(path)


def test_frames_are_cepstra_of_a_loop() -> None:
    front = FrontEnd(stack=1)
    wave = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    found = front.frames(wave)
    samples = wave.double().numpy()
    emphasized = np.append(samples[0], samples[1:] - 0.97 * samples[:-1])
    window = np.hamming(200)
    mel = 2595 * np.log10(1 + np.linspace(0, 4000, 129) / 700)
    edges = np.linspace(0, mel[-1], 28)
    rows = []
    for start in range(0, 801, 80):
        power = np.abs(np.fft.rfft(emphasized[start : start + 200] * window, 256)) ** 2
        energy = []
        for low, mid, high in zip(edges, edges[1:], edges[2:], strict=False):
            hertz = [700 * (10 ** (m / 2595) - 1) for m in (low, mid, high)]
            bins = np.linspace(0, 4000, 129)
            up, down = (
                (bins - hertz[0]) / (hertz[1] - hertz[0]),
                (hertz[2] - bins) / (hertz[2] - hertz[1]),
            )
            energy.append((np.maximum(0, np.minimum(up, down)) * power).sum())
        rows.append(dct(np.log(np.maximum(energy, 1e-8)), norm="ortho")[:13])
    np.testing.assert_allclose(found[:, :13], np.array(rows), atol=2e-3)
    static = np.pad(np.array(rows), ((2, 2), (0, 0)), mode="edge")
    slope = (static[3:-1] - static[1:-3] + 2 * (static[4:] - static[:-4])) / 10
    np.testing.assert_allclose(found[:, 13:], slope, atol=2e-3)
    assert FrontEnd(stack=3).frames(wave).shape == (3, 78)
    assert FrontEnd().frames(wave[:10]).shape == (1, 52)
    assert not torch.equal(front.frames(wave, warp=1.1), found)
    assert len(front.frames(wave, tempo=0.5)) == 21


def test_strings_are_of_one_speaker_and_parts_share_no_recording(digits: Path) -> None:
    data = SpokenDigits(str(digits), digits=3, epoch=20, curriculum={"0": 1, "10": 3})
    names = {part: {u.name for u in data.utterances(part)} for part in ("train", "val", "test")}
    assert sorted(len(each) for each in names.values()) == [6, 6, 12]
    assert not names["train"] & names["test"]
    assert {name.split("_")[2] for name in names["test"]} == {"0.wav"}
    for number in range(30):
        drawn = data.draw("train", number)
        parts = drawn.name.split("+")
        assert len({part.split("_")[1] for part in parts}) == 1
        assert [int(part[0]) + 1 for part in parts] == list(drawn.symbols)
        assert set(parts) <= names["train"]
        assert len(parts) <= (1 if number < 10 else 3)
    same = SpokenDigits(str(digits), digits=3, seed=5)
    assert same.draw("test", 3).name == data.draw("test", 3).name
    assert any(same.draw("train", n).name != data.draw("train", n).name for n in range(9))


def test_a_speaker_is_held_out(digits: Path) -> None:
    data = SpokenDigits(str(digits), split="speaker:bob")
    assert {u.speaker for u in data.utterances("test")} == {"bob"}
    assert {u.speaker for part in ("train", "val") for u in data.utterances(part)} == {"ann"}
    with pytest.raises(UsageError, match="did you mean 'bob'"):
        SpokenDigits(str(digits), split="speaker:bib").setup()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"split": "speakers"}, "index, speaker:NAME or all"),
        ({"curriculum": {"a": 1}}, "curriculum has 'a'"),
        ({"digits": 2, "curriculum": {"0": 3}}, "1 to 2"),
        ({"warp": 0.6}, "warp has to be from 0 to 0.5"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        SpokenDigits("nowhere", **arguments)


def test_missing_recordings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        SpokenDigits(str(tmp_path / "no")).setup()
    with pytest.raises(UsageError, match="take the data wave-folder"):
        SpokenDigits(str(tmp_path)).setup()


@pytest.fixture
def table(tmp_path: Path, save_tone: Tone) -> Callable[[str], str]:
    """Makes a folder of four recordings with that table."""

    def make(text: str) -> str:
        for name in ("a", "b", "c", "d"):
            save_tone(tmp_path / f"{name}.wav", rate=16000)
        (tmp_path / "transcripts.csv").write_text(text, encoding="utf-8")
        return str(tmp_path)

    return make


def test_a_folder_of_ones_own(tmp_path: Path, table: Callable[[str], str]) -> None:
    rows = ["a.wav,left right,train", "b.wav,right,train", "c.wav,left,val", "d.wav,left,test"]
    text = "\n".join(["file,text,part", *rows, ""])
    data = WaveFolder(table(text), batch_size=2)
    assert data.facts["label_names"] == ["-", "left", "right"]
    assert data.describe_found()[-1] == "4 resampled from 16000 Hz (such as a.wav)"
    epochs = [[data.draw("train", 2 * e + i).name for i in range(2)] for e in range(6)]
    assert all(sorted(each) == ["a.wav", "b.wav"] for each in epochs)
    assert len({tuple(each) for each in epochs}) == 2
    letters = WaveFolder(str(tmp_path), unit="characters", stack=1)
    assert " " in letters.facts["label_names"]


def test_speakers_are_not_torn(table: Callable[[str], str]) -> None:
    text = "file,text,speaker\na.wav,x,1\nb.wav,y,1\nc.wav,x,2\nd.wav,y,2\n"
    data = WaveFolder(table(text), test_fraction=0.5, val_fraction=0)
    parts = [{u.speaker for u in data.utterances(part)} for part in ("train", "test")]
    assert [len(part) for part in parts] == [1, 1]
    assert parts[0] != parts[1]


def test_recordings_are_divided_into_folds_by_speaker(table: Callable[[str], str]) -> None:
    rows = ["a.wav,x,1,train", "b.wav,y,2,val", "c.wav,x,3,test", "d.wav,y,1,train"]
    root = table("\n".join(["file,text,speaker,part", *rows, ""]))
    samples = WaveFolder(root).fold_samples()
    assert samples.names == ["a.wav", "b.wav", "d.wav"]
    assert (samples.group_name, samples.groups) == ("speaker", ["1", "2", "1"])
    data = WaveFolder(root)
    data.use_fold(Fold(1, 2, 3, samples.fingerprint, (0, 2)))
    found = [[u.name for u in data.utterances(part)] for part in ("train", "val", "test")]
    assert found == [["b.wav"], ["a.wav", "d.wav"], ["c.wav"]]


@pytest.mark.parametrize(
    ("text", "arguments", "says"),
    [
        ("file,words\na.wav,x\n", {}, "no column text"),
        ("file,text\n", {}, "has no rows"),
        ("file,text\na.wav,x\nq.wav,y\n", {}, "line 3 names q.wav, which is not there"),
        ("file,text\na.wav,\n", {}, "line 2 has no file or no text"),
        ("file,text\na.wav,x\nb.wav,x z\n", {"symbols": ["x"]}, r"line 3 \['z'\]"),
        ("file,text,part\na.wav,x,tset\n", {}, "line 2 has the part 'tset'"),
        (
            f"file,text\na.wav,{'x ' * 40}\n",
            {},
            r"1 recordings are shorter than CTC needs.*a.wav \(14 frames, 79 needed\)",
        ),
    ],
)
def test_wrong_tables_are_refused(
    table: Callable[[str], str], text: str, arguments: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        WaveFolder(table(text), **arguments).setup()


def test_the_backward_direction_begins_at_each_sequences_end() -> None:
    torch.manual_seed(0)
    encoder = Encoder(3, 4, layers=2).eval()
    sequences = torch.randn(2, 7, 3)
    lengths = torch.tensor([7, 4])
    together = encoder(sequences, lengths)
    torch.testing.assert_close(together[1, :4], encoder(sequences[1:, :4])[0])
    torch.testing.assert_close(
        reversed_in_time(sequences, lengths)[1, :4], sequences[1, :4].flip(0)
    )
    forward = Encoder(3, 4, bidirectional=False)
    torch.testing.assert_close(forward(sequences[:, :3]), forward(sequences)[:, :3])


def test_the_minimal_lstm_is_its_loop() -> None:
    torch.manual_seed(0)
    layer = MinLSTM(3, 4).double()
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    found = layer(inputs)[0]
    state = torch.zeros(2, 4, dtype=torch.float64)
    for step in range(6):
        forget, enter, value = layer.gates(inputs[:, step]).chunk(3, -1)
        f, i = forget.sigmoid(), enter.sigmoid()
        value = torch.where(value >= 0, value + 0.5, value.sigmoid())
        state = f / (f + i) * state + i / (f + i) * value
        torch.testing.assert_close(found[:, step], state)


def recognizer(data: SpokenDigits, **arguments: Any) -> CTCRecognizer:
    return CTCRecognizer(**{"hidden": 6, **data.facts, **arguments})


@pytest.mark.parametrize("normalization", ["train", "utterance"])
def test_padding_changes_nothing(digits: Path, normalization: Any) -> None:
    data = SpokenDigits(str(digits), digits=3)
    torch.manual_seed(0)
    model = recognizer(data, normalization=normalization).eval()
    samples = [data.sample("test", index) for index in range(4)]
    batch = collate(samples)
    together = model(batch["frames"], batch["lengths"])
    for index, sample in enumerate(samples):
        alone = model(sample["frames"][None])[0]
        torch.testing.assert_close(together[index, : len(alone)], alone, atol=1e-5, rtol=1e-4)
    losses = model.losses(together, batch)
    one = collate(samples[:1])
    alone = model.losses(model(one["frames"], one["lengths"]), one)
    torch.testing.assert_close(losses[:1], alone, atol=1e-5, rtol=1e-4)


def test_frames_are_divided_evenly() -> None:
    batch = {
        "symbols": torch.tensor([[3, 4, 0], [1, 2, 5]]),
        "symbol_counts": torch.tensor([2, 3]),
        "lengths": torch.tensor([5, 3]),
    }
    assert evenly_divided(batch, 5).tolist() == [[3, 3, 3, 4, 4], [1, 2, 5, -100, -100]]
    assert strings(batch) == [[3, 4], [1, 2, 5]]


def test_a_recording_is_read_with_times_and_notes(
    digits: Path, tmp_path: Path, save_tone: Tone
) -> None:
    data = SpokenDigits(str(digits), digits=1)
    torch.manual_seed(0)
    model = recognizer(data, decoder="beam", lexicon=["12", "2"]).eval()
    path = save_tone(tmp_path / "own" / "x.wav", rate=11025, seconds=0.5)
    sample = model.read_file(path)
    output = model.predict_sample(sample)
    row = model.describe_prediction(output)
    assert row["text"] in ("12", "2", "")
    assert row["notes"] == "resampled from 11025 Hz"
    times = [time for symbol in row["symbols"] for time in (symbol["start"], symbol["end"])]
    assert times == sorted(times)
    assert all(0 <= time <= 0.52 for time in times)
    written = model.write_prediction("x", sample, output, tmp_path, True)
    assert set(written) == {"emissions", "symbols", "probabilities"}
    assert all((tmp_path / name).stat().st_size for name in written.values())
    with pytest.raises(UsageError, match=r"\['a'\] are not among the symbols"):
        recognizer(data, lexicon=["1a"])
