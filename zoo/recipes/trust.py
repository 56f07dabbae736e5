"""What values from elsewhere may name: the settings of a bundle, the class paths of a file.

A recipe file is code of whoever wrote it: its class paths are imported and called. Those of
Lightning's callbacks, loggers, profilers, strategies and plugins, and of installed plugins of the
zoo, are taken; others need ``--trust``. A bundle names no class at all.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from zoo.errors import UsageError, format_problems
from zoo.recipes.recipe import Recipe
from zoo.registry.registry import registry

BUNDLE_SETTINGS = frozenset(
    {
        "accumulate_grad_batches",
        "check_val_every_n_epoch",
        "gradient_clip_algorithm",
        "gradient_clip_val",
        "max_epochs",
        "max_steps",
        "min_epochs",
        "min_steps",
        "precision",
        "val_check_interval",
    }
)
"""Trainer arguments that are taken from a bundle, where they are plain values: how it was
trained. Where it was trained, and what was called on the way, is this user's matter."""

_LIGHTNING = tuple(
    f"{package}.{part}."
    for package in ("lightning.pytorch", "pytorch_lightning", "lightning.fabric")
    for part in ("callbacks", "loggers", "profilers", "strategies", "plugins")
)
_OWN = (
    "zoo.plugin.StopWhenSolved",
    "zoo.plugin.stopping.StopWhenSolved",
    "zoo.training.finite_loss.FiniteLoss",
)
"""The core's classes that a recipe may name; with the last, a NaN loss ends no training."""

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
_PLAIN = re.compile(
    r"typing\.|datetime\.|pathlib\.|collections\.abc\.|lightning\.fabric\.utilities\.types\.|"
    r"\b(?:bool|int|float|str|None|NoneType|Path|_PATH|PathLike|timedelta|Optional|Union|Literal|"
    r"list|List|dict|Dict|tuple|Tuple|set|Set|Sequence|Iterable|Mapping|Any)\b|"
    r"""<class '|'>|'[^']*'|"[^"]*"|[\[\],|.\s\d-]"""
)
"""All that may stand in the annotation of an argument to which no class can be given."""


def bundle_settings(trainer: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The Trainer settings that are taken from a bundle, and the names of those left out."""
    kept = {
        key: value
        for key, value in trainer.items()
        if key in BUNDLE_SETTINGS and isinstance(value, (bool, int, float, str, type(None)))
    }
    return kept, [key for key, value in trainer.items() if key not in kept and value is not None]


def refuse_classes_of_bundle(cls: type, values: Mapping[str, Any], source: str) -> None:
    """Refuse a bundle whose arguments name a class, or go to a parameter that takes one.

    Args:
        cls: The model or dataset that the arguments are for.
        values: Its arguments.
        source: The bundle, for the message.

    Raises:
        UsageError: an argument names a class or a function.
    """
    named = list(_named(cls, values, ""))
    if named:
        where, path = named[0]
        raise UsageError(
            f"the bundle {source} names the code {path!r} in its argument {where!r}; a bundle "
            "holds plain values and runs no code. Ask its author for one without"
        )


def refuse_untrusted(recipe: Recipe) -> None:
    """Refuse a recipe file that names code outside Lightning and the installed plugins.

    A recipe that is registered, or was made in this process, is trusted as its plugin is, and so
    is what the user typed.

    Raises:
        UsageError: all such class paths at once, with the flag that allows them.
    """
    if not recipe.source:
        return
    from zoo.recipes.trainer import Trainer

    known = registry()
    sections: dict[str, tuple[type, Mapping[str, Any]]] = {
        "model": (known.load(known.model(recipe.model_name).entry), recipe.model),
        "data": (known.load(known.dataset(recipe.data_name)), recipe.data),
        "trainer": (Trainer, recipe.trainer),
    }
    problems = [
        f"'{section}.{where}' names {path!r}"
        for section, (cls, values) in sections.items()
        for where, path in _named(cls, values, "")
        if not _is_allowed(path) and not any(path in value for value in recipe.typed)
    ]
    if problems:
        raise UsageError(
            format_problems(recipe.source, problems)
            + "\nThis is code that Lightning and the installed plugins do not bring. If you trust "
            "who wrote it, add --trust"
        )


def _is_allowed(path: str) -> bool:
    packages = tuple(f"{plugin.module.split('.')[0]}." for plugin in registry().plugins)
    return path in _OWN or path.startswith((*_LIGHTNING, *packages))


def _named(cls: type | None, values: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    """Everything in the arguments of a class that names code: (key, dotted path)."""
    for key, value in values.items():
        yield from _in_value(value, _annotation(cls, key), f"{prefix}{key}")


def _in_value(value: Any, annotation: str, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        path = value.get("class_path")
        if isinstance(path, str):
            if _is_callable(annotation):  # jsonargparse gives it any class with __call__
                path = path if "." in path else f"{where}.{path}"
            yield where, _full(path)
            arguments = value.get("init_args")
            if isinstance(arguments, Mapping):
                yield from _named(_import(path), arguments, f"{where}.init_args.")
            value = {k: v for k, v in value.items() if k not in ("class_path", "init_args")}
        for key, inner in value.items():
            yield from _in_value(inner, annotation, f"{where}.{key}")
    elif isinstance(value, Sequence) and not isinstance(value, str):
        for index, inner in enumerate(value):
            yield from _in_value(inner, annotation, f"{where}[{index}]")
    elif isinstance(value, str) and _DOTTED.fullmatch(value) and not _is_plain(annotation):
        yield where, value


def _annotation(cls: type | None, key: str) -> str:
    """The type of a constructor's argument as text; empty if it is not known."""
    return _annotations(cls).get(key, "") if cls else ""


@cache
def _annotations(cls: type) -> dict[str, str]:
    found: dict[str, str] = {}
    for owner in cls.__mro__[:-1]:
        init = vars(owner).get("__init__")
        for name, parameter in inspect.signature(init).parameters.items() if init else ():
            if parameter.annotation is not parameter.empty:
                found.setdefault(name, str(parameter.annotation))
    return found


def _full(path: str) -> str:
    """A short name of Lightning's, such as ``EarlyStopping``, with its module."""
    found = _import(path) if "." not in path else None
    return f"{found.__module__}.{path}" if found else path


def _is_plain(annotation: str) -> bool:
    return bool(annotation) and not _PLAIN.sub("", annotation)


def _is_callable(annotation: str) -> bool:
    return "Callable" in annotation


def _import(path: str) -> type | None:
    """An allowed class, to know the types of its arguments; others are not imported."""
    name = path.rpartition(".")
    if not name[0]:  # a short name, which jsonargparse looks for among Lightning's
        for part in ("callbacks", "loggers", "profilers", "strategies", "plugins"):
            found = getattr(importlib.import_module(f"lightning.pytorch.{part}"), path, None)
            if isinstance(found, type):
                return found
        return None
    if not _is_allowed(path):
        return None
    found = getattr(importlib.import_module(name[0]), name[2], None)
    return found if isinstance(found, type) else None
