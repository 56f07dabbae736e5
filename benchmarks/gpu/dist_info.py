"""Make the working tree importable, with its entry points, where no build backend is installed.

    python dist_info.py REPOSITORY SITE

For the core and every plugin an editable install would leave metadata with entry points and the
folder on the path. Here SITE/NAME.dist-info gets the metadata, and the folders are printed, as a
PYTHONPATH that begins with SITE. The code that runs is the working tree's own. Stubs of packages
that are not installed are copied to SITE as well.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any


def main() -> None:
    """Write metadata and stubs, print the path."""
    repository, site = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    site.mkdir(parents=True, exist_ok=True)
    projects = [repository / "pyproject.toml", *sorted(repository.glob("plugins/*/pyproject.toml"))]
    for project in projects:
        write_metadata(project, site)
    add_stubs(Path(__file__).parent / "stubs", site)
    folders = [site, *(project.parent for project in projects), repository / "benchmarks"]
    print(os.pathsep.join(map(str, folders)))


def write_metadata(file: Path, site: Path) -> None:
    """Write the dist-info folder of one distribution.

    Args:
        file: Its pyproject.toml.
        site: Where the folder is made.
    """
    content = tomllib.loads(file.read_text(encoding="utf-8"))
    project = content["project"]
    name, version = project["name"], project.get("version") or read_version(file.parent, content)
    distribution = name.replace("-", "_")
    for old in site.glob(f"{distribution}-*.dist-info"):
        shutil.rmtree(old)
    folder = site / f"{distribution}-{version}.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in project.get("dependencies", [])]
    (folder / "METADATA").write_text("\n".join(lines) + "\n", encoding="utf-8")
    groups = {"console_scripts": project.get("scripts", {}), **project.get("entry-points", {})}
    lines = []
    for group, points in groups.items():
        lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items()), ""]
    (folder / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")


def read_version(folder: Path, content: dict[str, Any]) -> str:
    """The version that hatch would read from the file that pyproject.toml names.

    Raises:
        SystemExit: the file does not state one.
    """
    file = folder / content["tool"]["hatch"]["version"]["path"]
    found = re.search(r'__version__\s*=\s*["\']([^"\']+)', file.read_text(encoding="utf-8"))
    if not found:
        raise SystemExit(f"{file} does not state __version__")
    return found[1]


def add_stubs(stubs: Path, site: Path) -> None:
    """Copy the stubs whose packages are neither in SITE nor installed."""
    for stub in sorted(path for path in stubs.iterdir() if path.is_dir()):
        if not (site / stub.name).exists() and importlib.util.find_spec(stub.name) is None:
            shutil.copytree(stub, site / stub.name)


if __name__ == "__main__":
    main()
