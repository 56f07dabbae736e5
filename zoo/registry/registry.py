"""From a name to its entry. An unknown name is answered with the nearest ones, or with the
extra to install."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar

from zoo.errors import UsageError, ZooError, install_hint, nearest, shown
from zoo.plugin.entries import (
    BundleFormat,
    Checkpoint,
    Dataset,
    Entry,
    ExportFormat,
    Model,
    Recipes,
)
from zoo.registry.plugins import Plugin, load_plugins

E = TypeVar("E", Model, Dataset, Checkpoint, ExportFormat, BundleFormat)


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model entry found by name, and the constructor arguments its name stands for."""

    entry: Model
    name: str
    arguments: dict[str, str]


@dataclass(frozen=True, slots=True)
class Clash:
    """One name registered more than once."""

    kind: str
    name: str
    distributions: tuple[str, ...]

    def __str__(self) -> str:
        if len(set(self.distributions)) == 1:
            return f"{self.distributions[0]} registers the {self.kind} {self.name!r} twice"
        return (
            f"the {self.kind} {self.name!r} is registered by "
            f"{' and by '.join(self.distributions)}; uninstall one of them, or leave its plugin "
            "out with ZOO_DISABLE_PLUGINS"
        )


class Registry:
    """Everything that the given plugins register, by name."""

    def __init__(self, plugins: Iterable[Plugin]) -> None:
        self.plugins = tuple(plugins)

    @cached_property
    def models(self) -> dict[str, Model]:
        """Models by name; families under their pattern, such as ``timm/*``."""
        return self._unique(Model)

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Datasets by name."""
        return self._unique(Dataset)

    @cached_property
    def checkpoints(self) -> dict[str, Checkpoint]:
        """Checkpoints by name."""
        return self._unique(Checkpoint)

    @cached_property
    def export_formats(self) -> dict[str, ExportFormat]:
        """Formats of ``zoo export`` that plugins bring, by name."""
        return self._unique(ExportFormat)

    @cached_property
    def bundle_formats(self) -> dict[str, BundleFormat]:
        """Bundles of other libraries that plugins read, by name."""
        return self._unique(BundleFormat)

    @cached_property
    def recipes(self) -> dict[str, Path]:
        """Recipe files by name, ``family/stem``."""
        found: dict[str, Path] = {}
        twice = {clash.name for clash in self.clashes if clash.kind == "recipe family"}
        for _, entry in self._entries(Recipes):
            if entry.family in twice:
                continue
            folder = package_folder(entry.folder)
            for path in sorted(folder.glob("*.yaml")) if folder else []:
                found[f"{entry.family}/{path.stem}"] = path
        return found

    @cached_property
    def clashes(self) -> list[Clash]:
        """Names registered more than once. None of them can be used."""
        kinds: dict[type, str] = {Model: "model", Dataset: "dataset", Recipes: "recipe family"}
        kinds |= {Checkpoint: "checkpoint", ExportFormat: "export format"}
        kinds |= {BundleFormat: "bundle format"}
        clashes = []
        for kind, word in kinds.items():
            owners: dict[str, list[str]] = {}
            for plugin, entry in self._entries(kind):
                owners.setdefault(entry_name(entry), []).append(plugin.distribution)
            clashes += [Clash(word, n, tuple(d)) for n, d in owners.items() if len(d) > 1]
        return clashes

    def model(self, name: str) -> ResolvedModel:
        """The model of that name, or the family whose pattern fits it.

        Raises:
            UsageError: there is none, or it is registered twice.
        """
        entry = self.models.get(name)
        if entry is None:
            for candidate in self.models.values():
                head, star, tail = candidate.name.partition("*")
                if star and fnmatchcase(name, candidate.name) and len(name) > len(head + tail):
                    value = name[len(head) : len(name) - len(tail)]
                    return ResolvedModel(candidate, name, {candidate.wildcard: value})
            self._refuse("model", name, self.models)
        elif entry.wildcard:
            raise UsageError(
                f"{name!r} is a family of models: put the name of one of them in place of the *"
            )
        assert entry is not None
        return ResolvedModel(entry, name, {})

    def dataset(self, name: str) -> Dataset:
        """The dataset of that name.

        Raises:
            UsageError: there is none, or it is registered twice.
        """
        return self.datasets.get(name) or self._refuse("dataset", name, self.datasets)

    def checkpoint(self, name: str) -> Checkpoint:
        """The checkpoint of that name.

        Raises:
            UsageError: there is none, or it is registered twice.
        """
        return self.checkpoints.get(name) or self._refuse("checkpoint", name, self.checkpoints)

    def recipe(self, name: str) -> Path:
        """The file of the recipe of that name.

        Raises:
            UsageError: there is none, or its family is registered twice.
        """
        return self.recipes.get(name) or self._refuse("recipe", name, self.recipes)

    def plugin(self, name: str) -> Plugin:
        """The installed plugin of that name, broken or not.

        Raises:
            UsageError: there is none, or it is disabled.
        """
        known = {plugin.name: plugin for plugin in self.plugins}
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {near}?" if near else "see `zoo list plugins`"
            raise UsageError(f"there is no plugin {name!r}: {hint}")
        if known[name].disabled:
            raise UsageError(f"the plugin {name!r} is disabled by ZOO_DISABLE_PLUGINS")
        return known[name]

    def owner(self, entry: Entry) -> Plugin:
        """The plugin that registers ``entry``."""
        return next(plugin for plugin in self.plugins if entry in plugin.entries)

    def load(self, entry: Model | Dataset) -> type[Any]:
        """Import the class that ``entry`` names.

        Raises:
            ZooError: the module does not import, or has no such class.
        """
        cls: type[Any] = self._import(entry, entry.class_path)
        return cls

    def load_function(self, entry: ExportFormat | BundleFormat) -> Callable[..., Any]:
        """Import the function that ``entry`` names.

        Raises:
            ZooError: the module does not import, or has no such function.
        """
        function: Callable[..., Any] = self._import(entry, entry.function_path)
        return function

    def _import(self, entry: Model | Dataset | ExportFormat | BundleFormat, path: str) -> Any:
        module, _, name = path.partition(":")
        distribution = self.owner(entry).distribution
        try:
            loaded = importlib.import_module(module)
        except Exception as error:  # third-party code may raise anything
            raise ZooError(
                f"{entry.name!r} of {distribution} does not import: {type(error).__name__}: "
                f"{error}. Reinstall {distribution} with its dependencies, or update it."
            ) from error
        if not hasattr(loaded, name):
            raise ZooError(
                f"{entry.name!r} of {distribution} names {path!r}, which does not "
                f"exist. Update {distribution}."
            )
        return getattr(loaded, name)

    def broken_note(self) -> str:
        """Names the broken plugins, as a name that is not found may be one of theirs."""
        broken = [plugin.name for plugin in self.plugins if plugin.state == "broken"]
        return f" (broken, see `zoo doctor`: {', '.join(broken)})" if broken else ""

    def _entries(self, kind: type) -> list[tuple[Plugin, Any]]:
        return [(p, e) for p in self.plugins for e in p.entries if isinstance(e, kind)]

    def _unique(self, kind: Callable[..., E]) -> dict[str, E]:
        assert isinstance(kind, type)
        found = [entry for _, entry in self._entries(kind)]
        names = [entry.name for entry in found]
        return {entry.name: entry for entry in found if names.count(entry.name) == 1}

    def _refuse(self, kind: str, name: str, known: Iterable[str]) -> Any:
        for clash in self.clashes:
            if name == clash.name or (kind == "recipe" and name.startswith(f"{clash.name}/")):
                raise UsageError(str(clash))
        advice = self._advice(kind, name, known)
        rest = "" if "zoo doctor" in advice else self.broken_note()
        raise UsageError(f"there is no {kind} {shown(name)}: {advice}{rest}")

    def _advice(self, kind: str, name: str, known: Iterable[str]) -> str:
        family = name.partition("/")[0]
        broken = [p for p in self.plugins if p.name == family and p.state != "ready"]
        if broken:
            return f"the plugin {family!r} is {broken[0].state}; see `zoo doctor`"
        missing = missing_extras()
        if kind == "recipe" and family in missing:
            return f"install its plugin: {install_hint(f'zoo[{family}]')}"
        near = nearest(name, known)
        if near:
            return f"did you mean {near}?"
        extras = f", or install one of the extras {', '.join(missing)}" if missing else ""
        return f"see `zoo list {kind}s`{extras}"


@cache
def registry() -> Registry:
    """The registry of the installed plugins, made once a process."""
    return Registry(load_plugins())


def entry_name(entry: Entry) -> str:
    """The name an entry is registered under."""
    return entry.family if isinstance(entry, Recipes) else entry.name


def package_folder(location: str) -> Path | None:
    """The folder that ``"package:folder"`` names, without importing the package (only the
    packages around it); None if it does not exist."""
    package, _, folder = location.partition(":")
    try:
        spec = importlib.util.find_spec(package)
    except Exception:  # noqa: BLE001  # a package around it is missing, or third-party code raises
        return None
    for parent in (spec.submodule_search_locations or []) if spec else []:
        path = Path(parent) / folder
        if path.is_dir():
            return path.resolve()
    return None


def missing_extras() -> list[str]:
    """The extras of the zoo, each a plugin of that name, that are not installed."""
    return [
        extra for extra, distribution in extras().items() if not _has_distribution(distribution)
    ]


def extras() -> dict[str, str]:
    """Extra of the zoo -> the plugin distribution it installs, from the zoo's own metadata."""
    found = {}
    for requirement in importlib.metadata.requires("zoo") or []:
        match = re.match(r"(zoo-[\w-]+).*extra == ['\"]([\w-]+)['\"]", requirement)
        if match and match[2] != "all":
            found[match[2]] = match[1]
    return found


def _has_distribution(name: str) -> bool:
    try:
        importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
