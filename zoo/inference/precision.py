"""The precision in which a model was trained, for a GPU that predicts with it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from zoo.bundles.bundle import read_bundle
from zoo.bundles.ensemble import members_of
from zoo.runs.run import Run

_MIXED = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def as_trained(reference: Any, device: torch.device) -> AbstractContextManager[Any]:
    """A context in which a GPU computes as in the training that made a model: in 16 bits where that
    did, which takes half the memory and less than half the time. A CPU computes in float32.

    Args:
        reference: As for ``zoo.load``; of a model that is loaded already nothing is known.
        device: Where it predicts.
    """
    if device.type != "cuda" or not isinstance(reference, (str, Path, Sequence)):
        return nullcontext()
    kinds = {_precision(each) for each in members_of(reference)}
    kind = kinds.pop()
    if kinds or kind not in _MIXED:
        return nullcontext()
    return torch.autocast(device.type, _MIXED[kind])


def _precision(reference: str | Path) -> str:
    """As the recipe says it; empty where it does not."""
    if str(reference).endswith(".ckpt"):
        settings: Any = Run(Path(reference).parent.parent).recipe.trainer
    else:
        settings = read_bundle(reference).recipe.get("trainer") or {}
    return str(settings.get("precision") or "")
