"""What a plugin does while it is loaded stays its own matter, also what no process survives."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hostile.plugins import GOOD as HEAD
from hostile.plugins import RAISES

from zoo.registry import isolation
from zoo.registry.plugins import load_plugins


@pytest.fixture
def faulty(toy: Any) -> Callable[[str], None]:
    def install(code: str) -> None:
        toy.add("faulty", code)

    return install


def state(name: str = "faulty") -> Any:
    return next(plugin for plugin in load_plugins() if plugin.name == name)


@pytest.mark.parametrize("code", RAISES.values(), ids=RAISES)
def test_whatever_it_raises(faulty: Callable, zoo: Callable, code: str) -> None:
    faulty(code)
    done = zoo("list", "models", "--json")
    assert done.status == 0
    assert "toy-net" in [row["name"] for row in json.loads(done.out)]
    assert state().state == "broken"
    doctor = zoo("doctor", "--json")
    rows = [row for row in json.loads(doctor.out) if row["name"] == "plugin faulty"]
    assert rows[0]["state"] == "broken"
    assert "ZOO_DISABLE_PLUGINS=faulty" in rows[0]["remedy"]


def test_what_it_prints_is_caught_and_told(faulty: Callable, zoo: Callable) -> None:
    faulty("import sys\nprint('hello')\nprint('there', file=sys.stderr)" + HEAD)
    done = zoo("list", "--json")
    assert "faulty-net" in [row["name"] for row in json.loads(done.out)]
    assert done.err == ""
    told = [row for row in json.loads(zoo("doctor", "--json").out) if row["state"] == "noisy"]
    assert [row["name"] for row in told] == ["plugin faulty"]
    assert "hello there" in told[0]["note"]


def test_what_it_changes_is_put_back_and_told(faulty: Callable, tmp_path: Path) -> None:
    here = os.getcwd()
    faulty(
        f"import os, torch\nos.chdir({str(tmp_path)!r})\n"
        "torch.set_default_dtype(torch.float64)" + HEAD
    )
    plugin = state()
    assert plugin.state == "ready"
    assert os.getcwd() == here
    assert torch.get_default_dtype() == torch.float32
    assert "default dtype to torch.float64" in plugin.printed
    assert "working directory" in plugin.printed


def test_a_plugin_that_ends_the_process_is_named_by_the_next_command(
    faulty: Callable, python: Callable
) -> None:
    faulty("import os\nos._exit(0)")
    first = python("-m", "zoo", "list", "models")
    assert first.stdout == ""  # nothing inside a process can keep it alive
    second = python("-m", "zoo", "list", "models")
    assert "toy-net" in second.stdout
    doctor = python("-m", "zoo", "doctor", "--json")
    (row,) = [row for row in json.loads(doctor.stdout) if row["name"] == "plugin faulty"]
    assert "its import ended the process (exit status 0)" in row["note"]


def test_a_plugin_that_hangs_is_named_by_the_next_command(
    faulty: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty("import time\ntime.sleep(60)" + HEAD)
    note = isolation._notes() / "1234567890"  # of a process that was killed while it waited
    note.parent.mkdir(parents=True)
    note.write_text("faulty")
    monkeypatch.setattr(isolation.trial, "__defaults__", (0.5,))
    assert "did not end within 0.5 seconds" in state().problem
    assert note.exists()  # until it is mended


def test_a_plugin_that_was_mended_is_loaded_again(faulty: Callable) -> None:
    faulty(HEAD)
    note = isolation._notes() / "1234567890"
    note.parent.mkdir(parents=True)
    note.write_text("faulty")
    assert state().state == "ready"
    assert not note.exists()
    assert list(note.parent.iterdir()) == []


def test_a_cache_that_cannot_be_written_costs_nothing_else(
    faulty: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    faulty(HEAD)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "file"))
    assert state().state == "ready"


def test_metadata_that_cannot_be_read(toy: Any, zoo: Callable) -> None:
    info = toy.folder / "zoo_garbled-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: zoo-garbled\nVersion: 1\n")
    (info / "entry_points.txt").write_bytes(b"[zoo]\nx = \xff\xfe\n")
    done = zoo("list", "models", "--json")
    assert "toy-net" in [row["name"] for row in json.loads(done.out)]
    rows = json.loads(zoo("doctor", "--json").out)
    assert any(
        "zoo-garbled" in row["note"] + row["name"] for row in rows if row["state"] == "broken"
    )
