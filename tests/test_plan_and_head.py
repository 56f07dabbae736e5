"""What a datamodule chooses by its data, what a model does with a new head, and bundles of other
libraries."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from small_plugin import model

import zoo as package
from zoo.errors import UsageError
from zoo.plugin import BundleFormat, ForeignBundle
from zoo.registry.registry import Registry, registry

QUIET = {"trainer.enable_progress_bar": False, "trainer.max_epochs": 1}


@pytest.fixture
def planned(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from zoo_toy.data import Points

    chosen = property(lambda self: {"batch_size": 7})
    monkeypatch.setattr(Points, "planned_arguments", chosen, raising=False)


def test_what_the_data_choose_is_in_the_recipe_before_anything_is_trained(
    planned: None, zoo: Callable
) -> None:
    done = zoo("train", "toy/points", "--print-config")
    assert done.status == 0, done.err
    assert yaml.safe_load(done.out)["data"]["batch_size"] == 7
    run = package.train("toy/points", QUIET, out="run")
    assert run.recipe.data["batch_size"] == 7
    assert run.recipe.data["clouds"] == 3


def test_a_new_head_begins_as_the_model_says(write: Callable) -> None:
    write(
        model(
            """
            def start_head(self):
                with open("started", "a") as file:
                    file.write(f"{self.classifier.weight.shape[0]} ")
            """
        )
    )
    package.train("small/first", QUIET, out="origin")
    package.finetune("origin", "small-points", QUIET, out="same")
    assert not Path("started").exists()
    package.finetune("origin", "small-points", {**QUIET, "data.clouds": 5}, out="other")
    assert Path("started").read_text(encoding="utf-8") == "5 "


@pytest.mark.parametrize("packed", [False, True])
def test_a_plugin_reads_bundles_of_another_library(
    toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, packed: bool, capsys: Any
) -> None:
    from zoo_toy.model import ToyNet

    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)
    net = ToyNet(features=2, num_classes=3)

    def read(path: Path) -> ForeignBundle:
        arguments = dict(net.hparams)
        return ForeignBundle(
            "toy-net", arguments, net.state_dict(), "toy-points", notes=("a part is not read",)
        )

    entry = BundleFormat("theirs", "their/mark.json", "zoo_toy.model:ToyNet", "Theirs")
    owner = registry().owner(registry().model("toy-net").entry)
    monkeypatch.setattr(Registry, "bundle_formats", {"theirs": entry})
    monkeypatch.setattr(Registry, "load_function", lambda self, found: read)
    assert owner.name == "toy"
    folder = tmp_path / "theirs"
    (folder / "their").mkdir(parents=True)
    (folder / "their" / "mark.json").write_text("{}")
    reference = folder
    if packed:
        reference = tmp_path / "theirs.zip"
        with zipfile.ZipFile(reference, "w") as archive:
            archive.write(folder / "their" / "mark.json", "top/their/mark.json")
    for _ in range(2):
        found = package.load(reference)
        weights = found.state_dict()
        assert all(torch.equal(tensor, weights[name]) for name, tensor in net.state_dict().items())
    assert "is read as a toy-net; nothing in it is run" in capsys.readouterr().err
    (tmp_path / "other.zip").write_bytes(b"no zip")
    with pytest.raises(UsageError, match="not a readable zip file"):
        package.load(tmp_path / "other.zip")
