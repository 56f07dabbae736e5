"""Small generated clips in the publishers' layouts, and where the real ones lie."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from scipy.io import savemat

DATA = Path(os.environ.get("ZOO_DATA", "../shared/data"))


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The folder of real data of that name; skips where it is missing."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there; set ZOO_DATA to the folder that holds {name}/")
        return folder

    return find


def save_video(
    path: Path, frames: np.ndarray, rate: int = 25, sound: np.ndarray | None = None
) -> Path:
    """Gray frames (T, H, W) as a video file of the kind that the suffix says, with sound from -1
    to 1 at 44100 samples a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = {".mpg": "mpeg1video", ".avi": "mjpeg", ".mp4": "mpeg4"}[path.suffix]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        stream.bit_rate = 4_000_000
        if sound is not None:
            voice = container.add_stream("mp2", rate=44_100, layout="mono")
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(np.repeat(frame[..., None], 3, axis=2), "rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        if sound is not None:
            samples = (sound * 32_000).astype(np.int16)[None]
            piece = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            piece.sample_rate = 44_100
            container.mux(voice.encode(piece))
            container.mux(voice.encode())
    return path


def moving(frames: int, height: int = 48, width: int = 64, seed: int = 0) -> np.ndarray:
    """A bright spot that wanders, uint8 (T, H, W)."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    middle = np.array([height / 2, width / 2])
    path = middle + np.cumsum(random.normal(0, 2, (frames, 2)), axis=0)
    spots = [np.exp(-((y - py) ** 2 + (x - px) ** 2) / 60) for py, px in path]
    return (40 + 180 * np.stack(spots)).astype(np.uint8)


def save_lips(root: Path, letter: str, repetition: int, speaker: str, frames: int = 6) -> Path:
    """A file of AVLetters and its sound, of constant pictures that tell them apart."""
    path = root / "Lips" / f"{letter}{repetition}_{speaker}-lips.mat"
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([ord(letter), repetition, len(speaker), ord(speaker[0])])
    vid = random.integers(0, 256, (4800, frames)).astype(np.uint8)
    savemat(path, {"vid": vid, "siz": np.array([[60.0, 80.0, frames]])})
    sound = root / "Audio" / "mfcc" / "Clean" / f"{letter}{repetition}_{speaker}.mfcc"
    save_htk(sound, random.normal(0, 1, (2 * frames - 1, 26)))
    return path


def save_htk(path: Path, features: np.ndarray, period: int = 200_000, kind: int = 326) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">iihh", len(features), period, 4 * features.shape[1], kind)
    path.write_bytes(header + features.astype(">f4").tobytes())
    return path


@pytest.fixture
def avletters(tmp_path: Path) -> Path:
    """Three speakers, four letters, three repetitions."""
    root = tmp_path / "avletters"
    for speaker in ("Ann", "Bob", "Cyd"):
        for letter in "ABCD":
            for repetition in (1, 2, 3):
                save_lips(root, letter, repetition, speaker, frames=5 + ord(letter) % 3)
    return root


SENTENCES = ("bbaf2n", "lgiz3p", "prwa9s", "swbyza", "bran1n")


def save_align(path: Path, words: Sequence[str], frames: int = 14) -> Path:
    """Silence, the words two frames each, silence."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines, now = ["0 1000 sil"], 1000
    for word in words:
        lines.append(f"{now} {now + 1990} {word}")
        now += 2000
    lines.append(f"{now} {1000 * frames - 500} sil")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Three speakers with five short sentences and their alignments each."""
    from zoo_lipreading.data.align import transcript

    root = tmp_path / "grid"
    for number, speaker in enumerate(("s1", "s2", "s10")):
        for index, code in enumerate(SENTENCES):
            frames = moving(14, seed=10 * number + index)
            save_video(root / speaker / "video" / f"{code}.mpg", frames)
            save_align(root / speaker / "align" / f"{code}.align", transcript(code) or [])
    return root


@pytest.fixture
def make() -> SimpleNamespace:
    """The writers of this file, for tests that write files of their own."""
    return SimpleNamespace(
        video=save_video, moving=moving, lips=save_lips, htk=save_htk, align=save_align
    )


@pytest.fixture
def finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a mouth finder of a user's own: the middle of the picture, for which
    generated clips need show no face."""
    (tmp_path / "middle_finder.py").write_text(
        "import numpy as np\n"
        "def find(frames):\n"
        "    height, width = frames.shape[1:]\n"
        "    return np.array([width / 4, height / 4, width / 2, height / 2])\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return "middle_finder:find"
