"""Bundles of other libraries, as plugins read them, kept as bundles of the zoo."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.bundles.manifest import FORMAT, MANIFEST, WEIGHTS, content_hash
from zoo.errors import UsageError
from zoo.io.atomic import replace_folder
from zoo.io.cache_folder import cache_folder
from zoo.registry.registry import registry

if TYPE_CHECKING:
    from zoo.plugin.entries import BundleFormat
    from zoo.plugin.foreign import ForeignBundle

MOST_MEMBERS = 10_000
"""Of a zip that is looked into."""


def converted(path: Path) -> Path | None:
    """The folder of a bundle of the zoo, made of what a registered format knows in a folder or a
    zip; None if none knows it.

    Raises:
        UsageError: it cannot be read.
    """
    found = _format_of(path)
    if found is None:
        return None
    read = registry().load_function(found)
    return _write(read(path), path)


def _format_of(path: Path) -> BundleFormat | None:
    formats = registry().bundle_formats.values()
    if path.is_dir():
        return next((each for each in formats if (path / each.marker).is_file()), None)
    if path.suffix != ".zip" or not path.is_file():
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UsageError(f"{path} is not a readable zip file ({error}): fetch it again") from error
    if len(names) > MOST_MEMBERS:
        raise UsageError(f"{path} holds {len(names):,} files, more than any bundle: unpack it")
    return next(
        (
            each
            for each in formats
            if any(name == each.marker or name.endswith(f"/{each.marker}") for name in names)
        ),
        None,
    )


def _write(read: ForeignBundle, source: Path) -> Path:
    from safetensors.torch import save

    from zoo.io.rank_zero import rank_zero_print

    tensors = {name: tensor.detach().clone() for name, tensor in read.weights.items()}
    weights = save({n: t.contiguous() for n, t in tensors.items()}, metadata={"format": "pt"})
    content = _content(read)
    sha256 = hashlib.sha256(weights).hexdigest()
    content["files"] = {WEIGHTS: {"sha256": sha256, "size": len(weights)}}
    content["sha256"] = content_hash(content)
    folder = cache_folder() / "bundles" / str(content["sha256"])
    if not (folder / MANIFEST).is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(content, indent=2) + "\n"
        replace_folder(folder, {WEIGHTS: weights, MANIFEST: text.encode()})
    rank_zero_print(f"{source} is read as a {read.model}; nothing in it is run")
    for note in read.notes:
        rank_zero_print(f"{source}: {note}")
    return folder


def _content(read: ForeignBundle) -> dict[str, Any]:
    owner = registry().owner(registry().model(read.model).entry)
    arguments: Mapping[str, Any] = dict(read.arguments)
    kept = {k: v for k, v in arguments.items() if k not in read.facts and v is not None}
    return {
        "format": FORMAT,
        "created": "",
        "model": {"name": read.model, "arguments": arguments},
        "plugin": {
            "name": owner.name,
            "distribution": owner.distribution,
            "version": owner.version,
        },
        "preprocessing": dict(read.preprocessing),
        "facts": dict(read.facts),
        "recipe": {
            "name": "converted",
            "about": {},
            "seed": 0,
            "model": {"name": read.model, **kept},
            "data": {"name": read.data, **read.data_arguments},
            "trainer": {"max_epochs": 10},
        },
        "metrics": {"values": {}, "command": "", "seed": 0},
        "license": {"weights": read.license or "not stated", "data": "not stated"},
        "versions": {},
        "origin": {},
    }
