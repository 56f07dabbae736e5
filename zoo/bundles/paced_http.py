"""An answer over http(s) that cannot last forever: bounded bytes, and a lowest speed.

``http.client`` limits neither: its time-out is per read, so a byte a second keeps a reader for
ever, in the headers, in the sizes of chunks and in the body alike. The bounds therefore lie under
it, where the bytes come from the socket.
"""

from __future__ import annotations

import functools
import http.client
import io
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import Any

_OVERHEAD = 1 << 20
"""Bytes that headers may have, and that chunks may add to a body."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for bytes.

    Attributes:
        silence: Seconds without a single one.
        period: Seconds of waiting in which at least ``least`` have to come.
        least: Bytes.
    """

    silence: float = 30
    period: float = 60
    least: int = 10_000


class _PacedReader(io.RawIOBase):
    """Reads from a socket's file, and gives up on one that is too slow or says too much."""

    def __init__(self, raw: io.RawIOBase, patience: Patience) -> None:
        self._raw, self._patience = raw, patience
        self._waited, self._came = 0.0, 0
        self.left = _OVERHEAD

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.left <= 0:
            raise ConnectionError("the answer is far longer than what was asked for")
        start = time.monotonic()
        count = int(self._raw.readinto(memoryview(buffer)[: self.left]) or 0)
        self.left -= count
        self._waited += time.monotonic() - start
        self._came += count
        if count and self._waited >= self._patience.period:
            if self._came < self._patience.least:
                raise TimeoutError(f"only {self._came} bytes came in {self._waited:.0f} seconds")
            self._waited, self._came = 0.0, 0
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


class _PacedResponse(HTTPResponse):
    def __init__(
        self, sock: Any, *arguments: Any, patience: Patience, most: int, **options: Any
    ) -> None:
        super().__init__(sock, *arguments, **options)
        self._reader = _PacedReader(self.fp.detach(), patience)
        self.fp = io.BufferedReader(self._reader)
        self._most = most

    def begin(self) -> None:
        super().begin()
        if self.status in (200, 206):  # of any other answer, urllib wants at most a short text
            self._reader.left = _OVERHEAD + 2 * self._most


class _Handler(urllib.request.AbstractHTTPHandler):
    def __init__(self, patience: Patience, most: int) -> None:
        super().__init__()
        self._response = functools.partial(_PacedResponse, patience=patience, most=most)

    def _connection(self, kind: type[HTTPConnection], host: str, **options: Any) -> HTTPConnection:
        connection = kind(host, **options)
        connection.response_class = self._response  # type: ignore[assignment]
        return connection

    def http_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(functools.partial(self._connection, HTTPConnection), request)

    def https_open(self, request: urllib.request.Request) -> HTTPResponse:
        return self.do_open(functools.partial(self._connection, HTTPSConnection), request)

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> Any:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):  # the base allows ftp
            raise urllib.error.HTTPError(req.full_url, code, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def open_url(
    url: str, headers: Mapping[str, str], patience: Patience, most: int
) -> http.client.HTTPResponse:
    """Ask for a file by http or https, and by nothing else, redirects included.

    Args:
        url: Where it is.
        headers: Of the request.
        patience: How slow the answer may be, its headers included.
        most: Bytes that its body may have; a reader of more gets an error soon after them.

    Raises:
        OSError: the address does not answer, answers with an error (``urllib.error.HTTPError``),
            or too slowly; reading from the answer raises it, too.
        http.client.HTTPException: the answer is not one of http.
        ValueError: the address cannot be one.
    """
    opener = urllib.request.OpenerDirector()  # `build_opener` adds ftp and files
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(),
        _Handler(patience, most),
    ):
        opener.add_handler(handler)
    request = urllib.request.Request(url, headers=dict(headers))
    answer: http.client.HTTPResponse = opener.open(request, timeout=patience.silence)
    return answer
