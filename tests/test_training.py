"""The training entrypoint on a toy: what a run leaves, repeats and survives."""

import csv
import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

import zoo as package
from zoo.errors import UsageError
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import make_recipe, read_recipe
from zoo.training.interruption import TrainingInterrupted
from zoo.training.train import train


def weights(run: Any) -> dict[str, torch.Tensor]:
    return load_file(run.bundle / "model.safetensors")


def same(left: Any, right: Any) -> bool:
    mine, other = weights(left), weights(right)
    return mine.keys() == other.keys() and all(torch.equal(mine[n], other[n]) for n in mine)


def test_what_a_run_leaves(toy: Any) -> None:
    run = train("toy/points", {"trainer.max_epochs": 3}, out="mine")
    assert run.path == Path("mine")
    assert run.finished
    names = {str(path.relative_to(run.path)) for path in run.path.rglob("*") if path.is_file()}
    assert {
        "recipe.yaml",
        "environment.json",
        "metrics.csv",
        "metrics.json",
        "checkpoints/last.ckpt",
        "plots/curves.png",
        "plots/clouds.png",
        "bundle/model.safetensors",
        "bundle/bundle.json",
        "bundle/README.md",
    } <= names
    assert any(name.startswith("tensorboard/") for name in names)
    assert not any(".tmp" in name for name in names)
    for name in ("curves", "clouds"):
        assert (run.plots / f"{name}.png").read_bytes().startswith(b"\x89PNG")

    metrics = json.loads((run.path / "metrics.json").read_text())
    stages = ("train", "val", "test")
    assert set(metrics) == {f"{s}/{f}" for s in stages for f in ("loss", "accuracy")}
    assert metrics == run.metrics
    assert metrics["test/accuracy"] > 0.7

    with run.metrics_csv.open(newline="") as file:
        rows = list(csv.DictReader(file))
    losses = [float(row["train/loss"]) for row in rows if row["train/loss"]]
    assert len(losses) == 3
    assert losses[-1] == metrics["train/loss"]
    assert [row["epoch"] for row in rows if row["val/loss"]] == ["0", "1", "2"]

    recipe = yaml.safe_load(run.recipe_file.read_text())
    assert recipe["trainer"]["max_epochs"] == 3
    assert recipe["model"]["dropout"] == 0.2  # a default, written out
    assert recipe["seed"] == recipe["data"]["seed"] == 3

    environment = run.environment
    assert environment["recipe"] == "toy/points"
    assert environment["seed"] == 3
    assert environment["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert environment["versions"]["zoo-toy"] == "1.0"
    assert {"command", "hardware", "git", "started", "finished", "fit_seconds"} <= set(environment)


def test_facts_of_the_data_reach_the_model(toy: Any) -> None:
    run = train("toy/points", {"data.clouds": 5, "trainer.max_epochs": 1}, out="mine")
    assert weights(run)["classifier.weight"].shape == (5, 16)


def test_same_seed_same_figures(toy: Any) -> None:
    first = train("toy/points", out="first")
    torch.rand(7)  # what came before in the process makes no difference
    again = train("toy/points", out="again")
    assert again.metrics == first.metrics
    assert again.metrics_csv.read_text() == first.metrics_csv.read_text()
    assert same(again, first)
    other = train("toy/points", {"seed": 4}, out="other")
    assert other.metrics != first.metrics
    assert not same(other, first)


@pytest.mark.parametrize("overrides", [{}, {"data.clouds": 4, "model.hidden": 5, "seed": 11}])
def test_the_recipe_of_a_run_repeats_it(toy: Any, overrides: dict[str, Any]) -> None:
    first = train("toy/points", overrides, out="first")
    again = train(first.recipe_file, out="again")
    assert again.metrics == first.metrics
    assert same(again, first)
    assert again.recipe.as_dict() == first.recipe.as_dict()


def test_the_printed_recipe_is_the_experiment(toy: Any, zoo: Callable) -> None:
    Path("printed.yaml").write_text(
        zoo("train", "toy/points", "--print-config").out, encoding="utf-8"
    )
    assert same(train("printed.yaml", out="printed"), train("toy/points", out="named"))


def test_a_recipe_made_in_memory(toy: Any) -> None:
    content = {
        "model": {"name": "toy-net"},
        "data": {"name": "toy-points"},
        "trainer": {"max_epochs": 1, "logger": False},
    }
    run = train(make_recipe(content, "mine"))
    assert run.path.parent == Path("runs/mine")
    assert run.finished
    assert not (run.path / "tensorboard").exists()
    assert run.metrics_csv.is_file()


def test_runs_lie_side_by_side(toy: Any) -> None:
    runs = [train("toy/points", {"trainer.max_epochs": 1}) for _ in range(3)]
    assert len({run.path for run in runs}) == 3
    assert all(run.path.parent == Path("runs/toy/points") for run in runs)
    assert all(run.finished for run in runs)


def test_a_run_is_never_overwritten(toy: Any) -> None:
    run = train("toy/points", {"trainer.max_epochs": 1}, out="mine")
    before = {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()}
    with pytest.raises(UsageError, match="exists and is not empty"):
        train("toy/points", {"trainer.max_epochs": 1}, out="mine")
    assert {path: path.read_bytes() for path in run.path.rglob("*") if path.is_file()} == before


def test_an_empty_folder_may_be_given(toy: Any) -> None:
    Path("mine").mkdir()
    assert train("toy/points", {"trainer.max_epochs": 1}, out="mine").finished


def test_callbacks_and_settings_of_the_recipe_are_used(toy: Any) -> None:
    stop = {
        "class_path": "EarlyStopping",
        "init_args": {"monitor": "val/accuracy", "mode": "max", "stopping_threshold": 0.0},
    }
    run = train("toy/points", {"trainer.callbacks": [stop], "trainer.max_epochs": 50}, out="mine")
    assert run.environment["epochs"] == 1
    assert run.recipe.trainer["callbacks"][0]["init_args"]["monitor"] == "val/accuracy"


def test_the_command_reports_the_run(toy: Any, zoo: Callable) -> None:
    words = ["train", "toy/points", "--trainer.max_epochs", "1", "--data", "toy-points"]
    done = zoo(*words, "--out", "mine")
    assert done.status == 0
    assert "test/accuracy" in done.out
    following = done.out.partition("Next:\n")[2].splitlines()
    assert len(following) == 3
    assert all(line.startswith("  zoo ") for line in following)
    assert "epoch 1/1  accuracy" in done.err
    listed = zoo(*words, "--out", "other", "--json")
    (row,) = json.loads(listed.out)
    assert row["name"] == "toy/points"
    assert row["run"] == "other"
    assert row["test/loss"] == package.Run(Path("other")).metrics["test/loss"]


def test_test_measures_the_bundle(toy: Any, zoo: Callable) -> None:
    run = train("toy/points", out="mine")
    done = zoo("test", "mine", "--json", "--out", "measured")
    assert done.status == 0
    (row,) = json.loads(done.out)
    assert row["test/accuracy"] == run.metrics["test/accuracy"]
    assert row["test/loss"] == pytest.approx(run.metrics["test/loss"], rel=1e-6)
    measured = json.loads(Path("measured/metrics.json").read_text(encoding="utf-8"))
    assert measured["test/loss"] == row["test/loss"]
    assert Path("measured/plots/clouds.png").is_file()

    refused = zoo("test", "mine", "--data.clouds", "4")
    assert refused.status == 2
    assert "the model was trained for" in refused.err


def test_test_tells_the_metrics_and_takes_no_argument_of_the_model(toy: Any, zoo: Callable) -> None:
    run = train("toy/points", {"trainer.max_epochs": 1}, out="mine")
    done = zoo("test", "mine")
    assert done.status == 0
    accuracy = f"{run.metrics['test/accuracy']:.4f}"
    assert ["test/accuracy", accuracy] in [line.split() for line in done.out.splitlines()]
    refused = zoo("test", "mine", "--model.hidden", "4")
    assert refused.status == 2
    assert "--model.hidden: a trained model keeps its arguments; omit it" in refused.err


CHOOSER = """
from zoo.plugin import Model, hookimpl
from zoo_toy.model import ToyPlayer

ZOO_PLUGIN_API = 1

@hookimpl
def zoo_models():
    return [Model("chooser", f"{__name__}:Chooser", "A net that chooses its accelerator")]

class Chooser(ToyPlayer):
    asked = []

    def choose_accelerator(self, data):
        self.asked.append(len(data.parts["train"]))  # the data are set up
        return "cpu"
"""


def test_a_model_may_choose_its_accelerator(toy: Any) -> None:
    toy.add("chooser", CHOOSER)
    content = {"model": {"name": "chooser"}, "data": {"name": "toy-points"}}
    settings = {"trainer.max_epochs": 1, "trainer.logger": False}
    assert train(content, settings, out="first").finished
    asked = type(package.load("first")).asked
    assert asked == [40]
    train(content, {**settings, "trainer.accelerator": "cpu"}, out="second")
    assert asked == [40]  # the user has chosen


def test_a_dataset_without_test_data(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo_toy.data import Points

    monkeypatch.setattr(Points, "test_dataloader", lambda self: [])
    run = train("toy/points", {"trainer.max_epochs": 1}, out="run")
    assert run.finished
    assert {name.partition("/")[0] for name in run.metrics} == {"train", "val"}
    assert {path.name for path in run.plots.iterdir()} == {"curves.png"}


def test_loaded_model_is_the_trained_one(toy: Any) -> None:
    run = train("toy/points", out="mine")
    model = package.load("mine")
    assert not model.training
    checkpoint = torch.load(run.checkpoint, weights_only=True)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, checkpoint["state_dict"][name])


def test_names_from_python(toy: Any) -> None:
    assert package.list_models("toy-n*") == ["toy-net"]
    assert package.list_recipes("toy/*") == ["toy/files", "toy/images", "toy/points"]
    assert "toy-points" in package.list_datasets()
    assert package.list_checkpoints("toy-*") == ["toy-trained"]
    model = package.create_model("toy-net", features=2, num_classes=4, hidden="6")
    assert model(torch.zeros(3, 2)).shape == (3, 4)
    assert package.create_data("toy-points", clouds=2).facts["num_classes"] == 2
    with pytest.raises(UsageError, match=r"dataset 'toy-points'.*clouds"):
        package.create_data("toy-points", cloud=2)
    with pytest.raises(UsageError, match="needs a value for root"):
        package.create_data("toy-files")


def test_a_failure_while_training_leaves_an_unfinished_run(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--model.num_classes", "1", "--out", "mine")
    assert done.status == 1  # labels beyond the classes
    assert done.err.count("zoo: ") == 1
    assert "Traceback" not in done.err
    assert not package.Run(Path("mine")).finished
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("step", [0, 3, 7])
def test_ctrl_c_and_resume_end_with_the_same_weights(toy: Any, step: int) -> None:
    """Steps 3 and 7 are in the middle of the first and second epochs, of 5 steps each."""
    overrides = {"trainer.max_epochs": 3}
    whole = train("toy/points", overrides, out="whole")
    with pytest.raises(TrainingInterrupted) as stopped:
        train("toy/points", {**overrides, "model.ctrl_c_at_step": step}, out="cut")
    assert stopped.value.status == 130
    assert "--resume cut" in str(stopped.value)
    run = stopped.value.run
    assert not run.finished
    content = torch.load(run.checkpoint, weights_only=True)
    assert content["global_step"] == step + 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    # let the run go on as one that is never cut
    recipe = yaml.safe_load(run.recipe_file.read_text())
    recipe["model"]["ctrl_c_at_step"] = -1
    run.recipe_file.write_text(yaml.safe_dump(recipe))
    again = train("toy/points", resume="cut")
    assert again.path == run.path
    assert again.finished
    assert same(again, whole)
    assert again.metrics == whole.metrics


def test_resume_refuses_another_experiment(toy: Any) -> None:
    with pytest.raises(TrainingInterrupted):
        train("toy/points", {"model.ctrl_c_at_step": 1}, out="cut")
    with pytest.raises(UsageError, match=r"'model.hidden' was 16, not 4"):
        train("toy/points", {"model.hidden": 4}, resume="cut")
    with pytest.raises(UsageError, match=r"'seed' was 3, not 4"):
        train("toy/points", {"seed": 4}, resume="cut")


def test_resume_auto_starts_anew_without_an_unfinished_run(toy: Any) -> None:
    first = train("toy/points", {"trainer.max_epochs": 1}, resume="auto")
    second = train("toy/points", {"trainer.max_epochs": 1}, resume="auto")
    assert first.finished
    assert second.finished
    assert first.path != second.path


def test_ctrl_c_to_a_process(toy: Any, python: Callable, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["-m", "zoo", "train", "toy/points", "--trainer.max_epochs", 10**6, "--out", out]
    process = python(*words, start=subprocess.Popen, stderr=subprocess.PIPE)
    try:
        lines = []
        for line in process.stderr:
            lines.append(line)
            if line.startswith("epoch 2/"):
                break
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[1]
    finally:
        process.kill()
    assert process.returncode == 130, "".join(lines) + rest
    assert "Traceback" not in rest
    assert rest.splitlines()[-1].startswith("zoo: stopped; the run so far lies in")
    run = package.Run(out)
    assert not run.finished
    content = torch.load(run.checkpoint, weights_only=True)
    assert content["global_step"] >= 5
    assert run.metrics.keys() >= {"train/loss", "val/accuracy"}
    with run.metrics_csv.open(newline="") as file:
        assert len(list(csv.DictReader(file))) >= 1
    assert resolve(read_recipe(run.recipe_file)).recipe.trainer["max_epochs"] == 10**6
    assert package.load(run.checkpoint).hparams["hidden"] == 16
