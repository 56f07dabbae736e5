"""A bundle at an address is downloaded, verified and kept; something else there is refused."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from file_server import FILES, Server, cached, reference

import zoo as package
from zoo.bundles.download import file_hash
from zoo.bundles.hub import locate
from zoo.bundles.manifest import content_hash
from zoo.errors import UsageError, ZooError
from zoo.registry.registry import registry


def test_downloaded_verified_and_loaded(bundle: Path, server: Server) -> None:
    address = reference(server)
    model = package.load(address)
    points = torch.randn(9, 2)
    with torch.no_grad():
        assert torch.equal(model(points), package.load("run")(points))
    assert cached() == FILES
    assert sorted(path for path, _, _ in server.sent) == [f"/{name}" for name in FILES]
    package.load(address)
    assert len(server.sent) == 2  # nothing twice


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


def test_weights_longer_than_their_manifest_states(bundle: Path, server: Server) -> None:
    with (bundle / "model.safetensors").open("ab") as weights:
        weights.write(b"\0")
    size = (bundle / "model.safetensors").stat().st_size - 1
    with pytest.raises(ZooError, match=rf"model\.safetensors is longer than the {size} bytes"):
        locate(reference(server))
    assert "model.safetensors" not in cached()
    assert server.asked("model.safetensors") == [("", size + 1)]
