"""Other people's modules behind a class of the zoo, and what a class asks of the Trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

import zoo as library
from zoo.errors import UsageError, ZooError
from zoo.plugin import AdaptedDataModule, EmptyPartError, ResumableLoader, has_part
from zoo.plugin.adapted import resumable

PLUGIN = '''
import torch
from lightning.pytorch import LightningDataModule, LightningModule
from torch.utils.data import DataLoader, TensorDataset
from zoo.plugin import AdaptedDataModule, AdaptedModule, Dataset, Model, hookimpl

ZOO_PLUGIN_API = 1


class Theirs(LightningModule):
    def __init__(self, net: torch.nn.Module, optimizer: type = torch.optim.SGD):
        super().__init__()
        self.save_hyperparameters()  # objects, as in many templates
        self.net, self.seen = net, []
        self.example_input_array = torch.zeros(2, 3)

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        loss = (self(batch["x"]).squeeze(1) - batch["y"]).square().mean()
        self.log("train/loss", loss, on_step=False, on_epoch=True)
        return loss

    def test_step(self, batch, batch_idx):
        self.log("test/loss", (self(batch["x"]).squeeze(1) - batch["y"]).square().mean())

    def configure_optimizers(self):
        return self.hparams.optimizer(self.parameters(), lr=0.1)


class Ours(AdaptedModule, Theirs):
    """Theirs.

    Args:
        width: Of the hidden layer.
        algorithm: The optimizer's name.
    """

    batch_keys = ("x", "y")
    trainer_defaults = {"gradient_clip_val": 0.5, "max_epochs": 2}

    def __init__(self, width: int = 3, algorithm: str = "sgd"):
        net = torch.nn.Sequential(torch.nn.Linear(3, width), torch.nn.Linear(width, 1))
        super().__init__(net, {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[algorithm])


class TheirData(LightningDataModule):
    def train_dataloader(self):
        x = torch.randn(24, 3, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(x, x.sum(1)), batch_size=4, shuffle=True)

    def test_dataloader(self):
        return DataLoader(TensorDataset(torch.ones(4, 3), torch.ones(4)), batch_size=4)


class OurData(AdaptedDataModule, TheirData):
    def __init__(self, seed: int = 0):
        super().__init__()
        self.seed = seed


class NeedsReader(TheirData):
    def __init__(self, reader: DataLoader, size: int):
        super().__init__()


@hookimpl
def zoo_models():
    here = "zoo_foreign_plugin:"
    return [Model("ours", here + "Ours", "Ours"), Model("theirs", here + "Theirs", "Theirs")]


@hookimpl
def zoo_datasets():
    here = "zoo_foreign_plugin:"
    return [
        Dataset("data", here + "OurData", "Data", embedded=True),
        Dataset("needs-reader", here + "NeedsReader", "Data", embedded=True),
    ]
'''
RECIPE: dict[str, Any] = {
    "model": {"name": "ours", "algorithm": "adam"},
    "data": {"name": "data"},
    "trainer": {"accelerator": "cpu", "logger": False, "enable_progress_bar": False},
}


@pytest.fixture
def foreign(distributions: Any) -> None:
    distributions.add("foreign", PLUGIN)


@pytest.mark.usefixtures("foreign")
def test_the_constructors_arguments_alone_rebuild_an_adapted_module() -> None:
    run = library.train(RECIPE, out="run")
    content = (run.bundle / "bundle.json").read_text()
    assert '"algorithm": "adam"' in content
    model: Any = library.load(run.bundle)
    assert dict(model.constructor_arguments) == {"width": 3, "algorithm": "adam"}
    assert isinstance(model.configure_optimizers(), torch.optim.Adam)  # their hparams stay theirs
    assert model.head == ()
    assert model.example_input.shape == (2, 3)
    assert library.evaluate("run") == pytest.approx(
        {k: v for k, v in run.metrics.items() if k.startswith("test/")}
    )


@pytest.mark.usefixtures("foreign")
def test_an_adapted_training_resumes_within_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = library.train(RECIPE, out="whole")
    cls = type(library.load(whole.bundle))
    theirs, steps = cls.training_step, []

    def cut(self: Any, batch: Any, batch_idx: int) -> Any:
        steps.append(batch_idx)
        if len(steps) == 9:
            raise KeyboardInterrupt
        return theirs(self, batch, batch_idx)

    with monkeypatch.context() as patch:
        patch.setattr(cls, "training_step", cut)
        with pytest.raises((SystemExit, KeyboardInterrupt, ZooError)):
            library.train(RECIPE, out="cut")
    run = library.train(RECIPE, out="cut", resume="cut")
    for mine, wanted in zip(
        library.load(run.bundle).parameters(), library.load(whole.bundle).parameters(), strict=True
    ):
        assert torch.equal(mine, wanted)


@pytest.mark.usefixtures("foreign")
def test_what_a_class_asks_of_the_trainer_lies_below_the_recipe() -> None:
    run = library.train(RECIPE, {"trainer.max_epochs": 1}, out="run")
    assert run.recipe.trainer["gradient_clip_val"] == 0.5
    assert run.recipe.trainer["max_epochs"] == 1


@pytest.mark.usefixtures("foreign")
@pytest.mark.parametrize(
    ("section", "name", "sentence"),
    [
        ("model", "theirs", "Theirs needs net (torch.nn.modules.module.Module), which a recipe"),
        ("data", "needs-reader", "NeedsReader needs reader (torch.utils.data.dataloader.DataLo"),
    ],
)
def test_a_class_that_needs_objects_is_refused(section: str, name: str, sentence: str) -> None:
    with pytest.raises(UsageError) as caught:
        library.train({**RECIPE, section: {"name": name}}, out="run")
    assert sentence in str(caught.value)
    assert "a subclass whose __init__ takes numbers and text" in str(caught.value)
    assert not Path("run").exists()


class Theirs(LightningDataModule):
    def train_dataloader(self) -> Any:
        return DataLoader(TensorDataset(torch.arange(12.0)), batch_size=3, shuffle=True)

    def val_dataloader(self) -> Any:
        return DataLoader(TensorDataset(torch.arange(12.0, 15.0)), batch_size=3)


class Data(AdaptedDataModule, Theirs):
    def __init__(self, seed: int = 0, split: str = "standard") -> None:
        super().__init__()
        self.seed, self.split = seed, split


def order(data: LightningDataModule) -> list[float]:
    return [float(x) for (batch,) in data.train_dataloader() for x in batch]


def test_the_order_of_an_adapted_datamodule_is_the_seeds() -> None:
    assert isinstance(Data().train_dataloader(), ResumableLoader)
    assert order(Data()) == order(Data()) != order(Data(seed=1))
    assert sorted(order(Data())) == list(range(12))
    assert [float(x) for x in next(iter(Data().val_dataloader()))[0]] == [12, 13, 14]
    assert not has_part(Data(), "test")
    assert Data().facts == {}


def test_all_parts_of_an_adapted_datamodule_are_test_data() -> None:
    data = Data(split="all")
    assert has_part(data, "test")
    assert [float(x) for (batch,) in data.test_dataloader() for x in batch] == list(range(15))
    assert not has_part(data, "train")
    assert not has_part(data, "val")
    with pytest.raises(EmptyPartError, match="split='standard'"):
        data.train_dataloader()
    with pytest.raises(UsageError, match="split has to be one of standard, all"):
        Data(split="half").test_dataloader()


def test_a_loader_with_a_sampler_of_its_own_stays() -> None:
    data = TensorDataset(torch.arange(4.0))
    own = DataLoader(data, sampler=WeightedRandomSampler([1.0] * 4, 4))
    assert resumable(own) is own
    assert resumable([own]) == [own]
