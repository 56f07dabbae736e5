"""Pages made from the registry and the command line at every build, so that they cannot drift."""

from __future__ import annotations

import argparse
import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

from zoo.bundles.manifest import read_manifest
from zoo.cli import plugin
from zoo.cli.main import COMMANDS, main
from zoo.plugin.entries import Model
from zoo.recipes.recipe import Recipe, read_recipe
from zoo.registry.registry import package_folder, registry

PICTURES = Path(__file__).parent / "pictures"


def on_files(files: Files, config: Any) -> Files:
    """Add the gallery, a page for every model, and the commands."""
    recipes = {name: read_recipe(path) for name, path in registry().recipes.items()}
    pages = {"gallery/index.md": gallery(recipes), "commands.md": commands()}
    for entry in registry().models.values():
        pages[f"gallery/{slug(entry.name)}.md"] = model_page(entry, recipes)
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def gallery(recipes: dict[str, Recipe]) -> str:
    """One row a model."""
    lines = [
        "# Gallery",
        "",
        "Every registered model, with the recipes that train it.",
        "",
        "| model | what | recipes |",
        "|---|---|---|",
    ]
    for entry in registry().models.values():
        names = ", ".join(f"`{name}`" for name, recipe in recipes.items() if uses(recipe, entry))
        link = f"[{entry.name.replace('*', chr(92) + '*')}]({slug(entry.name)}.md)"
        lines.append(f"| {link} | {entry.summary} | {names} |")
    return "\n".join([*lines, ""])


def model_page(entry: Model, recipes: dict[str, Recipe]) -> str:
    """Paper, metrics, picture, recipes and checkpoints of one model."""
    owner = registry().owner(entry)
    lines = [
        f"# {entry.name.replace('*', chr(92) + '*')}",
        "",
        f"{entry.summary}.",
        "",
        f"- **Paper:** {entry.paper}" if entry.paper else "- No paper",
        f"- **Plugin:** `{owner.distribution}` {owner.version}",
        "",
    ]
    picture = PICTURES / f"{slug(entry.name)}.png"
    if picture.is_file():
        lines += [f"![{entry.name} at work](../pictures/{picture.name})", ""]
    lines += ["## Recipes", "", "| recipe | data | to reach | source |", "|---|---|---|---|"]
    for name, recipe in recipes.items():
        if uses(recipe, entry):
            target = recipe.about.get("target") or {}
            value = target.get("value")
            goal = f"`{target.get('metric')}` {value}" if value is not None else "depends"
            source = recipe.about.get("source", "")
            lines.append(f"| `{name}` | `{recipe.data_name}` | {goal} | {source} |")
            if reported := recipe.about.get("paper_result"):
                lines.append(f"| | | | the paper reports: {reported} |")
    return "\n".join([*lines, "", *checkpoints(entry), ""])


def checkpoints(entry: Model) -> list[str]:
    """Table of the registered checkpoints of a model that are in a package."""
    rows = []
    for checkpoint in registry().checkpoints.values():
        folder = None if "://" in checkpoint.location else package_folder(checkpoint.location)
        if folder is None:
            continue
        content = read_manifest(folder)
        if registry().model(content["model"]["name"]).entry != entry:
            continue
        tests = ", ".join(
            f"`{key}` {value:.4g}"
            for key, value in content["metrics"]["values"].items()
            if key.startswith("test/")
        )
        size = content["files"]["model.safetensors"]["size"] / 1e6
        command = content["metrics"]["command"]
        rows.append(f"| `{checkpoint.name}` | {size:.2f} MB | {tests} | `{command}` |")
    if not rows:
        return []
    head = ["## Checkpoints", "", "| name | size | metrics | made by |", "|---|---|---|---|"]
    return [*head, *rows]


def commands() -> str:
    """The help of every command and subcommand."""
    lines = ["# Commands", ""]
    subcommands = [["plugin", name] for name in plugin.SUBCOMMANDS]
    for words in ([], *([name] for name in COMMANDS), *subcommands):
        text = io.StringIO()
        with redirect_stdout(text):
            main([*words, "--help"])
        lines += [f"## zoo {' '.join(words)}".rstrip(), "", "```text", text.getvalue(), "```", ""]
    return "\n".join(lines)


def uses(recipe: Recipe, entry: Model) -> bool:
    """Whether a recipe trains that model, or one of that family."""
    return registry().model(recipe.model_name).entry == entry


def slug(name: str) -> str:
    """A model's name as the name of a file."""
    return name.replace("/", "-").replace("*", "any")


# argparse wraps its help to the terminal; a page wants one width.
argparse.HelpFormatter.__init__.__defaults__ = (2, 24, 88)
