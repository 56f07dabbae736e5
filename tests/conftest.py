"""Distributions made up on the spot, a toy plugin, and the command line in and out of process."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoo.registry import registry

TOY = Path(__file__).parent / "toy"


@dataclass
class Distributions:
    """Installs made-up distributions into a folder of its own on the import path, so that they
    are found by the same machinery as real ones."""

    folder: Path
    paths: list[str] = field(default_factory=list)

    def add(
        self,
        plugin: str,
        code: str | None = None,
        *,
        distribution: str = "",
        version: str = "1.0",
        value: str = "",
    ) -> str:
        """Install a distribution with one plugin.

        Args:
            plugin: Name of the entry point.
            code: Source of the plugin's module; None if it exists already.
            distribution: Its name; made from the plugin's by default.
            version: Its version.
            value: What the entry point names; the module by default.

        Returns:
            The distribution's name.
        """
        distribution = distribution or f"zoo-{plugin}"
        module = f"{distribution}_plugin".replace("-", "_")
        if code is not None:
            (self.folder / f"{module}.py").write_text(code)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(f"[zoo]\n{plugin} = {value or module}\n")
        (info / "RECORD").write_text(f"{module}.py,,\n" if code is not None else "")
        importlib.invalidate_caches()
        registry.cache_clear()
        return distribution


@pytest.fixture(autouse=True)
def _apart(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every test has a working directory, a cache and an environment of its own, and Ctrl-C as
    in a terminal also where the shell that started the tests ignores it."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("ZOO_DISABLE_PLUGINS", "ZOO_STRICT_PLUGINS", "ZOO_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    signal.signal(signal.SIGINT, handler)


@pytest.fixture
def distributions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Distributions]:
    """An empty folder on the import path, to install distributions into."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    registry.cache_clear()
    yield Distributions(folder, [str(folder)])
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]
    registry.cache_clear()


@pytest.fixture
def toy(distributions: Distributions, monkeypatch: pytest.MonkeyPatch) -> Distributions:
    """The toy plugin, installed beside whatever else is."""
    monkeypatch.syspath_prepend(str(TOY))
    distributions.paths.append(str(TOY))
    distributions.add("toy", value="zoo_toy.plugin")
    return distributions


@pytest.fixture
def zoo(capsys: pytest.CaptureFixture[str]) -> Any:
    """The command line in this process: ``zoo("list", "--json")`` gives status, out and err."""
    from zoo.commands import main

    def call(*words: object) -> SimpleNamespace:
        capsys.readouterr()
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return SimpleNamespace(status=status, out=out, err=err)

    return call


@pytest.fixture
def python(distributions: Distributions) -> Any:
    """A Python of its own that sees the made-up distributions: ``python("-m", "zoo", "list")``."""

    def call(*words: object, **options: Any) -> Any:
        paths = [*distributions.paths, *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        start = options.pop("start", subprocess.run)
        if start is subprocess.run:
            options = {"capture_output": True, "timeout": 120, **options}
        command = [sys.executable, *map(str, words)]
        return start(command, env=environment, text=True, **options)

    return call
