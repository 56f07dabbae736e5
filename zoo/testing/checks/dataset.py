"""Checks of a dataset: its facts are true, and missing files are refused."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from zoo.errors import UsageError
from zoo.plugin.parts import Part, has_part
from zoo.recipes.signatures import argument_names
from zoo.testing.check import check
from zoo.testing.checks.model import tensors
from zoo.testing.results import CheckFailed, Skip, describe
from zoo.testing.subjects import DatasetSubject

PARTS: tuple[Part, ...] = ("train", "val", "test")
BATCHES = 64
"""Batches of a part that are looked at, at most."""
_NEAR = 0.1


@check(
    "missing-root",
    "dataset",
    why="a user's first mistake is a wrong folder; an hour into training is too late to tell",
    remedy="raise zoo.plugin.UsageError(f'there is no {path}: what to do') from facts and setup",
)
def missing_root(subject: DatasetSubject) -> str:
    """A root that does not exist is refused by a UsageError with the path and the remedy."""
    if "root" not in argument_names(subject.cls):
        raise Skip("it reads no files")
    root = str(subject.folder("empty") / "no-such-folder")
    arguments = {**subject.arguments(), "root": root}
    try:
        data = subject.construct(arguments)
        _ = data.facts
        data.setup("fit")
    except UsageError as error:
        text = str(error)
    except Exception as error:
        raise CheckFailed(f"it is met by {describe(error)}, not by a UsageError") from error
    else:
        raise CheckFailed("neither facts nor setup refuse a root that does not exist")
    if root not in text:
        raise CheckFailed(f"the message does not name the path: {text}")
    # What comes after the path has to say more than that it is missing.
    if len(text.rpartition(root)[2].split()) < 4 and len(text.partition(root)[0].split()) < 8:
        raise CheckFailed(f"the message names no remedy: {text}")
    return text.replace(root, "ROOT")


@check(
    "facts-plain",
    "dataset",
    why="facts become constructor arguments and are kept in every bundle",
    remedy="let facts return a dict of text to JSON values: numbers, text, lists, dicts",
)
def facts_plain(subject: DatasetSubject) -> None:
    """Facts are JSON values under names that arguments can have."""
    facts: object = subject.build().facts
    if not isinstance(facts, dict):
        raise CheckFailed(f"facts is a {type(facts).__name__}, not a dict")
    for name, value in facts.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise CheckFailed(f"the fact {name!r} has no name that an argument can have")
        try:
            back = json.loads(json.dumps(value))
        except (TypeError, ValueError):
            back = None
        if back != value:
            raise CheckFailed(f"{name} is {value!r}, which JSON does not give back as it was")


@check(
    "facts-true",
    "dataset",
    why="models size themselves by facts; a wrong one crashes late or trains nonsense",
    remedy="derive facts from the data that the loaders hand out",
)
def facts_true(subject: DatasetSubject) -> str:
    """The facts that the kit knows by name hold for the batches of every part."""
    data = subject.build()
    facts = data.facts
    looked = [
        (part, inputs, labels)
        for part in PARTS
        if has_part(data, part)
        for inputs, labels in _pairs(islice(getattr(data, f"{part}_dataloader")(), BATCHES))
    ]
    known = [name for name in facts if name in _TRUTHS]
    for name in known:
        for part, inputs, labels in looked:
            if wrong := _TRUTHS[name](facts[name], inputs, labels, facts):
                raise CheckFailed(f"{name} is {facts[name]!r}, and {wrong} in a batch of {part}")
    train = [inputs for part, inputs, _ in looked if part == "train"]
    if train and {"mean", "std"} <= facts.keys():
        _compare_statistics(facts, train)
    length = _length(data.train_dataloader())
    if facts.get("train_size", length) != length:
        raise CheckFailed(
            f"train_size is {facts['train_size']}, the training part has {length} samples"
        )
    if not known:
        raise Skip(f"the kit knows none of the facts {', '.join(facts) or '(there are none)'}")
    if not looked:
        raise Skip("its batches are not (inputs, labels)")
    return ", ".join(known)


@check(
    "seed-decides-order",
    "dataset",
    why="resuming and comparing runs need the same batches again",
    remedy="shuffle by zoo.plugin.ResumableLoader(data, batch_size, seed)",
)
def seed_decides_order(subject: DatasetSubject) -> None:
    """One seed gives the same training batches again, whatever was drawn before; another
    does not."""
    if "seed" not in argument_names(subject.cls):
        raise Skip("it takes no seed")
    first, again, other = (_first_batches(subject, seed) for seed in (0, 0, 1))
    if not _equal(first, again):
        raise CheckFailed("the same seed gives other training batches the second time")
    if not _one_sample(first) and _equal(first, other):
        raise CheckFailed("seeds 0 and 1 give the same training batches")


def _first_batches(subject: DatasetSubject, seed: int) -> list[list[Tensor]]:
    data = subject.build(seed=seed)
    data.setup("fit")
    torch.rand(seed + 1)
    return [tensors(batch) for batch in islice(data.train_dataloader(), 4)]


def _equal(first: list[list[Tensor]], second: list[list[Tensor]]) -> bool:
    return len(first) == len(second) and all(
        len(one) == len(two) and all(map(torch.equal, one, two))
        for one, two in zip(first, second, strict=True)
    )


def _one_sample(batches: list[list[Tensor]]) -> bool:
    """Whether there is nothing to order: one sample, once or again and again."""
    rows = [[each if each.ndim else each[None] for each in batch] for batch in batches]
    return all(
        torch.equal(each, first[:1].expand_as(each))
        for batch in rows
        for each, first in zip(batch, rows[0], strict=False)
    )


def _pairs(batches: Iterator[Any]) -> Iterator[tuple[Tensor, Any]]:
    """The inputs and labels of those batches that are (inputs, labels, ...)."""
    for batch in batches:
        if isinstance(batch, (list, tuple)) and len(batch) > 1 and isinstance(batch[0], Tensor):
            yield batch[0], batch[1]


def _length(loader: Any) -> int | None:
    try:
        return len(loader.dataset)
    except (AttributeError, TypeError):  # no map-style dataset
        return None


def _compare_statistics(facts: dict[str, Any], batches: list[Tensor]) -> None:
    """Mean and std of every channel, where inputs are pixels in uint8."""
    if batches[0].dtype != torch.uint8 or batches[0].ndim < 3:
        return
    channels = [batch.transpose(0, 1).flatten(1) for batch in batches]
    pixels = torch.cat(channels, dim=1).float() / 255
    found = {"mean": pixels.mean(dim=1), "std": pixels.std(dim=1)}
    for name, values in found.items():
        if (values - torch.tensor(facts[name])).abs().max() > _NEAR:
            seen = [round(float(value), 3) for value in values]
            raise CheckFailed(f"{name} is {facts[name]}, the training batches have {seen}")


# The meaning of facts: each function says what is wrong, or nothing.


def _classes(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    if not isinstance(labels, Tensor) or labels.is_floating_point() or not labels.numel():
        return ""
    counted = labels[labels != facts.get("ignore_index", -100)]
    low, high = (int(counted.min()), int(counted.max())) if counted.numel() else (0, 0)
    return "" if low >= 0 and high < value else f"labels go from {low} to {high}"


def _names(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    classes = facts.get("num_classes", len(value))
    return "" if len(value) == classes else f"num_classes is {classes}"


def _channels(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    found = inputs.shape[1] if inputs.ndim > 2 else None
    return "" if found == value else f"inputs are {tuple(inputs.shape)}"


def _size(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    found = list(inputs.shape[inputs.ndim - len(value) :])
    return "" if found == list(value) else f"inputs are {tuple(inputs.shape)}"


def _features(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    return "" if inputs.shape[-1] == value else f"inputs are {tuple(inputs.shape)}"


def _per_channel(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    channels = facts.get("in_channels", len(value))
    if len(value) != channels:
        return f"there are {channels} channels"
    return "" if all(math.isfinite(each) for each in value) else "it has to be finite"


def _spread(value: Any, inputs: Tensor, labels: Any, facts: dict[str, Any]) -> str:
    wrong = _per_channel(value, inputs, labels, facts)
    return wrong or ("" if min(value) > 0 else "it has to be above 0")


_TRUTHS: dict[str, Callable[[Any, Tensor, Any, dict[str, Any]], str]] = {
    "num_classes": _classes,
    "label_names": _names,
    "in_channels": _channels,
    "image_size": _size,
    "features": _features,
    "mean": _per_channel,
    "std": _spread,
}
