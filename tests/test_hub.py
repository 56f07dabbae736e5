"""Downloads are verified, continued where they were cut, and not repeated."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import json
import os
import re
import shutil
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from filelock import FileLock

import zoo as package
from zoo.bundles.download import fetch, file_hash
from zoo.bundles.hub import cache_folder, locate
from zoo.bundles.manifest import content_hash
from zoo.bundles.paced_http import Patience
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
        pause: Seconds between the twentieths of every answer.
        sent: Path and range of every answer, and the bytes sent.
    """

    folder: Path
    address: str = ""
    cut: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    pause: float = 0
    sent: list[tuple[str, str, int]] = field(default_factory=list)
    stop: Callable[[], None] = lambda: None
    busy: int = 0

    def asked(self, name: str) -> list[tuple[str, int]]:
        # A client that hangs up after the headers can be here before the server noted its answer.
        deadline = time.monotonic() + 5
        while self.busy and time.monotonic() < deadline:
            time.sleep(0.01)
        return [(span, count) for path, span, count in self.sent if path == f"/{name}"]


def serve(server: Server) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.busy += 1
            try:
                self.answer()
            finally:
                server.busy -= 1

        def answer(self) -> None:
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
            piece = len(data) // 20 + 1
            with contextlib.suppress(ConnectionError):  # a client that was killed
                for start in range(0, len(data), piece):
                    self.wfile.write(data[start : start + piece])
                    time.sleep(server.pause)

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


FILES = ["bundle.json", "model.safetensors"]


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


# Odd answers. `pytest tests/test_hub.py -k answers` tries each kind.

QUICK = Patience(silence=0.5, period=1.0, least=1000)
"""In place of minutes, so that the tests stay short."""


@dataclass(frozen=True)
class Again:
    """Bytes that are sent until the client has had enough, with a pause after each time."""

    data: bytes
    pause: float = 0


Answer = tuple[bytes | Again, ...]


class OddServer(socketserver.ThreadingTCPServer):
    """Sends byte for byte what a test says: for each request the next answer, the last for ever."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), OddHandler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.answers: list[Answer] = []
        self.asked: list[str] = []
        self.pause = 0.0
        self.closed = threading.Event()


class OddHandler(socketserver.StreamRequestHandler):
    server: OddServer

    def handle(self) -> None:
        server = self.server
        request = b""
        while not request.endswith(b"\r\n\r\n"):
            if not (line := self.rfile.readline()):
                return
            request += line
        server.asked.append(request.decode())
        answer = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
        with contextlib.suppress(ConnectionError):
            for part in answer:
                if isinstance(part, bytes):
                    self.request.sendall(part.replace(b"{here}", server.address.encode()))
                    server.closed.wait(server.pause)
                while isinstance(part, Again) and not server.closed.wait(part.pause):
                    self.request.sendall(part.data)


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch) -> Iterator[OddServer]:
    monkeypatch.setattr("zoo.bundles.download.PATIENCE", QUICK)
    with OddServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.closed.set()
        server.shutdown()
        thread.join()


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode()


def redirect(address: str) -> bytes:
    return head(f"Location: {address}", status="302 Found")


BODY = bytes(range(256)) * 40
LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
TOO_LONG = "is longer than the 100000 bytes that are expected"
NO_LENGTH = "a Content-Length that is not a number of bytes"
NO_HTTP = "a redirect in a circle or to what is not an http address"
SLOW = r"only \d+ bytes came in \d+ seconds"
REFUSED: dict[str, tuple[Answer, str]] = {
    "endless body": ((head(), Again(b"x" * 65536)), TOO_LONG),
    "endless chunks": ((head(CHUNKED), Again(b"10000\r\n" + b"x" * 65536 + b"\r\n")), TOO_LONG),
    "one endless chunk": ((head(CHUNKED), b"fffffffff\r\n", Again(b"x" * 65536)), TOO_LONG),
    "endless tiny chunks": ((head(CHUNKED), Again(b"1\r\nx\r\n" * 9999)), TOO_LONG),
    "endless trailer": ((head(CHUNKED), b"0\r\n", Again(b"a: b\r\n" * 9999)), "far longer than"),
    "a stated length that is too long": ((head("Content-Length: 1000000000000"),), TOO_LONG),
    "a length in letters": ((head("Content-Length: abc"), BODY), NO_LENGTH),
    "a length below zero": ((head("Content-Length: -5"), BODY), NO_LENGTH),
    "a broken length": ((head("Content-Length: 1.5"), BODY), NO_LENGTH),
    "a length of 5000 digits": ((head("Content-Length: " + "9" * 5000), BODY), NO_LENGTH),
    "two lengths": ((head(LENGTH, "Content-Length: 7"), BODY), NO_LENGTH),
    "an empty length": ((head("Content-Length:"), BODY), NO_LENGTH),
    "a body shorter than stated": ((head(LENGTH), BODY[:-9]), "was cut 9 bytes before the end"),
    "a body longer than stated": ((head("Content-Length: 7"), BODY), "has the hash"),
    "no body": ((head("Content-Length: 0"),), "has the hash e3b0c442"),
    "another body": ((head(LENGTH), BODY), "has the hash"),
    "a gzipped body": ((head("Content-Encoding: gzip"), gzip.compress(BODY)), "has the hash"),
    "a chunk of no size": ((head(CHUNKED), b"xyz\r\n"), "cannot be fetched"),
    "a chunk below zero": ((head(CHUNKED), b"-5\r\n", BODY), "cannot be fetched|has the hash"),
    "a cut chunk": ((head(CHUNKED), b"ff\r\nabc"), "cannot be fetched"),
    "a drip": ((head(LENGTH), Again(b"x", 0.05)), SLOW),
    "a drip of headers": ((b"HTTP/1.1 200 OK\r\n", Again(b"x", 0.05)), SLOW),
    "a drip of a status": ((Again(b"x", 0.05),), SLOW),
    "a drip of chunk sizes": ((head(CHUNKED), Again(b"0", 0.05)), SLOW),
    "a drip of chunks": ((head(CHUNKED), Again(b"1\r\nx\r\n", 0.05)), SLOW),
    "a drip after a redirect": ((redirect("/next"), Again(b"x", 0.05)), SLOW),
    "silence": ((Again(b"", 0.05),), "timed out"),
    "silence after the headers": ((head(LENGTH), Again(b"", 0.05)), "timed out"),
    "a closed door": ((b"",), "closed connection without response"),
    "endless headers": ((b"HTTP/1.1 200 OK\r\n", Again(b"a: b\r\n" * 999)), "100 headers"),
    "an endless header": ((b"HTTP/1.1 200 OK\r\na: ", Again(b"a" * 9999)), "header line"),
    "continue for ever": ((Again(head(status="100 Continue") * 99),), "far longer than what"),
    "another language": ((b"What do you want?\r\n\r\n",), "cannot be fetched"),
    "commands to the terminal": ((b"\x1b[2J\x1b]0;evil\x07\r\n\r\n",), r"\?\[2J\?\]0;evil"),
    "nothing there": ((head(status="404 \x1b[2J"),), "answers 404 Not Found: check the address"),
    "a broken server": ((head(status="503 Oh"),), "answers 503 Service Unavailable, an error of"),
    "an unknown status": ((head(status="799 Oh"),), "answers 799"),
    "204": ((head(status="204 No Content"),), "answers 204 No Content, and no file"),
    "416 to a first request": ((head(status="416 No"),), "answers 416"),
    "another part": (
        (head("Content-Range: bytes 5-9/99", status="206 Partial Content"), BODY),
        "answers with another part of the file",
    ),
    "a redirect to itself": ((redirect("{here}/bundle.json"),), NO_HTTP),
    "ever other redirects": ((redirect("x/"),), NO_HTTP),
    "a redirect to a file": ((redirect("file:///etc/passwd"),), NO_HTTP),
    "a redirect to ftp": ((redirect("ftp://127.0.0.1:9/bundle.json"),), NO_HTTP),
    "a redirect to data": ((redirect("data:text/plain,hello"),), NO_HTTP),
    "a redirect to nowhere": ((head(status="302 Found"),), "answers 302 Found"),
    "an endless redirect": ((redirect("/next"), Again(b"x" * 65536)), "far longer than what"),
    "a redirect to a broken address": ((redirect("http://[::1/"),), "cannot be fetched"),
}
"""Answers to the request for a bundle.json, and what is said of each."""


@pytest.mark.parametrize("kind", REFUSED)
def test_answers_that_are_refused(
    odd: OddServer, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zoo.bundles.hub.MAX_BYTES", 100_000)
    answer, message = REFUSED[kind]
    odd.answers = [answer]
    if "redirect" in kind and isinstance(answer[-1], Again) and answer[-1].pause:
        odd.answers = [answer[:1], answer[1:]]
    start = time.monotonic()
    with pytest.raises(ZooError, match=message) as error:
        locate(f"{odd.address}/bundle.json#sha256={'0' * 64}")
    assert time.monotonic() - start < 20  # about two on a quiet machine
    assert f"{odd.address}/" in str(error.value)
    assert str(error.value).isprintable()
    assert len(str(error.value)) < 500
    left = [path for path in cache_folder().rglob("*") if path.is_file()]
    assert {path.name for path in left} <= {"bundle.json.part", ".bundle.json.lock"}
    assert sum(path.stat().st_size for path in left) <= 100_000


def chunks(length: int) -> bytes:
    starts = range(0, len(BODY), length)
    return b"".join(b"%x\r\n%b\r\n" % (length, BODY[i:][:length]) for i in starts) + b"0\r\n\r\n"


WHOLE = f"Content-Range: bytes 0-{len(BODY) - 1}/{len(BODY)}"
TAKEN: dict[str, list[Answer]] = {
    "with a length": [(head(LENGTH), BODY)],
    "without a length": [(head(), BODY)],
    "of HTTP 1.0": [(b"HTTP/1.0 200 OK\r\n\r\n", BODY)],
    "in chunks": [(head(CHUNKED), chunks(512))],
    "in chunks of a byte": [(head(CHUNKED), chunks(1))],
    "the same length twice": [(head(LENGTH, LENGTH), BODY)],
    "a part that is all": [(head(LENGTH, WHOLE, status="206 Partial Content"), BODY)],
    "after a redirect": [(redirect("{here}/elsewhere"),), (head(LENGTH), BODY)],
    "after continue": [(head(status="100 Continue"), head(LENGTH), BODY)],
}


@pytest.mark.parametrize("kind", TAKEN)
def test_answers_that_are_taken(odd: OddServer, kind: str, tmp_path: Path) -> None:
    odd.answers = TAKEN[kind]
    target = tmp_path / "target"
    fetch(f"{odd.address}/a", target, hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert target.read_bytes() == BODY


REST = head(f"Content-Range: bytes 999-{len(BODY) - 1}/{len(BODY)}", status="206 Partial Content")
CONTINUED: dict[str, tuple[bytes, list[Answer], str]] = {
    "the rest": (BODY[:999], [(REST, BODY[999:])], ""),
    "all of it": (BODY[:999], [(head(LENGTH), BODY)], ""),
    "all of it after a wrong start": (b"x" * 999, [(head(LENGTH), BODY)], ""),
    "nothing more, and it is whole": (BODY, [(head(status="416 No"),)], ""),
    "nothing more, and it is not whole": (
        BODY[:999],
        [(head(status="416 No"),), (head(LENGTH), BODY)],
        "",
    ),
    "a start that is longer than the file": (BODY + b"x", [(head(LENGTH), BODY)], ""),
    "the rest of another file": (BODY[:999], [(REST, b"x" * 9241)], "has the hash"),
    "a rest that is too long": (BODY[:999], [(REST, BODY)], "is longer than the 10240 bytes"),
    "an endless rest": (BODY[:999], [(REST, Again(BODY))], "is longer than the 10240 bytes"),
    "another part": (
        BODY[:500],
        [(REST, BODY[999:])],
        "answers with another part of the file than was asked for: try again",
    ),
}


@pytest.mark.parametrize("kind", CONTINUED)
def test_answers_to_a_continued_download(odd: OddServer, kind: str, tmp_path: Path) -> None:
    start, odd.answers, message = CONTINUED[kind]
    target, part = tmp_path / "target", tmp_path / "target.part"
    part.write_bytes(start)
    sha256 = hashlib.sha256(BODY).hexdigest()
    if message:
        with pytest.raises(ZooError, match=message):
            fetch(f"{odd.address}/a", target, sha256, len(BODY))
        assert not part.exists()  # so that the next time starts afresh
        odd.answers = [(head(LENGTH), BODY)]
    fetch(f"{odd.address}/a", target, sha256, len(BODY))
    assert target.read_bytes() == BODY
    assert not part.exists()


def test_answers_that_drip_but_fast_enough(odd: OddServer, tmp_path: Path) -> None:
    """More than the least in every period is progress, however long the whole takes."""
    pieces = [BODY[start : start + 512] for start in range(0, len(BODY), 512)]
    odd.answers = [(head(LENGTH), *pieces)]
    odd.pause = 0.1
    target = tmp_path / "target"
    start = time.monotonic()
    fetch(f"{odd.address}/a", target, hashlib.sha256(BODY).hexdigest(), len(BODY))
    assert time.monotonic() - start > QUICK.period
    assert target.read_bytes() == BODY


@pytest.mark.parametrize(
    "address",
    [
        "HTTP://127.0.0.1:9/bundle.json",
        "http://127.0.0.1:9/bundle.json\r\nHost: evil",
        "http://127.0.0.1:none/bundle.json",
        "http://[::1/bundle.json",
        "http:///bundle.json",
        "http://" + "a" * 70 + ".invalid/bundle.json",
        "http://127.0.0.1:9/\u00fc/bundle.json",
    ],
)
def test_answers_of_addresses_that_cannot_be_one(toy: Any, zoo: Callable, address: str) -> None:
    done = zoo("test", f"{address}#sha256={'0' * 64}")
    assert done.status in (1, 2)
    assert "cannot be fetched (" in done.err or "carries no hash" in done.err
    assert cached() == []


# Many processes


FETCH = """
import sys, time
from pathlib import Path
from zoo.bundles.hub import locate
from zoo.errors import ZooError
go = Path(sys.argv[2])
print("ready", flush=True)
while not go.exists():
    time.sleep(0.01)
try:
    print(locate(sys.argv[1]))
except ZooError as error:
    sys.exit(str(error))
"""


@contextlib.contextmanager
def fetching(address: str, go: Path, count: int) -> Iterator[list[subprocess.Popen[str]]]:
    """Processes that are ready to fetch a bundle, and do once ``go`` exists."""
    command = [sys.executable, "-c", FETCH, address, str(go)]
    pipe = subprocess.PIPE
    started = [subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True) for _ in range(count)]
    try:
        for process in started:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        yield started
    finally:
        for process in started:
            process.kill()
            process.communicate()


def serve_large_bundle(server: Server) -> None:
    """A bundle by its form alone; its weights are a megabyte of no meaning."""
    content = json.loads((Path(__file__).parent / "good_manifest.json").read_text())
    for name, size in {"model.safetensors": 1_000_000, "README.md": 10}.items():
        data = os.urandom(size)
        (server.folder / name).write_bytes(data)
        content["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": size}
    content["sha256"] = content_hash(content)
    (server.folder / "bundle.json").write_text(json.dumps(content))


def test_processes_that_fetch_the_same_checkpoint_at_once(server: Server, tmp_path: Path) -> None:
    serve_large_bundle(server)
    server.pause = 0.02
    go = tmp_path / "go"
    with fetching(reference(server), go, 4) as processes:
        go.touch()
        for process in processes:
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
            folder = Path(out.strip())
            for name in FILES:
                assert file_hash(folder / name) == file_hash(server.folder / name)
    assert sorted(path for path, _, _ in server.sent) == [f"/{name}" for name in FILES]
    assert cached() == FILES


def test_a_process_that_is_killed_while_others_wait(server: Server, tmp_path: Path) -> None:
    """One of them continues where it was; the lock ends with its process."""
    serve_large_bundle(server)
    server.pause = 0.1
    go = tmp_path / "go"
    go.touch()
    with fetching(reference(server), go, 1) as (first,):
        while not any(path.stat().st_size for path in cache_folder().rglob("model*.part")):
            time.sleep(0.01)
        with fetching(reference(server), go, 2) as others:
            first.kill()
            first.wait()
            server.pause = 0
            for process in others:
                out, err = process.communicate(timeout=120)
                assert process.returncode == 0, err
                weights = Path(out.strip()) / "model.safetensors"
                assert file_hash(weights) == file_hash(server.folder / weights.name)
    (whole, cut), (span, rest) = server.asked("model.safetensors")
    assert (whole, span[:6]) == ("", "bytes=")
    assert rest < cut == 1_000_000


def test_a_process_that_holds_the_lock_and_does_nothing(
    server: Server, large: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("zoo.bundles.download.MAX_WAIT", 0.2)
    target = tmp_path / "target"
    with (
        FileLock(tmp_path / ".target.lock"),
        pytest.raises(ZooError, match=r"another process holds .*\.target\.lock .* stop that pro"),
    ):
        fetch(f"{server.address}/large", target, file_hash(large), large.stat().st_size)
    assert server.sent == []
    waiting = f"another process is downloading {target}: waiting for it\n"
    assert capsys.readouterr().err == waiting


# Places that cannot be written


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


# Manifests and sizes


def test_weights_longer_than_their_manifest_states(bundle: Path, server: Server) -> None:
    with (bundle / "model.safetensors").open("ab") as weights:
        weights.write(b"\0")
    size = (bundle / "model.safetensors").stat().st_size - 1
    with pytest.raises(ZooError, match=rf"model\.safetensors is longer than the {size} bytes"):
        locate(reference(server))
    assert "model.safetensors" not in cached()
    assert server.asked("model.safetensors") == [("", size + 1)]


def test_only_what_the_manifest_lists_is_fetched_from_hugging_face(
    hugging_face: list[dict[str, Any]],
) -> None:
    Path("run/bundle/payload.py").write_text("raise SystemExit", encoding="utf-8")
    Path("run/bundle/another.safetensors").touch()
    package.load("hf://me/toy")
    assert set(hugging_face[-1]["allow_patterns"]) == set(FILES)


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
