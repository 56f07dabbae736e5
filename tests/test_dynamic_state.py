"""Learners whose state gets its shape from the data, or that have none: trained, cut, loaded."""

from __future__ import annotations

import pickle
import signal
import sys
from collections.abc import Callable
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from cuts import assert_same, in_a_process, with_signal
from safetensors.torch import load_file, save_file
from torch import nn

import zoo as package
from zoo.bundles.load import load
from zoo.errors import UsageError, ZooError
from zoo.io.dynamic_tensors import take_shapes
from zoo.io.weights import load_weights, require_match
from zoo.registry.registry import registry
from zoo.runs.run import Run
from zoo.training.finetune import finetune
from zoo.training.train import train

SETTINGS = {"trainer.logger": False, "trainer.enable_progress_bar": False}
RECIPE = """
about: {summary: Points, paper: none}
model: {name: small-net}
data: {name: small-points}
trainer: {max_epochs: 3, num_sanity_val_steps: 0}
"""
TOP = """
import torch
from lightning.pytorch import LightningModule
from torch import nn
from torch.nn import functional as F

"""
BANK = f'''{TOP}
class Net(LightningModule):
    """The nearest of all points that were seen; fitted in passes, without gradients."""

    dynamic_tensors = ("bank", "labels")

    def __init__(self, features: int = 2) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.register_buffer("bank", torch.empty(0, features))
        self.labels = None
        self.automatic_optimization = False

    @property
    def example_input(self):
        return torch.ones(2, 2)

    def forward(self, points):
        return self.labels[torch.cdist(points, self.bank).argmin(1)]

    def training_step(self, batch, batch_idx):
        points, labels = batch
        if self.labels is None:
            del self.labels
            self.register_buffer("labels", labels.new_empty(0))
        self.bank = torch.cat([self.bank, points])
        self.labels = torch.cat([self.labels, labels])
        self.log("train/stored", float(len(self.bank)), on_step=False, on_epoch=True)

    def test_step(self, batch, batch_idx):
        points, labels = batch
        self.log("test/accuracy", (self(points) == labels).float().mean())

    def configure_optimizers(self):
        return None
'''
GROWING = f'''{TOP}
class Net(LightningModule):
    """A net that gets one layer more in every epoch."""

    def __init__(self, features: int = 2, num_classes: int = 3) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.layers = nn.ModuleList()
        self.last = nn.Linear(features, num_classes)

    @property
    def example_input(self):
        return torch.ones(2, 2)

    def grow_to(self, shapes):
        count = sum(name.startswith("layers.") for name in shapes) // 2
        self.layers = nn.ModuleList([nn.Linear(2, 2) for _ in range(count)])

    def on_train_epoch_start(self):
        if len(self.layers) == self.current_epoch:
            self.layers.append(nn.Linear(2, 2).to(self.device))
            self.trainer.strategy.setup_optimizers(self.trainer)

    def forward(self, points):
        for layer in self.layers:
            points = points + layer(points).tanh()
        return self.last(points)

    def training_step(self, batch, batch_idx):
        return self._step(batch, "train")

    def test_step(self, batch, batch_idx):
        self._step(batch, "test")

    def _step(self, batch, stage):
        loss = F.cross_entropy(self(batch[0]), batch[1])
        self.log(f"{{stage}}/loss", loss, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1, momentum=0.9)
'''
NOTHING = f'''{TOP}
class Net(LightningModule):
    """How far apart two halves of a sample are: a test, which learns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False

    @property
    def example_input(self):
        return torch.ones(4, 2)

    def forward(self, points):
        first, second = points.chunk(2)
        return (first.mean(0) - second.mean(0)).norm()

    def training_step(self, batch, batch_idx):
        self.log("train/distance", self(batch[0]), on_step=False, on_epoch=True)

    def test_step(self, batch, batch_idx):
        self.log("test/distance", self(batch[0]))

    def configure_optimizers(self):
        return None
'''
LEARNERS = {"bank": BANK, "growing": GROWING, "nothing": NOTHING}


@pytest.fixture
def learner(request: pytest.FixtureRequest, write: Any) -> str:
    """Installs one of the learners."""
    write({"model": LEARNERS[request.param], "recipes/first.yaml": RECIPE})
    return str(request.param)


def run(**options: Any) -> Run:
    return train("small/first", SETTINGS, **options)


@pytest.mark.parametrize("learner", LEARNERS, indirect=True)
def test_the_bundle_is_the_trained_model(learner: str) -> None:
    done = run(out="run")
    model, weights = load(done.path), load_file(done.bundle / "model.safetensors")
    assert {name: t.shape for name, t in model.state_dict().items()} == {
        name: t.shape for name, t in weights.items()
    }
    assert len(weights) == {"bank": 2, "growing": 8, "nothing": 0}[learner]
    assert load(done.checkpoint).state_dict().keys() == weights.keys()
    measured = package.evaluate(done.path)
    assert measured
    assert measured == {n: done.metrics[n] for n in measured}


@pytest.mark.parametrize("moment", [2, 8, 13])
@pytest.mark.parametrize("learner", LEARNERS, indirect=True)
def test_killed_it_ends_as_one_that_was_not(learner: str, moment: int) -> None:
    whole = run(out="whole")
    cut = partial(with_signal, "on_train_batch_end", moment, signal.SIGKILL, run)
    assert in_a_process(cut) == -signal.SIGKILL
    assert_same(run(out="cut", resume="auto"), whole)


def test_stopped_within_an_epoch_it_continues_there(write: Any) -> None:
    write({"model": BANK, "recipes/first.yaml": RECIPE})
    whole = run(out="whole")
    cut = partial(with_signal, "on_train_batch_end", 8, signal.SIGTERM, run)
    assert in_a_process(cut) not in (0, 1)
    assert_same(run(out="cut", resume="auto"), whole)


def test_the_best_of_its_epochs_has_other_shapes_than_the_last(write: Any) -> None:
    write({"model": GROWING, "recipes/first.yaml": RECIPE})
    keeper = {
        "class_path": "ModelCheckpoint",
        "init_args": {"monitor": "train/loss", "mode": "max"},
    }
    done = train("small/first", {**SETTINGS, "trainer.callbacks": [keeper]}, out="run")
    assert len(load(done.path).layers) == done.environment["best_epoch"]


def test_a_bank_is_where_another_training_starts(write: Any) -> None:
    write({"model": BANK + '\n    head = ("bank",)\n', "recipes/first.yaml": RECIPE})
    done = run(out="run")
    again = finetune(done.path, None, {**SETTINGS, "trainer.max_epochs": 1}, out="more")
    assert load(again.path).bank.shape[0] == 4 * 40


def test_without_the_member_the_run_says_which_and_is_finished_with_it(
    write: Any, toy: Any
) -> None:
    write({"model": BANK.replace("    dynamic_tensors", "    wrong"), "recipes/first.yaml": RECIPE})
    with pytest.raises(ZooError, match=r"just written does not load.*dynamic_tensors.*--resume"):
        run(out="run")
    done = Run(Path("run"))
    assert not done.finished
    with pytest.raises(ZooError, match=r"last.ckpt does not fit.*dynamic_tensors"):
        run(out="run", resume="auto")
    (toy.folder / "zoo_small" / "model.py").write_text(BANK)
    del sys.modules["zoo_small.model"]
    registry.cache_clear()
    assert run(out="run", resume="auto").finished


LOST = f'''{TOP}
class Net(LightningModule):
    """Keeps the mean of the points as a plain attribute."""

    def __init__(self) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.offset = nn.Parameter(torch.zeros(2))
        self.mean = None

    @property
    def example_input(self):
        return torch.ones(2, 2)

    def forward(self, points):
        return points - self.mean + self.offset

    def training_step(self, batch, batch_idx):
        self.mean = batch[0].mean(0)

    def configure_optimizers(self):
        return None
'''


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("", "", "cannot compute its output"),
        ("self.mean = None", "self.mean = torch.zeros(2)", "gives another output"),
    ],
)
def test_what_no_bundle_keeps_is_said_before_the_run_is_done(
    write: Any, old: str, new: str, said: str
) -> None:
    write({"model": LOST.replace(old, new, 1) if old else LOST, "recipes/first.yaml": RECIPE})
    with pytest.raises(ZooError, match=rf"{said}.*parameters and buffers.*--resume"):
        run(out="run")
    assert not Run(Path("run")).finished


def test_a_model_without_a_test_is_not_tested(write: Any, capsys: Any) -> None:
    text = LOST.replace("self.mean = None", "self.mean = 0").replace(
        "self.mean = batch", "mean = batch"
    )
    write({"model": text, "recipes/first.yaml": RECIPE})
    done = run(out="run")
    assert done.finished
    assert "the model has no test_step: nothing was tested" in capsys.readouterr().err
    with pytest.raises(UsageError, match="no test_step, so it cannot be measured"):
        package.evaluate(done.path)
    assert not train("small/first", {**SETTINGS, "trainer.fast_dev_run": True}).path.exists()


def test_weights_that_load_changes_are_said(write: Any) -> None:
    body = """
    def load_state_dict(self, state_dict, strict=True, assign=False):
        return super().load_state_dict({n: t + 1 for n, t in state_dict.items()}, strict)
    """
    write({"model": GROWING + body, "recipes/first.yaml": RECIPE})
    with pytest.raises(ZooError, match=r"other values of last.bias, last.weight"):
        train("small/first", {**SETTINGS, "trainer.max_epochs": 0}, out="run")


# Module by module


class Bank(nn.Module):
    dynamic_tensors = ("bank", "more", "none", "list", "dict.a")

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("bank", torch.empty(0, 2, dtype=torch.float64))
        self.register_buffer("none", None)
        self.register_parameter("none_parameter", None)
        self.list = nn.ParameterList()
        self.dict = nn.ParameterDict()
        self.fixed = nn.Parameter(torch.zeros(2), requires_grad=False)


SHAPES = {
    "bank": torch.rand(5, 2),
    "more": torch.rand(3),
    "none": torch.rand(2),
    "list.0": torch.rand(2),
    "list.1": torch.rand(3),
    "dict.a": torch.rand(1),
    "fixed": torch.rand(2),
}


@pytest.mark.parametrize("within", ["", "part.bank."])
def test_any_module_inside_may_have_them(within: str) -> None:
    module: Any = Bank()
    if within:
        module = nn.ModuleDict({"part": nn.ModuleDict({"bank": Bank()}), "other": nn.Linear(1, 1)})
    wanted = {f"{within}{name}": tensor for name, tensor in SHAPES.items()}
    rest = {n: t for n, t in module.state_dict().items() if n.startswith("other")}
    assert load_weights(module, {**wanted, **rest}).exact
    found = module.state_dict()
    assert all(torch.equal(found[n].float(), t.float()) for n, t in wanted.items())
    bank = module.get_submodule(within.rstrip("."))
    assert bank.bank.dtype == torch.float64
    assert set(dict(bank.named_buffers())) == {"bank", "more", "none"}
    assert len(bank.list) == 2
    assert set(bank.dict) == {"a"}


def test_parameters_stay_parameters_and_none_becomes_one() -> None:
    module = Bank()
    module.dynamic_tensors = ("fixed", "none_parameter")  # type: ignore[assignment]
    take_shapes(module, {"fixed": torch.rand(4), "none_parameter": torch.rand(1)})
    assert {n: (tuple(p.shape), p.requires_grad) for n, p in module.named_parameters()} == {
        "fixed": ((4,), False),
        "none_parameter": ((1,), True),
    }


@pytest.mark.parametrize("name", ["forward", "train", "absent.tensor", "dynamic_tensors"])
def test_a_file_puts_no_tensor_in_place_of_a_member(name: str) -> None:
    module = Bank()
    module.dynamic_tensors = ("",)  # type: ignore[assignment]
    with pytest.raises(UsageError, match="unexpected"):
        load_weights(module, {**module.state_dict(), name: torch.zeros(1)})
    assert callable(module.forward)
    assert callable(module.train)


def test_other_shapes_are_refused_as_ever() -> None:
    module = nn.Sequential(Bank(), nn.Linear(2, 2))
    wrong = {**module.state_dict(), "1.weight": torch.zeros(3, 2), "0.bank": torch.zeros(9, 2)}
    with pytest.raises(UsageError, match=r"1.weight \(reshaped"):
        load_weights(module, wrong)


def test_no_tensors_on_both_sides_are_a_match(tmp_path: Path) -> None:
    assert load_weights(nn.Identity(), {}).exact
    with pytest.raises(UsageError, match="none of the weights of x fits"):
        load_weights(nn.Identity(), {"a": torch.zeros(1)}, source="x")
    with pytest.raises(UsageError, match="none of these weights fits"):
        load_weights(nn.Linear(1, 1), {})
    save_file({}, tmp_path / "empty.safetensors")
    assert package_tensors(tmp_path / "empty.safetensors") == {}


def package_tensors(path: Path) -> dict[str, Any]:
    from zoo.plugin import read_tensors

    return read_tensors(path)


class Grows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList()

    def grow_to(self, shapes: Any) -> None:
        while f"parts.{len(self.parts)}.bank" in shapes:
            self.parts.append(Bank())
        if "bad" in shapes:
            raise KeyError("bad")


def test_what_was_grown_has_dynamic_tensors_too_also_without_numbers() -> None:
    tensors = {f"parts.{i}.{n}": t for i in range(2) for n, t in SHAPES.items()}
    with torch.device("meta"):
        outline = Grows()
        take_shapes(outline, tensors)
    assert {t.device.type for t in outline.state_dict().values()} == {"meta"}
    assert require_match(outline, tensors).exact
    with pytest.raises(UsageError, match=r"Grows.grow_to does not take the shapes"):
        load_weights(Grows(), {"bad": torch.zeros(1)})


def test_a_module_that_loads_by_itself_can_be_copied_and_sent(write: Any) -> None:
    write({"model": BANK, "recipes/first.yaml": RECIPE})
    done = run(out="run")
    weights = load_file(done.bundle / "model.safetensors")
    fresh = package.create_model("small-net")
    copies: list[Callable[[], Any]] = [lambda: fresh, lambda: deepcopy(fresh)]
    copies.append(lambda: pickle.loads(pickle.dumps(fresh)))
    for make in copies[::-1]:
        model = make()
        assert model.bank.shape[0] == 0
        model.load_state_dict(weights)
        assert torch.equal(model.bank, weights["bank"])
        wrapped = nn.ModuleDict({"module": make()})
        wrapped.load_state_dict({f"module.{name}": tensor for name, tensor in weights.items()})


def test_a_hostile_file_takes_no_more_memory_than_it_holds(write: Any) -> None:
    """A bundle whose header states a large bank has to hold it."""
    write({"model": BANK, "recipes/first.yaml": RECIPE})
    file = run(out="run").bundle / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b"[120,2]", b"[999,2]"))
    with pytest.raises(UsageError, match="is damaged or not a safetensors file"):
        load_weights(package.create_model("small-net"), package_tensors(file))
