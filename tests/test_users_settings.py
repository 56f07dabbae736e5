"""Settings of the Trainer that people bring from Lightning do in a run what Lightning says."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import SETTINGS, in_a_process, toy_run, with_signal
from lightning.pytorch.callbacks import TQDMProgressBar
from lightning.pytorch.plugins import TorchCheckpointIO

from zoo.errors import UsageError
from zoo.training.train import train

QUICK = {
    "trainer.max_epochs": 1,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "data.size": 40,
}


class DoubleFile(TorchCheckpointIO):
    """A CheckpointIO of a user's own: its files begin with a mark."""

    MARK = b"mine"

    def save_checkpoint(self, checkpoint: Any, path: Any, storage_options: Any = None) -> None:
        super().save_checkpoint(checkpoint, path, storage_options)
        Path(path).write_bytes(self.MARK + Path(path).read_bytes())

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        import io

        content = Path(path).read_bytes().removeprefix(self.MARK)
        return dict(torch.load(io.BytesIO(content), weights_only=True))


PLUGINS = {
    "asynchronous": {"class_path": "AsyncCheckpointIO"},
    "of the user's own": {"class_path": f"{__name__}.DoubleFile"},
}


@pytest.mark.parametrize("plugin", PLUGINS)
@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_train_epoch_end", "on_test_end"])
def test_checkpoint_plugins_keep_a_run_that_is_killed(
    toy: Any, monkeypatch: pytest.MonkeyPatch, plugin: str, hook: str
) -> None:
    keeper = {"class_path": "ModelCheckpoint", "init_args": {"monitor": "val/loss"}}
    monkeypatch.setitem(SETTINGS, "trainer.callbacks", [keeper])
    monkeypatch.setitem(SETTINGS, "trainer.plugins", [PLUGINS[plugin]])
    whole = toy_run(out="whole", trust=True)
    marked = whole.checkpoint.read_bytes().startswith(DoubleFile.MARK)
    assert marked == (plugin == "of the user's own")
    number = {"on_train_batch_end": 40, "on_train_epoch_end": 2, "on_test_end": 1}[hook]
    killed = in_a_process(lambda: with_signal(hook, number, signal.SIGKILL))
    assert killed == -signal.SIGKILL
    run = toy_run(out="cut", resume="cut", trust=True)
    assert run.finished
    assert run.metrics == whole.metrics
    name = "model.safetensors"
    assert (run.bundle / name).read_bytes() == (whole.bundle / name).read_bytes()


def test_two_checkpoint_plugins(toy: Any) -> None:
    with pytest.raises(UsageError, match="AsyncCheckpointIO and TorchCheckpointIO: name one"):
        train(
            "toy/points",
            {
                **QUICK,
                "trainer.plugins": [
                    {"class_path": "AsyncCheckpointIO"},
                    {"class_path": "TorchCheckpointIO"},
                ],
            },
            out="run",
        )
    assert not Path("run").exists()


@pytest.mark.parametrize("name", ["simple", "advanced"])
def test_a_profiler_writes_its_report(toy: Any, name: str) -> None:
    train("toy/points", {**QUICK, "trainer.profiler": name}, out="run")
    for stage in ("fit", "test"):
        (report,) = Path("run").glob(f"{stage}-profile*.txt")
        assert "run_training_epoch" in report.read_text(encoding="utf-8") or stage == "test"


def test_a_run_without_a_profiler_has_no_report(toy: Any) -> None:
    train("toy/points", QUICK, out="run")
    assert not list(Path("run").glob("*profile*"))


@pytest.mark.parametrize("name", ["TQDMProgressBar", "RichProgressBar"])
def test_a_progress_bar_of_choice(
    toy: Any, zoo: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = []
    monkeypatch.setattr(
        TQDMProgressBar, "on_train_start", lambda *_: used.append("TQDMProgressBar")
    )
    bar = {"class_path": name}
    words = ["--trainer.callbacks", json.dumps([bar]), "--trainer.max_epochs", 1, "--json"]
    done = zoo("train", "toy/points", "--out", "run", *words)
    assert done.status == 0
    (row,) = json.loads(done.out)  # and nothing else on standard output
    assert row["run"] == "run"
    assert bool(used) == (name == "TQDMProgressBar")


def test_fast_dev_run_keeps_nothing(toy: Any, zoo: Any) -> None:
    done = zoo("train", "toy/points", "--trainer.fast_dev_run", 2)
    assert done.status == 0
    assert "training, validation, test ran, 2 batches each; nothing was kept" in done.err
    assert [path.name for path in Path().iterdir() if path.name != "site"] == []
    assert in_a_process(lambda: with_signal("on_train_epoch_end", 2, signal.SIGKILL)) < 0
    with pytest.raises(UsageError, match="continues nothing"):
        train("toy/points", {**SETTINGS, "trainer.fast_dev_run": True}, resume="cut")


RESERVED = {
    "default_root_dir": "a run has its folder, which --out names",
    "enable_checkpointing": "from which --resume continues",
    "barebones": "leaves out the checkpoints",
}


@pytest.mark.parametrize("name", RESERVED)
def test_what_would_contradict_the_run_folder(toy: Any, zoo: Any, name: str) -> None:
    done = zoo("train", "toy/points", f"--trainer.{name}", "true", "--out", "run")
    assert done.status == 2
    assert f"'trainer.{name}' cannot be set: " in done.err
    assert RESERVED[name] in done.err
    assert not Path("run").exists()


NAMED_WRONGLY = {
    "a class": ("callbacks", "[{class_path: EarlyStoping}]", "did you mean 'EarlyStopping'?"),
    "a class alone": ("callbacks", "EarlyStoping", "did you mean 'EarlyStopping'?"),
    "an argument": (
        "callbacks",
        "[{class_path: EarlyStopping, init_args: {monitr: val/loss}}]",
        "EarlyStopping has no argument 'monitr'; did you mean 'monitor'?",
    ),
    "no argument": ("callbacks", "[{class_path: EarlyStopping}]", "EarlyStopping needs monitor"),
    "a logger": ("logger", "CSVLoger", "did you mean 'CSVLogger'?"),
    "a logger's argument": ("logger", "CSVLogger", "CSVLogger needs save_dir"),
    "a logger without name": ("logger.offline", "true", "needs the name of a class under"),
    "a plugin": ("plugins", "[{class_path: AsynCheckpointIO}]", "'AsyncCheckpointIO'?"),
    "a module": ("callbacks", "no.such.Thing", "names the callback 'no.such.Thing'"),
}


@pytest.mark.parametrize("case", NAMED_WRONGLY)
def test_what_is_named_wrongly_in_a_setting(toy: Any, zoo: Any, case: str) -> None:
    key, value, sentence = NAMED_WRONGLY[case]
    done = zoo("train", "toy/points", f"--trainer.{key}", value, "--out", "run")
    assert done.status == 2
    assert sentence in done.err
    assert done.err.count("\n") == 1
    assert not Path("run").exists()


def test_the_arguments_of_a_class_by_dots(toy: Any) -> None:
    """As Lightning's own command line takes them."""
    changes = {"trainer.logger": "CSVLogger", "trainer.logger.save_dir": "logs"}
    train("toy/points", {**QUICK, **changes}, out="run")
    assert list(Path("logs").rglob("metrics.csv"))
