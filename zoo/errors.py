"""The errors a user meets: one plain sentence that says what is wrong, where, and what to do.

And the words that such sentences are made of: the nearest right names, several faults at once.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any


class ZooError(Exception):
    """The work failed. The command line prints the sentence and exits with status 1."""

    status = 1


class UsageError(ZooError):
    """The call was wrong: a name, a key, a value, a path, or the data found there.

    Raised before the first training step. The command line prints the sentence and exits
    with status 2; no run folder is left behind.
    """

    status = 2


class MissingDependencyError(UsageError):
    """The call needs an optional package that is not installed; the sentence names the extra
    that brings it. The conformance kit skips what it cannot check for that reason."""


def nearest(name: str, known: Iterable[str], count: int = 3) -> str:
    """The known names most like ``name``, quoted and joined with "or"; empty if none is near."""
    known, name = list(known), name[:100]
    near = difflib.get_close_matches(name, known, count, cutoff=0.6)
    if not near:  # `mpcnn-digit` for `vision/mpcnn-digits`
        tails = {candidate.rpartition("/")[2]: candidate for candidate in known}
        near = [tails[t] for t in difflib.get_close_matches(name, tails, count, cutoff=0.6)]
    return " or ".join(repr(candidate) for candidate in near)


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
MOST_FAULTS = 100
"""Faults that are listed at once."""
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = 20


def shown(value: Any) -> str:
    """A value in a message: as Python writes it, and one of thousands of elements by its ends."""
    return _SHORT.repr(value)


def format_problems(where: str, problems: list[str]) -> str:
    """One sentence for one problem, a list for several."""
    if len(problems) == 1:
        return f"{where}: {problems[0]}"
    lines = [f"  - {problem}" for problem in problems[:MOST_FAULTS]]
    more = f"\n  and {len(problems) - MOST_FAULTS} more" if len(problems) > MOST_FAULTS else ""
    return f"{where} has {len(problems)} faults:\n" + "\n".join(lines) + more


def install_hint(*requirements: str) -> str:
    """How to install a distribution of this zoo, or an extra of one.

    On the public index the name ``zoo`` is another project's, so the wheels' folder is named.

    Args:
        requirements: Such as ``zoo[onnx]``.
    """
    quoted = " ".join(f'"{requirement}"' for requirement in requirements)
    return (
        f"pip install --find-links DIST {quoted}, where DIST is the folder of the zoo's wheels "
        "(`make wheels` builds them into dist/ of its checkout)"
    )
