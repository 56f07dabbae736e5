"""The scripts for a machine with a GPU follow the zoo's names. Nothing here needs a GPU."""

import ast
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe

pytestmark = pytest.mark.whole_zoo

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
SCRIPTS = BENCHMARKS / "gpu"
README = (SCRIPTS / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| (\d+) \|", re.MULTILINE)
"""A row of the table of parts: name, least time, limit."""
PARTS = {name: (int(least), int(limit)) for name, least, limit in ROW.findall(README)}

pytestmark = pytest.mark.whole_zoo


@pytest.fixture
def _path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def imported_names(file: Path) -> list[tuple[str, str]]:
    """(module, name) of every import from the zoo or from the scripts, inside functions too."""
    found = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"), file.name)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            found += [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            found += [(alias.name, "") for alias in node.names]
    ours = re.compile(r"(zoo|zoo_\w+|gpu|pyramid|entrypoint)(\.|$)")
    return [(module, name) for module, name in found if ours.match(module)]


@pytest.mark.usefixtures("_path")
@pytest.mark.parametrize(
    "file",
    sorted(SCRIPTS.rglob("*.py")),
    ids=lambda file: str(file.relative_to(SCRIPTS)),
)
def test_what_a_script_imports_is_there(file: Path) -> None:
    compile(file.read_text(encoding="utf-8"), file.name, "exec")
    for module, name in imported_names(file):
        found = importlib.import_module(module)
        assert not name or hasattr(found, name), f"{module} has no {name}"


@pytest.mark.usefixtures("_path")
def test_the_readme_names_every_part_with_its_times() -> None:
    from gpu.run import PARTS as KNOWN

    assert list(PARTS.items()) == [(name, tuple(part)) for name, part in KNOWN.items()]
    for name in PARTS:
        if name != "extra":
            assert callable(importlib.import_module(f"gpu.{name}").main), name


@pytest.mark.slow  # imports every plugin's models and data
@pytest.mark.usefixtures("_path")
def test_the_recipes_take_the_overrides() -> None:
    from gpu.cases import CASES, QUICK

    for recipe, overrides, _ in CASES.values():
        resolve(override(read_recipe(recipe), {**QUICK, **overrides}))


@pytest.mark.usefixtures("_path")
def test_every_wheel_has_a_pinned_version() -> None:
    from gpu.pack import LACKING

    pins = (BENCHMARKS.parent / "constraints.txt").read_text(encoding="utf-8")
    for name in (*LACKING, "ale-py", "av"):
        assert re.search(rf"^{name}==", pins, re.MULTILINE), f"constraints.txt lacks {name}"


def test_the_working_tree_becomes_importable_without_a_build_backend(tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPTS / "dist_info.py"), str(BENCHMARKS.parent), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    path = done.stdout.strip().split(":")
    assert path[0] == str(tmp_path.resolve())
    assert str(BENCHMARKS.resolve()) in path
    (points,) = tmp_path.glob("zoo_vision-*.dist-info/entry_points.txt")
    assert "vision = zoo_vision.plugin" in points.read_text(encoding="utf-8")
