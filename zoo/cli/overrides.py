"""``--section.key value`` from the command line."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.errors import UsageError


def read_overrides(words: Sequence[str]) -> dict[str, str]:
    """Overrides in the order they were written; a later one wins.

    Args:
        words: ``--key value`` or ``--key=value``. ``--model NAME`` and ``--data NAME`` stand for
            ``--model.name`` and ``--data.name``.

    Raises:
        UsageError: a word is not an option, or an option has no value.
    """
    overrides: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            raise UsageError(f"{word!r} is neither an option nor the value of one")
        key, equals, value = word[2:].partition("=")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UsageError(f"--{key} needs a value, such as `--{key}=...`")
            value = rest.pop(0)
        overrides[f"{key}.name" if key in ("model", "data") else key] = value
    return overrides
