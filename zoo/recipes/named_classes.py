"""What is wrong with a class that the Trainer's settings name, and with its arguments.

jsonargparse tells the union of the types that a setting takes; a user wants the name that was
mistyped, and the nearest right one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping
from typing import Any

from zoo.errors import nearest, shown
from zoo.io.plain_yaml import read_yaml_text
from zoo.io.yaml_events import YAMLFault

_KINDS = {
    "trainer.callbacks": ("callback", "lightning.pytorch.callbacks", "Callback"),
    "trainer.logger": ("logger", "lightning.pytorch.loggers", "Logger"),
    "trainer.plugins": ("plugin", "lightning.pytorch.plugins", ""),
    "trainer.profiler": ("profiler", "lightning.pytorch.profilers", "Profiler"),
    "trainer.strategy": ("strategy", "lightning.pytorch.strategies", "Strategy"),
}
"""What a setting names: in words, the module of Lightning's own, and their base there."""

Signature = Callable[[type], tuple[Collection[str], Collection[str]]]
"""The arguments of a class, and those without a default."""


def named_class_fault(key: str, value: Any, signature: Signature) -> str:
    """A sentence for the first class that is named wrongly; empty if that is not what is wrong.

    Args:
        key: The setting, such as ``trainer.callbacks``.
        value: What was given: a class, its ``class_path`` and ``init_args``, a list of them, or
            any of that as YAML text.
        signature: Reads a class's arguments.
    """
    if key not in _KINDS:
        return ""
    if isinstance(value, str):
        try:
            value = read_yaml_text(value)
        except YAMLFault:
            return ""
    kind, module, base = _KINDS[key]
    for each in value if isinstance(value, list) else [value]:
        if fault := _fault(key, each, kind, module, base, signature):
            return fault
    return ""


def _fault(key: str, given: Any, kind: str, module: str, base: str, signature: Signature) -> str:
    if isinstance(given, Mapping) and not isinstance(given.get("class_path"), str):
        return (
            f"'{key}' needs the name of a class under 'class_path' and its arguments under "
            f"'init_args', not {shown(given)}"
        )
    path = given["class_path"] if isinstance(given, Mapping) else given
    if not isinstance(path, str):
        return ""
    found = _find(path, module)
    if found is None:
        there = _names(module, base)
        near = nearest(path.rpartition(".")[2], there, 1).strip("'")
        hint = f"did you mean '{near}'?" if near else f"Lightning has {', '.join(there)}"
        return f"'{key}' names the {kind} '{path}', which is not there; {hint}"
    arguments = given.get("init_args") if isinstance(given, Mapping) else None
    names, required = signature(found)
    for name in arguments or {}:
        if name not in names:
            near = nearest(str(name), names, 1).strip("'")
            hint = f"did you mean '{near}'?" if near else f"there are {', '.join(names)}"
            return f"'{key}': {found.__name__} has no argument '{name}'; {hint}"
    missing = [name for name in required if name not in (arguments or {})]
    if missing:
        return (
            f"'{key}': {found.__name__} needs {', '.join(missing)}: give it under 'init_args', as "
            f"in '{{class_path: {found.__name__}, init_args: {{{missing[0]}: ...}}}}'"
        )
    return ""


def _find(path: str, module: str) -> type | None:
    """The class; one of Lightning's own needs no module."""
    where, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(where or module), name, None)
    except ImportError:
        return None
    return found if isinstance(found, type) else None


def _names(module: str, base: str) -> list[str]:
    holder = importlib.import_module(module)
    found = {name: each for name, each in vars(holder).items() if isinstance(each, type)}
    wanted = found.get(base, object)
    return sorted(
        name
        for name, each in found.items()
        if name != base and name[0] != "_" and issubclass(each, wanted)
    )
