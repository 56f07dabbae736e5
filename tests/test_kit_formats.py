"""Formats of ``zoo export`` that plugins bring."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from small_plugin import PLUGIN, Faults, Faulty, assert_fails, checks_of, make

from zoo import train
from zoo.errors import UsageError, ZooError
from zoo.inference.export import export

CODE = """
import copy, io
import torch

def convert(network, samples):
    file = io.BytesIO()
    torch.save(network.state_dict(), file)
    return file.getvalue(), copy.deepcopy(network)

def wrong(network, samples):
    return b"wrong", lambda inputs: network(inputs) + 1

def broken(network, samples):
    return 1 / 0
"""


def formats(*functions: str) -> Faults:
    entries = ", ".join(
        f"ExportFormat({name!r}, 'zoo_small.formats:{name}', 'A format')" for name in functions
    )
    hook = f"\n@hookimpl\ndef zoo_export_formats():\n    return [{entries}]\n"
    return {
        "plugin": PLUGIN.replace("import Checkpoint,", "import Checkpoint, ExportFormat,") + hook,
        "formats": CODE,
    }


@pytest.fixture
def without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """ONNX takes seconds, and has tests of its own."""
    monkeypatch.setitem(sys.modules, "onnx", None)


@pytest.fixture
def trained(write: Callable) -> Path:
    write(formats("convert", "wrong", "broken", "absent"))
    return train("small/first", {"trainer.max_epochs": 1}, out="run").path


def test_a_plugins_format(trained: Path, zoo: Callable) -> None:
    done = zoo("export", trained, "--format", "convert", "--out", "net.pt")
    assert done.status == 0, done.err
    assert Path("net.pt").stat().st_size > 100


FAULTY: Faulty = [
    ("converts", "export format", formats("wrong"), "its outputs differ by"),
    ("converts", "export format", formats("broken"), "division by zero"),
    ("converts", "export format", formats("absent"), "which does not exist"),
    ("export-formats", "model", formats("wrong"), "differs from the model"),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable,
    without_onnx: None,
    check: str,
    kind: str,
    faults: Faults,
    note: str,
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("formats")


def test_the_kit_passes_a_sound_format(write: Callable, without_onnx: None) -> None:
    write(formats("convert"))
    assert make("converts", "export format").outcome == "passed"
    result = make("export-formats", "model")
    assert (result.outcome, result.note) == ("passed", "convert: difference 0.0e+00")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("wrong", "differs from the model"),
        ("broken", "cannot be exported to broken: division by zero"),
        ("absent", "which does not exist"),
    ],
)
def test_a_faulty_format_writes_nothing(trained: Path, name: str, told: str) -> None:
    with pytest.raises(ZooError, match=told):
        export(trained, name, "net.pt")
    assert not Path("net.pt").exists()


def test_an_unknown_format_is_a_wrong_call(trained: Path, zoo: Callable) -> None:
    with pytest.raises(UsageError, match="did you mean 'convert'"):
        export(trained, "conver", "net.pt")
    done = zoo("export", trained, "--format", "tape", "--out", "net.pt")
    assert done.status == 2
    assert "there are torch-export, onnx, convert, wrong, broken, absent" in done.err
