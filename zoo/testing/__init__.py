"""The conformance kit: what has to hold of everything a plugin registers.

``conformance_tests`` makes tests of pytest of it, ``zoo plugin check`` a table, and
``check_plugin`` results in Python. A model or dataset class may declare:

``conformance_arguments = {"hidden": [64]}``
    Constructor arguments that make it small; of a family of models also what its ``*`` stands
    for. Without, a model is built by a recipe that names it, or by its defaults.
``conformance_exempt = {"overfits-one-batch": "learns from episodes, not from batches"}``
    Checks that do not apply, each with the reason, which is shown.
``conformance_checks = {"turns-with-its-input": function}``
    Checks of its own: functions of the trained model, or of the datamodule after ``setup``, that
    raise AssertionError. The first line of the docstring says why, what follows is the remedy.
``not_exportable = "reason"``
    The model cannot be exported.
"""

from zoo.testing.check import CHECKS, Check
from zoo.testing.kit import Case, cases, check_plugin
from zoo.testing.pytest_plugin import conformance_tests
from zoo.testing.results import Result

__all__ = ["CHECKS", "Case", "Check", "Result", "cases", "check_plugin", "conformance_tests"]
