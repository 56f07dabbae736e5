"""Bundles that are damaged, or were made to harm, and sealed again by whoever made them."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hostile.trial import Kinds, command, fell

WEIGHTS = "model.safetensors"
MANIFEST = "bundle.json"


def seal(bundle: Path, content: dict[str, Any]) -> None:
    """Write a manifest with hashes that fit the files and itself, as anybody can."""
    from zoo.bundles.manifest import content_hash

    files = content.get("files")
    for name, stated in files.items() if isinstance(files, dict) else ():
        if (bundle / name).is_file() and isinstance(stated, dict) and "sha256" in stated:
            data = (bundle / name).read_bytes()
            stated |= {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
    content["sha256"] = content_hash(content)
    (bundle / MANIFEST).write_text(json.dumps(content))


def edit(bundle: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and seal it."""
    content = json.loads((bundle / MANIFEST).read_text())
    change(content)
    seal(bundle, content)


def _arguments(**changes: Any) -> Callable[[Path], None]:
    return lambda bundle: edit(bundle, lambda c: c["model"]["arguments"].update(changes))


def _without(name: str) -> Callable[[Path], None]:
    return lambda bundle: edit(bundle, lambda c: c["model"]["arguments"].pop(name))


def _field(section: str, value: Any) -> Callable[[Path], None]:
    return lambda bundle: edit(bundle, lambda c: c.update({section: value}))


def _lost(section: str) -> Callable[[Path], None]:
    return lambda bundle: edit(bundle, lambda c: c.pop(section))


def _text(content: bytes) -> Callable[[Path], object]:
    return lambda bundle: (bundle / MANIFEST).write_bytes(content)


def _tensors(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(bundle / WEIGHTS)
        change(tensors)
        save_file(tensors, bundle / WEIGHTS)
        edit(bundle, lambda content: None)

    return damage


def _header(header: bytes, body: bytes = b"", length: int | None = None) -> Callable[[Path], None]:
    """A weights file of one's own, with hashes that fit."""

    def damage(bundle: Path) -> None:
        stated = len(header) if length is None else length
        (bundle / WEIGHTS).write_bytes(struct.pack("<Q", stated) + header + body)
        edit(bundle, lambda content: None)

    return damage


def _one(shape: list[int], dtype: str = "F32", end: int = 4) -> bytes:
    tensor = {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}
    return json.dumps({"body.0.weight": tensor}).encode()


def _file(name: str) -> Callable[[Path], None]:
    """A manifest that lists a file of an odd name."""
    return lambda bundle: edit(bundle, lambda c: c["files"].update({name: c["files"][WEIGHTS]}))


def _flip(bundle: Path) -> None:
    data = bytearray((bundle / WEIGHTS).read_bytes())
    data[-1] ^= 1
    (bundle / WEIGHTS).write_bytes(data)


def _instead(name: str, put: Callable[[Path], object]) -> Callable[[Path], None]:
    def damage(bundle: Path) -> None:
        (bundle / name).unlink()
        put(bundle / name)

    return damage


DAMAGES: dict[str, Callable[[Path], object]] = {
    "weights missing": lambda bundle: (bundle / WEIGHTS).unlink(),
    "weights truncated": lambda bundle: os.truncate(bundle / WEIGHTS, 100),
    "weights of a flipped bit": _flip,
    "weights a folder": _instead(WEIGHTS, Path.mkdir),
    "weights a circle of links": _instead(WEIGHTS, lambda path: path.symlink_to(path)),
    "manifest missing": lambda bundle: (bundle / MANIFEST).unlink(),
    "manifest a folder": _instead(MANIFEST, Path.mkdir),
    "manifest changed": lambda bundle: (bundle / MANIFEST).write_text(
        (bundle / MANIFEST).read_text().replace("toy-net", "toy-cnn")
    ),
    "header longer than the file": _header(b"{}", length=2**40),
    "header of 2**63 bytes": _header(b"{}", length=2**63),
    "header that is no JSON": _header(b"{,}"),
    "header nested deep": _header(b'{"a":' * 100_000),
    "header of an empty file": _header(b"", length=0),
    "header of a huge shape": _header(_one([2**40, 2**20]), bytes(4)),
    "header of a shape that overflows": _header(_one([2**63, 2**63]), bytes(4)),
    "header of an empty huge shape": _header(_one([0, 2**63], end=0)),
    "header of another shape than its bytes": _header(_one([2]), bytes(4)),
    "header of a negative shape": _header(_one([-1]), bytes(4)),
    "header of an unknown dtype": _header(_one([1], "F1"), bytes(4)),
    "header of offsets outside": _header(_one([1], end=2**40), bytes(4)),
    "header of no tensors": _header(b"{}"),
    "file outside": _file("../outside"),
    "file of an absolute name": _file("/etc/passwd"),
    "file in a folder": _file("a/b"),
    "file without a name": _file(""),
    "file of a control character": _file("a\x1b[2Jb"),
    "JSON cut": lambda bundle: os.truncate(bundle / MANIFEST, 200),
    "JSON of nothing": _text(b""),
    "JSON list": _text(b"[]"),
    "JSON nested deep": _text(b"[" * 1_000_000),
    "JSON of endless digits": _text(b'{"format": ' + b"9" * 20_000 + b"}"),
    "JSON not UTF-8": _text(b'{"format": "\xff"}'),
    "JSON too large": _text(b'{"format": 2, "x": "' + b"x" * (5 << 20) + b'"}'),
    "format negative": _field("format", -5),
    "format true": _field("format", True),
    "format of tomorrow": _field("format", 99),
    "field model missing": _lost("model"),
    "field recipe a list": _field("recipe", []),
    "field files a list": _field("files", ["model.safetensors"]),
    "field plugin null": _field("plugin", None),
    "field metrics a text": _field("metrics", "good"),
    "field facts missing": _lost("facts"),
    "plugin that is not installed": _field(
        "plugin", {"name": "x", "distribution": "x; rm -rf ~", "version": "1"}
    ),
    "model that is not registered": lambda bundle: edit(
        bundle, lambda c: c["model"].update(name="os:system")
    ),
    "argument of a billion units": _arguments(hidden=10**9),
    "argument of 30 digits": _arguments(hidden=10**30),
    "argument that is negative": _arguments(hidden=-4),
    "argument that is a text": _arguments(hidden="many"),
    "argument that is nothing": _arguments(features=None),
    "argument of a list of thousands": _arguments(betas=["x"] * 20_000),
    "argument nested deep": _arguments(betas=json.loads("[" * 90 + "]" * 90)),
    "argument that is unknown": _arguments(unknown=1),
    "argument that is missing": _without("features"),
    "arguments by the thousand": _arguments(**{f"k{number}": 1 for number in range(50_000)}),
    "tensor missing": _tensors(lambda tensors: tensors.pop("classifier.bias")),
    "tensor too many": _tensors(lambda t: t.update(more=t["classifier.bias"].clone())),
    "tensor of another shape": _tensors(
        lambda t: t.update({"classifier.bias": t["classifier.bias"][:1].clone()})
    ),
    "tensor of int8": _tensors(
        lambda t: t.update({"classifier.bias": t["classifier.bias"].char()})
    ),
    "tensor of complex64": _tensors(
        lambda t: t.update({"classifier.bias": t["classifier.bias"].cfloat()})
    ),
    "tensor of bool": _tensors(
        lambda t: t.update({"classifier.bias": t["classifier.bias"].bool()})
    ),
    "tensors of a thousand first names": _tensors(
        lambda t: t.update({f"part{n}.x": t["classifier.bias"].clone() for n in range(3000)})
    ),
}
"""What is refused, by what is done to a sealed bundle of the recipe toy/points."""

TOLD: dict[str, tuple[Callable[[Path], object], str]] = {
    "tensors of float64": (
        _tensors(lambda t: t.update({n: v.double() for n, v in t.items()})),
        "tensors are rounded",
    ),
    "tensors of NaN": (
        _tensors(lambda t: t["classifier.bias"].fill_(float("nan"))),
        "hold NaN, not a number",
    ),
    "files that are not listed": (
        lambda bundle: (bundle / "payload.py").write_text("raise SystemExit"),
        "does not list: ignored",
    ),
}
"""What is taken, with a word."""


def _refused(damage: Callable[[Path], object], whole: Path, words: str, folder: Path) -> str:
    bundle = Path(shutil.copytree(whole, folder / "bundle"))
    damage(bundle)
    told = command(words, "bundle", "--out", "out", inside=folder)
    if (folder / "out").exists():
        return "something was written"
    return fell(told)


def _told(damage: Callable[[Path], object], says: str, whole: Path, folder: Path) -> str:
    bundle = Path(shutil.copytree(whole, folder / "bundle"))
    damage(bundle)
    return fell(command("test", "bundle", inside=folder), (0,), says=[says])


def kinds(bundle: Path) -> Kinds:
    """Every kind.

    Args:
        bundle: A sound bundle of the recipe toy/points; copied.
    """
    return {
        **{name: partial(_refused, each, bundle, "test") for name, each in DAMAGES.items()},
        **{
            f"finetune: {name}": partial(_refused, each, bundle, "finetune")
            for name, each in DAMAGES.items()
            if name.startswith("argument")
        },
        **{name: partial(_told, *both, bundle) for name, both in TOLD.items()},
    }
