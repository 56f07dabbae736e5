"""Several seeds on the command line: ``1-5``, ``1,3,7``, ``1-3,10``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from zoo.errors import UsageError

_PART = re.compile(r"(\d+)(?:-(\d+))?")
_MOST = 10_000
_HIGHEST = 2**32 - 1
"""What numpy takes."""


def read_seeds(text: str) -> list[int]:
    """The seeds that a text names, in its order.

    Raises:
        UsageError: it is not a list of seeds, names one twice, or too many.
    """
    found: list[int] = []
    for part in text.replace(" ", "").split(","):
        matched = _PART.fullmatch(part) if part.isascii() else None
        if not matched:
            raise UsageError(
                f"--seeds {text!r}: {part!r} is not a seed or a range of them, as in 1-5 or 1,3,7"
            )
        first, last = int(matched[1]), int(matched[2] or matched[1])
        if last < first:
            raise UsageError(f"--seeds {text!r}: the range {part} ends before it begins")
        if last - first >= _MOST:
            raise UsageError(f"--seeds {text!r}: {part} are more than {_MOST} seeds")
        found += range(first, last + 1)
    return check_seeds(found)


def check_seeds(seeds: Sequence[int]) -> list[int]:
    """The seeds, if a run each can be trained with them.

    Raises:
        UsageError: there are none, one occurs twice, or one is out of range.
    """
    found = list(seeds)
    twice = sorted({seed for seed in found if found.count(seed) > 1}) if len(found) < _MOST else []
    if twice:
        raise UsageError(
            f"the seeds name {', '.join(map(str, twice))} twice: a second run with one seed would "
            "be the same"
        )
    if not 0 < len(found) <= _MOST:
        raise UsageError(f"the seeds are {len(found)}: between 1 and {_MOST} runs are trained")
    for seed in found:
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= _HIGHEST:
            raise UsageError(f"a seed has to be a whole number from 0 to {_HIGHEST}, not {seed!r}")
    return found


def seeds_text(seeds: Sequence[int]) -> str:
    """Numbers in short: ``1-3, 7``."""
    ordered = sorted(set(seeds))
    parts: list[str] = []
    start = 0
    for place, seed in enumerate(ordered):
        if place + 1 < len(ordered) and ordered[place + 1] == seed + 1:
            continue
        first = ordered[start]
        parts.append(str(first) if first == seed else f"{first}-{seed}")
        start = place + 1
    return ", ".join(parts)
