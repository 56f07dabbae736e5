"""The house: imports go downwards only, one public door, no torch where only entries are read."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import zoo
from zoo.registry.registry import registry

CORE = Path(zoo.__file__).parent
REPOSITORY = CORE.parent
LAYERS = (
    ("errors", "io"),
    ("plots",),
    ("plugin",),
    ("registry",),
    ("recipes",),
    ("runs",),
    ("bundles",),
    ("report",),
    ("training",),
    ("inference",),
    ("experiments",),
    ("testing", "scaffold"),
    ("cli",),
)
"""From the ground up. A module imports from its own row and from those above it in this list."""
LEVEL = {name: level for level, row in enumerate(LAYERS) for name in row}
PLUGINS = sorted(REPOSITORY.glob("plugins/*/zoo_*"))


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Every module of the zoo that a file imports, those inside functions included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module == "zoo":
                yield from ((f"zoo.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def core_files() -> list[Path]:
    return [path for path in sorted(CORE.rglob("*.py")) if "templates" not in path.parts]


def test_every_room_has_its_place():
    rooms = {path.stem for path in CORE.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert rooms - {"__init__", "__main__", "__pycache__"} == set(LEVEL)


def test_imports_go_downwards_only():
    upwards = []
    for file in core_files():
        room = file.relative_to(CORE).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        for module, line in imports(file):
            first, _, rest = module.partition(".")
            if first == "zoo" and rest:
                other = rest.split(".")[0]
                if LEVEL.get(other, 0) > LEVEL[room] or (
                    LEVEL.get(other) == LEVEL[room] and other != room and room != "io"
                ):
                    upwards.append(f"{file.relative_to(REPOSITORY)}:{line} imports {module}")
    assert not upwards, "\n".join(upwards)


def test_private_fields_of_lightning_lie_in_one_file():
    """Ruff's SLF001 finds them; the one file is excepted in pyproject.toml."""
    packages = [str(package) for package in PLUGINS]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--select", "SLF001", "zoo", *packages],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_a_plugin_comes_in_by_the_door(package: Path):
    """Our plugins use nothing of the core that a third party's could not."""
    others = {path.name for path in PLUGINS} - {package.name, "zoo_rl", "zoo_evolution"}
    wrong = []
    for file in sorted(package.rglob("*.py")):
        for module, line in imports(file):
            allowed = module == "zoo.plugin" or not module.startswith("zoo.")
            if not allowed or module.split(".")[0] in others:
                wrong.append(f"{file.relative_to(REPOSITORY)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", PLUGINS, ids=lambda path: path.name)
def test_the_tests_of_a_plugin_use_the_door_and_the_kit(package: Path):
    wrong = []
    for file in sorted((package.parent / "tests").rglob("*.py")):
        for module, line in imports(file):
            known = module in ("zoo", "zoo.plugin", "zoo.testing") or module in {
                f"zoo.{name}" for name in zoo.__all__
            }
            if module.split(".")[0] == "zoo" and not known:
                wrong.append(f"{file.relative_to(REPOSITORY)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_the_core_names_no_plugin():
    named = []
    for file in core_files():
        for module, line in imports(file):
            if module.startswith("zoo_"):
                named.append(f"{file.relative_to(REPOSITORY)}:{line} imports {module}")
    assert not named, "\n".join(named)


HEAVY = "{'torch', 'lightning', 'numpy', 'matplotlib', 'jsonargparse'}"


@pytest.mark.parametrize("module", ["zoo", "zoo.plugin", "zoo.registry.registry", "zoo.cli.main"])
def test_the_front_imports_nothing_heavy(module: str):
    code = f"import sys, {module}; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.whole_zoo
def test_every_plugin_imports_nothing_heavy():
    modules = [plugin.module for plugin in registry().plugins]
    code = f"import sys, {', '.join(modules)}; print(*sorted({HEAVY} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


ALIASES = ("ENTRY_POINT_GROUP", "PLUGIN_API", "Facts", "Entry", "Part")
"""Names of the door that are values or types and can have no docstring."""


def test_plugins_fuse_optimizers_where_the_trainer_lets_them():
    """Lightning refuses to clip gradients in mixed precision for fused ones."""
    calls = [
        (path.name, node.lineno, {each.arg for each in node.keywords})
        for package in PLUGINS
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "optim.optimizer"
    ]
    assert len(calls) > 5
    assert [(name, line) for name, line, given in calls if "fused" not in given] == []


def test_every_name_of_the_door_is_there_and_documented():
    import zoo.plugin as door

    for name in door.__all__:
        thing = getattr(door, name)
        described = thing.__doc__ if hasattr(thing, "__doc__") else None
        assert described or name in ALIASES, name
    page = (REPOSITORY / "docs" / "plugin-api.md").read_text(encoding="utf-8")
    missing = [name for name in door.__all__ if f"`{name}`" not in page]
    assert not missing, f"docs/plugin-api.md does not describe {', '.join(missing)}"


def test_every_public_name_of_the_zoo_is_there():
    for name in zoo.__all__:
        assert getattr(zoo, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = zoo.nothing
