"""Checks of a plugin as a whole: it loads, its entries are plain, its names are its own."""

from __future__ import annotations

import dataclasses
import re

from zoo.registry.registry import Clash, entry_name, package_folder, registry
from zoo.testing.check import check
from zoo.testing.results import CheckFailed
from zoo.testing.subjects import FolderSubject, PluginSubject

_RECIPE_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*/[A-Za-z0-9][A-Za-z0-9._-]*")


@check(
    "loads",
    "plugin",
    why="a plugin that does not load offers nothing",
    remedy="let `zoo doctor` find nothing broken",
)
def loads(subject: PluginSubject) -> None:
    """It imports, has this zoo's API, and its hooks return entries."""
    if subject.plugin.problem:
        raise CheckFailed(f"{subject.plugin.problem}. {subject.plugin.remedy}")


@check(
    "entries-plain",
    "plugin",
    why="what is only listed has to be readable without importing a plugin's code",
    remedy="fill the fields of entries with text (and embedded with True or False), nothing else",
)
def entries_plain(subject: PluginSubject) -> None:
    """Every field of every entry is plain text in one line, and the summary says something."""
    for entry in subject.plugin.entries:
        for field in dataclasses.fields(entry):
            value = getattr(entry, field.name)
            where = f"{field.name} of {entry_name(entry)!r}"
            wanted = bool if field.type == "bool" else str
            if type(value) is not wanted:
                raise CheckFailed(f"{where} is {value!r}, a {type(value).__name__}")
            if isinstance(value, str) and "\n" in value:
                raise CheckFailed(f"{where} has more than one line")
        if not getattr(entry, "summary", "recipes have none").strip():
            raise CheckFailed(f"{entry_name(entry)!r} has an empty summary, which `zoo list` shows")


@check(
    "names",
    "plugin",
    why="a name registered twice cannot be used by anybody",
    remedy="rename the entry, for example by putting the plugin's name before it",
)
def names(subject: PluginSubject) -> None:
    """No name is registered twice, here or by another plugin; recipes' names are well formed."""
    own = {entry_name(entry) for entry in subject.plugin.entries}
    clashes: list[Clash] = [
        clash
        for clash in registry().clashes
        if clash.name in own and subject.plugin.distribution in clash.distributions
    ]
    if clashes:
        raise CheckFailed("; ".join(map(str, clashes)))
    for recipe in subject.recipes:
        if not _RECIPE_NAME.fullmatch(recipe.name):
            raise CheckFailed(f"the recipe {recipe.name!r} is not of the form 'family/some-name'")


@check(
    "recipes-found",
    "recipes",
    why="a folder that is not in the wheel leaves its users without recipes",
    remedy="map the folder into the package in pyproject.toml (package data), and put a recipe in",
)
def recipes_found(subject: FolderSubject) -> None:
    """The folder is there and holds recipes."""
    if package_folder(subject.entry.folder) is None:
        raise CheckFailed(f"there is no folder {subject.entry.folder}")
    if not subject.files:
        raise CheckFailed(f"{subject.entry.folder} holds no *.yaml")
