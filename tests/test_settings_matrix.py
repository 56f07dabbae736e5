"""Every setting of Lightning's Trainer and every callback of Lightning's, with every family.

The weights that come out are those of the plain run where a setting only watches, others where it
changes the training, and of the dtype that a precision says; or the setting is refused with a
sentence, before anything is written. The suite takes some of the settings with one family and a few
with the others; ``make test-settings`` takes all with all.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from zoo.errors import UsageError
from zoo.training.train import train

pytestmark = pytest.mark.whole_zoo

EVERY = os.environ.get("ZOO_TEST_SETTINGS") == "all"

QUIET: dict[str, Any] = {
    "trainer.max_epochs": 2,
    "trainer.limit_train_batches": 3,
    "trainer.limit_val_batches": 1,
    "trainer.limit_test_batches": 1,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
    "trainer.accelerator": "cpu",
    "trainer.precision": "32-true",
    "trainer.gradient_clip_val": None,
    "trainer.callbacks": None,
}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "vision": ("vision/mpcnn-digits", {"model.net": "1x8x8-4C3-MP2-N", "data.num_workers": 0}),
    "segmentation": (
        "segmentation/pyramid-lstm-phantom",
        {"data.size": [8, 16, 16], "model.hidden": [4, 4]},
    ),
    "lipreading": (
        "lipreading/lipreader-talking-mouths",
        {"model.feedforward": [16], "model.lstm": [16], "data.batch_size": 8},
    ),
    "udrl": (
        "udrl/cartpole",
        {
            "model.hidden": [16],
            "data.warmup_episodes": 5,
            "data.episodes_per_iteration": 2,
            "data.updates_per_iteration": 3,
            "data.iterations_per_epoch": 1,
            "data.eval_episodes": 2,
        },
    ),
    "hpg": ("hpg/bitflip8", {"data.batches_per_epoch": 3}),
    "sequence": ("sequence/adding-100", {"data.length": 10, "data.epoch": 48}),
    "fastweights": (
        "fastweights/mqar",
        {
            "model.dim": 8,
            "data.vocab_size": 32,
            "data.length": 16,
            "data.pairs": [2],
            "data.batch_size": 4,
            "data.eval_sequences": 4,
            "trainer.max_steps": -1,
            "trainer.val_check_interval": 1.0,
        },
    ),
}


def callback(name: str, **arguments: Any) -> dict[str, Any]:
    return {"trainer.callbacks": [{"class_path": name, "init_args": arguments}]}


@dataclass(frozen=True)
class Case:
    """A setting and what is to come of it.

    Attributes:
        settings: Overrides.
        same: Whether the weights are those of the plain run; None where that is left open.
        dtype: Of the weights in the bundle.
        refused: A part of the sentence, where it is refused by all families; by family otherwise.
        late: Families whose recipe has no sanity check, with which it is known only after an epoch,
            whose checkpoint is kept.
        differs: For families with which the weights are the same, or not, against ``same``.
    """

    settings: dict[str, Any]
    same: bool | None = True
    dtype: torch.dtype = torch.float32
    refused: str = ""
    differs: dict[str, bool | None] = field(default_factory=dict)
    late: tuple[str, ...] = ()


def watches(**settings: Any) -> Case:
    return Case({f"trainer.{name}": value for name, value in settings.items()})


def changes(**settings: Any) -> Case:
    return Case({f"trainer.{name}": value for name, value in settings.items()}, same=False)


def refused(sentence: str, **settings: Any) -> Case:
    return Case({f"trainer.{name}": value for name, value in settings.items()}, refused=sentence)


def watching(name: str, **arguments: Any) -> Case:
    return Case(callback(name, **arguments))


MONITORED = {"monitor": "train/loss"}
CASES: dict[str, Case] = {
    # Arguments of the Trainer that only watch
    "deterministic": watches(deterministic=True),
    "benchmark": watches(benchmark=True),
    "detect_anomaly": watches(detect_anomaly=True),
    "inference_mode off": watches(inference_mode=False),
    "use_distributed_sampler off": watches(use_distributed_sampler=False),
    "sync_batchnorm": watches(sync_batchnorm=True),
    "reload_dataloaders_every_n_epochs": watches(reload_dataloaders_every_n_epochs=1),
    "num_sanity_val_steps": watches(num_sanity_val_steps=1),
    "log_every_n_steps": watches(log_every_n_steps=1),
    "enable_model_summary": watches(enable_model_summary=True),
    "enable_progress_bar": watches(enable_progress_bar=True),
    "profiler simple": watches(profiler="simple"),
    "profiler advanced": watches(profiler="advanced"),
    "logger": watches(logger=True),
    "strategy auto": watches(strategy="auto"),
    "devices": watches(devices=1),
    "num_nodes": watches(num_nodes=1),
    "max_time": watches(max_time="00:01:00:00"),
    "check_val_every_n_epoch": watches(check_val_every_n_epoch=2),
    "val_check_interval": watches(val_check_interval=1),
    "limit_val_batches none": Case({"trainer.limit_val_batches": 0}, differs={"udrl": None}),
    "limit_test_batches": watches(limit_test_batches=1),
    "min_epochs": watches(min_epochs=1),
    "plugins AsyncCheckpointIO": watches(plugins=[{"class_path": "AsyncCheckpointIO"}]),
    # that change the training
    "max_epochs": changes(max_epochs=1),
    "max_steps": changes(max_steps=2),
    "limit_train_batches": changes(limit_train_batches=1),
    "accumulate_grad_batches": changes(accumulate_grad_batches=2),
    "gradient_clip_val": changes(gradient_clip_val=1e-4),
    "gradient_clip_algorithm": changes(gradient_clip_val=1e-6, gradient_clip_algorithm="value"),
    "overfit_batches": Case({"trainer.overfit_batches": 1}, same=None),
    # Precisions, and clipping with each
    "bf16-mixed": changes(precision="bf16-mixed"),
    "16-mixed": changes(precision="16-mixed"),
    "bf16-true": Case({"trainer.precision": "bf16-true"}, same=False, dtype=torch.bfloat16),
    "64-true": Case({"trainer.precision": "64-true"}, same=False, dtype=torch.float64),
    "bf16-mixed and clipping": changes(precision="bf16-mixed", gradient_clip_val=1e-4),
    "16-mixed and clipping": changes(precision="16-mixed", gradient_clip_val=1e-4),
    "64-true and clipping": Case(
        {"trainer.precision": "64-true", "trainer.gradient_clip_val": 1e-4},
        same=False,
        dtype=torch.float64,
    ),
    # Callbacks that only watch
    "LearningRateMonitor": watching("LearningRateMonitor"),
    "DeviceStatsMonitor": Case(
        callback("DeviceStatsMonitor"), refused="" if find_spec("psutil") else "psutil"
    ),
    "ModelSummary": watching("ModelSummary"),
    "RichModelSummary": watching("RichModelSummary"),
    "RichProgressBar": Case({**callback("RichProgressBar"), "trainer.enable_progress_bar": None}),
    "TQDMProgressBar": Case({**callback("TQDMProgressBar"), "trainer.enable_progress_bar": None}),
    "Timer": watching("Timer", duration="00:01:00:00"),
    "LambdaCallback": watching("LambdaCallback"),
    "OnExceptionCheckpoint": watching("OnExceptionCheckpoint", dirpath="exceptions"),
    "ModelCheckpoint": watching("ModelCheckpoint"),
    "ModelCheckpoint of all": watching("ModelCheckpoint", save_top_k=-1, every_n_train_steps=2),
    # that change the training, or what is kept of it
    "EMAWeightAveraging": Case(callback("EMAWeightAveraging", decay=0.5), same=False),
    "WeightAveraging": Case(callback("WeightAveraging"), same=False),
    "StochasticWeightAveraging": Case(
        callback("StochasticWeightAveraging", swa_lrs=0.001, swa_epoch_start=1), same=False
    ),
    "GradientAccumulationScheduler": Case(
        callback("GradientAccumulationScheduler", scheduling={0: 3}), same=False
    ),
    "ModelPruning": Case(
        callback("ModelPruning", pruning_fn="l1_unstructured", amount=0.5), same=False
    ),
    "LearningRateFinder": Case(
        callback("LearningRateFinder", num_training_steps=5, min_lr=1e-5, max_lr=0.1), same=None
    ),
    "EarlyStopping": Case(
        callback("EarlyStopping", **MONITORED, patience=3, check_on_train_epoch_end=True),
        differs={"udrl": None},
    ),
    # Refused
    "default_root_dir": refused("a run has its folder", default_root_dir="here"),
    "enable_checkpointing off": refused("keeps its checkpoints", enable_checkpointing=False),
    "barebones": refused("cannot be set", barebones=True),
    "gpu": refused("No supported gpu backend", accelerator="gpu"),
    "tpu": refused("torch_xla", accelerator="tpu"),
    "fsdp on a CPU": refused("FSDP", strategy="fsdp"),
    "an unknown strategy": refused("ddpp", strategy="ddpp"),
    "an unknown precision": refused("'trainer.precision' has to be one of", precision="8-true"),
    "val_check_interval too long": refused("val_check_interval", val_check_interval=60),
    "a monitor that is not logged": Case(
        callback("EarlyStopping", monitor="val_loss"), refused="'val_loss'", late=("udrl", "hpg")
    ),
    "max_epochs of a text": refused("'trainer.max_epochs'", max_epochs="many"),
}

SOME = (
    "deterministic",
    "val_check_interval",
    "accumulate_grad_batches",
    "gradient_clip_val",
    "overfit_batches",
    "16-mixed and clipping",
    "bf16-true",
    "64-true",
    "Timer",
    "StochasticWeightAveraging",
    "ModelPruning",
    "gpu",
    "fsdp on a CPU",
    "val_check_interval too long",
    "a monitor that is not logged",
)
"""With vision."""
FEW = ("overfit_batches", "16-mixed and clipping", "64-true")
"""With the other families."""


def chosen() -> list[tuple[str, str]]:
    return [
        (family, case)
        for family in FAMILIES
        for case in CASES
        if EVERY or case in (SOME if family == "vision" else FEW)
    ]


@functools.cache
def plain(family: str, folder: Path) -> dict[str, torch.Tensor]:
    recipe, quick = FAMILIES[family]
    return weights(train(recipe, {**QUIET, **quick}, out=folder / f"plain-{family}").bundle)


def weights(bundle: Path) -> dict[str, torch.Tensor]:
    return load_file(bundle / "model.safetensors")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plain")


@pytest.mark.parametrize(("family", "name"), chosen())
def test_setting(family: str, name: str, shared: Path, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    recipe, quick = FAMILIES[family]
    case = CASES[name]
    settings = {**QUIET, **quick, **case.settings}
    if case.refused:
        late = family in case.late
        with pytest.raises(RuntimeError if late else UsageError) as caught:
            train(recipe, settings, out="run")
        assert case.refused.strip("'") in str(caught.value)
        assert Path("run/checkpoints/last.ckpt" if late else "run").exists() == late
        return
    run = train(recipe, settings, out="run")
    found = weights(run.bundle)
    floating = [each for each in found.values() if each.is_floating_point()]
    assert {each.dtype for each in floating} == {case.dtype}
    assert all(each.isfinite().all() for each in floating)
    same = case.differs.get(family, case.same)
    if same is not None:
        before = plain(family, shared)
        equal = all(torch.equal(found[key].to(before[key].dtype), before[key]) for key in before)
        assert equal == same
