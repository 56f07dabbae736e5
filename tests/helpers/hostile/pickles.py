"""Pickles that run code when they are loaded, wherever a checkpoint can be put."""

from __future__ import annotations

import builtins
import os
import pickle
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hostile.trial import Kinds, command, fell


class _Calls:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def _touch(mark: Path) -> str:
    return f"touch '{mark}'"


def _saved(payload: Callable[[Path], object], **options: Any) -> Callable[[Path, Path], None]:
    def write(file: Path, mark: Path) -> None:
        import torch

        content = torch.load(file, weights_only=True)
        torch.save({**content, "payload": payload(mark)}, file, **options)

    return write


def _raw(file: Path, mark: Path) -> None:
    code = f"open({str(mark)!r}, 'w')"
    file.write_bytes(pickle.dumps({"state_dict": _Calls(builtins.exec, code)}, protocol=4))


PAYLOADS: dict[str, Callable[[Path, Path], None]] = {
    "os.system": _saved(lambda mark: _Calls(os.system, _touch(mark))),
    "subprocess": _saved(lambda mark: _Calls(subprocess.getoutput, _touch(mark))),
    "eval, not zipped": _saved(
        lambda mark: _Calls(builtins.eval, f"open({str(mark)!r}, 'w')"),
        _use_new_zipfile_serialization=False,
    ),
    "exec, not torch's": _raw,
}
PLACES: dict[str, tuple[str, ...]] = {
    "init_from": ("train", "toy/points", "--init_from.reference", "{}", "--out", "out"),
    "resume": ("train", "toy/points", "--resume", "run"),
    "predict": ("predict", "{}", "x.txt", "--out", "out"),
    "test": ("test", "{}", "--out", "out"),
    "finetune": ("finetune", "{}", "--out", "out"),
    "export": ("export", "{}", "--format", "torch-export", "--out", "out"),
}


def _refused(
    write: Callable[[Path, Path], None], words: tuple[str, ...], cut: Path, folder: Path
) -> str:
    shutil.copytree(cut, folder / "run")
    checkpoints = folder / "run" / "checkpoints"
    mark = folder / "PWNED"
    for file in checkpoints.glob("*.ckpt"):
        write(file, mark)
    file = "run/checkpoints/last.ckpt"
    told = command(*(word.format(file) for word in words), inside=folder)
    if mark.exists():
        return "code ran"
    return "something was written" if (folder / "out").exists() else fell(told)


def kinds(cut: Path) -> Kinds:
    """Every payload at every place.

    Args:
        cut: A run of the recipe toy/points that did not end; copied.
    """
    return {
        f"{payload} by {place}": partial(_refused, write, words, cut)
        for payload, write in PAYLOADS.items()
        for place, words in PLACES.items()
    }
