"""Checks of a model that is built, before any training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.plugin.declarations import constructor_arguments
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import PlotDrawer, offers
from zoo.recipes.signatures import argument_names
from zoo.testing.check import check
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ModelSubject

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule


@check(
    "builds",
    "model",
    why="recipe, facts of the data and defaults together have to make a model",
    remedy="take facts under their names (num_classes, in_channels, ...); for the kit, declare "
    "conformance_arguments = {argument: value} on the class",
)
def builds(subject: ModelSubject) -> str:
    """It is built from its arguments and the facts of data; the note says which."""
    setting = subject.find_setting()
    return (
        f"on {setting.data.name}" if setting.data else "on examples of facts: no data are available"
    )


@check(
    "arguments-saved",
    "model",
    why="a bundle and a checkpoint rebuild the model from its saved arguments alone",
    remedy="call self.save_hyperparameters() first thing in __init__, with no ignore=",
)
def arguments_saved(subject: ModelSubject) -> None:
    """The hyperparameters are the constructor's arguments, all of them and no others."""
    names, saved = argument_names(subject.cls), constructor_arguments(subject.build())
    if lost := [name for name in names if name not in saved]:
        raise CheckFailed(f"not among its hparams: {', '.join(lost)}")
    if strange := [name for name in saved if name not in names]:
        raise CheckFailed(f"hparams that the constructor does not take: {', '.join(strange)}")


@check(
    "example-input",
    "model",
    why="export and documentation show the model with it",
    remedy="return a tensor with a batch axis of 2 or more that forward takes",
)
def example_input(subject: ModelSubject) -> None:
    """forward takes ``example_input`` and gives finite numbers, one row a sample."""
    model = subject.working()
    example: object = model.example_input
    if not isinstance(example, Tensor):
        raise CheckFailed(f"example_input is a {type(example).__name__}, not a tensor")
    if example.ndim == 0 or len(example) < 2:
        raise CheckFailed(
            f"example_input has the shape {tuple(example.shape)}, not a batch of 2 or more"
        )
    for output in tensors(outputs(model)):
        if output.is_floating_point() and not output.isfinite().all():
            raise CheckFailed("forward(example_input) is not finite")


@check(
    "head",
    "model",
    why="fine-tuning replaces the head and keeps the rest; only the head may differ on loading",
    remedy="let `head` return the names of submodules, such as ('network.head',), or have none, "
    "where the model is not to be fine-tuned",
)
def head(subject: ModelSubject) -> str:
    """``head`` names submodules that have parameters; without one it is not fine-tuned."""
    model = subject.build()
    named: object = getattr(model, "head", ())
    if not isinstance(named, tuple):
        raise CheckFailed(f"head is {named!r}, not a tuple of names")
    if not named:
        return "it has none: it is not fine-tuned"
    modules = dict(model.named_modules())
    for name in named:
        if name not in modules:
            raise CheckFailed(f"head names {name!r}, which is not a submodule")
        if not list(modules[name].parameters()):
            raise CheckFailed(f"head names {name!r}, which has no parameters")
    return ""


@check(
    "plots",
    "model",
    why="a run ends with pictures of its model at work",
    remedy="let draw_plots(batch) return a dict from file name, without suffix, to "
    "matplotlib.figure.Figure, or have none",
)
def plots(subject: ModelSubject) -> None:
    """``draw_plots`` of a batch gives named matplotlib Figures, without pyplot."""
    import matplotlib.pyplot
    from matplotlib.figure import Figure

    if not offers(subject.cls, PlotDrawer):
        raise Skip("it has no draw_plots: a run of it has training curves alone")
    data = subject.build_data()
    if not has_part(data, "test"):
        raise Skip("its data have no test part, of which a run draws")
    batch = next(iter(data.test_dataloader()))
    before = matplotlib.pyplot.get_fignums()
    model: Any = subject.working()
    with torch.no_grad():
        drawn: object = model.draw_plots(batch)
    if not isinstance(drawn, dict) or not drawn:
        raise CheckFailed(f"draw_plots returned {drawn!r}")
    for name, figure in drawn.items():
        if not isinstance(name, str) or "." in name or not isinstance(figure, Figure):
            raise CheckFailed(f"draw_plots returned {figure!r} under {name!r}")
    if matplotlib.pyplot.get_fignums() != before:
        raise CheckFailed("draw_plots leaves figures open in pyplot; make matplotlib.figure.Figure")


@torch.no_grad()
def outputs(model: ZooLightningModule) -> Any:
    """The outputs of a model, in evaluation mode, for its example input."""
    return model(model.example_input)


def tensors(value: Any) -> list[Tensor]:
    """All tensors in a value of lists, tuples and dicts."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return [tensor for each in value for tensor in tensors(each)]
    return []
