"""Without a network, the hub's client is told so before it tries for a minute."""

from __future__ import annotations

import socket

import pytest
from huggingface_hub import constants, hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from zoo.io.hub_reach import hub_or_cache


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def at(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{port}")


def test_a_hub_that_answers_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        at(monkeypatch, server.getsockname()[1])
        with hub_or_cache():
            assert not constants.HF_HUB_OFFLINE


def test_a_hub_that_does_not_answer_fails_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    at(monkeypatch, port)  # closed by now
    with hub_or_cache():
        assert constants.HF_HUB_OFFLINE  # without it the client tries for a minute
        with pytest.raises(LocalEntryNotFoundError):
            hf_hub_download("nobody/nothing", "model.safetensors", cache_dir=str(tmp_path))
    assert not constants.HF_HUB_OFFLINE  # as before


def test_behind_a_proxy_the_client_finds_out_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    at(monkeypatch, 1)
    monkeypatch.setenv("http_proxy", "http://proxy.invalid:3128")
    with hub_or_cache():
        assert not constants.HF_HUB_OFFLINE


def test_a_user_who_is_offline_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with hub_or_cache():
        assert constants.HF_HUB_OFFLINE
    assert constants.HF_HUB_OFFLINE
