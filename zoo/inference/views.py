"""Test-time augmentation: probabilities averaged over changed views of each input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from zoo.errors import UsageError
from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.protocols import ViewAverager


def use_tta(models: Iterable[Any], name: object) -> None:
    """Let models average over views from now on; it says which views.

    Args:
        models: A module, or the members of an ensemble.
        name: What messages call them.

    Raises:
        UsageError: it says of no view that it is as good.
    """
    views: dict[str, None] = {}
    for member in models:
        if not isinstance(member, ViewAverager):
            raise UsageError(
                f"the model of {name}, a {type(member).__name__}, says of no changed view of an "
                "input that it would be as good (use_tta): omit --tta"
            )
        views[", ".join(member.use_tta())] = None
    rank_zero_print(f"averaged over the views: {'; '.join(views)}")
