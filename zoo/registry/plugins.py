"""Find, check, load and isolate plugins.

Every plugin has a PluginManager of its own, so that one which does not import, has another
API or raises in a hook is recorded with its cause and remedy and takes nothing else down.
"""

from __future__ import annotations

import contextlib
import difflib
import importlib
import importlib.metadata
import os
import re
import sys
import time
import traceback
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from zoo.errors import ZooError
from zoo.plugin import hooks
from zoo.plugin.entries import (
    BundleFormat,
    Checkpoint,
    Dataset,
    Entry,
    ExportFormat,
    Model,
    Recipes,
)
from zoo.registry.isolation import contained, noted, suspicious, text_of, trial

_HOOKS: dict[str, type[Entry]] = {
    "zoo_models": Model,
    "zoo_datasets": Dataset,
    "zoo_recipes": Recipes,
    "zoo_checkpoints": Checkpoint,
    "zoo_export_formats": ExportFormat,
    "zoo_bundle_formats": BundleFormat,
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """One entry point of the group ``zoo`` and what came of loading it.

    Attributes:
        name: Name of the entry point.
        distribution: The installed distribution it belongs to.
        version: That distribution's version.
        module: The module named by the entry point.
        api: The module's ``ZOO_PLUGIN_API``; None if it was not read.
        entries: What its hooks returned; empty if there is a problem.
        problem: What went wrong, in one sentence; empty if nothing did.
        remedy: What to do about it.
        details: The traceback, if there was one.
        deprecated: What it uses that goes with the next API, with what to use instead.
        disabled: True if ``ZOO_DISABLE_PLUGINS`` names it.
        printed: What it printed while it was loaded, and what it changed for others.
        seconds: How long loading took.
    """

    name: str
    distribution: str
    version: str
    module: str
    api: int | None = None
    entries: tuple[Entry, ...] = ()
    problem: str = ""
    remedy: str = ""
    details: str = field(default="", repr=False)
    disabled: bool = False
    deprecated: tuple[str, ...] = ()
    printed: str = ""
    seconds: float = 0.0

    @property
    def state(self) -> str:
        """``ready``, ``disabled`` or ``broken``."""
        if self.disabled:
            return "disabled"
        return "broken" if self.problem else "ready"


class _PluginError(Exception):
    """A plugin broke the contract."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.remedy = remedy


def load_plugins() -> tuple[Plugin, ...]:
    """Load every installed plugin, sorted by name. Broken ones are returned with a problem.

    The environment variable ``ZOO_DISABLE_PLUGINS=a,b`` leaves plugins out by name, and
    ``ZOO_STRICT_PLUGINS=1`` turns the first problem into an error, for plugin authors and CI.

    Raises:
        ZooError: a plugin is broken and ``ZOO_STRICT_PLUGINS`` is set.
    """
    disabled = {name.strip() for name in os.environ.get("ZOO_DISABLE_PLUGINS", "").split(",")}
    strict = os.environ.get("ZOO_STRICT_PLUGINS", "") not in ("", "0")
    loaded = []
    suspects = suspicious()
    for found in sorted(_entry_points(), key=lambda found: found.name):
        if isinstance(found, Plugin):
            plugin = found
        else:
            plugin = _load(found, found.name in disabled, suspects.get(found.name, []))
        if strict and plugin.problem:
            raise ZooError(
                f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version} is broken: "
                f"{plugin.problem}. {plugin.remedy}"
            )
        loaded.append(plugin)
    return tuple(loaded)


def _entry_points() -> Iterator[importlib.metadata.EntryPoint | Plugin]:
    """The zoo's entry points of every distribution, one by one: a distribution whose metadata
    cannot be read is a broken plugin."""
    seen: set[str] = set()
    for distribution in importlib.metadata.distributions():
        name = "unknown distribution"
        try:
            if f"[{hooks.ENTRY_POINT_GROUP}]" not in _listed(distribution):
                continue
            name = distribution.metadata["Name"] or name
            if (key := re.sub(r"[-_.]+", "-", name).lower()) in seen:
                continue  # hidden by one that is earlier on the path, as in importlib.metadata
            seen.add(key)
            points = [
                point
                for point in distribution.entry_points
                if point.group == hooks.ENTRY_POINT_GROUP
            ]
        except Exception as error:  # noqa: BLE001  # whatever its files make the parsers raise
            with contextlib.suppress(Exception):
                name = distribution.metadata["Name"] or name
            yield Plugin(
                name=name,
                distribution=name,
                version="?",
                module="?",
                problem=f"its metadata cannot be read ({type(error).__name__}: {text_of(error)})",
                remedy=f"Reinstall or uninstall {name}.",
            )
            continue
        yield from points


def _listed(distribution: importlib.metadata.Distribution) -> str:
    """The text of its entry points: parsing the metadata of every package would take longer."""
    return distribution.read_text("entry_points.txt") or ""


def _load(
    point: importlib.metadata.EntryPoint, disabled: bool, notes: Sequence[Path] = ()
) -> Plugin:
    distribution = point.dist.name if point.dist else "unknown distribution"
    version = point.dist.version if point.dist else "?"
    plugin: dict[str, Any] = {
        "name": point.name,
        "distribution": distribution,
        "version": version,
        "module": point.value,
    }
    if disabled:
        return Plugin(**plugin, disabled=True)
    remedy = f"Update or uninstall {distribution}, or set ZOO_DISABLE_PLUGINS={point.name}."
    if notes:  # an earlier process ended while it loaded this
        if problem := trial(point.value.partition(":")[0]):
            return Plugin(**plugin, problem=problem, remedy=remedy)
        for note in notes:
            note.unlink(missing_ok=True)
    state: dict[str, Any] = {}
    start = time.perf_counter()
    with noted(point.name), contained() as printed:
        try:
            module = _import(point)
            state["api"] = _check_api(module, distribution)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", hooks.Deprecated)
                state["entries"] = _entries(module, point.name)
            state["deprecated"] = tuple(
                str(w.message) for w in caught if issubclass(w.category, hooks.Deprecated)
            )
        except _PluginError as error:
            state |= {"problem": str(error), "remedy": error.remedy}
        except KeyboardInterrupt:
            sentence = f"zoo: interrupted while loading the plugin {point.name!r} of {distribution}"
            print(sentence, file=sys.__stderr__)
            raise
        except BaseException as error:  # noqa: BLE001  # third-party code may raise anything
            last = (traceback.extract_tb(error.__traceback__) or [None])[-1]
            where = f" ({last.filename}:{last.lineno})" if last else ""
            state |= {
                "problem": f"{type(error).__name__}: {text_of(error)}{where}",
                "remedy": remedy,
                "details": _traceback(),
            }
    state["printed"] = " ".join(printed.getvalue().split())
    return Plugin(**plugin, **state, seconds=time.perf_counter() - start)


def _traceback() -> str:
    try:
        return traceback.format_exc()
    except BaseException:  # noqa: BLE001  # the error's own text raises
        return ""


def _import(point: importlib.metadata.EntryPoint) -> ModuleType:
    module = point.load()
    if not isinstance(module, ModuleType):
        raise _PluginError(
            f"its entry point {point.value!r} names a {type(module).__name__}, not a module",
            "Let the entry point name the module that implements the hooks.",
        )
    return module


def _check_api(module: ModuleType, distribution: str) -> int:
    api: object = getattr(module, "ZOO_PLUGIN_API", None)
    if api is None:
        raise _PluginError(
            f"{module.__name__} does not declare ZOO_PLUGIN_API",
            f"Add `ZOO_PLUGIN_API = {hooks.PLUGIN_API}` to it.",
        )
    if api != hooks.PLUGIN_API:
        newer = isinstance(api, int) and api > hooks.PLUGIN_API
        raise _PluginError(
            f"it was written for plugin API {api}, this zoo has {hooks.PLUGIN_API}",
            "Update zoo." if newer else f"Update {distribution}.",
        )
    return hooks.PLUGIN_API


def _entries(module: ModuleType, name: str) -> tuple[Entry, ...]:
    manager = pluggy.PluginManager("zoo")
    manager.add_hookspecs(hooks)
    manager.register(module, name)
    unknown = sorted(
        attribute
        for attribute in dir(module)
        if manager.parse_hookimpl_opts(module, attribute) is not None and attribute not in _HOOKS
    )
    if unknown:
        near = difflib.get_close_matches(unknown[0], _HOOKS, 1)
        raise _PluginError(
            f"{module.__name__} implements unknown hooks: {', '.join(unknown)}",
            f"Did you mean {near[0]}?" if near else f"The hooks are {', '.join(_HOOKS)}.",
        )
    entries: list[Entry] = []
    for hook, kind in _HOOKS.items():
        caller = getattr(manager.hook, hook)
        # pluggy leaves None out, and a forgotten `return` would go unnoticed.
        for returned in caller() or [None] * len(caller.get_hookimpls()):
            if not isinstance(returned, (list, tuple)):
                raise _PluginError(
                    f"{hook} returned a {type(returned).__name__}",
                    f"Let it return a list of zoo.plugin.{kind.__name__}.",
                )
            for entry in returned:
                if not isinstance(entry, kind):
                    raise _PluginError(
                        f"{hook} returned {entry!r}",
                        f"Let it return a list of zoo.plugin.{kind.__name__}.",
                    )
                entries.append(entry)
    return tuple(entries)
