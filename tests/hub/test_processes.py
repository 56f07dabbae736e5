"""Many processes that fetch the same files: one writes and the others are served."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from file_server import FILES, Server, cached, reference
from filelock import FileLock

from zoo.bundles.download import fetch, file_hash
from zoo.bundles.hub import cache_folder
from zoo.bundles.manifest import content_hash
from zoo.errors import ZooError

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
    content = json.loads((Path(__file__).parents[1] / "good_manifest.json").read_text())
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
