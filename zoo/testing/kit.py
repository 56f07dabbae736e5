"""The kit: every check of every entry of a plugin, one by one."""

from __future__ import annotations

import importlib
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from lightning.pytorch.utilities.seed import isolate_rng

from zoo.errors import MissingDependencyError
from zoo.registry.registry import registry
from zoo.testing.check import CHECKS, Check
from zoo.testing.own_checks import own_checks
from zoo.testing.results import (
    EXEMPT,
    FAILED,
    PASSED,
    SKIPPED,
    CheckFailed,
    Exempt,
    Result,
    Skip,
    describe,
)
from zoo.testing.subjects import PluginSubject, Subject

for _module in (  # in the order in which the checks are made
    "plugin",
    "imports",
    "arguments",
    "model",
    "training",
    "bundle",
    "formats",
    "finetuning",
    "predicting",
    "producing",
    "device",
    "dataset",
    "folds",
    "recipe",
):
    importlib.import_module(f"zoo.testing.checks.{_module}")


@dataclass(frozen=True)
class Case:
    """One check of one entry.

    Attributes:
        check: The check.
        subject: The entry.
    """

    check: Check
    subject: Subject

    def __str__(self) -> str:
        return f"{self.subject.kind}-{self.subject.name}-{self.check.name}"

    def run(self) -> Result:
        """Make the check. Whatever the plugin's code raises is a failure of the check."""
        start = time.perf_counter()
        # No random number and no warning of a check reaches what comes after it.
        with isolate_rng(include_cuda=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outcome, note = self._outcome()
        return Result(
            self.check.name,
            self.subject.kind,
            self.subject.name,
            outcome,
            note,
            self.check.why,
            self.check.remedy,
            time.perf_counter() - start,
        )

    def _outcome(self) -> tuple[str, str]:
        if reason := self.subject.exempt.get(self.check.name):
            return EXEMPT, str(reason)
        try:
            return PASSED, self.check.run(self.subject) or ""
        except (Skip, MissingDependencyError) as reason_:
            return SKIPPED, str(reason_)
        except Exempt as reason_:
            return EXEMPT, str(reason_)
        except CheckFailed as fault:
            return FAILED, str(fault)
        except (Exception, SystemExit) as error:  # noqa: BLE001  # third-party code
            return FAILED, describe(error)


def cases(plugin: str) -> list[Case]:
    """Every check of everything that an installed plugin registers.

    Args:
        plugin: The name of its entry point.

    Raises:
        UsageError: there is no such plugin, or it is disabled.
    """
    found = registry().plugin(plugin)
    subjects = [PluginSubject(found)] if found.problem else PluginSubject(found).subjects()
    made = [CHECKS["loads"]] if found.problem else list(CHECKS.values())
    return [
        Case(c, subject)
        for subject in subjects
        for c in (*made, *own_checks(subject))
        if subject.kind in c.kinds
    ]


def check_plugin(plugin: str) -> Iterator[Result]:
    """Make every check, giving each result as it comes."""
    for case in cases(plugin):
        yield case.run()
