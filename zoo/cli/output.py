"""What commands print: tables and text for people, JSON for scripts.

In a terminal everything fits its width. Written to a file or a pipe nothing is cut or folded: one
entry is one line.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zoo.io.plain_json import to_json

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_GAP = "  "


@contextlib.contextmanager
def work(as_json: bool) -> Iterator[None]:
    """While a command works: where JSON is asked for, what libraries, progress bars and plugins
    print goes to standard error, and standard output gets the answer alone."""
    with contextlib.redirect_stdout(sys.stderr) if as_json else contextlib.nullcontext():
        yield


def show(rows: Sequence[Mapping[str, Any]], as_json: bool, title: str = "") -> None:
    """Print rows as a table in which nothing is cut, or as a JSON list of objects.

    Args:
        rows: What to show; every row has the same keys.
        as_json: Print all of every row as JSON.
        title: A line above the table.
    """
    if as_json:
        print(to_json(rows))
        return
    if title:
        print(heading(title))
    if rows:
        head, *lines = table([list(rows[0]), *([_text(v) for v in row.values()] for row in rows)])
        print("\n".join([heading(head), *lines]))


def table(cells: Sequence[Sequence[str]], shorten: int | None = None, indent: int = 0) -> list[str]:
    """Rows of cells in columns, each row a line.

    Args:
        cells: Rows of as many texts.
        shorten: Position of the column that is cut, with an ellipsis, where lines would be wider
            than the terminal.
        indent: Spaces before each line.
    """
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    if shorten is not None and (limit := terminal_width()):
        excess = indent + sum(widths) + len(_GAP) * (len(widths) - 1) - limit
        widths[shorten] -= max(excess, 0)
    return [" " * indent + _GAP.join(map(_fit, row, widths)).rstrip() for row in cells]


def wrap(text: str, indent: int = 0, hanging: int = 0) -> str:
    """A text of one line, folded at spaces where a terminal is narrower.

    Args:
        text: The text.
        indent: Spaces before its first line.
        hanging: Spaces before the others.
    """
    limit = terminal_width()
    if not limit:
        return " " * indent + text
    return textwrap.fill(
        text,
        limit,
        initial_indent=" " * indent,
        subsequent_indent=" " * hanging,
        break_long_words=False,  # a path is copied whole
        break_on_hyphens=False,
    )


def heading(text: str) -> str:
    """The text in bold where that can be shown."""
    plain = not sys.stdout.isatty() or "NO_COLOR" in os.environ
    return text if plain or os.environ.get("TERM") == "dumb" else f"{_BOLD}{text}{_PLAIN}"


def terminal_width() -> int:
    """Columns of the terminal; 0 if the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 0


def _fit(text: str, width: int) -> str:
    if len(text) <= width:
        return text.ljust(width)
    return (text[: max(width, 1) - 1].rstrip(" ,;:(") + "…").ljust(width)


def _text(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return "" if value is None else " ".join(str(value).splitlines())
