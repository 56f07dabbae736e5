"""Cepstral coefficients against the textbook's sums, and the sound of videos."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_lipreading.data.align import transcript
from zoo_lipreading.data.grid import Grid
from zoo_lipreading.video.sound import FEATURES, HOP, RATE, WINDOW, mel_bands, mfcc, read_sound


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def slow_mfcc(samples: np.ndarray) -> np.ndarray:
    """The first 13 coefficients by plain sums, in float64."""
    signal = [samples[0], *(b - 0.97 * a for a, b in itertools.pairwise(samples))]
    edges = 700 * (10 ** (np.linspace(2595 * np.log10(1 + 20 / 700),
                                      2595 * np.log10(1 + 8000 / 700), 28) / 2595) - 1)  # fmt: skip
    rows = []
    for start in range(0, len(signal), 320):
        frame = np.zeros(512)
        for n in range(400):
            at = start - 40 + n
            if 0 <= at < len(signal):
                frame[n] = signal[at] * (0.54 - 0.46 * np.cos(2 * np.pi * n / 399))
        turn = np.exp(-2j * np.pi * np.outer(np.arange(257), np.arange(512)) / 512)
        power = np.abs(turn @ frame) ** 2 / 512
        logs = []
        for low, middle, high in zip(edges, edges[1:], edges[2:], strict=False):
            energy = 0.0
            for k in range(257):
                f = k * 16000 / 512
                if low < f <= middle:
                    energy += power[k] * (f - low) / (middle - low)
                elif middle < f < high:
                    energy += power[k] * (high - f) / (high - middle)
            logs.append(np.log(max(energy, 1e-10)))
        row = []
        for c in range(13):
            scale = np.sqrt(1 / 26) if c == 0 else np.sqrt(2 / 26)
            row.append(
                scale * sum(e * np.cos(np.pi * c * (b + 0.5) / 26) for b, e in enumerate(logs))
            )
        rows.append(row)
    return np.array(rows)


def test_coefficients_are_the_textbook_s() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 1500) + tone(700, 1)[:1500]
    found = mfcc(samples)
    assert found.shape == (5, FEATURES)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[:, :13], slow_mfcc(samples), rtol=1e-5, atol=1e-4)


def test_slopes_are_a_regression_line_s() -> None:
    found = mfcc(np.random.default_rng(1).normal(0, 0.1, 20 * HOP)).astype(np.float64)
    for at in (2, 9, 17):
        slope = np.polyfit(np.arange(-2, 3), found[at - 2 : at + 3, :13], 1)[0]
        np.testing.assert_allclose(found[at, 13:], slope, atol=1e-4)


@pytest.mark.parametrize("hertz", [300, 1000, 4000])
def test_a_tone_lies_in_its_band(hertz: float) -> None:
    power = np.abs(np.fft.rfft(tone(hertz, 0.025)[:WINDOW] * np.hamming(WINDOW), 512)) ** 2
    band = int((mel_bands() @ power).argmax())
    at = np.fft.rfftfreq(512, 1 / RATE)
    inside = at[mel_bands()[band] > 0]
    assert inside.min() <= hertz <= inside.max()


def test_silence_and_the_shortest_sound_are_finite() -> None:
    for samples in (np.zeros(RATE), np.zeros(1)):
        assert np.isfinite(mfcc(samples)).all()


def test_two_vectors_a_frame(tmp_path: Path, make: SimpleNamespace) -> None:
    path = make.video(tmp_path / "a.mpg", make.moving(25), sound=tone(500, 1.0, 44_100))
    samples = read_sound(path)
    assert samples.dtype == np.float32
    assert abs(len(samples) / RATE - 1.0) < 0.1
    assert abs(len(mfcc(samples)) - 50) <= 5
    spectrum = np.abs(np.fft.rfft(samples[4000:12_000]))
    assert abs(np.fft.rfftfreq(8000, 1 / RATE)[spectrum.argmax()] - 500) < 10


def test_what_has_no_sound(tmp_path: Path, make: SimpleNamespace) -> None:
    with pytest.raises(UsageError, match=r"a\.mpg has no sound"):
        read_sound(make.video(tmp_path / "a.mpg", make.moving(5)))
    with pytest.raises(UsageError, match="a folder of images and has no sound"):
        read_sound(tmp_path)
    (tmp_path / "b.mpg").write_text("no video")
    with pytest.raises(UsageError, match=r"the sound of .*b\.mpg cannot be decoded"):
        read_sound(tmp_path / "b.mpg")


@pytest.fixture
def speaking(tmp_path: Path, make: SimpleNamespace) -> Path:
    """Two sentences of one speaker, each with sound."""
    root = tmp_path / "speaking"
    for index, code in enumerate(("bbaf2n", "lgiz3p")):
        sound = tone(300 + 200 * index, 14 / 25, 44_100)
        make.video(root / "s1" / "video" / f"{code}.mpg", make.moving(14), sound=sound)
        make.align(root / "s1" / "align" / f"{code}.align", transcript(code))
    return root


def test_words_come_with_their_sound(speaking: Path, tmp_path: Path, finder: str) -> None:
    module = Grid(
        str(speaking), audio=True, finder=finder, cache=str(tmp_path / "c"), size=[10, 20]
    )
    facts = module.facts
    assert facts["audio_size"] == FEATURES
    assert facts["preprocessing"]["sound"] == "mfcc"
    batch = next(iter(module.train_dataloader()))
    assert (batch["audio_lengths"] == 2 * batch["lengths"]).all()


def test_sound_of_another_length_is_refused(
    speaking: Path, tmp_path: Path, make: SimpleNamespace, finder: str
) -> None:
    path = speaking / "s1" / "video" / "bbaf2n.mpg"
    make.video(path, make.moving(14), sound=tone(300, 1.5, 44_100))
    module = Grid(str(speaking), audio=True, finder=finder, cache=str(tmp_path / "c"))
    with pytest.raises(UsageError, match=r"bbaf2n\.mpg: its sound lasts 1\.5. s and its frames"):
        module.setup()


def test_the_real_one(real: Callable[[str], Path], tmp_path: Path) -> None:
    module = Grid(
        str(real("grid")), split="speaker:s2", unit="sentence", audio=True, cache=str(tmp_path)
    )
    batch = next(iter(module.train_dataloader()))
    assert ((batch["audio_lengths"] - 2 * batch["lengths"]).abs() <= 4).all()
    assert batch["audio"].isfinite().all()
