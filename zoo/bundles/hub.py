"""Where a bundle comes from: a folder, a registered name, ``hf://`` or an address with a hash."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from zoo.errors import UsageError, ZooError
from zoo.registry.registry import package_folder, registry
from zoo.runs.run import Run

MANIFEST = "bundle.json"
_HASHED = re.compile(r"(https?://[^#]+)#sha256=([0-9a-fA-F]{64})")
_HF = re.compile(r"hf://([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_CHUNK = 1 << 20


def cache_folder() -> Path:
    """The one place for downloads: ``$ZOO_CACHE``, or ``zoo`` in the user's cache folder."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "zoo"
    return Path(os.environ.get("ZOO_CACHE", default))


def locate(reference: str | Path) -> Path:
    """The folder of the bundle that a reference names, downloaded if need be.

    Args:
        reference: A run folder, a bundle folder, a registered checkpoint's name,
            ``hf://owner/repo[@revision]``, or ``https://host/path/bundle.json#sha256=...``
            (the hash of ``bundle.json``, which holds those of the other files beside it).

    Raises:
        UsageError: there is no such bundle, or the address carries no hash.
        ZooError: it cannot be downloaded, or what came has another hash.
    """
    text = str(reference)
    if "://" in text:
        return _download(text)
    path = Path(reference)
    if (path / MANIFEST).is_file():
        return path
    run = Run(path)
    if run.recipe_file.is_file():
        if (run.bundle / MANIFEST).is_file():
            return run.bundle
        raise UsageError(
            f"the run {path} has no bundle yet: finish it with "
            f"`zoo train {run.recipe.name} --resume {path}`"
        )
    if path.exists():
        raise UsageError(f"{text} holds neither {MANIFEST} (a bundle) nor recipe.yaml (a run)")
    if os.sep in text and text.startswith((".", os.sep, "~")):
        raise UsageError(f"there is no folder {text!r}")
    location = registry().checkpoint(text).location
    if "://" in location:
        return _download(location)
    folder = package_folder(location)
    if folder is None:
        raise ZooError(f"the checkpoint {text!r} is not in its package at {location}: reinstall it")
    return folder


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
    description = folder / MANIFEST
    fetch(url, description, sha256)
    for name, facts in _listed_files(description).items():
        fetch(urllib.parse.urljoin(url, urllib.parse.quote(name)), folder / name, facts["sha256"])
    return folder


def _listed_files(description: Path) -> dict[str, Any]:
    try:
        files = json.loads(description.read_text(encoding="utf-8"))["files"]
        files = {name: facts for name, facts in files.items() if facts["sha256"]}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"what was downloaded as {description} is not a {MANIFEST}: give the address of the "
            f"bundle's {MANIFEST}"
        ) from error
    for name in files:
        if not is_file_name(name):
            raise UsageError(
                f"the bundle {description.parent} names a path outside itself: {name!r}"
            )
    return files


def is_file_name(name: str) -> bool:
    """Whether ``name`` can only be a file right inside a folder, on any system."""
    return name not in ("", ".", "..") and not set(name) & set("/\\:\0")


def fetch(url: str, path: Path, sha256: str) -> None:
    """Download a file once; an interrupted download is continued, a wrong one never kept.

    Args:
        url: Where it is.
        path: Where it goes. Nothing is downloaded if it is there with the right hash.
        sha256: Its hash, in hexadecimal.

    Raises:
        ZooError: the address does not answer, or what came has another hash.
    """
    if path.is_file() and file_hash(path) == sha256:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            continued = answer.status == 206
            missing = int(answer.headers.get("Content-Length") or 0)
            with part.open("ab" if continued else "wb") as file:
                while chunk := answer.read(_CHUNK):
                    file.write(chunk)
                    missing -= len(chunk)
            if missing > 0:  # a closed connection alone raises nothing
                raise ConnectionError(f"the connection was cut {missing} bytes before the end")
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: there is nothing after what we have
            raise ZooError(f"{url} answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:  # URLErrors, time-outs are OSErrors
        reason = getattr(error, "reason", error)
        raise ZooError(
            f"{url} cannot be fetched ({reason}): check the address and the network; what came so "
            "far is kept and continued"
        ) from error
    found = file_hash(part)
    if found != sha256:
        part.unlink()
        raise ZooError(
            f"{url} has the hash {found}, not {sha256}: it was changed or damaged, and was not kept"
        )
    part.replace(path)


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hugging_face(address: str) -> Path:
    found = _HF.fullmatch(address)
    if not found:
        raise UsageError(f"{address} is not of the form hf://owner/repo[@revision]")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:  # without a network, what the cache holds is taken
        folder = Path(
            snapshot_download(
                found[1],
                revision=found[2],
                cache_dir=cache_folder() / "hf",
                allow_patterns=[MANIFEST, "*.safetensors", "*.md"],
            )
        )
    except HFValidationError as error:
        raise UsageError(f"{address} is not the address of a repository: {error}") from error
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ZooError(f"{address} cannot be fetched: {reason}") from error
    if not (folder / MANIFEST).is_file():
        raise UsageError(f"{address} is not a zoo bundle: it has no {MANIFEST}")
    return folder
