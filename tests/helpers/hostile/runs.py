"""Run folders with damaged checkpoints, logs and notes; ``--resume`` is what is tried."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hostile.trial import Kinds, command, fell


def flip(path: Path, bit: int) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "a bit is flipped": lambda path: flip(path, 4 * path.stat().st_size),
    "its end is missing": lambda path: os.truncate(path, path.stat().st_size - 100),
    "it is empty": lambda path: path.write_bytes(b""),
    "it is something else": lambda path: path.write_text("no checkpoint"),
}
"""Of a checkpoint; the one before it is used."""
LOGS: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "cut off": lambda path: os.truncate(path, path.stat().st_size // 2),
    "binary": lambda path: path.write_bytes(b"\xff\0\xfe" * 99),
    "of another kind": lambda path: path.write_text('["a", 1]\n2,b\n\n3'),
    "nested deep": lambda path: path.write_text("[" * 100_000),
    "of endless digits": lambda path: path.write_text('{"seed": ' + "9" * 9000 + "}"),
}
"""Of a log or a note; the run goes on without."""


def _content(content: Any) -> Callable[[Path], None]:
    def damage(path: Path) -> None:
        import torch

        torch.save(content, path)

    return damage


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


OTHERS: dict[str, Callable[[Path], Any]] = {
    "a checkpoint without weights": _content({"state_dict": {}}),
    "a checkpoint that is a list": _content([1, 2]),
    "a checkpoint that is a folder": _folder,
}
"""Of both checkpoints; refused."""
RECIPES: dict[str, Callable[[Path], Any]] = {
    "missing": Path.unlink,
    "empty": lambda path: path.write_text(""),
    "binary": lambda path: path.write_bytes(b"\xff\0\xfe"),
    "of a key twice": lambda path: path.write_text(path.read_text() + "seed: 4\n"),
    "of another model": lambda path: path.write_text(path.read_text().replace("toy-net", "x")),
    "nested deep": lambda path: path.write_text("{a: " * 9000),
}
"""Of recipe.yaml; refused."""


def _continues(damage: Callable[[Path], Any], name: str, cut: Path, folder: Path) -> str:
    run = Path(shutil.copytree(cut, folder / "run"))
    whole = Path(shutil.copytree(cut, folder / "whole"))
    (run / name).touch()
    damage(run / name)
    for each in ("whole", "run"):
        if said := fell(command("train", "toy/points", "--resume", each, inside=folder), (0,)):
            return said
    one, other = (each / "bundle" / "model.safetensors" for each in (run, whole))
    return "" if one.read_bytes() == other.read_bytes() else "the weights are others"


def _refused(damage: Callable[[Path], Any], names: list[str], cut: Path, folder: Path) -> str:
    run = Path(shutil.copytree(cut, folder / "run"))
    for name in names:
        damage(run / name)
    return fell(command("train", "toy/points", "--resume", "run", inside=folder))


LAST, PREVIOUS = "checkpoints/last.ckpt", "checkpoints/previous.ckpt"


def kinds(cut: Path) -> Kinds:
    """Every kind.

    Args:
        cut: A run of the recipe toy/points that was killed, with two checkpoints; copied.
    """
    logs = ("metrics.csv", "metrics.json", "environment.json")
    both = [LAST, PREVIOUS]
    return {
        **{f"last.ckpt: {k}": partial(_continues, v, LAST, cut) for k, v in DAMAGES.items()},
        **{f"both: {k}": partial(_refused, v, both, cut) for k, v in {**DAMAGES, **OTHERS}.items()},
        **{f"recipe {k}": partial(_refused, v, ["recipe.yaml"], cut) for k, v in RECIPES.items()},
        **{f"{log} {k}": partial(_continues, v, log, cut) for log in logs for k, v in LOGS.items()},
    }
