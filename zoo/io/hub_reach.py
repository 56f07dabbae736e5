"""Hugging Face's hub where it can be reached, and at once its cache where it cannot."""

from __future__ import annotations

import contextlib
import socket
import urllib.parse
import urllib.request
from collections.abc import Iterator

_SECONDS = 3.0
"""For a connection to the hub; its own client tries for most of a minute."""


@contextlib.contextmanager
def hub_or_cache() -> Iterator[None]:
    """Around downloads by ``huggingface_hub``, also those of timm: without a network they take what
    the cache holds and fail at once for what it does not, instead of trying again and again."""
    from huggingface_hub import constants

    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not is_reachable(constants.ENDPOINT)
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def is_reachable(endpoint: str) -> bool:
    """Whether something answers there; where a proxy stands between, that is not asked."""
    parts = urllib.parse.urlsplit(endpoint)
    proxies = urllib.request.getproxies()
    if parts.scheme in proxies or "all" in proxies:
        return True
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname, port), timeout=_SECONDS).close()
    except OSError:
        return False
    return True
