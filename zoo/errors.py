"""The errors a user meets: one plain sentence that says what is wrong, where, and what to do.

And the words that such sentences are made of: the nearest right names, several faults at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


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
    known = list(known)
    near = difflib.get_close_matches(name, known, count, cutoff=0.6)
    if not near:  # `mpcnn-digit` for `vision/mpcnn-digits`
        tails = {candidate.rpartition("/")[2]: candidate for candidate in known}
        near = [tails[t] for t in difflib.get_close_matches(name, tails, count, cutoff=0.6)]
    return " or ".join(repr(candidate) for candidate in near)


def format_problems(where: str, problems: list[str]) -> str:
    """One sentence for one problem, a list for several."""
    if len(problems) == 1:
        return f"{where}: {problems[0]}"
    return f"{where} has {len(problems)} faults:\n" + "\n".join(f"  - {p}" for p in problems)


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
