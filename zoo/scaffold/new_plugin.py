"""Write a new plugin: small, complete and separately installable."""

from __future__ import annotations

import datetime
import importlib.metadata
import importlib.util
import re
from pathlib import Path

from zoo.io.failures import system_failure
from zoo.plugin import UsageError, install_hint, nearest
from zoo.registry.registry import registry

TASKS = ("classification", "segmentation", "sequence", "rl", "other")
TEMPLATE = Path(__file__).parent / "templates" / "plugin"

_NAME = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?")


def new_plugin(name: str, task: str = "classification", folder: str | Path | None = None) -> Path:
    """Write a plugin that installs, passes the conformance kit and trains, unedited.

    Args:
        name: Its name, and the family of its recipes: lower-case letters, digits, ``.``, ``_``
            and ``-``. The distribution is called ``zoo-<name>``, the package ``zoo_<name>``.
        task: One of ``TASKS``.
        folder: Where to; a folder of that name in the working directory by default.

    Returns:
        The folder.

    Raises:
        UsageError: the name is not of that form or taken, there is no such task, the folder is
            not empty or cannot be written, or the extra ``author`` is not installed.
    """
    if task not in TASKS:
        near = nearest(task, TASKS, 1)
        hint = f"did you mean {near}?" if near else f"there are {', '.join(TASKS)}"
        raise UsageError(f"there is no task {task!r}: {hint}")
    distribution = distribution_of(name)
    target = Path(folder) if folder is not None else Path(name)
    if target.exists() and not target.is_dir():
        raise UsageError(f"{target} is a file: name another folder with --dir")
    if target.is_dir() and any(target.iterdir()):
        raise UsageError(f"the folder {target} is not empty: name another one with --dir")
    try:
        from copier import run_copy
    except ImportError as error:
        raise UsageError(
            f"`zoo plugin new` needs {error.name or 'copier'}, which is not installed: "
            + install_hint("zoo[author]")
        ) from error
    answers = {
        "name": name,
        "task": task,
        "distribution": distribution,
        "package": re.sub(r"[-.]", "_", distribution),
        "year": datetime.datetime.now(datetime.UTC).year,
    }
    try:
        target.mkdir(parents=True, exist_ok=True)
        run_copy(str(TEMPLATE), target, data=answers, defaults=True, quiet=True)
    except OSError as error:
        raise UsageError(system_failure(error, "the plugin cannot be written")) from error
    return target


def distribution_of(name: str) -> str:
    """The distribution of a new plugin of that name.

    Raises:
        UsageError: the name is not of the form, or taken.
    """
    if not _NAME.fullmatch(name):
        plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("._-")
        hint = f", such as {plain!r}" if plain else ""
        raise UsageError(
            f"{name!r} cannot be the name of a plugin: it takes lower-case letters and digits, "
            f"with '.', '_' and '-' between them{hint}"
        )
    distribution = name if re.match(r"zoo[._-]", name) else f"zoo-{name}"
    plugins = {_canonical(plugin.name): plugin for plugin in registry().plugins}
    if plugin := plugins.get(_canonical(name)):
        raise UsageError(
            f"the name {name!r} is taken by the plugin {plugin.name!r} of {plugin.distribution} "
            f"{plugin.version}: choose another one"
        )
    for taken in (name, distribution):
        try:
            version = importlib.metadata.version(taken)
        except importlib.metadata.PackageNotFoundError:
            continue
        raise UsageError(
            f"the name {name!r} is taken by the installed distribution {taken} {version}: choose "
            "another one"
        )
    package = re.sub(r"[-.]", "_", distribution)
    if importlib.util.find_spec(package):
        raise UsageError(
            f"the name {name!r} is taken by an installed package {package!r}: choose another one"
        )
    return distribution


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
