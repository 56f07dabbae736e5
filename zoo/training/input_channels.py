"""Trained weights for another number of input channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from zoo.errors import UsageError
from zoo.io.rank_zero import rank_zero_print
from zoo.io.weights import in_head, match
from zoo.plugin.declarations import constructor_arguments, head_of
from zoo.plugin.protocols import InputChannelAdapter, offers
from zoo.recipes.experiment import Experiment
from zoo.registry.registry import registry

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule


def with_channels_of_data(experiment: Experiment, overrides: Mapping[str, Any]) -> Experiment:
    """A fine-tuning whose model takes the channels of the new data.

    The recipe has the ``in_channels`` of the trained model. It is left to the data where the
    model class adapts its weights, or where the trained model does not take such inputs: some
    convert them.

    Args:
        experiment: With the facts of the data.
        overrides: What the user typed; a number of channels among them stays.
    """
    model = experiment.recipe.model
    before, now = model.get("in_channels"), experiment.facts.get("in_channels")
    kept = not experiment.recipe.init_from or "model.in_channels" in overrides
    if kept or before is None or now is None or before == now:
        return experiment
    cls = registry().load(experiment.model.entry)
    if not offers(cls, InputChannelAdapter) and _takes(experiment.build_model(), now):
        rank_zero_print(
            f"the data have {_channels(now)} and the model takes {before}: it converts its inputs"
        )
        return experiment
    of_channels = [k for k, v in model.items() if _length(v) == before]  # a mean for each channel
    left = {"in_channels", *(k for k in of_channels if _length(experiment.facts.get(k)) == now)}
    rest = {key: value for key, value in model.items() if key not in left}
    return replace(experiment, recipe=replace(experiment.recipe, model=rest))


def adapt_input_channels(
    model: ZooLightningModule, tensors: Mapping[str, Tensor], before: int | None, source: str
) -> dict[str, Tensor]:
    """The weights for a model of another number of channels, with a word on what was done.

    By ``adapt_input_channels`` of the model's class where it has that. Otherwise every tensor
    outside the head that differs from the model's in its second axis alone, by just the numbers
    of channels: the channels of one are summed up, one is spread over many, and others are
    repeated in turn, each scaled so that equal channels give what they gave before (as timm's
    ``adapt_input_conv``).

    Args:
        model: The new module.
        tensors: The saved weights.
        before: Channels of the saved model; None where a weights file does not say.
        source: Where the weights come from, for messages.

    Raises:
        UsageError: they cannot be adapted.
    """
    found, now = dict(tensors), constructor_arguments(model).get("in_channels")
    if now is None or before == now:
        return found
    cls = type(model)
    if before is not None and offers(cls, InputChannelAdapter):
        _report(source, before, now)
        adapted: dict[str, Tensor] = cls.adapt_input_channels(found, before, now)  # type: ignore[attr-defined]
        return adapted
    matched = match(model, found)
    differing = {
        name: shapes
        for name, shapes in matched.reshaped.items()
        if not in_head(name, head_of(model))
    }
    firsts = {
        name: there[1] for name, (there, here) in differing.items() if _first(there, here, now)
    }
    channels = set(firsts.values()) if before is None else {before}
    if before is None and not (firsts and len(channels) == 1 and firsts.keys() == differing.keys()):
        return found  # another difference, which is told when they are loaded
    (channels_before,) = channels
    if firsts.keys() != differing.keys() or set(firsts.values()) != {channels_before}:
        raise UsageError(
            f"the model of {source} takes {_channels(channels_before)} and the data have "
            f"{_channels(now)}: its weights cannot be adapted; take data of "
            f"{_channels(channels_before)}, or train afresh"
        )
    names = {new: old for old, new in matched.names.items()}
    for name in firsts:
        found[names[name]] = _spread(found[names[name]], now)
    _report(source, channels_before, now, ", ".join(firsts))
    return found


def _length(value: Any) -> int | None:
    return len(value) if isinstance(value, list) else None


def _spread(weight: Tensor, now: int) -> Tensor:
    before = weight.shape[1]
    if now == 1:
        return weight.sum(1, keepdim=True)
    return weight[:, torch.arange(now) % before] * (before / now)


def _first(there: tuple[int, ...], here: tuple[int, ...], now: int) -> bool:
    """Whether two shapes differ in the second axis alone, which has the channels of the input."""
    same = len(there) == len(here) > 1 and there[0] == here[0] and there[2:] == here[2:]
    return same and here[1] == now


@torch.no_grad()
def _takes(model: ZooLightningModule, channels: int) -> bool:
    """Whether the forward of a model takes inputs of so many channels."""
    example = model.example_input
    if example.ndim < 3:
        return False
    other = example.new_zeros(len(example), channels, *example.shape[2:])
    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[]):
            model(other)
    except Exception:  # noqa: BLE001  # whatever a network raises, it does not take them
        return False
    finally:
        model.train(was_training)
    return True


def _report(source: str, before: int, now: int, names: str = "") -> None:
    which = f" ({names})" if names else ""
    rank_zero_print(
        f"{source}: the first layer{which} is adapted from {before} to {_channels(now)} of input"
    )


def _channels(number: int) -> str:
    return f"{number} channel" if number == 1 else f"{number} channels"
