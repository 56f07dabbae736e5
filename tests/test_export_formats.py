"""Formats of ``zoo export`` that plugins bring."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from small_plugin import PLUGIN, Faults

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
def trained(write: Callable) -> Path:
    write(formats("convert", "wrong", "broken", "absent"))
    return train("small/first", {"trainer.max_epochs": 1}, out="run").path


def test_a_plugins_format(trained: Path, zoo: Callable) -> None:
    done = zoo("export", trained, "--format", "convert", "--out", "net.pt")
    assert done.status == 0, done.err
    assert Path("net.pt").stat().st_size > 100
    assert zoo("plugin", "check", "small", "--json").out.count('"failed"') == 0


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
