"""``zoo plugin new NAME``: write a plugin to start from."""

from __future__ import annotations

import argparse
from typing import Any

from zoo.cli.output import show
from zoo.scaffold.new_plugin import TASKS, new_plugin


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "new",
        help="write a new plugin",
        description="Write a small, complete plugin: it installs, passes `zoo plugin check` and "
        "trains, unedited. Then replace its model and data by your own.",
    )
    parser.add_argument("name", help="its name, and the family of its recipes")
    parser.add_argument(
        "--task", default=TASKS[0], help=f"{', '.join(TASKS)} (default: {TASKS[0]})"
    )
    parser.add_argument("--dir", help="the folder to write, new or empty (default: NAME)")
    parser.add_argument("--json", action="store_true", help="a list of one object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write it and print what to do next."""
    folder = new_plugin(options.name, options.task, options.dir)
    if options.json:
        row = {"name": options.name, "task": options.task, "folder": str(folder)}
        show([row], as_json=True)
        return
    print(f"the plugin {options.name!r} is in {folder}\nNext:")
    for line in (
        f"cd {folder}",
        "pip install -e .",
        f"zoo plugin check {options.name}",
        f"zoo train {options.name}/first",
    ):
        print(f"  {line}")
