"""Checks of a model that makes something by itself: samples, forecasts, episodes."""

from __future__ import annotations

import contextlib
import inspect
from typing import Any

import torch

from zoo.bundles.bundle import read_bundle
from zoo.bundles.load import rebuild
from zoo.inference.predict import predict
from zoo.plugin.declarations import producing_method
from zoo.recipes.signatures import option_names
from zoo.testing.check import check
from zoo.testing.checks.bundle import bundled
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ModelSubject
from zoo.training.seeding import seeded

_SMALL = {"count": 2, "episodes": 1}
"""Options that say how many, and how few are enough here."""


@check(
    "produces",
    "model",
    why="`zoo predict REF` shows what a model makes, and its options are the method's own",
    remedy="let produce(folder, *, count: int = 8, ...) or play(folder, *, ...) return a list of "
    "dicts of JSON values, type its options, write into folder alone and nothing where it is "
    "None, and draw from torch's, numpy's or Python's generators",
)
def produces(subject: ModelSubject) -> str:
    """What ``zoo predict`` calls without files gives rows, the same ones for one seed, and writes
    into a folder alone."""
    method = producing_method(subject.cls)
    if not method:
        raise Skip("it neither produces nor plays")
    options = _options(subject.cls, method)
    _, path = bundled(subject)
    model: Any = rebuild(read_bundle(path))
    work = subject.folder("produced")
    with contextlib.chdir(work):
        with torch.inference_mode(), seeded(0):
            getattr(model, method)(None, **options)
        if found := list(work.iterdir()):
            raise CheckFailed(f"without a folder it wrote {found[0].name}")
        first, again = (
            predict(model, options={**options, "seed": 0}, out=work / out, device="cpu").rows
            for out in ("first", "again")
        )
        if found := [each for each in work.iterdir() if each.name not in ("first", "again")]:
            raise CheckFailed(f"beside its folder it wrote {found[0].name}")
    if not first:
        raise CheckFailed(f"{method} returned no row")
    if again != first:
        raise CheckFailed(f"{method} with the same seed gives other rows the second time")
    return f"{len(first)} rows"


def _options(cls: type, method: str) -> dict[str, Any]:
    """Values of the options that make the call small."""
    parameters = inspect.signature(getattr(cls, method)).parameters
    names = option_names(cls, method)
    for name in names:
        given = parameters.get(name)
        if given is None:  # handed on through **kwargs
            continue
        if given.default is given.empty:
            raise CheckFailed(f"the option {name} of {method} has no default")
        if given.annotation is given.empty:
            raise CheckFailed(f"no type says what the option {name} of {method} may be")
    return {name: value for name, value in _SMALL.items() if name in names}
