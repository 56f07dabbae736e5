"""Members of a group in processes of their own: none takes another down, and all end in order."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoo.errors import UsageError
from zoo.experiments import processes
from zoo.experiments.processes import ExperimentInterrupted, Outcome, run_members, threads_each
from zoo.runs.group import Group, create_group
from zoo.runs.run import Run, locked

MEMBER = """
import os, pathlib, signal, sys, time
from zoo.io.lifeline import end_with_starter

end_with_starter()
what, folder = sys.argv[1], pathlib.Path(sys.argv[2])
print("what is printed is dropped")
print("at work", os.environ.get("OMP_NUM_THREADS"), file=sys.stderr)
if what == "refuse":
    print("zoo: warning: old", "zoo: no such model", "  - more", sep="\\n", file=sys.stderr)
    sys.exit(2)
folder.mkdir(exist_ok=True)
(folder / "recipe.yaml").touch()
if what == "fail":
    print("zoo: the disk is full", file=sys.stderr)
    sys.exit(1)
if what == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "wait":
    def stop(number, frame):
        (folder / "stopped").touch()
        sys.exit(143)
    signal.signal(signal.SIGTERM, stop)
    (folder / "ready").touch()
    time.sleep(60)
"""


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """``crew("ok", "fail", jobs=2)`` runs members ``m0``, ``m1`` that do so."""
    script = tmp_path / "member.py"
    script.write_text(MEMBER)
    monkeypatch.setattr(processes, "_PROGRAM", (sys.executable, str(script)))
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)

    def run(*members: str, jobs: int = 1) -> list[Outcome]:
        names = {f"m{number}": {} for number in range(len(members))}
        group = Group(Path("all"), "seeds", "toy/points", names)
        if not group.path.exists():
            create_group(group)
        what = dict(zip(names, members, strict=True))
        return run_members(
            group, jobs, lambda name: [what[name], str(group.path / name)], "zoo again"
        )

    return run


def until(path: Path) -> None:
    """Wait for a file."""
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline, f"there is no {path}"
        time.sleep(0.02)


def test_one_that_fails_or_dies_takes_no_other_down(
    crew: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    outcomes = crew("ok", "fail", "die", "ok", jobs=2)
    assert outcomes == [
        Outcome("m0", 0, ""),
        Outcome("m1", 1, "the disk is full"),
        Outcome("m2", -9, "killed by SIGKILL, as the system does where memory is used up"),
        Outcome("m3", 0, ""),
    ]
    out, err = capfd.readouterr()
    assert out == ""
    threads = threads_each(2)
    assert err.splitlines()[0] == f"2 at once, with {threads} thread{'s'[: threads > 1]} each"
    assert f"m0  at work {threads}" in err
    assert "m3  done" in err
    assert err.count("the disk is full") == 1


def test_one_after_the_other_with_all_threads(
    crew: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    crew("ok", "ok")
    assert capfd.readouterr().err == "m0  at work None\nm0  done\nm1  at work None\nm1  done\n"


def test_a_call_that_is_refused_is_made_once(
    crew: Callable, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(UsageError, match=r"^no such model\n  - more$"):
        crew("refuse", "refuse", "refuse")
    assert capfd.readouterr().err == "m0  at work None\nm0  zoo: warning: old\n"


def test_a_refusal_of_one_member_is_an_outcome(crew: Callable) -> None:
    assert [each.status for each in crew("ok", "refuse")] == [0, 2]


def test_jobs_that_are_none(crew: Callable) -> None:
    with pytest.raises(UsageError, match="has to be 1 or more, not 0"):
        crew("ok", jobs=0)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stop_reaches_all(crew: Callable, number: int, status: int) -> None:
    def stop() -> None:
        until(Path("all/m0/ready"))
        until(Path("all/m1/ready"))
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=stop)
    thread.start()
    with pytest.raises(ExperimentInterrupted, match="continue the unfinished runs") as stopped:
        crew("wait", "wait", "wait", jobs=2)
    thread.join()
    assert stopped.value.status == status
    assert sorted(path.parent.name for path in Path("all").glob("*/stopped")) == ["m0", "m1"]
    assert not Path("all/m2").exists()


STARTER = """
import pathlib, sys
from zoo.experiments import processes
from zoo.runs.group import Group, create_group
processes._PROGRAM = (sys.executable, sys.argv[1])
group = Group(pathlib.Path("all"), "seeds", "toy/points", {"m0": {}})
create_group(group)
processes.run_members(group, 1, lambda name: ["wait", "all/m0"], "")
"""


def test_members_end_with_a_starter_that_was_killed(crew: Callable, tmp_path: Path) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path / "member.py")]
    starter = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    until(Path("all/m0/ready"))
    starter.kill()
    starter.wait()
    until(Path("all/m0/stopped"))


def test_a_folder_that_another_process_holds_is_waited_for(
    crew: Callable, capfd: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    folder = Path("all/m0")
    held = threading.Event()

    def hold() -> None:
        folder.mkdir(parents=True)
        with locked(Run(folder)):
            held.set()
            time.sleep(1.0)

    create_group(Group(Path("all"), "seeds", "toy/points", {"m0": {}, "m1": {}}))
    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert [each.status for each in crew("ok", "ok")] == [0, 0]
    thread.join()
    err = capfd.readouterr().err
    assert err.index("m1  done") < err.index("m0  at work")  # what is free comes first
    monkeypatch.setattr(processes, "_PATIENCE", 0.0)
    with locked(Run(folder)):  # then the member is started, and says itself what is wrong
        assert [each.status for each in crew("ok", "ok")] == [0, 0]


@pytest.mark.parametrize("module", ["seeds", "crossval"])
def test_a_file_system_without_locks_is_told(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone = importlib.import_module(f"zoo.experiments.{module}")._alone
    group = Group(tmp_path / "all", module, "toy/points", {"seed-1": {"seed": 1}})
    create_group(group)

    def refuse(*_: object, **__: object) -> None:
        raise NotImplementedError("no locks here")

    monkeypatch.setattr("filelock.FileLock.acquire", refuse)
    arguments = (group, False, True) if module == "seeds" else (group,)
    with pytest.warns(UserWarning, match="cannot be locked"), alone(*arguments):
        pass
