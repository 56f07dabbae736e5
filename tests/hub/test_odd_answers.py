"""Odd answers of a server: each kind is taken or refused within a bounded time and size."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from file_server import cached

from zoo.bundles.download import fetch
from zoo.bundles.hub import cache_folder, locate
from zoo.bundles.paced_http import Patience
from zoo.errors import ZooError

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
