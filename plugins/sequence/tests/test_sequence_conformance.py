"""The zoo's conformance kit on everything this plugin registers, with recordings, series and music
made here where a dataset reads files."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from zoo.testing import conformance_tests

test_conformance = conformance_tests("sequence", slow=["export-formats"])


@pytest.fixture(autouse=True, scope="module")
def _data(
    tmp_path_factory: pytest.TempPathFactory, save_tone: Callable[..., Path]
) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("data")
    _save_recordings(folder, save_tone)
    random = np.random.default_rng(0)
    _save_series(folder / "series", random)
    (folder / "laser").mkdir()
    np.save(folder / "laser/santafe_laser.npy", random.integers(0, 256, 4200).astype(np.uint8))
    for name, file in (("jsb", "JSB_Chorales"), ("nottingham", "Nottingham")):
        _save_rolls(folder / name / f"{file}.mat", random)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZOO_DATA", str(folder))
        yield


def _save_recordings(folder: Path, save_tone: Callable[..., Path]) -> None:
    """Digits by two speakers, and a table of words."""
    for speaker, shift in (("george", 1.0), ("theo", 1.3)):
        for digit in range(2):
            for index in (0, 5, 6, 7, 45, 46):
                name = f"recordings/{digit}_{speaker}_{index}.wav"
                save_tone(
                    folder / "spoken-digits" / name,
                    shift * (300 + 400 * digit) + index,
                    seconds=0.1,
                )
    lines = ["file,text,part"]
    for index in range(30):
        save_tone(folder / f"wave-folder/{index}.wav", 300 + 20 * index, seconds=0.1)
        part = "test" if index % 5 == 0 else "train"
        lines.append(f"{index}.wav,{'low' if index < 15 else 'high'},{part}")
    (folder / "wave-folder/transcripts.csv").write_text("\n".join(lines), "utf-8")


def _save_series(folder: Path, random: np.random.Generator) -> None:
    """Two classes of series of unequal lengths."""
    folder.mkdir()
    for part in ("TRAIN", "TEST"):
        lines = ["@problemName JapaneseVowels", "@data"]
        for case in range(24):
            channels = random.normal(case % 2, 0.3, (2, 5 + case % 4)).round(3)
            cells = [",".join(map(str, channel)) for channel in channels]
            lines.append(":".join([*cells, str(case % 2)]))
        (folder / f"JapaneseVowels_{part}.ts").write_text("\n".join(lines), "utf-8")


def _save_rolls(path: Path, random: np.random.Generator) -> None:
    """Pieces of a few steps."""
    path.parent.mkdir()
    parts = {}
    for key in ("traindata", "validdata", "testdata"):
        pieces = np.empty((1, 20), dtype=object)
        for index in range(20):
            pieces[0, index] = (random.random((4 + index % 3, 88)) < 0.05).astype(np.uint8)
        parts[key] = pieces
    savemat(path, parts)
