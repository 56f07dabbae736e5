"""The distributions of this repository agree with each other and with what they import."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import zoo

ROOT = Path(__file__).parents[1]
PROJECTS: dict[str, tuple[Path, dict[str, Any]]] = {}
for _path in (ROOT / "pyproject.toml", *sorted(ROOT.glob("plugins/*/pyproject.toml"))):
    _content = tomllib.loads(_path.read_text())
    PROJECTS[_content["project"]["name"]] = (_path.parent, _content)
CORE = PROJECTS["zoo"][1]
FRAGMENT = re.compile(
    r"(\+[\w-]+|\d+)\.(added|changed|deprecated|removed|fixed|security)(\.\d+)?\.md"
)


def requirements(content: dict[str, Any]) -> Iterator[Requirement]:
    """What a distribution needs, with and without its extras."""
    project = content["project"]
    for listed in (project["dependencies"], *project.get("optional-dependencies", {}).values()):
        yield from map(Requirement, listed)


def imported(package: Path) -> set[str]:
    """Top-level modules that a package imports anywhere, without the standard library's."""
    found: set[str] = set()
    for path in package.rglob("*.py"):
        if "templates" in path.relative_to(package).parts:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {each.name.partition(".")[0] for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - sys.stdlib_module_names - {package.name}


@pytest.mark.parametrize("project", PROJECTS)
def test_the_version_is_written_in_the_core_alone(project: str) -> None:
    folder, content = PROJECTS[project]
    assert "version" not in content["project"]
    source = folder / content["tool"]["hatch"]["version"]["path"]
    assert source.resolve() == ROOT / "zoo/__init__.py"
    assert source.read_text().count(f'__version__ = "{zoo.__version__}"') == 1


def test_the_citation_has_the_version_of_the_core() -> None:
    assert str(yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"]) == zoo.__version__


@pytest.mark.parametrize("project", PROJECTS)
def test_distributions_of_one_release_take_each_other(project: str) -> None:
    ours = [each for each in requirements(PROJECTS[project][1]) if each.name in PROJECTS]
    assert ours
    for requirement in ours:
        assert requirement.specifier.contains(zoo.__version__, prereleases=True), requirement
        # Only `zoo[all]` names its own distribution, without bounds.
        bounded = not requirement.specifier.contains("1000")
        assert bounded or requirement.name == project, requirement


def brought(name: str, extras: frozenset[str] = frozenset()) -> set[str]:
    """Other people's distributions that one of ours asks for, directly or through ours."""
    project = PROJECTS[name][1]["project"]
    listed = [*project["dependencies"]]
    for extra in extras:
        listed += project["optional-dependencies"][extra]
    found: set[str] = set()
    for requirement in map(Requirement, listed):
        own = requirement.name in PROJECTS
        found |= (
            brought(requirement.name, frozenset(requirement.extras)) if own else {requirement.name}
        )
    return found


@pytest.mark.parametrize(
    ("package", "extra"),
    [("av", "zoo[video]"), ("copier", "zoo[author]"), ("ale-py", "zoo-hpg[atari]")],
)
def test_what_brings_the_gpl_is_an_extra_of_its_own_that_the_readme_names(
    package: str, extra: str
) -> None:
    asked = Requirement(extra)
    assert package in brought(asked.name, frozenset(asked.extras))
    assert package not in brought("zoo", frozenset({"all"}))
    readme = (ROOT / "README.md").read_text()
    assert re.search(
        rf"^\| `{re.escape(extra)}` \(not in `zoo\[all\]`\).*GPL", readme, re.MULTILINE
    )


@pytest.mark.parametrize("project", PROJECTS)
def test_distributions_support_the_same_pythons(project: str) -> None:
    own, core = PROJECTS[project][1]["project"], CORE["project"]
    assert own["requires-python"] == core["requires-python"] == ">=3.11"
    pythons = [
        [each for each in some["classifiers"] if "Python :: 3." in each] for some in (own, core)
    ]
    assert pythons[0] == pythons[1]
    assert "Typing :: Typed" in own["classifiers"]


@pytest.mark.whole_zoo  # where a package is not installed, its distribution is not known
@pytest.mark.parametrize("project", PROJECTS)
def test_what_is_imported_is_declared(project: str) -> None:
    folder, content = PROJECTS[project]
    declared = {canonicalize_name(each.name) for each in requirements(content)}
    homes = {name: {*map(canonicalize_name, of)} for name, of in packages_distributions().items()}
    undeclared = {
        module
        for module in imported(folder / project.replace("-", "_"))
        # An optional package that is missing here is taken for its distribution's name.
        if not declared & (homes.get(module) or {canonicalize_name(module)})
    }
    assert undeclared == set()


@pytest.mark.parametrize("project", PROJECTS)
def test_the_constraints_are_within_the_bounds(project: str) -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    content = PROJECTS[project][1]
    installed = list(map(Requirement, content["project"]["dependencies"]))
    if project == "zoo":  # whose groups and extras `make` installs too
        groups = (each for group in CORE["dependency-groups"].values() for each in group)
        installed += [*requirements(CORE), *map(Requirement, groups)]
    for requirement in installed:
        assert requirement.name in PROJECTS or canonicalize_name(requirement.name) in pins
    for requirement in {*installed, *requirements(content)}:
        pin = pins.get(canonicalize_name(requirement.name))
        assert pin is None or requirement.specifier.contains(pin), f"{requirement}, pinned {pin}"


def test_fragments_of_the_changelog_have_a_kind() -> None:
    names = {path.name for path in (ROOT / "changelog.d").iterdir()} - {"README.md"}
    assert {name for name in names if not FRAGMENT.fullmatch(name)} == set()
    kinds = {each["directory"] for each in CORE["tool"]["towncrier"]["type"]}
    assert kinds == {"added", "changed", "deprecated", "removed", "fixed", "security"}


@pytest.mark.slow
@pytest.mark.whole_zoo
@pytest.mark.parametrize("project", PROJECTS)
def test_a_wheel_is_typed_and_describes_itself(project: str, wheels: Path) -> None:
    package = project.replace("-", "_")
    (wheel,) = wheels.glob(f"{package}-[0-9]*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert f"{package}/py.typed" in archive.namelist()
        (metadata,) = (name for name in archive.namelist() if name.endswith("dist-info/METADATA"))
        message: Message = BytesParser().parsebytes(archive.read(metadata))
    assert message["Version"] == zoo.__version__
    assert message["Description-Content-Type"] == "text/markdown"
    assert message.get_all("Classifier")
    description = message.get_payload()
    assert isinstance(description, str)
    assert description.startswith(f"# {project}\n")
    links = re.findall(r"\]\(([^)]+)\)", description)
    assert [link for link in links if not link.startswith("https://")] == []
