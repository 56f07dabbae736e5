"""Text of unknown origin on its way to a terminal or into a file name."""

from __future__ import annotations

import os
import re


def printable(text: str) -> str:
    """The text with every control character written out, so that none moves the cursor, clears
    the screen or hides what follows; line breaks and tabs stay."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def path_text(path: os.PathLike[str] | str) -> str:
    """A path as text that every file can hold: bytes of a name that are not UTF-8 are written
    out."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def safe_name(text: str) -> str:
    """The text as part of a file name: letters, digits, ``.``, ``_`` and ``-``, the rest ``_``."""
    return re.sub(r"[^\w.-]", "_", text).lstrip(".") or "_"
