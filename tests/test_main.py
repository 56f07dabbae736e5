"""The front of the command line: what becomes of errors, interruptions and closed pipes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from zoo.cli import doctor
from zoo.errors import UsageError, ZooError


def failing(error: BaseException) -> Callable[[Any], int]:
    def run(options: Any) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (UsageError("give another"), 2, "zoo: give another\n"),
        (ZooError("it did not work"), 1, "zoo: it did not work\n"),
        (KeyError("a"), 1, "zoo: KeyError: 'a'. --debug shows where.\n"),
        (RuntimeError("a\n  b"), 1, "zoo: RuntimeError: a b. --debug shows where.\n"),
        (ValueError(), 1, "zoo: ValueError: no message. --debug shows where.\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_is_one_sentence(
    zoo: Callable, monkeypatch: Any, error: BaseException, status: int, told: str
) -> None:
    monkeypatch.setattr(doctor, "run", failing(error))
    done = zoo("doctor")
    assert (done.status, done.err) == (status, told)


@pytest.mark.parametrize("error", [UsageError("give another"), KeyError("a")])
def test_debug_raises_it(zoo: Callable, monkeypatch: Any, error: Exception) -> None:
    monkeypatch.setattr(doctor, "run", failing(error))
    with pytest.raises(type(error)):
        zoo("doctor", "--debug")


def test_a_reader_that_has_gone(toy: Any, python: Callable) -> None:
    """As of `zoo list | head -1`: no traceback, and no complaint."""
    code = "import sys; from zoo.cli.main import main; sys.exit(main(['list', '--json']))"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    pipes["stdin"] = subprocess.PIPE
    process = python("-u", "-c", f"input()\n{code}", start=subprocess.Popen, **pipes)
    process.stdout.close()
    _, told = process.communicate("\n", timeout=60)
    assert process.returncode == 0
    assert told == ""
