"""What the programs of benchmarks/ import is there: they are run by hand, and seldom."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
OURS = re.compile(r"zoo(_\w+)?(\.|$)")

pytestmark = pytest.mark.whole_zoo


def imported(program: Path) -> set[tuple[str, str]]:
    """Module and name of what a program imports from the zoo and its plugins."""
    found = set()
    for node in ast.walk(ast.parse(program.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and OURS.match(node.module or ""):
            found |= {(str(node.module), alias.name) for alias in node.names}
    return found


def test_programs_import_what_there_is() -> None:
    wanted = {
        (module, name): program.name
        for program in sorted(BENCHMARKS.rglob("*.py"))
        for module, name in imported(program)
    }
    assert len(wanted) > 40
    missing = []
    for (module, name), program in wanted.items():
        if hasattr(importlib.import_module(module), name):
            continue
        try:
            importlib.import_module(f"{module}.{name}")
        except ModuleNotFoundError:
            missing.append(f"{program}: from {module} import {name}")
    assert missing == []
