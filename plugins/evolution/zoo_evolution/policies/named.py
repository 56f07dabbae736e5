"""Policies by name."""

from __future__ import annotations

from functools import partial
from typing import Any

from zoo.plugin import one_of
from zoo_evolution.policies.base import Policy
from zoo_evolution.policies.fast_weights import FastWeights
from zoo_evolution.policies.feed_forward import FeedForward
from zoo_evolution.policies.recurrent import Elman, FullyRecurrent, Lstm

POLICIES: dict[str, Any] = {
    "feed-forward": FeedForward,
    "recurrent": FullyRecurrent,
    "elman": Elman,
    "lstm": Lstm,
    "fast-weights": FastWeights,
    "fast-weights-plain": partial(FastWeights, plain=True),
}


def make_policy(name: str, inputs: int, outputs: int, hidden: int, bias: bool) -> Policy:
    """A net of ``POLICIES``.

    Args:
        name: Its name.
        inputs: Numbers in an observation.
        outputs: Numbers in an action.
        hidden: Units of the hidden layer.
        bias: Whether units have a bias.

    Raises:
        UsageError: there is none of that name, or a size is out of its range.
    """
    one_of("policy", name, POLICIES)
    made: Policy = POLICIES[name](inputs, outputs, hidden=hidden, bias=bias)
    return made
