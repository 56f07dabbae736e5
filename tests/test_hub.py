"""Downloads are verified, continued where they were cut, and not repeated."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

import zoo as package
from zoo.bundles.download import fetch, file_hash
from zoo.bundles.hub import cache_folder, locate
from zoo.bundles.manifest import content_hash
from zoo.errors import UsageError, ZooError
from zoo.registry.registry import registry
from zoo.training.train import train


@dataclass
class Server:
    """What a server on this machine sends, and what it was asked for.

    Attributes:
        folder: The files it serves.
        address: Where it answers.
        cut: Path to the number of bytes after which its first answer ends.
        ranges: Whether it continues a download.
        sent: Path and range of every answer, and the bytes sent.
    """

    folder: Path
    address: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None

    def asked(self, name: str) -> list[tuple[str, int]]:
        return [(span, count) for path, span, count in self.sent if path == f"/{name}"]


def serve(server: Server) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = server.folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            data, status = path.read_bytes(), 200
            span = self.headers.get("Range", "")
            found = re.fullmatch(r"bytes=(\d+)-", span)
            if found and server.ranges:
                start, status = int(found[1]), 206
                if start >= len(data):
                    server.sent.append((self.path, span, 0))
                    self.send_error(416)
                    return
                data = data[start:]
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            data = data[: server.cut.pop(self.path.lstrip("/"), len(data))]
            server.sent.append((self.path, span, len(data)))  # noted before the client has it
            self.wfile.write(data)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Say nothing."""

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def stop() -> None:
        running.shutdown()
        running.server_close()
        thread.join()

    server.address = f"http://127.0.0.1:{running.server_port}"
    server.stop = stop


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "served")
    server.folder.mkdir()
    serve(server)
    yield server
    server.stop()


@pytest.fixture
def bundle(toy: Any, server: Server) -> Path:
    """A trained bundle, served."""
    settings = {"trainer.max_epochs": 1, "trainer.logger": False}
    run = train("toy/points", {**settings, "trainer.enable_progress_bar": False}, out="run")
    shutil.copytree(run.bundle, server.folder, dirs_exist_ok=True)
    return server.folder


def reference(server: Server, name: str = "bundle.json") -> str:
    return f"{server.address}/{name}#sha256={file_hash(server.folder / name)}"


def cached() -> list[str]:
    files = (path for path in cache_folder().rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.suffix != ".lock")


FILES = ["README.md", "bundle.json", "model.safetensors"]


# A bundle at an address


def test_downloaded_verified_and_loaded(bundle: Path, server: Server) -> None:
    address = reference(server)
    model = package.load(address)
    points = torch.randn(9, 2)
    with torch.no_grad():
        assert torch.equal(model(points), package.load("run")(points))
    assert cached() == FILES
    assert sorted(path for path, _, _ in server.sent) == [f"/{name}" for name in FILES]
    package.load(address)
    assert len(server.sent) == 3  # nothing twice


def test_works_offline_from_the_cache(bundle: Path, server: Server) -> None:
    address = reference(server)
    before = package.load(address).state_dict()
    server.stop()
    server.stop = lambda: None
    after = package.load(address).state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_hash_in_capitals(bundle: Path, server: Server) -> None:
    url, _, digest = reference(server).rpartition("=")
    assert locate(f"{url}={digest.upper()}") == locate(f"{url}={digest}")


def test_a_damaged_cache_is_fetched_again(bundle: Path, server: Server) -> None:
    folder = locate(reference(server))
    weights = folder / "model.safetensors"
    good = weights.read_bytes()
    weights.write_bytes(good[:-1])
    assert package.load(reference(server))
    assert weights.read_bytes() == good
    assert len(server.asked("model.safetensors")) == 2
    assert len(server.asked("README.md")) == 1


def test_a_registered_checkpoint_at_an_address(bundle: Path, server: Server) -> None:
    # An entry asks for https, which a server on this machine does not speak.
    registry().checkpoints["far-net"] = SimpleNamespace(location=reference(server))  # type: ignore
    assert package.load("far-net").hparams["hidden"] == 16
    assert cached() == FILES


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/bundle.json",
        "https://example.invalid/bundle.json#sha256=abc",
        "https://example.invalid/bundle.json#md5=" + "0" * 64,
        "ftp://example.invalid/bundle.json#sha256=" + "0" * 64,
        "file:///etc/passwd#sha256=" + "0" * 64,
    ],
)
def test_an_address_without_a_hash(toy: Any, zoo: Callable, address: str) -> None:
    done = zoo("test", address)
    assert done.status == 2
    assert "carries no hash" in done.err
    assert "#sha256=<64 hexadecimal digits>" in done.err
    assert cached() == []


def test_a_wrong_hash(bundle: Path, server: Server, zoo: Callable) -> None:
    done = zoo("test", f"{server.address}/bundle.json#sha256={'0' * 64}")
    assert done.status == 1
    assert f"has the hash {file_hash(bundle / 'bundle.json')}, not {'0' * 64}" in done.err
    assert done.err.count("\n") == 1
    assert cached() == []


def test_weights_that_were_exchanged(bundle: Path, server: Server) -> None:
    weights = bundle / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    with pytest.raises(ZooError, match=r"model\.safetensors has the hash .* was not kept"):
        package.load(reference(server))
    assert "model.safetensors" not in cached()
    assert not any(name.endswith(".part") for name in cached())


def test_a_dead_address(toy: Any, zoo: Callable) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = zoo("test", f"http://127.0.0.1:{port}/bundle.json#sha256={'0' * 64}")
    assert done.status == 1
    assert "cannot be fetched (" in done.err
    assert "check the address and the network" in done.err
    assert done.err.count("\n") == 1
    assert cached() == []


def test_an_address_with_nothing_there(server: Server) -> None:
    with pytest.raises(ZooError, match="answers 404 Not Found"):
        locate(f"{server.address}/bundle.json#sha256={'0' * 64}")
    assert cached() == []


def test_a_server_that_speaks_no_http() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"What do you want?\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(ZooError, match="cannot be fetched"):
            locate(f"http://127.0.0.1:{port}/bundle.json#sha256={'0' * 64}")
        thread.join()


@pytest.mark.parametrize("name", ["../../../evil", "..", "a/evil", "..\\evil", ""])
def test_names_that_lead_outside(bundle: Path, server: Server, tmp_path: Path, name: str) -> None:
    for place in (bundle.parent / "evil", bundle / "evil"):
        place.write_bytes(b"evil")
    content = json.loads((bundle / "bundle.json").read_text())
    digest = hashlib.sha256(b"evil").hexdigest()
    content["files"] = {name: {"sha256": digest, "size": 4}, **content["files"]}
    content["sha256"] = content_hash(content)
    (bundle / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(UsageError, match="names a path outside itself"):
        package.load(reference(server))
    assert cached() == ["bundle.json"]
    assert [path for path, _, _ in server.sent] == ["/bundle.json"]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"files": []}', '{"files": {"a": 1}}'])
def test_something_else_at_the_address(server: Server, content: str) -> None:
    (server.folder / "bundle.json").write_text(content)
    with pytest.raises(UsageError, match=r"give the address of the bundle's bundle\.json"):
        locate(reference(server))


def test_the_address_of_the_weights_instead(bundle: Path, server: Server) -> None:
    with pytest.raises(UsageError, match=r"give the address of the bundle's bundle\.json"):
        locate(reference(server, "model.safetensors"))


# Downloads that are cut


@pytest.fixture
def large(server: Server) -> Path:
    path = server.folder / "large"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


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
    assert len(server.asked("bundle.json")) == len(server.asked("README.md")) == 1


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


# Hugging Face


@pytest.fixture
def hugging_face(toy: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[dict[str, Any]]:
    """A hub with one repository, ``me/toy`` at ``main`` and ``v1``; what it was asked for."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    settings = {"trainer.max_epochs": 1, "trainer.logger": False}
    run = train("toy/points", {**settings, "trainer.enable_progress_bar": False}, out="run")
    calls: list[dict[str, Any]] = []

    def snapshot_download(repo_id: str, **options: Any) -> str:
        calls.append({"repo_id": repo_id, **options})
        if repo_id == "me/offline":
            raise LocalEntryNotFoundError("Cannot find the requested files\nin the local cache.")
        if repo_id == "me/other":
            folder = tmp_path / "other"
            folder.mkdir(exist_ok=True)
            return str(folder)
        return str(run.bundle)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


def test_a_repository(hugging_face: list[dict[str, Any]]) -> None:
    for reference, revision in {"hf://me/toy": None, "hf://me/toy@v1": "v1"}.items():
        assert package.load(reference).hparams["hidden"] == 16
        call = hugging_face[-1]
        assert (call["repo_id"], call["revision"]) == ("me/toy", revision)
        assert call["cache_dir"] == cache_folder() / "hf"
        assert set(call["allow_patterns"]) == set(FILES)
        assert hugging_face[-2]["allow_patterns"] == ["bundle.json"]  # which names the others


def test_a_repository_is_verified(hugging_face: list[dict[str, Any]]) -> None:
    weights = Path("run/bundle/model.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is not the file that"):
        package.load("hf://me/toy")


def test_repositories_that_cannot_be_had(hugging_face: list[dict[str, Any]]) -> None:
    with pytest.raises(ZooError, match=r"cannot be fetched: Cannot find.*local cache"):
        package.load("hf://me/offline")
    with pytest.raises(UsageError, match=r"is not a zoo bundle: it has no bundle\.json"):
        package.load("hf://me/other")


@pytest.mark.parametrize(
    "address", ["hf://", "hf://me", "hf://me/a/b", "hf://me/a@", "hf://me/a b"]
)
def test_no_form_of_a_repository(hugging_face: Any, zoo: Callable, address: str) -> None:
    done = zoo("test", address)
    assert done.status == 2
    assert "is not of the form hf://owner/repo[@revision]" in done.err
    assert hugging_face == []


def test_no_name_of_a_repository(toy: Any, zoo: Callable) -> None:
    done = zoo("test", "hf://me/a--b..git")
    assert done.status == 2
    assert "is not the address of a repository" in done.err


def test_offline_without_anything_cached(toy: Any, zoo: Callable, monkeypatch: Any) -> None:
    """The hub's own client, told that there is no network."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    done = zoo("test", "hf://me/toy")
    assert done.status == 1
    assert "hf://me/toy cannot be fetched: " in done.err
    assert done.err.count("\n") == 1


def test_offline_from_the_cache(toy: Any, monkeypatch: Any, bundle: Path) -> None:
    """The layout of the hub's cache, filled by hand, and no network."""
    import huggingface_hub.constants

    commit = "0" * 40
    folder = cache_folder() / "hf" / "models--me--toy"
    shutil.copytree(bundle, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert package.load("hf://me/toy").hparams["hidden"] == 16
