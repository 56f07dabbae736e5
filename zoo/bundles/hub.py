"""Where a bundle comes from: a folder, a registered name, ``hf://`` or an address with a hash."""

from __future__ import annotations

import glob
import os
import re
import urllib.parse
from collections.abc import Iterable
from pathlib import Path

from zoo.bundles.download import fetch
from zoo.bundles.foreign import converted
from zoo.bundles.manifest import MANIFEST, MAX_BYTES, read_manifest
from zoo.bundles.stages import run_of
from zoo.errors import UsageError, ZooError
from zoo.io.cache_folder import cache_folder
from zoo.registry.registry import package_folder, registry

_HASHED = re.compile(r"(https?://[^#]+)#sha256=([0-9a-fA-F]{64})")
_HF = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")


def locate(reference: str | Path) -> Path:
    """The folder of the bundle that a reference names, downloaded if need be.

    Args:
        reference: A run folder, a bundle folder, a folder or zip of another library's bundle that
            a plugin reads, ``recipe:NAME`` for the newest finished run of a recipe, a registered
            checkpoint's name,
            ``hf://owner/repo[@revision]``, or ``https://host/path/bundle.json#sha256=...``
            (the hash of ``bundle.json``, which holds those of the other files beside it).

    Raises:
        UsageError: there is no such bundle, or the address carries no hash.
        ZooError: it cannot be downloaded, or what came has another hash.
    """
    text = str(reference)
    if "://" in text:
        return _download(text)
    run = run_of(reference)
    path = run.path
    if (path / MANIFEST).is_file():
        return path
    if run.recipe_file.is_file():
        if (run.bundle / MANIFEST).is_file():
            return run.bundle
        if reason := run.environment.get("untested"):
            raise UsageError(
                f"the run {path} has no bundle, as it is {reason}: train what it found with "
                f"`zoo train {run.recipe_file}`"
            )
        raise UsageError(
            f"the run {path} has no bundle yet: finish it with "
            f"`zoo train {run.recipe.name} --resume {path}`"
        )
    return converted(path) or _registered(text, path)


def _registered(text: str, path: Path) -> Path:
    """The folder of the checkpoint of that name, if it is not rather a folder that is no bundle."""
    if path.exists():
        raise UsageError(f"{text} holds neither {MANIFEST} (a bundle) nor recipe.yaml (a run)")
    if os.sep in text and text.startswith((".", os.sep, "~")):
        raise UsageError(f"there is no folder {text!r}")
    location = registry().checkpoint(text).location
    if "://" in location:
        return _download(location)
    packaged = package_folder(location)
    if packaged is None:
        raise ZooError(f"the checkpoint {text!r} is not in its package at {location}: reinstall it")
    return packaged


def _download(address: str) -> Path:
    if address.startswith("hf://"):
        return _from_hugging_face(address)
    found = _HASHED.fullmatch(address)
    if not found:
        raise UsageError(
            f"{address} carries no hash, so nothing tells whether what comes is what was meant: "
            "write https://.../bundle.json#sha256=<64 hexadecimal digits>"
        )
    url, sha256 = found[1], found[2].lower()
    folder = cache_folder() / "bundles" / sha256
    fetch(url, folder / MANIFEST, sha256, MAX_BYTES)
    manifest = read_manifest(folder, f"give the address of the bundle's {MANIFEST}, not {url}")
    for name, stated in manifest["files"].items():
        beside = urllib.parse.urljoin(url, urllib.parse.quote(name))
        fetch(beside, folder / name, stated["sha256"], stated["size"])
    return folder


def hub_address(address: str) -> tuple[str, str | None]:
    """Repository and revision of ``hf://owner/repo[@revision]``.

    Raises:
        UsageError: it is not of that form.
    """
    found = _HF.fullmatch(address)
    if not found:
        raise UsageError(f"{address} is not of the form hf://owner/repo[@revision]")
    return found[1], found[2]


def _from_hugging_face(address: str) -> Path:
    owner_and_name, revision = hub_address(address)
    folder = _snapshot(address, owner_and_name, revision, [MANIFEST])
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{address} is not a zoo bundle: it has no {MANIFEST}")
    files = read_manifest(folder, f"ask the owner of {address} for a whole bundle")["files"]
    return _snapshot(address, owner_and_name, revision, [MANIFEST, *files])


def _snapshot(address: str, repository: str, revision: str | None, names: Iterable[str]) -> Path:
    """The folder with these files of a repository; without a network, what the cache holds."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        folder = snapshot_download(
            repository,
            revision=revision,
            cache_dir=cache_folder() / "hf",
            allow_patterns=[glob.escape(name) for name in names],
        )
    except HFValidationError as error:
        raise UsageError(f"{address} is not the address of a repository: {error}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ZooError(f"{address} cannot be fetched: {reason}") from error
    return Path(folder)
