"""``zoo plugin ...``: for those who write plugins. Each subcommand has a file of its own."""

from __future__ import annotations

import importlib
from typing import Any

SUBCOMMANDS = ("new", "check")


def add_parser(commands: Any) -> None:
    """Add the command and its subcommands, ``zoo.cli.plugin_<name>``."""
    parser = commands.add_parser("plugin", help="write and check a plugin")
    subcommands = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for name in SUBCOMMANDS:
        importlib.import_module(f"zoo.cli.plugin_{name}").add_parser(subcommands)
