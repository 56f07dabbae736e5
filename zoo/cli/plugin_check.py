"""``zoo plugin check [NAME]``: check everything a plugin registers."""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import sys
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from zoo.cli.output import heading, show, table, terminal_width, wrap
from zoo.registry.registry import registry

if TYPE_CHECKING:
    from zoo.testing import Result


def add_parser(commands: Any) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "check",
        help="check everything a plugin registers",
        description="Run the conformance kit over an installed plugin, all of them without NAME. "
        "Data that are not embedded are looked for under $ZOO_DATA/DATASET.",
    )
    parser.add_argument("name", nargs="?", help="a plugin (`zoo list plugins`)")
    parser.add_argument("--json", action="store_true", help="a list of objects")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Make every check; 1 if one failed."""
    if options.name:
        names = [registry().plugin(options.name).name]
    else:
        names = [plugin.name for plugin in registry().plugins if not plugin.disabled]
    results = list(_results(names))
    failed = [each for each in results if each.outcome == "failed"]
    if options.json:
        show([dataclasses.asdict(each) for each in results], as_json=True)
        return 1 if failed else 0
    if not results:
        print("no plugin is installed")
        return 0
    if terminal_width():
        print("\n".join(brief(results)))
    else:
        rows = [
            {
                "entry": f"{r.kind} {r.name}",
                "check": r.check,
                "outcome": r.outcome,
                "time": _seconds(r),
                "note": r.note,
            }
            for r in results
        ]
        show(rows, as_json=False)
    for each in failed:
        print("", *(wrap(line, hanging=4) for line in str(each).splitlines()), sep="\n")
    print()
    counts = Counter(each.outcome for each in results)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    print(f"{told} in {sum(r.seconds for r in results):.1f} s")
    return 1 if failed else 0


def brief(results: list[Result]) -> list[str]:
    """A line a check for a terminal, under the entry that was checked."""
    cells = table([[r.outcome, r.check, _seconds(r), r.note] for r in results], shorten=3, indent=2)
    lines = []
    for entry, members in itertools.groupby(
        zip(results, cells, strict=True), key=lambda member: f"{member[0].kind} {member[0].name}"
    ):
        lines += [heading(entry), *(line for _, line in members)]
    return lines


def _seconds(result: Result) -> str:
    return f"{result.seconds:.1f} s"


def _results(plugins: list[str]) -> Iterator[Result]:
    """The results of all checks, told one by one in a terminal."""
    from rich.console import Console

    from zoo.testing import cases

    found = [case for plugin in plugins for case in cases(plugin)]
    with Console(stderr=True).status("") as status:
        for number, case in enumerate(found, start=1):
            if sys.stderr.isatty():
                status.update(f"{number}/{len(found)} {case}")
            yield case.run()
