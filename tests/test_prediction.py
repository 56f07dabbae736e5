"""A trained model on a user's own files: all that can be read, and each other one named."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import zoo as package
from zoo.cli.train import next_commands
from zoo.errors import UsageError
from zoo.runs.run import Run
from zoo.training.train import train

SHORT = {"trainer.logger": False, "trainer.enable_progress_bar": False, "trainer.max_epochs": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small classifier of digits."""
    settings = {**SHORT, "model.net": "1x8x8-8C3-MP2-N", "trainer.limit_train_batches": 20}
    return train("vision/mpcnn-digits", settings, out=tmp_path_factory.mktemp("run")).path


@pytest.fixture
def pictures() -> list[Path]:
    """Five digits of the test data as PNG files, one of them in a folder inside."""
    from sklearn.datasets import load_digits

    values = load_digits().images[:5] * (255 / 16)
    folder = Path("pictures")
    paths = [folder / f"{number}.png" for number in range(4)] + [folder / "more" / "4.PNG"]
    (folder / "more").mkdir(parents=True)
    for path, pixels in zip(paths, values, strict=True):
        Image.fromarray(pixels.round().astype(np.uint8)).save(path)
    return paths


def spoil(folder: Path, good: Path) -> dict[str, Path]:
    """Files that are no pictures, though their names say so."""
    data = good.read_bytes()
    contents = {
        "cut": data[: len(data) // 2],
        "empty": b"",
        "text": b"no picture",
        "header": data[:8] + b"\0" * 30,
    }
    paths = {name: folder / f"{name}.png" for name in contents}
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

    content = json.loads(Path("out/predictions.json").read_text())
    assert [row["file"] for row in content["predictions"]] == [str(path) for path in pictures]
    assert set(content["failures"]) == {str(path) for path in bad.values()}
    for row in content["predictions"]:
        assert set(row["probabilities"]) == set("0123456789")
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-4)
        assert row["confidence"] == max(row["probabilities"].values())
        assert row["probabilities"][row["label"]] == row["confidence"]
    with Path("out/predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["file"], row["label"]) for row in rows] == [
        (row["file"], row["label"]) for row in content["predictions"]
    ]
    assert json.loads(rows[0]["probabilities"]) == content["predictions"][0]["probabilities"]
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
    assert "no known image format" in failed["error"]


def test_nothing_but_bad_files(model: Path, pictures: list[Path], zoo: Callable) -> None:
    bad = spoil(Path("pictures"), pictures[0])
    done = zoo("predict", model, *bad.values(), "--out", "out")
    assert done.status == 1
    assert json.loads(Path("out/predictions.json").read_text())["predictions"] == []


def test_the_same_from_python_and_as_a_batch_of_tensors(
    model: Path, pictures: list[Path], zoo: Callable
) -> None:
    found = package.predict(model, pictures, batch_size=2)
    assert found.failures == {}
    assert found.pictures == []
    rows = json.loads(zoo("predict", model, *pictures, "--json").out)
    assert [{k: v for k, v in row.items() if k != "name"} for row in rows] == found.rows
    net = package.load(model)
    pixels = [torch.from_numpy(np.array(Image.open(path)))[None] for path in pictures]
    with torch.no_grad():
        wanted = net(torch.stack(pixels)).softmax(1)
    for row, shares in zip(found.rows, wanted, strict=True):
        assert list(row["probabilities"].values()) == pytest.approx(shares.tolist(), abs=2e-6)


def test_the_models_own_preprocessing(model: Path, pictures: list[Path]) -> None:
    """The same picture in color, and lying on its side with an EXIF entry that says so."""
    with Image.open(pictures[3]) as image:
        image.load()
    turned = image.convert("RGB").transpose(Image.Transpose.ROTATE_90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    turned.save("turned.png", exif=exif)
    rows = package.predict(model, [pictures[3], "turned.png"]).rows
    first, second = (list(row["probabilities"].values()) for row in rows)
    assert second == pytest.approx(first, abs=1e-5)


def test_many_pictures_on_pages(model: Path, pictures: list[Path]) -> None:
    found = package.predict(model, [pictures[0]] * 70, out="out", batch_size=16)
    assert [path.name for path in found.pictures] == [f"page-00{n}.png" for n in (1, 2, 3)]
    assert all(path.is_file() for path in found.pictures)
    assert len(found.rows) == 70


def test_calls_that_are_wrong(model: Path, pictures: list[Path], zoo: Callable) -> None:
    Path("full").mkdir()
    Path("full/mine").write_text("mine")
    Path("without").mkdir()
    for words, message in {
        (pictures[0], "absent.png"): "there is no file or folder 'absent.png'",
        ("without",): "no file in without ends in one of",
        (pictures[0], "--out", "full"): "full exists and is not empty",
        (pictures[0], "--batch-size", "0"): "has to be 1 or more, not 0",
    }.items():
        done = zoo("predict", model, *words)
        assert done.status == 2, words
        assert message in done.err
    assert [path.name for path in Path("full").iterdir()] == ["mine"]


def test_a_model_that_reads_no_files(toy: Any, pictures: list[Path]) -> None:
    train("toy/points", SHORT, out="toy-run")
    with pytest.raises(UsageError, match="does not say how it reads a file"):
        package.predict("toy-run", pictures)


def play(
    self: Any, folder: Path | None, *, episodes: int = 2, goal_return: float = 1.5
) -> list[dict[str, Any]]:
    """Play.

    Args:
        folder: Where to write.
        episodes: How many episodes.
        goal_return: What to reach.
    """
    assert folder is not None
    (folder / "first.gif").write_bytes(b"GIF89a")
    return [{"return": goal_return * number} for number in range(episodes)]


@pytest.fixture
def player(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A trained model that acts in an environment."""
    from zoo_toy.model import ToyNet

    train("toy/points", SHORT, out="toy-run")
    monkeypatch.setattr(ToyNet, "play", play, raising=False)
    return Path("toy-run")


def test_a_model_that_plays(player: Path, zoo: Callable) -> None:
    done = zoo("predict", "--goal-return", "-2.5", player, "--episodes", "3", "--out", "out")
    assert done.status == 0, done.err
    rows = json.loads(Path("out/predictions.json").read_text())["predictions"]
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


def test_what_to_try_next_fits_the_model(
    player: Path, monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    from zoo_toy.model import ToyNet

    use, finetune, export = next_commands(Run(player))
    assert use == f"zoo predict {player} --out predictions"
    assert "YOUR-DATA" not in finetune
    assert export.startswith("zoo export")
    monkeypatch.setattr(ToyNet, "not_exportable", "it only plays", raising=False)
    assert next_commands(Run(player)) == [use, finetune]
    assert f"zoo predict {model} YOUR-FILES" in next_commands(Run(model))[0]
