"""A folder of runs that belong together."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.errors import UsageError
from zoo.runs.group import FILE, Group, create_group, is_group, open_group

MEMBERS = {"seed-1": {"seed": 1}, "seed-2": {"seed": 2}}


def group(path: Path) -> Group:
    return Group(path, "seeds", "toy/points", MEMBERS, {"overrides": {"model.lr": 0.1}})


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    create_group(group(tmp_path / "all"))
    assert is_group(tmp_path / "all")
    assert open_group(tmp_path / "all") == group(tmp_path / "all")
    assert [run.path.name for run in group(tmp_path).runs.values()] == ["seed-1", "seed-2"]
    assert not group(tmp_path / "all").finished


def test_a_folder_with_other_things_is_kept(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists and is not empty"):
        create_group(group(tmp_path))
    with pytest.raises(UsageError, match=r"is not a group of runs: it has no group\.json"):
        open_group(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "is not of format 1"),
        ({"kind": "others"}, "is damaged"),
        ({"members": ["seed-1"]}, "is damaged"),
        ({"members": {"../elsewhere": {}}}, "is damaged"),
        ({"members": {"..": {}}}, "is damaged"),
        ({"settings": None}, "is damaged"),
    ],
)
def test_a_damaged_file(tmp_path: Path, change: dict, says: str) -> None:
    create_group(group(tmp_path / "all"))
    file = tmp_path / "all" / FILE
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(UsageError, match=says):
        open_group(tmp_path / "all")
    file.write_text("{")
    with pytest.raises(UsageError, match="cannot be read"):
        open_group(tmp_path / "all")
