"""The loggers of a user's own: what they are told, and that a resumed run is one run to them."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cuts import SETTINGS, in_a_process, toy_run, with_signal
from lightning.pytorch.loggers import CSVLogger

from zoo.runs.run import Run
from zoo.training.loggers import ContinuedCSVLogger, hyperparameters, with_identity

HELPERS = Path(__file__).parent / "helpers"


def logger(class_path: str, **arguments: Any) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}


@pytest.fixture
def both(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    named = [logger("CSVLogger", save_dir="csv"), logger("TensorBoardLogger", save_dir="tb")]
    monkeypatch.setitem(SETTINGS, "trainer.logger", named)


def rows(folder: str) -> list[dict[str, str]]:
    (path,) = Path(folder).rglob("metrics.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def scalars(folder: str) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (path,) = (each for each in Path(folder).glob("*/*") if each.is_dir())
    events = EventAccumulator(str(path))
    events.Reload()
    return {
        tag: sorted({(each.step, each.value) for each in events.Scalars(tag)})
        for tag in events.Tags()["scalars"]
    }


def test_what_they_are_told(both: None) -> None:
    toy_run(out="run")
    (told,) = Path("csv").rglob("hparams.yaml")
    content = yaml.safe_load(told.read_text(encoding="utf-8"))
    assert content["recipe"] == "toy/points"
    assert content["seed"] == 3
    assert content["model.name"] == "toy-net"
    assert content["data.name"] == "toy-points"
    assert content["data.size"] == SETTINGS["data.size"]
    assert content["trainer.max_epochs"] == SETTINGS["trainer.max_epochs"]
    assert content["versions.torch"]
    assert content["hidden"] == 16  # Lightning's own: arguments of the model
    assert not any(key.startswith("about") for key in content)


def test_plots_are_pictures_of_tensorboard(both: None) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = toy_run(out="run")
    (path,) = Path("tb").glob("*/*")
    events = EventAccumulator(str(path))
    events.Reload()
    plots = {f"plots/{each.stem}" for each in run.plots.glob("*.png")}
    assert plots
    assert plots <= set(events.Tags()["images"])


@pytest.mark.parametrize(
    ("hook", "number"),
    [("on_train_batch_end", 30), ("on_train_epoch_end", 2), ("on_test_batch_end", 1)],
)
def test_a_resumed_run_continues_what_they_began(both: None, hook: str, number: int) -> None:
    toy_run(out="whole")
    whole, curves = rows("csv"), scalars("tb")
    shutil.rmtree("csv")
    shutil.rmtree("tb")
    assert in_a_process(lambda: with_signal(hook, number, signal.SIGKILL)) == -signal.SIGKILL
    before = Run(Path("cut")).environment["loggers"]
    assert toy_run(out="cut", resume="cut").finished
    assert Run(Path("cut")).environment["loggers"] == before
    assert rows("csv") == whole
    assert scalars("tb") == curves


def test_a_new_run_is_a_new_version(both: None) -> None:
    toy_run(out="one")
    toy_run(out="two")
    versions = [Run(Path(name)).environment["loggers"][0]["version"] for name in ("one", "two")]
    assert versions == [0, 1]


def test_who_a_run_is(toy: Any) -> None:
    run = toy_run(out="run")
    named = [logger("WandbLogger"), logger("lightning.pytorch.loggers.MLFlowLogger")]
    wandb, mlflow = (each["init_args"] for each in with_identity(named, run, run.recipe))
    assert wandb["name"] == mlflow["run_name"] == "toy/points/run"
    assert wandb["project"] == mlflow["experiment_name"] == "zoo"
    assert len(wandb["id"]) == 8
    assert "run_id" not in mlflow
    assert named == [logger("WandbLogger"), logger("lightning.pytorch.loggers.MLFlowLogger")]
    run.note(
        loggers=[
            {"class": "WandbLogger", "version": "abc"},
            {"class": "MLFlowLogger", "version": "def"},
        ]
    )
    wandb, mlflow = (each["init_args"] for each in with_identity(named, run, run.recipe))
    assert (wandb["id"], mlflow["run_id"]) == ("abc", "def")
    other = with_identity(logger("CSVLogger", save_dir="x"), run, run.recipe)
    assert "version" not in other["init_args"]  # another class stood there
    own = logger("WandbLogger", id="mine", name="my own", project="ours")
    assert with_identity(own, run, run.recipe) == own
    for plain in (True, False, None):
        assert with_identity(plain, run, run.recipe) is plain


def test_hyperparameters_are_plain(toy: Any) -> None:
    run = toy_run(out="run")
    found = hyperparameters(run.recipe, run.environment)
    assert all(isinstance(each, bool | int | float | str | None) for each in found.values())
    assert json.loads(json.dumps(found)) == found


def test_a_csv_logger_without_a_resume_is_lightnings(tmp_path: Path) -> None:
    ours, theirs = ContinuedCSVLogger(tmp_path / "a"), CSVLogger(tmp_path / "b")
    for each in (ours, theirs):
        each.log_hyperparams({"lr": 0.1})
        each.log_metrics({"loss": 1.0}, 0)
        each.log_metrics({"loss": 0.5, "accuracy": 0.7}, 1)
        each.save()
    files = [sorted(Path(each.log_dir).iterdir()) for each in (ours, theirs)]
    assert [path.name for path in files[0]] == [path.name for path in files[1]]
    for one, other in zip(*files, strict=True):
        assert one.read_bytes() == other.read_bytes()


# Services: in an environment of their own, as both are large

TRAINING = """
import signal, sys
from pathlib import Path
from cuts import SETTINGS, in_a_process, toy_run, with_signal
SETTINGS["trainer.logger"] = [
    {"class_path": "WandbLogger", "init_args": {"offline": True, "save_dir": "wandb-files"}},
    {"class_path": "MLFlowLogger", "init_args": {"tracking_uri": sys.argv[1]}},
]
if in_a_process(lambda: with_signal("on_train_epoch_end", 2, signal.SIGKILL)) != -signal.SIGKILL:
    sys.exit("it was not killed")
if not toy_run(out="cut", resume="cut").finished:
    sys.exit("it is not finished")
"""
READING = """
import json, sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
(experiment,) = [each for each in client.search_experiments() if each.name == "zoo"]
(run,) = client.search_runs([experiment.experiment_id])
files = lambda path=None: [
    found
    for each in client.list_artifacts(run.info.run_id, path)
    for found in (files(each.path) if each.is_dir else [each.path])
]
print(json.dumps({
    "name": run.info.run_name,
    "status": run.info.status,
    "parameters": run.data.params,
    "metrics": run.data.metrics,
    "epochs": [each.step for each in client.get_metric_history(run.info.run_id, "val/loss")],
    "files": files(),
}))
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def services(uv: Any, toy: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Python with W&B and MLflow, over the packages of this one."""
    folder = tmp_path_factory.mktemp("services")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    program = folder / "venv" / "bin" / "python"
    uv("pip", "install", "--quiet", "--python", program, "wandb", "mlflow")
    (site,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    below = [each for each in sys.path if each.endswith("site-packages")]
    (site / "below.pth").write_text("\n".join(below), encoding="utf-8")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([toy.python_path, str(HELPERS), str(HELPERS.parents[1])]),
        "WANDB_MODE": "offline",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }

    def call(*words: object, start: Any = subprocess.run, **options: Any) -> Any:
        return start([program, *map(str, words)], env=environment, text=True, **options)

    yield call
    shutil.rmtree(folder)


@pytest.fixture
def server(services: Any, tmp_path: Path) -> Iterator[str]:
    """A real MLflow server on the loopback address."""
    port = free_port()
    words = ["-m", "mlflow", "server", "--host", "127.0.0.1", "--port", port, "--workers", 1]
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    words += ["--backend-store-uri", store, "--artifacts-destination", tmp_path / "artifacts"]
    with (tmp_path / "server.log").open("w", encoding="utf-8") as log:
        process = services(
            *words, start=subprocess.Popen, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for _ in range(600):
                time.sleep(0.2)
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
            else:
                pytest.fail((tmp_path / "server.log").read_text(encoding="utf-8"))
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.mark.slow
def test_a_killed_run_stays_one_run_of_wandb_and_of_mlflow(services: Any, server: str) -> None:
    done = services("-c", TRAINING, server, capture_output=True)
    assert done.returncode == 0, done.stderr[-3000:]
    noted = {each["class"]: each["version"] for each in Run(Path("cut")).environment["loggers"]}
    parts = [each.name.rpartition("-")[2] for each in Path("wandb-files/wandb").glob("*run-*-*")]
    assert len(parts) == 2  # the killed part and the other: one run, once they are synchronized
    assert set(parts) == {noted["WandbLogger"]}

    read = services("-c", READING, server, capture_output=True)
    assert read.returncode == 0, read.stderr[-3000:]
    found = json.loads(read.stdout.splitlines()[-1])
    assert found["name"] == "toy/points/cut"
    assert found["status"] == "FINISHED"
    assert found["parameters"]["recipe"] == "toy/points"
    assert found["parameters"]["data.size"] == str(SETTINGS["data.size"])
    run = Run(Path("cut"))
    assert found["metrics"]["test/loss"] == pytest.approx(run.metrics["test/loss"])
    assert sorted(set(found["epochs"])) == [24, 49, 74]
    files = set(found["files"])
    assert {"bundle/bundle.json", "bundle/model.safetensors", "plots/curves.png"} <= files
