"""A user's own function: found, called, in several processes if asked, and not believed."""

from __future__ import annotations

import importlib
import importlib.util
import math
import sys
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zoo.plugin import UsageError, ZooError, at_least, require_trusted_module

Scored = Callable[[np.ndarray], Any]


class UserFunction:
    """Calls ``module:function`` of an installed package, or ``path/file.py:function``.

    The function takes one point, a float64 array (d,), and returns one number, which is to be
    small. NaN counts as the worst. It is imported when it is first called; where a bundle or the
    recipe of somebody names it and its module is not allowed, that is refused then.

    Args:
        name: Where it is.
        workers: Processes that call it; 0 calls it in this one.

    Raises:
        UsageError: the name is not of that form.
    """

    def __init__(self, name: str, workers: int = 0) -> None:
        at_least("workers", workers, 0)
        place, _, function = name.rpartition(":")
        if not place or not function:
            raise UsageError(
                f"the function {name!r} is not of the form package.module:function or "
                "path/file.py:function"
            )
        self.name, self.workers = name, workers
        # Whose value it is can be asked only now; a bundle is built also where it is not run.
        self._refusal: UsageError | None = None
        try:
            require_trusted_module(place, f"the function {name!r}")
        except UsageError as error:
            self._refusal = error
        self._found: Scored | None = None
        self._pool: ProcessPoolExecutor | None = None

    @property
    def _function(self) -> Scored:
        if self._refusal is not None:
            raise self._refusal
        if self._found is None:
            self._found = find_function(self.name)
        return self._found

    def __call__(self, points: Tensor) -> Tensor:
        """Values float64 (n,) of points (n, d).

        Raises:
            ZooError: it raises, or returns something else than a number, or NaN for all points.
        """
        rows, function = list(points.detach().cpu().double().numpy()), self._function
        if self.workers:
            returned = self._from_processes(rows)
        else:
            returned = [_guarded_call(function, row) for row in rows]
        values = [self._value(each, row) for each, row in zip(returned, rows, strict=True)]
        if values and all(math.isnan(value) for value in values):
            raise ZooError(
                f"{self.name} returned NaN for all {len(values)} candidates, of which the last is "
                f"{_shown(rows[-1])}: there is nothing to go by"
            )
        return torch.tensor(values, dtype=torch.float64)

    def probe(self, point: Tensor) -> None:
        """Call it once at the start of a search; not counted as an evaluation.

        Raises:
            UsageError: it raises, or returns something else than a number.
        """
        row = point.double().numpy()
        try:
            value = self._value(_guarded_call(self._function, row), row)
        except ZooError as error:
            raise UsageError(str(error)) from error
        if math.isnan(value):
            raise UsageError(
                f"{self.name} returned NaN at the start of the search, {_shown(row)}: give a start "
                "where it has a value"
            )

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _from_processes(self, rows: list[np.ndarray]) -> list[tuple[float, str]]:
        try:
            return list(self._processes().map(_guarded, rows))
        except BrokenProcessPool as error:
            self._pool = None
            raise ZooError(
                f"a process that called {self.name} ended in the middle of it, killed or by a "
                "crash of its own: call it with workers 0 to see where, or take fewer workers if "
                "the memory was too small"
            ) from error

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned: a fork of a process that has threads, as torch's have, may hang.
            self._pool = ProcessPoolExecutor(
                self.workers, get_context("spawn"), _begin, (self.name,)
            )
        return self._pool

    def _value(self, returned: tuple[float, str], row: np.ndarray) -> float:
        value, complaint = returned
        if complaint:
            raise ZooError(f"{self.name}, called with {_shown(row)}, {complaint}")
        return value


def find_function(name: str) -> Scored:
    """The function of a name ``module:function`` or ``path/file.py:function``.

    Raises:
        UsageError: there is none, or its module cannot be imported.
    """
    place, _, function = name.rpartition(":")
    module = _module(place, name)
    found = getattr(module, function, None)
    if not callable(found):
        has = ", ".join(n for n, v in vars(module).items() if callable(v) and n[0] != "_")
        raise UsageError(f"there is no function {function!r} in {place}; it has {has or 'none'}")
    return found  # type: ignore[no-any-return]


def _module(place: str, name: str) -> Any:
    if not place.endswith(".py"):
        try:
            return importlib.import_module(place)
        except Exception as error:  # third-party code
            raise UsageError(
                f"the module of {name!r} cannot be imported: {type(error).__name__}: {error}"
            ) from error
    path = Path(place)
    if not path.is_file():
        raise UsageError(f"there is no file {place}, which {name!r} names")
    spec = importlib.util.spec_from_file_location(f"zoo_evolution_user_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # third-party code
        raise UsageError(
            f"the file {place} cannot be run: {type(error).__name__}: {error}"
        ) from error
    return module


_worker_function: Scored | None = None


def _begin(name: str) -> None:
    """In a process of the pool."""
    global _worker_function  # one a process
    torch.set_num_threads(1)
    _worker_function = find_function(name)


def _guarded(row: np.ndarray) -> tuple[float, str]:
    assert _worker_function is not None
    return _guarded_call(_worker_function, row)


def _guarded_call(function: Scored, row: np.ndarray) -> tuple[float, str]:
    """The number that it returns, or what is wrong: neither errors nor odd objects of others need
    travel between processes."""
    try:
        returned = function(row.copy())
    except Exception as error:  # noqa: BLE001  # third-party code
        return math.nan, f"raised {type(error).__name__}: {error}"
    value = returned.detach().cpu().numpy() if isinstance(returned, Tensor) else returned
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        return math.nan, f"returned {_kind(value)}, where it has to return one number"
    return float(array.reshape(-1)[0]), ""


def _shown(row: np.ndarray) -> str:
    shown = ", ".join(f"{value:.6g}" for value in row[:5])
    return f"({shown}{', ...' if len(row) > 5 else ''})"


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape}"
    return f"a {type(value).__name__}"
