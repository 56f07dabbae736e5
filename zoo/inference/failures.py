"""Why a file could not be predicted."""

from __future__ import annotations

from zoo.errors import ZooError


def reason(error: Exception) -> str:
    """The sentence about an error. Whatever readers and models raise, an allocator's errors
    included, concerns that file alone; the others go their way."""
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"it needs more memory than there is{f' ({text})' if text else ''}"
    if isinstance(error, (ZooError, OSError, ValueError)):
        return text
    return f"{type(error).__name__}: {text}"
