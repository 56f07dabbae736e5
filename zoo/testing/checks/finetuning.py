"""Checks of a model that is fine-tuned: by the command, and to other channels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from zoo.bundles.load import load
from zoo.errors import UsageError
from zoo.io.weights import in_head
from zoo.plugin.declarations import constructor_arguments, head_of
from zoo.plugin.protocols import InputChannelAdapter, offers
from zoo.recipes.experiment import resolve
from zoo.recipes.signatures import argument_names
from zoo.testing.check import check
from zoo.testing.checks.bundle import bundled
from zoo.testing.checks.model import outputs, tensors
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.stages import QUICK
from zoo.testing.subjects import ModelSubject
from zoo.training.finetune import finetune, finetuning_recipe
from zoo.training.input_channels import with_channels_of_data
from zoo.training.warm_start import load_initial_weights, read_init_from

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule


@check(
    "finetunes",
    "model",
    why="`zoo finetune` is how a trained model is put to use on data of one's own",
    remedy="train what has requires_grad and nothing else, and run `zoo finetune REF "
    "--freeze backbone` to see",
)
def finetunes(subject: ModelSubject) -> str:
    """A step of ``zoo.finetune`` with a frozen backbone runs to its bundle and changes the head
    alone."""
    if not head_of(subject.build()):
        raise Skip("it has no head")
    subject.build_data()  # skips where there are no data
    model, path = bundled(subject)
    run = finetune(
        path, overrides=_overrides(subject), freeze="backbone", out=subject.folder("tuned")
    )
    after = dict(load(run.bundle).named_parameters())
    moved = [
        name
        for name, parameter in model.named_parameters()
        if not in_head(name, head_of(model)) and not torch.equal(parameter.cpu(), after[name].cpu())
    ]
    if moved:
        raise CheckFailed(f"with a frozen backbone {', '.join(moved[:4])} changed")
    return f"the head alone, on {run.recipe.data_name}"


@check(
    "new-channels",
    "model",
    why="users have gray pictures where a publication had colored ones, and the reverse",
    remedy="take in_channels from the facts of the data and let it size the first layer alone, or "
    "have the classmethod adapt_input_channels",
)
def new_channels(subject: ModelSubject) -> str:
    """Fine-tuning carries the weights to another number of channels, or refuses in a sentence."""
    if not head_of(subject.build()):
        raise Skip("it has no head")
    if "in_channels" not in argument_names(subject.cls):
        raise Skip("it takes no in_channels")
    model, path = bundled(subject)
    before = constructor_arguments(model).get("in_channels")
    now = 1 if before != 1 else 3
    try:
        other = _with_channels(subject, path, now)
    except UsageError as error:
        if offers(subject.cls, InputChannelAdapter):
            raise
        raise Skip(f"it is refused: {error}") from error
    for output in tensors(outputs(other.eval())):
        if output.is_floating_point() and not output.isfinite().all():
            raise CheckFailed(f"with in_channels={now} forward(example_input) is not finite")
    return f"from {before} to {now}"


def _with_channels(subject: ModelSubject, bundle: Path, channels: int) -> ZooLightningModule:
    """The model of a bundle on data of so many channels, as ``zoo.finetune`` makes it."""
    facts = {**subject.setting.facts, "in_channels": channels}
    for name in ("mean", "std"):  # one a channel
        if isinstance(facts.get(name), list):
            facts[name] = [facts[name][0]] * channels
    recipe = finetuning_recipe(bundle)
    experiment = with_channels_of_data(resolve(recipe).with_facts(facts), {})
    model = experiment.build_model()
    init_from = read_init_from(recipe.init_from)
    assert init_from is not None
    load_initial_weights(model, init_from)
    return model


def _overrides(subject: ModelSubject) -> dict[str, Any]:
    """One step, on the same data."""
    data = subject.setting.data_arguments
    root = {"data.root": data["root"]} if "root" in data else {}
    return {**{f"trainer.{key}": value for key, value in QUICK.items()}, **root}
