"""Checks of a model that makes something by itself: samples, forecasts, episodes."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path
from typing import Any

import torch

from zoo.bundles.bundle import read_bundle
from zoo.bundles.load import rebuild
from zoo.inference.predict import predict
from zoo.testing.check import check
from zoo.testing.checks.bundle import bundled
from zoo.testing.checks.predicting import require_json
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ModelSubject

_SMALL = {"count": 2, "episodes": 1}
"""Options that say how many, and how few are enough here."""


@check(
    "produces",
    "model",
    why="`zoo predict REF` shows what a model makes, and its options are the method's own",
    remedy="let produce(folder, *, count=..., seed=0, ...) or play(folder, *, ...) return a list "
    "of dicts of JSON values, type its options, write into folder alone and nothing where it is "
    "None, and draw from a generator that seed seeds",
)
def produces(subject: ModelSubject) -> str:
    """What ``zoo predict`` calls without files gives rows, the same ones for one seed."""
    method = next((name for name in ("produce", "play") if hasattr(subject.cls, name)), "")
    if not method:
        raise Skip("it neither produces nor plays")
    options = _options(subject.cls, method)
    _, path = bundled(subject)
    model: Any = rebuild(read_bundle(path))
    work = subject.folder("produced")
    with contextlib.chdir(work):
        rows = _call(model, method, None, options)
        if found := list(work.iterdir()):
            raise CheckFailed(f"without a folder it wrote {found[0].name}")
        if "seed" in options:
            torch.rand(1)  # what was drawn before does not matter
            if _call(model, method, None, options) != rows:
                raise CheckFailed(f"{method} with the same seed gives other rows the second time")
        if method == "play":
            told = predict(model, options=options, out=work / "out", device="cpu").rows
        else:
            (work / "out").mkdir()
            told = _call(model, method, work / "out", options)
    if len(told) != len(rows):
        raise CheckFailed(f"{method} gives {len(rows)} rows without a folder, {len(told)} with one")
    return f"{len(rows)} rows"


def _options(cls: type, method: str) -> dict[str, Any]:
    """Values of the options that make the call small and repeatable."""
    parameters = inspect.signature(getattr(cls, method)).parameters
    own = {
        name: each
        for name, each in parameters.items()
        if each.kind is each.KEYWORD_ONLY and name not in ("self", "folder")
    }
    for name, each in own.items():
        if each.default is each.empty:
            raise CheckFailed(f"the option {name} of {method} has no default")
        if each.annotation is each.empty:
            raise CheckFailed(f"no type says what the option {name} of {method} may be")
    if method == "produce" and not {"count", "seed"} <= own.keys():
        raise CheckFailed("produce does not take count and seed by keyword")
    return {name: value for name, value in {**_SMALL, "seed": 0}.items() if name in own}


def _call(
    model: Any, method: str, folder: Path | None, options: dict[str, Any]
) -> list[dict[str, Any]]:
    with torch.inference_mode():
        rows: object = getattr(model, method)(folder, **options)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CheckFailed(f"{method} returned {rows!r}, not a list of dicts")
    if not rows:
        raise CheckFailed(f"{method} returned no row")
    require_json(rows, method)
    return rows
