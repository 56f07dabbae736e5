"""Warnings as sentences: a user has no use for the file and the line of code they come from."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from zoo.io.printable import printable


@contextlib.contextmanager
def warning_sentences() -> Iterator[None]:
    """While a command runs, each warning is one line on standard error."""
    before = warnings.showwarning
    warnings.showwarning = _show
    try:
        yield
    finally:
        warnings.showwarning = before


def _show(message: Warning | str, *_: Any, **__: Any) -> None:
    text = " ".join(str(message).split())
    print(printable(f"zoo: warning: {text}"), file=sys.stderr)
