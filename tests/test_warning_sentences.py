"""A warning is a sentence, without the file and the line of code that it comes from."""

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from zoo.cli import list as command


def test_a_warning_is_one_line(zoo: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    def warn(options: Any) -> None:
        warnings.warn("the labels\n  lack a class", stacklevel=1)

    monkeypatch.setattr(command, "run", warn)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        before = warnings.showwarning
        done = zoo("list")
        assert (done.status, done.out) == (0, "")
        assert done.err == "zoo: warning: the labels lack a class\n"
        assert warnings.showwarning is before


def test_also_after_lightning_is_imported(python: Callable) -> None:
    code = (
        "import sys, warnings\n"
        "from zoo.cli import list as command, main\n"
        "def run(options):\n"
        "    import lightning.pytorch\n"
        "    warnings.warn('look')\n"
        "command.run = run\n"
        "sys.exit(main.main(['list']))\n"
    )
    assert python("-c", code).stderr.splitlines()[-1] == "zoo: warning: look"
    assert "<string>:5" in python("-c", code.replace("['list']", "['list', '--debug']")).stderr
