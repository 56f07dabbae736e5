"""Find, check, load and isolate plugins.

Every plugin has a PluginManager of its own, so that one which does not import, has another
API or raises in a hook is recorded with its cause and remedy and takes nothing else down.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import os
import traceback
import warnings
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy

from zoo.errors import ZooError
from zoo.plugin import hooks
from zoo.plugin.entries import Checkpoint, Dataset, Entry, Model, Recipes

_HOOKS: dict[str, type[Entry]] = {
    "zoo_models": Model,
    "zoo_datasets": Dataset,
    "zoo_recipes": Recipes,
    "zoo_checkpoints": Checkpoint,
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
    points = importlib.metadata.entry_points(group=hooks.ENTRY_POINT_GROUP)
    for point in sorted(points, key=lambda point: point.name):
        plugin = _load(point, point.name in disabled)
        if strict and plugin.problem:
            raise ZooError(
                f"plugin {plugin.name!r} of {plugin.distribution} {plugin.version} is broken: "
                f"{plugin.problem}. {plugin.remedy}"
            )
        loaded.append(plugin)
    return tuple(loaded)


def _load(point: importlib.metadata.EntryPoint, disabled: bool) -> Plugin:
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
    api = None
    try:
        module = _import(point)
        api = _check_api(module, distribution)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", hooks.Deprecated)
            entries = _entries(module, point.name)
        deprecated = [str(w.message) for w in caught if issubclass(w.category, hooks.Deprecated)]
        return Plugin(**plugin, api=api, entries=entries, deprecated=tuple(deprecated))
    except _PluginError as error:
        return Plugin(**plugin, api=api, problem=str(error), remedy=error.remedy)
    # Third-party code may raise anything, SystemExit included; Ctrl-C stays Ctrl-C.
    except (Exception, SystemExit) as error:  # noqa: BLE001
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{last.filename}:{last.lineno}"
        return Plugin(
            **plugin,
            api=api,
            problem=f"{type(error).__name__}: {error} ({where})",
            remedy=f"Update or uninstall {distribution}, or set ZOO_DISABLE_PLUGINS={point.name}.",
            details=traceback.format_exc(),
        )


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
