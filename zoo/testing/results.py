"""The outcomes of a check, and how they are told."""

from __future__ import annotations

import traceback
from dataclasses import dataclass

from zoo.errors import ZooError

PASSED, FAILED, SKIPPED, EXEMPT = "passed", "failed", "skipped", "exempt"

_ENGINES = ("/torch/", "/lightning/", "/jsonargparse/", "/importlib/", "<frozen ")


class CheckFailed(Exception):
    """The check failed; the message says what is wrong."""


class Skip(Exception):
    """The check cannot be made here; the message says why."""


class Exempt(Exception):
    """The plugin declares that the check does not apply; the message is its reason."""


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one check of one entry.

    Attributes:
        check: Name of the check.
        kind: ``plugin``, ``model``, ``dataset``, ``recipes``, ``recipe``, ``export format`` or
            ``checkpoint``.
        name: Name of the entry.
        outcome: ``passed``, ``failed``, ``skipped`` or ``exempt``.
        note: What is wrong, or why the check was not made.
        why: Why it matters, one line.
        remedy: What to do if it failed.
        seconds: How long it took, what later checks use again included.
    """

    check: str
    kind: str
    name: str
    outcome: str
    note: str = ""
    why: str = ""
    remedy: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        if self.outcome != FAILED:
            return f"{self.kind} {self.name}: {self.check} {self.outcome}: {self.note}".rstrip(": ")
        return (
            f"{self.kind} {self.name} fails {self.check}: {self.note}\n"
            f"  why it matters: {self.why}\n"
            f"  remedy: {self.remedy}"
        )


def describe(error: BaseException) -> str:
    """An error of the plugin's code in one line, with the place in that code."""
    text = " ".join(str(error).split())
    if isinstance(error, ZooError | CheckFailed):
        return text
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if not any(engine in f.filename for engine in _ENGINES)]
    place = (own or frames)[-1]
    return f"{type(error).__name__}: {text} ({place.filename}:{place.lineno})"
