"""Optimizers and schedules that are named by the path of their class or function.

They are code of whoever wrote the value, so that they are trusted as Trainer classes are: one of
torch always, others where the user typed them, or allowed their module. A model's constructor
asks, while it is known where its arguments come from.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from zoo.errors import UsageError
from zoo.plugin.arguments import one_of
from zoo.plugin.trust import VARIABLE, require_trusted_module

_PATH = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\.([A-Za-z_]\w*)")
_OF_TORCH = "torch.optim"

_allowed: set[str] = set()
"""The modules that a constructor was allowed to name, in this process."""


def require_named(argument: str, value: str, known: Iterable[str]) -> Callable[..., Any] | None:
    """Require one of a few names, or the path of something that can be called.

    What a bundle or somebody's recipe names outside torch is not imported here, and refused when
    it is to be used: a bundle can be tested and predict without it.

    Args:
        argument: Its name, for messages.
        value: A name, or a path such as ``torch.optim.RAdam``.
        known: The names.

    Returns:
        What the path names; None for a name, and for what is not imported here.

    Raises:
        UsageError: it is neither, or there is nothing of that path.
    """
    path = _PATH.fullmatch(value) if isinstance(value, str) else None
    if path is None:
        one_of(argument, value, known)
        return None
    module = path[1]
    if not _is_of_torch(module):
        try:
            require_trusted_module(module, f"the {argument} {value!r}")
        except UsageError:
            return None
        _allowed.add(module)
    return find_named(argument, value, known)


def find_named(argument: str, value: str, known: Iterable[str]) -> Callable[..., Any] | None:
    """What a path names; None for one of the names.

    Nothing is allowed here: in a training nobody knows any more where a value came from.

    Raises:
        UsageError: it is neither, no constructor was allowed to name its module, or there is
            nothing of that path.
    """
    path = _PATH.fullmatch(value)
    if path is None:
        one_of(argument, value, known)
        return None
    module, name = path[1], path[2]
    if not _is_of_torch(module) and module not in _allowed:
        raise UsageError(
            f"the {argument} {value!r} would import the module {module!r}, which is not allowed "
            f"to run unasked. If you trust that module, allow it: {VARIABLE}={module} (a model's "
            f"constructor has to ask by zoo.plugin.optim.require_{argument})"
        )
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ImportError as error:
        raise UsageError(f"the {argument} {value!r} cannot be imported: {error}") from error
    if not callable(found):
        raise UsageError(f"the {argument} {value!r} is not there: {module} has no {name}")
    named: Callable[..., Any] = found
    return named


def _is_of_torch(module: str) -> bool:
    return module == _OF_TORCH or module.startswith(f"{_OF_TORCH}.")
