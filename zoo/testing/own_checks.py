"""Checks that a plugin brings for its own models and datasets."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from zoo.testing.check import CHECKS, Check
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ClassSubject, DatasetSubject, ModelSubject, Subject


def own_checks(subject: Subject) -> list[Check]:
    """Those that the class declares in ``conformance_checks``; what is wrong with them is said by
    the check ``declarations``."""
    if not isinstance(subject, ClassSubject):
        return []
    try:
        declared: object = getattr(subject.cls, "conformance_checks", {})
    except Skip:  # it does not import
        return []
    if not isinstance(declared, Mapping):
        return []
    return [
        Check(name, (subject.kind,), *_texts(function), partial(_run, function))
        for name, function in declared.items()
        if not fault_of(name, function)
    ]


def fault_of(name: object, function: object) -> str:
    """What is wrong with a declared check; empty if nothing is."""
    if not isinstance(name, str) or name in CHECKS:
        return f"conformance_checks: {name!r} is the kit's own name"
    if not callable(function):
        return f"conformance_checks[{name!r}] is {function!r}, which cannot be called"
    if not inspect.getdoc(function):
        return f"conformance_checks[{name!r}] has no docstring, which says why it matters"
    return ""


def _texts(function: Callable[..., Any]) -> tuple[str, str]:
    """Why it matters and the remedy: the first line of the docstring, and what follows."""
    first, _, rest = (inspect.getdoc(function) or "").partition("\n\n")
    return " ".join(first.split()), " ".join(rest.split()) or "see its docstring"


def _run(function: Callable[[Any], str | None], subject: ClassSubject) -> str | None:
    if isinstance(subject, DatasetSubject):
        data = subject.build()
        data.setup("fit")
        return _called(function, data)
    assert isinstance(subject, ModelSubject)
    return _called(function, subject.trained.model.eval())


def _called(function: Callable[[Any], str | None], subject: Any) -> str | None:
    try:
        return function(subject)
    except AssertionError as error:
        raise CheckFailed(str(error) or "its assertion does not hold") from error
