"""``zoo doctor``: what is installed, what works, what is broken and what to do about it."""

from __future__ import annotations

import argparse
import importlib.metadata
import os
import platform
from typing import Any

from zoo.cli.output import heading, show, wrap
from zoo.errors import UsageError, install_hint
from zoo.io.cache_folder import cache_folder
from zoo.io.data_folder import data_folder
from zoo.plugin.entries import Recipes
from zoo.plugin.hooks import PLUGIN_API
from zoo.recipes.recipe import read_recipe
from zoo.registry.registry import package_folder, registry

_STATE = 11
"""Columns that the state takes."""


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser("doctor", help="what works, what is broken and how to mend it")
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the findings; 1 if anything is broken."""
    findings = [*versions(), *devices(), *plugins(), cache(), *data_folders()]
    broken = [each for each in findings if each["state"] == "broken"]
    if options.json:
        show(findings, as_json=True)
        return 1 if broken else 0
    for each in findings:
        text = wrap(f"{each['state']:<{_STATE}}{each['name']}: {each['note']}", 0, _STATE)
        print(heading(text) if each in broken else text)
        if each["remedy"]:
            print(wrap(f"-> {each['remedy']}", _STATE, _STATE + 3))
    print(f"\n{len(broken)} broken" if broken else "\nnothing is broken")
    return 1 if broken else 0


def versions() -> list[dict[str, str]]:
    """Python and the distributions that matter."""
    rows = [_row("python", "ok", f"{platform.python_version()} on {platform.platform()}")]
    for name in ("zoo", "torch", "lightning", "torchmetrics"):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            remedy = install_hint(name) if name == "zoo" else f"pip install {name}"
            rows.append(_row(name, "broken", "not installed", remedy))
            continue
        if name == "lightning" and version in ("2.6.2", "2.6.3"):
            rows.append(
                _row(
                    name,
                    "broken",
                    f"{version} is a malicious release",
                    "uninstall it, change every credential this machine holds, and install "
                    "another version",
                )
            )
        else:
            rows.append(_row(name, "ok", version))
    return rows


def devices() -> list[dict[str, str]]:
    """What torch can compute on."""
    try:
        import torch
    except (ImportError, OSError) as error:
        return [_row("torch", "broken", f"does not import: {error}", "reinstall torch")]
    rows = [_row("cpu", "ok", f"{os.cpu_count()} cores, torch uses {torch.get_num_threads()}")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            facts = torch.cuda.get_device_properties(index)
            memory = facts.total_memory / 2**30
            rows.append(_row(f"cuda:{index}", "ok", f"{facts.name}, {memory:.0f} GiB"))
    elif torch.backends.mps.is_available():
        rows.append(_row("mps", "ok", "Apple GPU"))
    else:
        rows.append(_row("gpu", "absent", "none that torch sees"))
    return rows


def plugins() -> list[dict[str, str]]:
    """Every plugin with its state, and names that clash."""
    rows = []
    for plugin in registry().plugins:
        state = {"ready": "ok"}.get(plugin.state, plugin.state)
        note = f"{plugin.distribution} {plugin.version}, API {plugin.api or '?'}"
        note += f" (this zoo: {PLUGIN_API})" if plugin.api not in (None, PLUGIN_API) else ""
        note += f"; {plugin.problem}" if plugin.problem else ""
        note += f"; {len(plugin.entries)} entries" if plugin.entries else ""
        note += f"; loaded in {1000 * plugin.seconds:.0f} ms" if plugin.seconds else ""
        rows.append(_row(f"plugin {plugin.name}", state, note, plugin.remedy))
        rows += [_row(f"plugin {plugin.name}", "deprecated", text) for text in plugin.deprecated]
        if plugin.printed:
            rows.append(
                _row(
                    f"plugin {plugin.name}",
                    "noisy",
                    f"while it is loaded it prints or changes: {plugin.printed[:200]}",
                    f"tell the authors of {plugin.distribution}; other commands are not affected",
                )
            )
        rows += [
            _row(
                f"recipes {entry.family}",
                "broken",
                f"there is no folder {entry.folder}",
                f"reinstall {plugin.distribution}",
            )
            for entry in plugin.entries
            if isinstance(entry, Recipes) and package_folder(entry.folder) is None
        ]
    for clash in registry().clashes:
        rows.append(_row(f"{clash.kind} {clash.name}", "broken", str(clash)))
    for name, path in registry().recipes.items():
        try:
            read_recipe(path)
        except UsageError as error:
            rows.append(_row(f"recipe {name}", "broken", str(error)))
    return rows


def cache() -> dict[str, str]:
    """The folder for downloads."""
    folder = cache_folder()
    if not folder.exists():
        return _row("cache", "ok", f"{folder}, empty so far (ZOO_CACHE moves it)")
    if not os.access(folder, os.W_OK):
        remedy = "make it writable, or set ZOO_CACHE to another folder"
        return _row("cache", "broken", f"{folder} cannot be written", remedy)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return _row("cache", "ok", f"{folder}, {size / 1e6:.1f} MB")


def data_folders() -> list[dict[str, str]]:
    """Where each dataset that reads files is looked for."""
    rows = []
    for entry in registry().datasets.values():
        if entry.embedded:
            continue
        folder = data_folder(entry.name)
        name = f"data {entry.name}"
        if not folder.exists():
            where = f"; get it from {entry.homepage}" if entry.homepage else ""
            rows.append(_row(name, "absent", f"{folder} (or --data.root DIR){where}"))
        elif not os.access(folder, os.R_OK) or (folder.is_dir() and not any(folder.iterdir())):
            remedy = "fill it, make it readable, or give --data.root"
            rows.append(_row(name, "broken", f"{folder} is empty or cannot be read", remedy))
        else:
            rows.append(_row(name, "ok", str(folder)))
    return rows


def _row(name: str, state: str, note: str, remedy: str = "") -> dict[str, str]:
    return {"name": name, "state": state, "note": note, "remedy": remedy}
