"""The kit as tests of pytest."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zoo.testing.kit import Case, cases
from zoo.testing.results import FAILED, PASSED


def conformance_tests(plugin: str, slow: Sequence[str] = ()) -> Callable[[Case], None]:
    """A parametrized test: one test a check and entry of an installed plugin.

    A plugin's ``tests/test_conformance.py`` is::

        from zoo.testing import conformance_tests

        test_conformance = conformance_tests("myplugin")

    A failed check shows its reason and its remedy; what was skipped or is exempt shows why under
    ``pytest -ra``. Data that are not embedded are looked for under ``$ZOO_DATA/<dataset>``.

    Args:
        plugin: The name of the plugin's entry point.
        slow: Names of checks to be marked ``slow``.

    Raises:
        UsageError: there is no such plugin.
    """
    import pytest

    marked = [
        pytest.param(case, marks=pytest.mark.slow if case.check.name in slow else ())
        for case in cases(plugin)
    ]

    @pytest.mark.parametrize("case", marked, ids=str)
    def test_conformance(case: Case) -> None:
        result = case.run()
        if result.outcome == FAILED:
            pytest.fail(str(result), pytrace=False)
        if result.outcome != PASSED:
            pytest.skip(str(result))

    return test_conformance
