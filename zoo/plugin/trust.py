"""What values from elsewhere may make this process import: nothing but registered code.

A bundle comes from anywhere, and its hashes vouch for its own files alone. While a model or a
dataset is being built from one, or from somebody's recipe file, this module knows it, and whoever
is about to import a module whose name is a value asks here first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

from zoo.errors import UsageError

VARIABLE = "ZOO_TRUST_MODULES"
"""Environment variable: modules of one's own that bundles may name, with commas between."""

_building: ContextVar[tuple[str, tuple[str, ...]]] = ContextVar("_building", default=("", ()))


@contextlib.contextmanager
def values_from(source: str, typed: tuple[str, ...] = ()) -> Iterator[None]:
    """Around building a model or a dataset from values that come from elsewhere.

    Args:
        source: Where from, for messages: ``the bundle NAME``; empty for the user's own.
        typed: Values that the user gave in addition, which are trusted.
    """
    token = _building.set((source, typed))
    try:
        yield
    finally:
        _building.reset(token)


def require_trusted_module(module: str, what: str) -> None:
    """Ask before importing a module whose name is an argument, such as a gymnasium id's.

    A user's own call may name any module. A bundle, or the recipe file of somebody, may name one
    only if the user allowed it by ``ZOO_TRUST_MODULES=module``.

    Args:
        module: The module, or one inside an allowed package.
        what: What names it, for the message: ``the environment 'mine:Maze-v0'``.

    Raises:
        UsageError: a bundle or a file names it, and it is not allowed.
    """
    source, typed = _building.get()
    if not source or any(value.startswith((f"{module}:", f"{module}.")) for value in typed):
        return
    allowed = {name.strip() for name in os.environ.get(VARIABLE, "").split(",")} - {""}
    package = module.split(".")
    if any(".".join(package[:length]) in allowed for length in range(1, len(package) + 1)):
        return
    raise UsageError(
        f"{what} of {source} would import the module {module!r}, which is not allowed to run "
        f"unasked. If you trust that module, allow it: {VARIABLE}={module}"
    )
