"""Caches that cannot be written, are full, or can only be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from file_server import Server, reference

from zoo.bundles.download import fetch, file_hash
from zoo.bundles.hub import locate
from zoo.errors import ZooError


@pytest.mark.parametrize("place", ["a file", "in a file", "/proc/none", "part", "target"])
def test_a_cache_that_cannot_be_written(
    place: str, server: Server, large: Path, tmp_path: Path, zoo: Callable, monkeypatch: Any
) -> None:
    (tmp_path / "file").touch()
    places = {"a file": tmp_path / "file", "in a file": tmp_path / "file" / "cache"}
    cache = places.get(place, Path(place) if place.startswith("/") else tmp_path / "cache")
    monkeypatch.setenv("ZOO_CACHE", str(cache))
    folder = cache / "bundles" / file_hash(large)
    if place in ("part", "target"):
        (folder / ("bundle.json.part" if place == "part" else "bundle.json")).mkdir(parents=True)
    done = zoo("test", reference(server, "large"))
    assert done.status == 1
    assert f"{folder / 'bundle.json'} cannot be written (" in done.err
    assert "make room there, or set ZOO_CACHE to a folder that can be written" in done.err
    assert done.err.count("\n") == 1


def test_a_disk_without_room_is_not_filled(
    server: Server, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ZooError, match=r"may have 1024000 bytes and .* has room for 1000: make"):
        fetch(f"{server.address}/large", tmp_path / "t", file_hash(large), large.stat().st_size)
    assert server.sent == []


def test_a_cache_that_can_only_be_read_still_serves(
    bundle: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = locate(reference(server))
    monkeypatch.setattr("zoo.bundles.download.FileLock", lambda _: pytest.fail("it was locked"))
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: pytest.fail("something was made"))
    assert locate(reference(server)) == folder
