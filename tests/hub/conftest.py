"""A server of files, and a bundle that it serves."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import Server, serve

from zoo.training.train import train


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


@pytest.fixture
def large(server: Server) -> Path:
    path = server.folder / "large"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


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
