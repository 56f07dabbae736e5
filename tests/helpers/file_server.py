"""A server of files on the loopback address that cuts, pauses and notes its answers."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.bundles.download import file_hash
from zoo.bundles.hub import cache_folder


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


def reference(server: Server, name: str = "bundle.json") -> str:
    return f"{server.address}/{name}#sha256={file_hash(server.folder / name)}"


def cached() -> list[str]:
    files = (path for path in cache_folder().rglob("*") if path.is_file())
    return sorted(path.name for path in files if path.suffix != ".lock")


FILES = ["bundle.json", "model.safetensors"]
