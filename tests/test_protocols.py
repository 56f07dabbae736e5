"""What a model or dataset may have: asked of objects and of classes, with what holds without."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule

import zoo.plugin as door
from zoo.plugin import declarations
from zoo.plugin.protocols import offers

OPTIONAL = [
    protocol
    for name in door.__all__
    if inspect.isclass(protocol := getattr(door, name))
    and getattr(protocol, "_is_protocol", False)
    and name not in ("ZooModule", "ZooDataModule")
]


class Bare(LightningModule):
    """Has what every model has, and nothing else."""

    head = ("network",)

    @property
    def example_input(self) -> Any:
        raise AssertionError("evaluated")

    def draw_plots(self, batch: Any) -> dict[str, Any]:
        return {}


class Acting(Bare):
    """Plays, and declares what it can."""

    task_arguments = ("actions",)
    not_exportable = "it acts"
    conformance_exempt = {"exports": "it acts"}  # noqa: RUF012
    conformance_arguments = {"actions": 2}  # noqa: RUF012
    weights_license = "CC0"
    preprocessing = {"input": "observations"}  # noqa: RUF012

    def play(self, folder: Any, *, episodes: int = 3) -> list[dict[str, Any]]:
        return [{}] * episodes

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        return door.rename_keys(arguments, {"moves": "actions"})


def test_a_class_is_asked_without_evaluating_anything() -> None:
    assert offers(Bare, door.ZooModule)
    assert not offers(LightningModule, door.ZooModule)
    assert offers(Acting, door.Player)
    assert [p.__name__ for p in OPTIONAL if offers(Bare, p)] == ["HasHead", "PlotDrawer"]


def test_a_protocol_asks_for_the_members_of_those_it_builds_on() -> None:
    class Each(Bare):
        def predict_sample(self, sample: Any) -> Any: ...

    assert not offers(Each, door.SamplePredictor)
    assert not isinstance(Each(), door.SamplePredictor)


@pytest.mark.parametrize("protocol", OPTIONAL, ids=lambda protocol: protocol.__name__)
def test_every_optional_protocol_can_be_asked_and_says_what_holds_without(protocol: Any) -> None:
    assert not isinstance(torch.nn.Identity(), protocol)
    assert "Without" in inspect.getdoc(protocol)


def test_what_holds_where_nothing_is_declared() -> None:
    assert declarations.task_arguments(Bare) == ("num_classes", "label_names")
    assert declarations.not_exportable(Bare) == ""
    assert declarations.conformance_arguments(Bare) is None
    assert declarations.conformance_exempt(Bare) == {}
    assert declarations.preprocessing(Bare()) == {}
    assert declarations.weights_license(Bare()) == "as the data's"
    assert declarations.current_arguments(Bare, {"moves": 3}) == {"moves": 3}


def test_what_is_declared() -> None:
    assert declarations.task_arguments(Acting) == ("actions",)
    assert declarations.not_exportable(Acting) == declarations.not_exportable(Acting()) == "it acts"
    assert declarations.conformance_arguments(Acting) == {"actions": 2}
    assert declarations.conformance_exempt(Acting) == {"exports": "it acts"}
    assert declarations.preprocessing(Acting()) == {"input": "observations"}
    assert declarations.weights_license(Acting()) == "CC0"
    assert declarations.current_arguments(Acting, {"moves": 3}) == {"actions": 3}
