"""Several trained models of the same classes as one: their probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zoo.errors import UsageError
from zoo.plugin.declarations import not_exportable
from zoo.plugin.protocols import EnsembleMember
from zoo.runs.group import is_group, open_group

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule

Reference = str | Path
_SHOWN = 5


class Ensemble(LightningModule):
    """Models of the same classes, the first of which speaks for all.

    Args:
        names: What to call each, in messages.
        models: At least one.

    Raises:
        UsageError: one of them says nothing of probabilities (``EnsembleMember``), or their
            classes differ.
    """

    def __init__(self, names: Sequence[str], models: Sequence[ZooLightningModule]) -> None:
        super().__init__()
        _require_same_classes(names, models)
        self.names = list(names)
        self.models = nn.ModuleList(models)
        self.eval()

    @property
    def lead(self) -> Any:
        """The first of the models."""
        return self.models[0]

    @property
    def label_names(self) -> list[str]:
        """The classes' names."""
        return list(self.lead.label_names)

    @property
    def example_input(self) -> Tensor:
        """That of the first."""
        example: Tensor = self.lead.example_input
        return example

    @property
    def not_exportable(self) -> str:
        """Why one of them cannot be exported; empty if all can."""
        return next(filter(None, map(not_exportable, self.models)), "")

    def forward(self, *inputs: Any) -> Tensor:
        """Mean probabilities.

        Args:
            inputs: What ``forward`` of each takes.

        Returns:
            (N, classes, ...).
        """
        outputs: list[Any] = [model(*inputs) for model in self.models]
        members: list[Any] = list(self.models)
        parts = [m.to_probabilities(out).float() for m, out in zip(members, outputs, strict=True)]
        # Added one to another, and not stacked: one output more at a time, whatever exports this.
        total: Tensor = parts[0]
        for part in parts[1:]:
            total = total + part
        return total / len(parts)


def is_ensemble(reference: Reference | Sequence[Reference]) -> bool:
    """Whether a reference stands for several models: several references, or a group of runs."""
    if isinstance(reference, (str, Path)):
        return is_group(reference)
    return len(reference) > 1 or any(map(is_group, reference))


def members_of(reference: Reference | Sequence[Reference]) -> list[Reference]:
    """The references of the single models, those of a group one by one.

    Raises:
        UsageError: a run of a group is not finished, or the group is a sweep.
    """
    given = [reference] if isinstance(reference, (str, Path)) else list(reference)
    return [each for one in given for each in (_runs_of(one) if is_group(one) else [one])]


def _runs_of(path: Reference) -> list[Reference]:
    group = open_group(path)
    if group.kind == "sweep":
        raise UsageError(
            f"{path} is a sweep, whose trials are no ensemble: name one of its runs, or several"
        )
    missing = [name for name, run in group.runs.items() if not run.finished]
    if missing or not group.members:
        named = ", ".join(missing) or "none of its runs"
        verb = "are" if len(missing) > 1 else "is"
        command = "crossval" if group.kind == "crossval" else "train"
        raise UsageError(
            f"{path}: {named} {verb} not finished: continue with `zoo {command} {group.recipe} "
            f"--resume {path}`, or name the runs that are to be an ensemble"
        )
    return [run.path for run in group.runs.values()]


def mean_and_disagreement(probabilities: Tensor) -> tuple[Tensor, Tensor]:
    """The mean of several models' probabilities, and how much they disagree.

    Args:
        probabilities: (models, classes, ...).

    Returns:
        The mean (classes, ...), and the Jensen-Shannon divergence of the models (...) as a
        fraction of the largest possible: 0 where all say the same, 1 where each is sure of another
        class.
    """
    mean = probabilities.mean(dim=0)
    most = min(len(probabilities), probabilities.shape[1])
    spread = _entropy(mean.unsqueeze(0))[0] - _entropy(probabilities).mean(dim=0)
    return mean, (spread / math.log(max(most, 2))).clamp(0, 1)


def _entropy(probabilities: Tensor) -> Tensor:
    values: Tensor = torch.special.entr(probabilities)
    return values.sum(dim=1)


def _require_same_classes(names: Sequence[str], models: Sequence[Any]) -> None:
    for name, model in zip(names, models, strict=True):
        if not isinstance(model, EnsembleMember):
            raise UsageError(
                f"the model of {name}, a {type(model).__name__}, gives no class probabilities that "
                "could be averaged with others': name one reference"
            )
    first = list(models[0].label_names)
    for name, model in zip(names[1:], models[1:], strict=True):
        if (found := list(model.label_names)) != first:
            raise UsageError(
                f"models of different classes cannot be averaged: {_difference(first, found)} "
                f"({names[0]} against {name})"
            )


def _difference(first: Sequence[str], second: Sequence[str]) -> str:
    """What differs between two lists of classes."""
    only = [
        f"{text} {_listed(missing)}"
        for text, missing in (
            ("only the first has", [name for name in first if name not in second]),
            ("only the second has", [name for name in second if name not in first]),
        )
        if missing
    ]
    if only:
        return " and ".join(only)
    place = next((i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), -1)
    if place < 0:
        return f"the first has {len(first)} and the second {len(second)}"
    return f"class {place} is {first[place]!r} in the first and {second[place]!r} in the second"


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
