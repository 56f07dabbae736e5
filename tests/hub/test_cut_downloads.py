"""Downloads that are cut are continued, and nothing is downloaded twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from file_server import Server, reference

from zoo.bundles.download import fetch, file_hash
from zoo.errors import ZooError


def test_a_cut_download_is_continued(server: Server, large: Path, tmp_path: Path) -> None:
    target, size, kept = tmp_path / "target", large.stat().st_size, 300_000
    server.cut["large"] = kept
    with pytest.raises(ZooError, match=r"cannot be fetched.*is kept and continued"):
        fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert not target.exists()
    assert (tmp_path / "target.part").stat().st_size == kept
    fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert target.read_bytes() == large.read_bytes()
    assert server.asked("large") == [("", kept), (f"bytes={kept}-", size - kept)]
    assert not (tmp_path / "target.part").exists()


def test_a_cut_bundle_is_continued(bundle: Path, server: Server, zoo: Callable) -> None:
    server.cut["model.safetensors"] = 100
    first = zoo("test", reference(server), "--json")
    assert first.status == 1
    assert "the connection was cut" in first.err
    assert zoo("test", reference(server), "--json").status == 0
    size = (bundle / "model.safetensors").stat().st_size
    assert server.asked("model.safetensors") == [("", 100), ("bytes=100-", size - 100)]
    assert len(server.asked("bundle.json")) == 1


def test_a_server_that_cannot_continue_sends_all(
    server: Server, large: Path, tmp_path: Path
) -> None:
    server.ranges = False
    target = tmp_path / "target"
    (tmp_path / "target.part").write_bytes(large.read_bytes()[:1000])
    fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert target.read_bytes() == large.read_bytes()


def test_a_download_cut_after_its_last_byte(server: Server, large: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    (tmp_path / "target.part").write_bytes(large.read_bytes())
    fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert target.read_bytes() == large.read_bytes()
    assert server.asked("large")[0][1] == 0


def test_a_wrong_start_is_not_kept(server: Server, large: Path, tmp_path: Path) -> None:
    """The part of another file under the same name: refused once, right the next time."""
    target = tmp_path / "target"
    (tmp_path / "target.part").write_bytes(b"x" * 1000)
    with pytest.raises(ZooError, match="has the hash"):
        fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert list(tmp_path.glob("target*")) == []
    fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)


def test_a_full_disk_while_downloading(
    server: Server, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"what was there before")
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (tmp_path / "target.part").symlink_to("/dev/full")
    with pytest.raises(ZooError, match="No space left on device"):
        fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert target.read_bytes() == b"what was there before"
