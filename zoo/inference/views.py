"""Test-time augmentation: probabilities averaged over changed views of each input."""

from __future__ import annotations

from typing import Any

from zoo.bundles.ensemble import Ensemble
from zoo.errors import UsageError
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.protocols import ViewAverager


def use_tta(model: Any, name: object) -> None:
    """Let a model, or every member of an ensemble, average over views from now on; it says which.

    Args:
        model: The module.
        name: What messages call it.

    Raises:
        UsageError: it says of no view that it is as good.
    """
    members = list(model.models) if isinstance(model, Ensemble) else [model]
    views: dict[str, None] = {}
    for member in members:
        if not isinstance(member, ViewAverager):
            raise UsageError(
                f"the model of {name}, a {type(member).__name__}, says of no changed view of an "
                "input that it would be as good (use_tta): omit --tta"
            )
        views[", ".join(member.use_tta())] = None
    rank_zero_print(f"averaged over the views: {'; '.join(views)}")
