"""Text of unknown origin on its way to a terminal or into a file name."""

from __future__ import annotations

import re


def printable(text: str) -> str:
    """The text with every control character written out, so that none moves the cursor, clears
    the screen or hides what follows; line breaks and tabs stay."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else char.encode("unicode_escape").decode()
        for char in text
    )


def safe_name(text: str) -> str:
    """The text as part of a file name: letters, digits, ``.``, ``_`` and ``-``, the rest ``_``."""
    return re.sub(r"[^\w.-]", "_", text).lstrip(".") or "_"
