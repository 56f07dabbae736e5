"""What a model produces without files: samples, forecasts, episodes, a p-value."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from zoo.errors import UsageError, ZooError
from zoo.inference.predictions import Predictions
from zoo.plugin.declarations import producing_method, row_name
from zoo.recipes.signatures import option_names, read_options
from zoo.training.seeding import seeded


def read_producing_options(model: object, options: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The keyword arguments of its method, checked, and the seed of everything random.

    Raises:
        UsageError: an option is unknown or has a wrong value.
    """
    method = producing_method(model)
    seed, rest = take_seed(options)
    if "seed" in options and "seed" in option_names(type(model), method):
        rest["seed"] = seed
    chosen = read_options(type(model), method, rest)
    count = chosen.get("count", 1)
    if isinstance(count, int) and count < 1:
        raise UsageError(f"--count is {count}; it has to be 1 or more")
    return chosen, seed


def take_seed(options: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
    """The option ``seed``, 0 by default, and the other options.

    Raises:
        UsageError: it is not a seed.
    """
    rest = {key: value for key, value in options.items() if key != "seed"}
    given = options.get("seed", 0)
    try:
        seed = int(str(given))
    except ValueError:
        seed = -1
    if not 0 <= seed < 2**32:
        raise UsageError(f"--seed is {given!r}; it has to be a whole number from 0 to 2**32 - 1")
    return seed, rest


def produce(
    model: object, options: Mapping[str, Any], seed: int, folder: Path | None
) -> Predictions:
    """Let a model produce.

    Args:
        model: One that ``producing_method`` finds a method of.
        options: That method's keyword arguments.
        seed: Of Python's, numpy's and torch's generators meanwhile.
        folder: Where its files, the table and the JSON file go; None writes nothing.

    Raises:
        ZooError: it does not return rows of JSON values.
    """
    method = producing_method(model)
    with torch.inference_mode(), seeded(seed):
        made = getattr(model, method)(folder, **options)
    where = f"{method} of {type(model).__name__}"
    name = row_name(model, "episode" if method == "play" else "sample")
    found = Predictions(folder=folder, row_name=name)
    found.rows = [{name: number, **row} for number, row in enumerate(_rows(made, where), 1)]
    if folder is not None:
        found.pictures = sorted(p for p in folder.rglob("*") if p.suffix in (".gif", ".png"))
    found.write()
    return found


def _rows(made: Any, where: str) -> Sequence[Mapping[str, Any]]:
    """What was returned, if it is rows of JSON values."""
    if not isinstance(made, Sequence) or not all(isinstance(row, Mapping) for row in made):
        raise ZooError(
            f"{where} returned {type(made).__name__}, not a list of one dict for each thing made: "
            'return [{"value": 0.5}, ...]'
        )
    for row in made:
        for key, value in row.items():
            try:
                json.dumps({key: value})
            except (TypeError, ValueError) as error:
                raise ZooError(
                    f"{where} gives a value of {key!r} that JSON does not hold ({error}): convert "
                    "it by .item() or .tolist()"
                ) from error
    return made
