"""Models that make something without files: rows, pictures, and that a seed repeats them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import zoo as package
from zoo.errors import UsageError, ZooError
from zoo.runs.next_commands import next_commands
from zoo.runs.run import Run
from zoo.training.seeding import seeded
from zoo.training.train import train

SETTINGS = {"trainer.logger": False, "trainer.enable_progress_bar": False}
RECIPE = """
about: {summary: Points, paper: none}
model: {name: small-net}
data: {name: small-points}
trainer: {max_epochs: 1, num_sanity_val_steps: 0}
"""
SAMPLER = '''
import random
import numpy as np
import torch
from lightning.pytorch import LightningModule
from torch import nn

class Net(LightningModule):
    """Learns mean and spread of the points, and draws new ones."""

    row_name = "point"

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.mean = nn.Parameter(torch.zeros(features))

    @property
    def example_input(self):
        return torch.zeros(2, 2)

    def forward(self, noise):
        return self.mean + 0.3 * noise

    def training_step(self, batch, batch_idx):
        loss = (self.mean - batch[0]).square().mean() + 0 * torch.randn(())
        self.log("train/loss", loss)
        return loss

    def test_step(self, batch, batch_idx):
        drawn = self(torch.randn(len(batch[0]), 2))
        noise = random.random() + np.random.random()
        self.log("test/distance", (drawn.mean(0) - batch[0].mean(0)).norm() + noise)

    def draw_plots(self, batch):
        from matplotlib.figure import Figure
        figure = Figure()
        figure.add_subplot().scatter(*self(torch.randn(9, 2)).T)
        return {"drawn": figure}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

    def produce(self, folder, *, count: int = 3, start: str = "a"):
        """Draw points.

        Args:
            folder: Where to write.
            count: How many.
            start: What they begin with.
        """
        points = self(torch.randn(count, 2, device=self.device)).tolist()
        if folder is not None:
            (folder / "points.png").write_bytes(b"png")
        return [{"x": x, "y": y, "text": f"{start}{random.random()}"} for x, y in points]
'''


@pytest.fixture
def run(write: Any) -> Run:
    write({"model": SAMPLER, "recipes/first.yaml": RECIPE})
    return train("small/first", SETTINGS, out="run")


def test_one_seed_gives_one_output(run: Run, zoo: Callable) -> None:
    first, again, other, default, zero = (
        zoo("predict", run.path, "--count", 16, *seed, "--json")
        for seed in (("--seed", 3), ("--seed", 3), ("--seed", 4), (), ("--seed", 0))
    )
    assert first.status == 0, first.err
    assert first.out == again.out
    assert first.out != other.out
    assert default.out == zero.out
    rows = json.loads(first.out)
    assert len(rows) == 16
    assert [row["point"] for row in rows] == list(range(1, 17))
    assert rows[4]["name"] == "5"
    assert not Path("predictions").exists()


def test_the_folder_has_table_pictures_and_rows(run: Run, zoo: Callable) -> None:
    done = zoo("predict", run.path, "--count", 2, "--start", "b", "--out", "made")
    assert done.status == 0, done.err
    assert "2 predictions and their pictures are in made" in done.out
    assert sorted(path.name for path in Path("made").iterdir()) == [
        "points.png",
        "predictions.csv",
        "predictions.json",
    ]
    with Path("made/predictions.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["point", "x", "y", "text"]
    assert all(row["text"].startswith("b") for row in rows)
    found = package.predict(run.path, options={"count": 2, "start": "b"})
    assert [str(row["x"]) for row in found.rows] == [row["x"] for row in rows]


def test_the_generators_of_the_caller_stay(run: Run) -> None:
    torch.manual_seed(7)
    wanted = torch.rand(())
    torch.manual_seed(7)
    model = package.load(run.path)
    torch.manual_seed(7)
    package.predict(model, options={"seed": 3})
    assert torch.rand(()) == wanted


def test_help_and_what_comes_next_know_it(run: Run, zoo: Callable) -> None:
    said = zoo("predict", run.path, "--help").out
    assert "--count" in said
    assert "How many." in said
    assert next_commands(run)[0] == f"zoo predict {run.path} --out predictions"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--count", "0"], "--count is 0; it has to be 1 or more"),
        (["--count", "-3"], "--count is -3; it has to be 1 or more"),
        (["--count", "many"], "--count"),
        (["--seed", "-1"], "--seed is '-1'; it has to be a whole number"),
        (["--seed", "x"], "--seed is 'x'; it has to be a whole number"),
        (["--seed", str(2**32)], "it has to be a whole number from 0 to 2**32 - 1"),
        (["--cuont", "2"], "did you mean --count?"),
        (["file.png"], "produces by itself and takes no files; omit file.png"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(
    run: Run, zoo: Callable, words: list[str], said: str
) -> None:
    done = zoo("predict", run.path, *words, "--out", "made")
    assert (done.status, done.out) == (2, "")
    assert said in done.err
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("returned", "said"),
    [
        ("3", "produce of Net returned int, not a list of one dict"),
        ("[1, 2]", "produce of Net returned list, not a list of one dict"),
        ("[{'x': torch.ones(())}]", "gives a value of 'x' that JSON does not hold"),
        ("[{'x': [np.float32(1)]}]", "gives a value of 'x' that JSON does not hold"),
    ],
)
def test_what_are_no_rows_is_said(write: Any, returned: str, said: str) -> None:
    text = SAMPLER.partition("        points = self(torch.randn(count")[0]
    write({"model": f"{text}        return {returned}\n", "recipes/first.yaml": RECIPE})
    with pytest.raises(ZooError, match=said):
        package.predict(package.create_model("small-net"))


def test_the_test_of_a_sampling_model_repeats(run: Run, zoo: Callable) -> None:
    measured = {"test/distance": run.metrics["test/distance"]}
    assert package.evaluate(run.path) == measured
    torch.rand(5)
    assert package.evaluate(run.path, out="again") == measured
    drawn = [Path(folder) / "plots" / "drawn.png" for folder in (run.path, "again")]
    assert drawn[0].read_bytes() == drawn[1].read_bytes()
    assert package.evaluate(run.path, {"seed": 5}) != measured


def test_a_run_that_was_cut_in_its_test_measures_the_same(run: Run) -> None:
    other = train("small/first", {**SETTINGS, "trainer.max_epochs": 1}, out="other")
    (other.path / "metrics.json").unlink()
    content = json.loads((other.path / "environment.json").read_text())
    del content["finished"]
    (other.path / "environment.json").write_text(json.dumps(content))
    torch.rand(5)
    assert train("small/first", SETTINGS, out="other", resume="auto").metrics == run.metrics


def test_a_seed_ends_with_its_block() -> None:
    torch.manual_seed(1)
    wanted = torch.rand(2)[1]
    torch.manual_seed(1)
    torch.rand(1)
    with seeded(3):
        inside = torch.rand(1)
    assert torch.rand(1) == wanted
    with seeded(3):
        assert torch.rand(1) == inside


READER = """
    input_suffixes = (".txt",)

    def read_file(self, path):
        return torch.tensor([float(word) for word in path.read_text().split()])

    def predict_step(self, batch, batch_idx):
        return batch + torch.randn_like(batch)

    def describe_prediction(self, output):
        return {"x": float(output[0])}
"""


@pytest.fixture
def points() -> list[Path]:
    for number in range(3):
        Path(f"{number}.txt").write_text(f"{number} 1", encoding="utf-8")
    return [Path(f"{number}.txt") for number in range(3)]


def test_one_that_reads_and_produces_does_what_is_asked(
    write: Any, points: list[Path], zoo: Callable
) -> None:
    write({"model": SAMPLER + READER, "recipes/first.yaml": RECIPE})
    model = package.create_model("small-net")
    assert [row["point"] for row in package.predict(model).rows] == [1, 2, 3]
    found = package.predict(model, points)
    assert [row["file"] for row in found.rows] == ["0.txt", "1.txt", "2.txt"]
    assert package.predict(model, points, options={"seed": 0}).rows == found.rows
    assert package.predict(model, points, options={"seed": 1}).rows != found.rows
    with pytest.raises(UsageError, match="takes files and no option --count"):
        package.predict(model, points, options={"count": 2})


def test_without_draw_predictions_the_table_is_written(write: Any, points: list[Path]) -> None:
    write({"model": SAMPLER + READER, "recipes/first.yaml": RECIPE})
    found = package.predict(package.create_model("small-net"), points, out="made")
    assert not found.failures
    assert not found.pictures
    assert sorted(p.name for p in Path("made").iterdir()) == ["predictions.csv", "predictions.json"]


def test_one_that_plays_produces_episodes(toy: Any, zoo: Callable) -> None:
    model = package.create_model("toy-player", features=2)
    found = package.predict(model, options={"episodes": 3, "seed": 2})
    assert [row["episode"] for row in found.rows] == [1, 2, 3]
    assert found.folder is not None
