"""The wheels are complete, and every extra installs from them into a fresh environment."""

from __future__ import annotations

import json
import re
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROJECTS = {
    tomllib.loads(path.read_text())["project"]["name"]: path.parent
    for path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml")))
}
EXTRAS: dict[str, list[str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]

pytestmark = [pytest.mark.slow, pytest.mark.whole_zoo]


def wheel_of(project: str, wheels: Path) -> Path:
    (wheel,) = wheels.glob(f"{project.replace('-', '_')}-[0-9]*.whl")
    return wheel


def plugins_of(extra: str) -> set[str]:
    """The plugin distributions that an extra installs, those of extras it names and those that
    a plugin takes as a library included."""
    found: set[str] = set()
    for requirement in EXTRAS[extra]:
        if inner := re.match(r"zoo\[(.*)\]", requirement):
            found |= {name for each in inner[1].split(",") for name in plugins_of(each)}
        elif name := re.match(r"zoo-[\w-]+", requirement):
            found |= {name[0], *libraries_of(name[0])}
    return found


def libraries_of(plugin: str) -> set[str]:
    """The plugins that a plugin depends on."""
    content = tomllib.loads((PROJECTS[plugin] / "pyproject.toml").read_text(encoding="utf-8"))
    named = {re.split(r"[\[<>=!~ ]", each)[0] for each in content["project"]["dependencies"]}
    projects = {name: PROJECTS[name] / "pyproject.toml" for name in named & PROJECTS.keys()}
    entries = "[project.entry-points.zoo]"
    return {
        name
        for name, path in projects.items()
        if name != "zoo" and entries in path.read_text(encoding="utf-8")
    }


@pytest.mark.parametrize("project", PROJECTS)
def test_a_wheel_holds_all_that_is_in_the_package(project: str, wheels: Path) -> None:
    package = PROJECTS[project] / project.replace("-", "_")
    wanted = {
        path.relative_to(package.parent).as_posix()
        for path in package.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel_of(project, wheels)) as archive:
        found = set(archive.namelist())
        license = [name for name in found if name.endswith("licenses/LICENSE")]
        assert archive.read(license[0]) == (ROOT / "LICENSE").read_bytes()
    assert len(wanted) > 5
    assert wanted == {name for name in found if ".dist-info/" not in name}


@pytest.mark.parametrize("project", PROJECTS)
def test_an_sdist_makes_the_same_wheel(project: str, wheels: Path, uv: Any, tmp_path: Path) -> None:
    (sdist,) = wheels.glob(f"{project.replace('-', '_')}-[0-9]*.tar.gz")
    with tarfile.open(sdist) as archive:
        assert any(name.endswith("/LICENSE") for name in archive.getnames())
    uv("build", "--quiet", "--wheel", "--out-dir", tmp_path / "direct", PROJECTS[project])
    # `wheels` holds what was made from the sdist, this one comes from the tree.
    assert files_of(wheel_of(project, wheels)) == files_of(wheel_of(project, tmp_path / "direct"))


def files_of(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_core_alone_works_and_names_the_extra_to_install(fresh: Any, tmp_path: Path) -> None:
    fresh.install("zoo")
    assert fresh.run("zoo", "list").returncode == 0
    assert json.loads(fresh.run("zoo", "list", "plugins", "--json").stdout) == []
    doctor = fresh.run("zoo", "doctor")
    assert doctor.returncode == 0, doctor.stdout
    refused = fresh.run("zoo", "train", "vision/mpcnn-digits")
    assert refused.returncode == 2
    assert 'pip install --find-links DIST "zoo[vision]"' in refused.stderr
    assert not Path("runs").exists()
    refused = fresh.run("zoo", "plugin", "new", "mine")
    assert refused.returncode == 2
    assert 'pip install --find-links DIST "zoo[author]"' in refused.stderr


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_installs_and_trains(extra: str, fresh: Any) -> None:
    fresh.install(f"zoo[{extra}]")
    wanted = plugins_of(extra)
    rows = json.loads(fresh.run("zoo", "list", "plugins", "--json").stdout)
    assert {row["distribution"] for row in rows} == wanted
    assert all(row["state"] == "ready" for row in rows)
    entries = json.loads(fresh.run("zoo", "list", "--json").stdout)
    for distribution in wanted:
        (row,) = (row for row in rows if row["distribution"] == distribution)
        assert_entries_are_those_of_the_tree(PROJECTS[distribution], row, entries)
    # What `all` installs trains with its own extra, in the rounds beside this one.
    for name in embedded_recipes(entries, rows) if extra != "all" else ():
        one_step = ["--trainer.max_epochs", 1, "--trainer.limit_train_batches", 1]
        done = fresh.run("zoo", "train", name, *one_step, "--out", f"run-{name.replace('/', '-')}")
        assert done.returncode == 0, done.stderr
    missing = "import importlib.metadata as m; [m.version(n) for n in {!r}]"
    others = [re.split(r"[\[<>=!~ ]", each)[0] for each in EXTRAS[extra]]
    assert fresh.run("python", "-c", missing.format(others)).returncode == 0


def assert_entries_are_those_of_the_tree(
    project: Path, plugin: dict[str, Any], entries: list[dict[str, Any]]
) -> None:
    """The recipes and checkpoints of the plugin's folders came along, and are whole."""
    for folder in project.glob("*/recipes"):
        recipes = {each["name"] for each in entries if each["kind"] == "recipe"}
        assert {f"{plugin['name']}/{path.stem}" for path in folder.glob("*.yaml")} <= recipes
    shipped = {path.parent.name for path in project.glob("*/checkpoints/*/bundle.json")}
    sizes = {each["name"]: each["size"] for each in entries if each["kind"] == "checkpoint"}
    assert shipped <= sizes.keys() & set(plugin["entries"])
    assert all(sizes[name].endswith("MB") for name in shipped)


def embedded_recipes(entries: list[dict[str, Any]], plugins: list[dict[str, Any]]) -> list[str]:
    """One recipe of each plugin that needs no files and no earlier run, of those plugins that have
    one."""
    embedded = {each["name"] for each in entries if each.get("needs files") == "no"}
    found: dict[str, str] = {}
    for each in entries:
        if each["kind"] == "recipe" and each["data"] in embedded:
            family, _, stem = each["name"].partition("/")
            (path,) = ROOT.glob(f"plugins/{family}/zoo_*/recipes/{stem}.yaml")
            if " recipe:" not in path.read_text(encoding="utf-8"):
                found.setdefault(family, each["name"])
    families = {name for plugin in plugins for name in plugin["entries"]}
    return [name for family, name in found.items() if family in families]
