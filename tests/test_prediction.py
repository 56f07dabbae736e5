"""A trained model on a user's own files: all that can be read, and each other one named."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo as package
from zoo import plots
from zoo.errors import UsageError
from zoo.runs.next_commands import next_commands
from zoo.runs.run import Run
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, with_toy: Callable) -> Path:
    """A small classifier of images."""
    with with_toy():
        return train("toy/images", SHORT, out=tmp_path_factory.mktemp("images") / "run").path


@pytest.fixture
def pictures(toy: Any) -> list[Path]:
    """Five images as files, one of them in a folder inside."""
    draw = np.random.default_rng(0)
    folder = Path("pictures")
    paths = [folder / f"{number}.npy" for number in range(4)] + [folder / "more" / "4.NPY"]
    (folder / "more").mkdir(parents=True)
    for path in paths:
        with path.open("wb") as file:
            np.save(file, draw.integers(0, 256, (1, 8, 8), np.uint8))
    return paths


def spoil(folder: Path, good: Path) -> dict[str, Path]:
    """Files that are no images, though their names say so."""
    data = good.read_bytes()
    contents = {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "text": b"no picture",
        "header": data[:8] + b"\0" * 30,
    }
    paths = {name: folder / f"{name}.npy" for name in contents}
    for name, path in paths.items():
        path.write_bytes(contents[name])
    return paths


def test_good_and_bad_files(model: Path, pictures: list[Path], zoo: Callable) -> None:
    bad = spoil(Path("pictures"), pictures[0])
    done = zoo("predict", model, "pictures", "--out", "out")
    assert done.status == 1
    for path in bad.values():
        assert f"zoo: {path} was left out: " in done.err
    assert done.err.count("was left out") == len(bad)
    assert "5 predictions and their pictures are in out" in done.out

    content = json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))
    assert [row["file"] for row in content["predictions"]] == [str(path) for path in pictures]
    assert set(content["failures"]) == {str(path) for path in bad.values()}
    for row in content["predictions"]:
        assert set(row["probabilities"]) == {"rows", "columns", "checks"}
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert row["confidence"] == max(row["probabilities"].values())
        assert row["probabilities"][row["label"]] == row["confidence"]
    with Path("out/predictions.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["label"]) for row in rows] == [
        (row["file"], row["label"]) for row in content["predictions"]
    ]
    shares = content["predictions"][0]["probabilities"]
    assert {name: float(rows[0][f"probabilities/{name}"]) for name in shares} == shares
    (picture,) = Path("out/pictures").iterdir()
    with Image.open(picture) as image:
        assert min(image.size) > 100


def test_only_good_files(model: Path, pictures: list[Path], zoo: Callable) -> None:
    done = zoo("predict", model, *pictures, "--json")
    assert done.status == 0
    assert done.err == ""
    rows = json.loads(done.out)
    assert [row["name"] for row in rows] == [str(path) for path in pictures]
    assert not Path("out").exists()


def test_failures_in_json(model: Path, pictures: list[Path], zoo: Callable) -> None:
    bad = spoil(Path("pictures"), pictures[0])
    done = zoo("predict", model, pictures[0], bad["text"], "--json")
    assert done.status == 1
    good, failed = json.loads(done.out)
    assert good["name"] == str(pictures[0])
    assert failed["name"] == str(bad["text"])
    assert failed["error"].startswith(f"{bad['text']} is not an array of NumPy: ")


def test_nothing_but_bad_files(model: Path, pictures: list[Path], zoo: Callable) -> None:
    bad = spoil(Path("pictures"), pictures[0])
    done = zoo("predict", model, *bad.values(), "--out", "out")
    assert done.status == 1
    assert json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))["predictions"] == []


def test_the_same_from_python_and_as_a_batch_of_tensors(
    model: Path, pictures: list[Path], zoo: Callable
) -> None:
    found = package.predict(model, pictures, batch_size=2)
    assert found.failures == {}
    assert found.pictures == []
    rows = json.loads(zoo("predict", model, *pictures, "--json").out)
    assert [{k: v for k, v in row.items() if k != "name"} for row in rows] == found.rows
    net = package.load(model)
    pixels = [torch.from_numpy(np.load(path)) for path in pictures]
    with torch.no_grad():
        wanted = net(torch.stack(pixels)).softmax(1)
    for row, shares in zip(found.rows, wanted, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(shares.tolist(), abs=2e-6)


def test_a_bounded_number_of_pages(model: Path, pictures: list[Path], zoo: Callable) -> None:
    """Four pages and the least sure by default; as many as are asked for."""
    files = [pictures[index % 3] for index in range(150)]
    done = zoo("predict", model, *files, "--out", "out")
    assert "150 predictions and pictures of the first 128 (--pages all draws" in done.out
    names = sorted(path.name for path in Path("out/pictures").iterdir())
    assert names == ["least-sure.png", *(f"page-00{n}.png" for n in (1, 2, 3, 4))]

    net = package.load(model)
    drawn: list[list[str]] = []
    net.draw_predictions = lambda names, *_: (
        drawn.append(list(names)) or plots.contact_sheet([], [])
    )
    found = package.predict(net, files[:70], out="all", pages="all", batch_size=16)
    assert [path.name for path in found.pictures] == [
        *(f"page-00{n}.png" for n in (1, 2, 3)),
        "least-sure.png",
    ]
    least = min(found.rows[:3], key=lambda row: row["confidence"])
    assert set(drawn[-1][:20]) == {Path(least["file"]).name}
    assert [len(names) for names in drawn] == [32, 32, 6, 32]
    assert package.predict(net, files, out="none", pages=0).pictures == []
    assert not Path("none/pictures").exists()


def test_calls_that_are_wrong(model: Path, pictures: list[Path], zoo: Callable) -> None:
    Path("full").mkdir()
    Path("full/mine").write_text("mine", encoding="utf-8")
    Path("without").mkdir()
    for words, message in {
        (pictures[0], "absent.npy"): "there is no file or folder 'absent.npy'",
        ("without",): "no file in without ends in one of .npy",
        (pictures[0], "--out", "full"): "full exists and is not empty",
        (pictures[0], "--batch-size", "0"): "has to be 1 or more, not 0",
        (pictures[0], "--pages", "-1"): "a whole number, 0 or more, or 'all'",
    }.items():
        done = zoo("predict", model, *words)
        assert done.status == 2, words
        assert message in done.err
    assert [path.name for path in Path("full").iterdir()] == ["mine"]


def test_a_model_that_reads_no_files(toy: Any, pictures: list[Path]) -> None:
    train("toy/points", SHORT, out="toy-run")
    with pytest.raises(UsageError, match="does not say how it reads a file"):
        package.predict("toy-run", pictures)


# Models that predict on each file by itself, write files of their own, take several files


@pytest.fixture
def sampler(model: Path, toy: Any) -> Any:
    """The loaded model as one of a class with more members: ``sampler(write_prediction=...)``."""
    from zoo_toy.cnn import ToyCNN

    def predict_sample(self: Any, sample: torch.Tensor) -> torch.Tensor:
        if sample.shape != (1, 8, 8):
            raise UsageError(f"an image of {list(sample.shape)} is too much")
        return self.predict_step(sample[None])[0]

    def make(**members: Any) -> Any:
        net = package.load(model)
        net.__class__ = type("Sampler", (ToyCNN,), {"predict_sample": predict_sample, **members})
        return net

    return make


def write_prediction(
    self: Any, name: str, sample: Any, output: Any, folder: Path, probabilities: bool
) -> dict[str, str]:
    written = {"map": f"{name}.txt"} | ({"probabilities": f"{name}.csv"} if probabilities else {})
    folder.mkdir(exist_ok=True, parents=True)
    for file in written.values():
        (folder / file).write_text(str(output.tolist()))
    return written


def test_each_file_by_itself(
    sampler: Callable, model: Path, pictures: list[Path], zoo: Callable
) -> None:
    np.save("pictures/large.npy", np.zeros((3, 99, 99), np.uint8))
    wanted = package.predict(model, pictures).rows
    net = sampler()
    found = package.predict(net, ["pictures"], out="out")
    for row, other in zip(found.rows, wanted, strict=True):
        assert row["file"] == other["file"]
        assert row["confidence"] == pytest.approx(other["confidence"], abs=1e-6)
    assert found.failures == {"pictures/large.npy": "an image of [3, 99, 99] is too much"}
    names = [f"{number}.png" for number in range(5)]
    assert [path.name for path in found.pictures] == names  # each named after its file
    assert package.predict(net, ["pictures"]).folder is None


def test_files_that_the_model_writes(sampler: Callable, pictures: list[Path]) -> None:
    """In a folder of the time where none is given; files of one name are told apart."""
    Path("more").mkdir()
    shutil.copy(pictures[0], "more/0.npy")
    net = sampler(write_prediction=write_prediction)
    found = package.predict(net, [pictures[0], "more"], probabilities=True)
    assert found.folder is not None
    assert found.folder.parent == Path("predictions")
    names = {path.name for path in found.folder.iterdir()}
    wanted = {"0.txt", "0.csv", "0_2.txt", "0_2.csv"}
    assert names == {*wanted, "pictures", "predictions.json", "predictions.csv"}
    rows = json.loads((found.folder / "predictions.json").read_text())["predictions"]
    assert rows[1]["written"] == {"map": "0_2.txt", "probabilities": "0_2.csv"}
    without = package.predict(net, [pictures[0]], out="out")
    assert without.rows[0]["written"] == {"map": "0.txt"}


def test_several_files_of_one_input(sampler: Callable, pictures: list[Path]) -> None:
    net = sampler(group_files=lambda self, files: files[::2])
    rows = package.predict(net, pictures).rows
    assert [row["file"] for row in rows] == [str(path) for path in pictures[::2]]


def test_probabilities_of_a_model_that_writes_none(
    model: Path, pictures: list[Path], zoo: Callable
) -> None:
    done = zoo("predict", model, "pictures", "--probabilities")
    assert done.status == 2
    assert "makes no probability maps; its probabilities are in predictions.json" in done.err
    assert "omit --probabilities" in done.err


def test_files_of_several_shapes(model: Path, pictures: list[Path], monkeypatch: Any) -> None:
    """Only those of one shape are stacked, and the order is kept."""
    from zoo_toy.cnn import ToyCNN

    stacked: list[int] = []

    def predict_step(self: Any, batch: torch.Tensor, batch_idx: int = 0) -> torch.Tensor:
        stacked.append(len(batch))
        return self(batch[..., :8, :8]).softmax(1)

    for number in (1, 2):
        np.save(pictures[number], np.zeros((1, 9, 9), np.uint8))
    monkeypatch.setattr(ToyCNN, "predict_step", predict_step)
    rows = package.predict(model, pictures).rows
    assert stacked == [1, 2, 2]
    assert [row["file"] for row in rows] == [str(path) for path in pictures]


def test_progress_is_shown_while_files_are_predicted(
    model: Path, pictures: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = package.predict(model, pictures, progress=True).rows
    assert rows == package.predict(model, pictures).rows


# Models that play


@pytest.fixture
def player(toy: Any) -> Path:
    """A trained model that acts in an environment."""
    content = {
        "model": {"name": "toy-player"},
        "data": {"name": "toy-points"},
        "trainer": {key.removeprefix("trainer."): value for key, value in SHORT.items()},
    }
    return train(content, out="toy-run").path


def test_a_model_that_plays(player: Path, zoo: Callable) -> None:
    done = zoo("predict", "--goal-return", "-2.5", player, "--episodes", "3", "--out", "out")
    assert done.status == 0, done.err
    rows = json.loads(Path("out/predictions.json").read_text(encoding="utf-8"))["predictions"]
    assert rows == [{"episode": n, "return": -2.5 * (n - 1)} for n in (1, 2, 3)]
    assert "return" in done.out
    assert Path("out/first.gif").exists()
    assert [row["name"] for row in json.loads(zoo("predict", player, "--json").out)] == ["1", "2"]


def test_the_options_of_a_model_that_plays(player: Path, zoo: Callable) -> None:
    done = zoo("predict", player, "--help")
    assert done.status == 0
    assert "--goal-return" in done.out
    assert "What to reach." in done.out
    assert "--folder" not in done.out


def test_wrong_calls_of_a_model_that_plays(player: Path, zoo: Callable) -> None:
    for words, message in {
        ("--episode", "3"): "there is no option --episode; did you mean --episodes?",
        ("--episodes", "many"): "'--episodes' has to be of type int, not 'many'",
        ("--episodes",): "--episodes needs a value",
        ("picture.png",): "plays in its environment and takes no files; omit picture.png",
    }.items():
        done = zoo("predict", player, *words)
        assert done.status == 2, words
        assert message in done.err


def test_an_option_or_no_file_for_a_model_that_reads_files(
    model: Path, pictures: list[Path], zoo: Callable
) -> None:
    done = zoo("predict", model, pictures[0], "--episodes", "3")
    assert done.status == 2
    assert "takes files and no option --episodes" in done.err
    done = zoo("predict", model)
    assert done.status == 2
    assert "name the files or folders" in done.err


def test_what_to_try_next_fits_the_model(player: Path, model: Path) -> None:
    use, finetune, export = next_commands(Run(player))
    assert use == f"zoo predict {player} --out predictions"
    assert "YOUR-DATA" not in finetune
    assert export.startswith("zoo export")
    assert next_commands(Run(player), {"abilities": ["produce", "finetune"]}) == [use, finetune]
    assert next_commands(Run(player), {})[0] == f"zoo test {player}"
    assert f"zoo predict {model} YOUR-FILES" in next_commands(Run(model))[0]
