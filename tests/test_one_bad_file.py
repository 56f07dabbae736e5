"""One file that cannot be predicted takes no other with it, and each start has its own folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

import zoo
from zoo.plots import contact_sheet

ERRORS = {
    "memory": (MemoryError(), "it needs more memory than there is"),
    "allocator": (RuntimeError("DefaultCPUAllocator: not enough memory"), "RuntimeError: Default"),
    "import": (ImportError("no codec"), "ImportError: no codec"),
    "recursion": (RecursionError("too deep"), "RecursionError: too deep"),
    "key": (KeyError("x"), "KeyError: 'x'"),
    "value": (ValueError("not an image"), "not an image"),
}


class Reader(nn.Module):
    """Reads a number from a text file; ``bad`` anywhere in the name raises the error there."""

    input_suffixes = (".txt",)

    def __init__(self, error: Exception, place: str = "read") -> None:
        super().__init__()
        self.error, self.place = error, place

    def fail(self, place: str) -> None:
        if place == self.place:
            raise self.error

    def read_file(self, path: Path) -> Tensor:
        value = float(path.read_text(encoding="utf-8"))
        if value < 0:
            self.fail("read")
        return torch.tensor([value])

    def predict_step(self, batch: Tensor, batch_idx: int = 0) -> Tensor:
        if (batch < 0).any():
            self.fail("predict")
        return batch

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        if output < 0:
            self.fail("describe")
        return {"value": float(output)}

    def draw_predictions(
        self, names: Sequence[str], samples: Sequence[Tensor], outputs: Sequence[Tensor]
    ) -> Figure:
        if any(output < 0 for output in outputs):
            self.fail("draw")
        return contact_sheet([torch.rand(4, 4).numpy() for _ in names], names)


@pytest.fixture
def numbers() -> Path:
    folder = Path("numbers")
    folder.mkdir()
    for name, value in {"a": 1, "bad": -1, "c": 2}.items():
        (folder / f"{name}.txt").write_text(str(value))
    return folder


@pytest.mark.parametrize("place", ["read", "predict", "describe"])
@pytest.mark.parametrize(("error", "reason"), ERRORS.values(), ids=ERRORS)
def test_the_others_are_predicted(numbers: Path, error: Exception, reason: str, place: str) -> None:
    found = zoo.predict(Reader(error, place), [numbers], out="out")
    assert [row["value"] for row in found.rows] == [1, 2]
    (failed,) = found.failures.items()
    assert failed[0] == str(numbers / "bad.txt")
    assert failed[1].startswith(reason)
    written = json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))
    assert [row["value"] for row in written["predictions"]] == [1, 2]


def test_a_picture_that_cannot_be_drawn_costs_no_prediction(numbers: Path) -> None:
    found = zoo.predict(Reader(RuntimeError("no font"), "draw"), [numbers], out="out")
    assert [row["value"] for row in found.rows] == [1, -1, 2]
    assert found.failures == {"out/pictures/page-001.png": "RuntimeError: no font"}


def test_names_that_matplotlib_or_a_file_would_stumble_over() -> None:
    folder = Path("odd")
    folder.mkdir()
    for name in (b"a$b_$c.txt", b"$x^$.txt", b"one $.txt", b"bad\xff.txt", b"new\nline.txt"):
        (folder / os.fsdecode(name)).write_text("1")
    found = zoo.predict(Reader(ValueError()), [folder], out="out")
    assert not found.failures
    assert len(found.rows) == 5
    files = [
        row["file"]
        for row in json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))[
            "predictions"
        ]
    ]
    assert "odd/bad\\xff.txt" in files
    assert "odd/a$b_$c.txt" in files
    assert Path("out/predictions.csv").read_text(encoding="utf-8").count("1.0") == 5
    assert Path("out/pictures/page-001.png").stat().st_size > 1000


def test_what_was_predicted_before_ctrl_c_is_kept(numbers: Path) -> None:
    model = Reader(KeyboardInterrupt(), "describe")  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        zoo.predict(model, [numbers], out="out", batch_size=1)
    written = json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))
    assert [row["value"] for row in written["predictions"]] == [1]


def test_twenty_that_start_in_the_same_second_have_twenty_folders(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from zoo.runs.run import timed_folder\n"
        "time.sleep(max(float(sys.argv[2]) - time.time(), 0))\n"
        "print(timed_folder(Path(sys.argv[1])))\n"
    )
    together = str(time.time() + 6)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "runs"), together],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(20)
    ]
    folders = [process.communicate()[0].strip() for process in started]
    assert len(set(folders)) == 20
    assert all(Path(folder).is_dir() for folder in folders)
