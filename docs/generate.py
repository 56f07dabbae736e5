"""Pages made from the registry and the command line at every build, so that they cannot drift."""

from __future__ import annotations

import argparse
import io
from contextlib import redirect_stdout
from typing import Any

from mkdocs.structure.files import File, Files
from model_pages import gallery, model_page, slug
from notebooks import notebooks, page

from zoo.cli import plugin
from zoo.cli.main import COMMANDS, main
from zoo.recipes.recipe import read_recipe
from zoo.registry.registry import registry


def on_files(files: Files, config: Any) -> Files:
    """Add the gallery, a page for every model, the tutorials, and the commands."""
    recipes = {name: read_recipe(path) for name, path in registry().recipes.items()}
    pages = {"gallery/index.md": gallery(recipes), "commands.md": commands()}
    for entry in registry().models.values():
        pages[f"gallery/{slug(entry.name)}.md"] = model_page(entry, recipes)
    pages |= {f"tutorials/{path.stem}.md": page(path) for path in notebooks()}
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


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


# argparse wraps its help to the terminal; a page wants one width.
argparse.HelpFormatter.__init__.__defaults__ = (2, 24, 88)
