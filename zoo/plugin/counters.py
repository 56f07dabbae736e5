"""What a learner counts: sequences, evaluations, environment steps. Units of everything that
elsewhere goes by epochs: budgets, schedules, windows, intervals, the x axis of curves."""

from __future__ import annotations

import operator
import re
from collections.abc import Iterable, Mapping
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from zoo.errors import UsageError, ZooError, nearest
from zoo.plugin._lightning_internals import attached_trainer
from zoo.plugin.protocols import HasCounters

_NAME = re.compile(r"[A-Za-z_]\w*")
_TAKEN = ("epoch", "step")
_TRAINERS = {"epoch": "max_epochs", "step": "max_steps", "hour": "max_time", "minute": "max_time"}


def counters(*owners: object) -> dict[str, int]:
    """What the objects count now, in their order.

    Args:
        owners: Models and datamodules; those without ``counters`` count nothing.

    Raises:
        ZooError: a name is not a word or is taken, or a count is not a whole number.
    """
    found: dict[str, int] = {}
    for owner in owners:
        if not isinstance(owner, HasCounters):
            continue
        for name, value in owner.counters.items():
            if not _NAME.fullmatch(name) or name in _TAKEN or name in found:
                raise ZooError(
                    f"{type(owner).__name__}.counters has the name {name!r}: it has to be one "
                    "word, such as 'evaluations', not 'epoch' or 'step', and no other's"
                )
            found[name] = _whole(value, f"{type(owner).__name__}.counters[{name!r}]")
    return found


def counters_of(trainer: Trainer) -> dict[str, int]:
    """What the module of a Trainer counts now, then what its datamodule counts."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    return counters(trainer.lightning_module, data)


def count(module: LightningModule, unit: str) -> int:
    """How much of a unit a module in training, or its data, have counted.

    Raises:
        UsageError: neither counts it.
    """
    trainer = attached_trainer(module)
    found = counters(module) if trainer is None else counters_of(trainer)
    require_counted([unit], found, f"a schedule by {unit!r}")
    return found[unit]


def require_counted(units: Iterable[str], counted: Mapping[str, int], where: str) -> None:
    """Refuse a unit that is not counted.

    Args:
        units: What is asked for.
        counted: What model and data count.
        where: What asks for it, which the sentence begins with.

    Raises:
        UsageError: one is not counted; the sentence names those that are.
    """
    for unit in units:
        if unit in counted:
            continue
        near = nearest(unit, counted, 1) if counted else ""
        if near:
            hint = f"did you mean {near}?"
        elif limit := _TRAINERS.get(unit.rstrip("s")):
            hint = f"that is the Trainer's: --trainer.{limit}"
        elif counted:
            hint = f"they count {', '.join(counted)}"
        else:
            hint = "they count nothing; a model or datamodule counts by its member `counters`"
        raise UsageError(f"{where}: neither the model nor the data count {unit!r}; {hint}")


def _whole(value: Any, where: str) -> int:
    try:
        if isinstance(value, bool):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise ZooError(f"{where} is {value!r}: a counter has to be a whole number") from None
