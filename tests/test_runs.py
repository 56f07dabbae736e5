"""Run folders: where they lie, what they note, and who may train in them."""

from __future__ import annotations

import datetime
import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock

from zoo.errors import UsageError
from zoo.recipes.recipe import make_recipe
from zoo.runs import environment
from zoo.runs.run import Run, create_run, locked, newest_unfinished, open_run, timed_folder

RECIPE = make_recipe({"model": {"name": "a"}, "data": {"name": "b"}}, "mine")


def test_a_folder_that_is_locked(tmp_path: Path) -> None:
    create_run(Run(tmp_path / "run"), RECIPE)
    with locked(Run(tmp_path / "run")):
        other = FileLock(tmp_path / "run" / ".lock")
        with pytest.raises(TimeoutError):
            other.acquire(timeout=0)
    other.acquire(timeout=0)
    other.release()


def test_a_file_system_without_locks_is_told_of(tmp_path: Path, monkeypatch: Any) -> None:
    def refuse(self: Any, **_: Any) -> None:
        raise OSError("Function not implemented")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    run = Run(tmp_path / "run")
    create_run(run, RECIPE)
    with pytest.warns(UserWarning, match="cannot be locked .Function not imp.*"), locked(run):
        pass


def test_a_start_that_was_killed_leaves_a_folder_that_may_be_taken(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "environment.json").write_text("{}")
    (folder / ".recipe.yaml.12.tmp").touch()
    create_run(Run(folder), RECIPE)
    assert open_run(folder).recipe.as_dict() == RECIPE.as_dict()
    with pytest.raises(UsageError, match="is not empty"):
        create_run(Run(folder), RECIPE)


def test_the_newest_run_that_did_not_end(tmp_path: Path) -> None:
    assert newest_unfinished("mine", tmp_path) is None
    for name in ("2026-01-01", "2026-01-02", "2026-01-03"):
        create_run(Run(tmp_path / "mine" / name), RECIPE)
    Run(tmp_path / "mine" / "2026-01-03").note(finished="2026-01-03")
    found = newest_unfinished("mine", tmp_path)
    assert found is not None
    assert found.path.name == "2026-01-02"


def test_the_newest_run_is_not_told_by_its_name(tmp_path: Path) -> None:
    """Local time is set back once a year, ``_10`` sorts before ``_2``, and a note may be lost."""
    for name, started, written in (
        ("2026-10-25_02-59-00", "2026-10-25T00:59:00+00:00", 1),
        ("2026-10-25_02-01-00", "2026-10-25T01:01:00+00:00", 2),
        ("2026-10-25_02-01-00_2", "2026-10-25T01:01:00+00:00", 3),
        ("2026-10-25_02-01-00_10", "2026-10-25T01:01:00+00:00", 4),
        ("2030-01-01_00-00-00", None, 5),
    ):
        run = Run(tmp_path / "mine" / name)
        run.write_json("environment.json", {"started": started})
        run.recipe_file.write_text("")
        os.utime(run.recipe_file, ns=(written, written))
    found = newest_unfinished("mine", tmp_path)
    assert found is not None
    assert found.path.name == "2026-10-25_02-01-00_10"


def test_folders_of_one_second_are_numbered(tmp_path: Path, monkeypatch: Any) -> None:
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    clock = SimpleNamespace(datetime=SimpleNamespace(now=lambda: moment))
    monkeypatch.setattr("zoo.runs.run.datetime", clock)
    names = [timed_folder(tmp_path / "made").name for _ in range(3)]
    assert names == sorted(path.name for path in (tmp_path / "made").iterdir())
    assert names == [f"2026-01-01_00-00-00{end}" for end in ("", "_2", "_3")]


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run folder: it has no recipe\.yaml"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("words", "typed"),
    [
        (["/usr/bin/zoo", "train", "toy/points"], "zoo train toy/points"),
        (["/lib/zoo/__main__.py", "train", "my recipe"], "python -m zoo train 'my recipe'"),
    ],
)
def test_the_command_can_be_typed_again(monkeypatch: Any, words: list[str], typed: str) -> None:
    monkeypatch.setattr(sys, "argv", words)
    assert environment.command() == typed


def test_the_revision_of_the_working_directory(tmp_path: Path, monkeypatch: Any) -> None:
    assert environment.git_revision() is None  # outside a repository
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init"], [*identity, "commit", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *words], check=True, capture_output=True)
    revision = environment.git_revision()
    assert revision is not None
    assert len(revision) == 40
    Path("new").touch()
    assert environment.git_revision() == f"{revision}+changes"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environment.git_revision() is None  # without git


def test_the_hardware(monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"card {index}")
    found = environment.hardware()
    assert found["gpus"] == ["card 0", "card 1"]
    assert found["cpu"]
    json.dumps(found)
