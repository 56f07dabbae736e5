"""Distributions made up on the spot, a toy plugin, and the command line in and out of process."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from zoo.registry.registry import registry

# Before torch is imported: tests fork, which threads of its own would not survive.
os.environ["OMP_NUM_THREADS"] = "1"
# Hundreds of commands are started: each would compile the package's sources again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

TOY = Path(__file__).parent / "toy"
ROOT = Path(__file__).parents[1]
OURS = ",".join(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
"""The plugins of this repository."""


@dataclass
class Distributions:
    """Installs made-up distributions into a folder of its own on the import path, so that they
    are found by the same machinery as real ones."""

    folder: Path
    patch: pytest.MonkeyPatch
    paths: list[str] = field(init=False)

    def __post_init__(self) -> None:
        self.paths = [str(self.folder)]
        self.patch.syspath_prepend(str(self.folder))
        registry.cache_clear()

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

    def add_toy(self) -> None:
        """Install the toy plugin, whose code stays where it is."""
        self.patch.syspath_prepend(str(TOY))
        self.paths.append(str(TOY))
        self.add("toy", value="zoo_toy.plugin")

    @property
    def python_path(self) -> str:
        """``PYTHONPATH`` of a process that is to see them."""
        return os.pathsep.join([*self.paths, *filter(None, [os.environ.get("PYTHONPATH")])])


@pytest.fixture(autouse=True)
def _apart(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """Every test has a working directory, a cache and an environment of its own, and Ctrl-C as
    in a terminal also where the shell that started the tests ignores it. Of the plugins of this
    repository it sees none, unless it is marked `whole_zoo`."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in ("ZOO_DISABLE_PLUGINS", "ZOO_STRICT_PLUGINS", "ZOO_DATA"):
        monkeypatch.delenv(name, raising=False)
    if request.node.get_closest_marker("whole_zoo") is None:
        monkeypatch.setenv("ZOO_DISABLE_PLUGINS", OURS)
    registry.cache_clear()
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    yield
    signal.signal(signal.SIGINT, handler)


@contextmanager
def installed(folder: Path) -> Iterator[Distributions]:
    """An empty folder on the import path, to install distributions into."""
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        yield Distributions(folder, patch)
        for name, module in list(sys.modules.items()):
            if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
    registry.cache_clear()


@pytest.fixture
def distributions(tmp_path: Path) -> Iterator[Distributions]:
    """An empty folder on the import path, to install distributions into."""
    with installed(tmp_path / "site") as found:
        yield found


@pytest.fixture
def toy(distributions: Distributions) -> Distributions:
    """The toy plugin, installed beside whatever else is."""
    distributions.add_toy()
    return distributions


@pytest.fixture
def write(toy: Distributions) -> Any:
    """Installs the plugin ``small``, with the files that are given in place of its own."""
    from small_plugin import files

    def install(faults: dict[str, str]) -> None:
        folder = toy.folder / "zoo_small"
        (folder / "empty").mkdir(parents=True)
        (folder / "__init__.py").touch()
        for name, text in files(faults).items():
            path = folder / (name if name.endswith(".yaml") else f"{name}.py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        toy.add("small", value="zoo_small.plugin")

    return install


@pytest.fixture(scope="session")
def with_toy(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """``with with_toy():`` installs the toy plugin for a fixture that lasts longer than a test,
    and for the processes that it starts."""

    @contextmanager
    def install() -> Iterator[None]:
        with (
            installed(tmp_path_factory.mktemp("toy") / "site") as distributions,
            pytest.MonkeyPatch.context() as patch,
        ):
            patch.setenv("ZOO_DISABLE_PLUGINS", OURS)
            distributions.add_toy()
            patch.setenv("PYTHONPATH", distributions.python_path)
            yield

    return install


@pytest.fixture
def zoo(capsys: pytest.CaptureFixture[str]) -> Any:
    """The command line in this process: ``zoo("list", "--json")`` gives status, out and err."""
    from zoo.cli.main import main

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
        environment = {**os.environ, "PYTHONPATH": distributions.python_path}
        start = options.pop("start", subprocess.run)
        if start is subprocess.run:
            options = {"capture_output": True, "timeout": 120, **options}
        command = [sys.executable, *map(str, words)]
        return start(command, env=environment, text=True, **options)

    return call


def run_uv(*words: object, online: bool = False) -> None:
    """Run uv on what its cache holds, and with the network only where that is not enough."""
    beside = Path(sys.executable).with_name("uv")
    program = str(beside) if beside.is_file() else shutil.which("uv")
    if program is None:
        pytest.skip("there is no uv, which `make test` installs")
    command = [program, *([] if online else ["--offline"]), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode and not online:
        run_uv(*words, online=True)
    else:
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"


@dataclass
class Fresh:
    """A Python environment of its own, into which the built wheels are installed.

    What it compiles lies outside of it, for the next environment at the same place.
    """

    folder: Path
    wheels: Path
    python: Path = field(init=False)

    def __post_init__(self) -> None:
        run_uv("venv", "--quiet", "--python", sys.executable, self.folder / "env")
        self.python = self.folder / "env/bin/python"

    def install(self, *requirements: object) -> None:
        """``pip install --find-links dist``, at the versions of constraints.txt."""
        constraints = ROOT / "constraints.txt"
        options = ["--quiet", "--python", self.python, "--constraint", constraints]
        run_uv("pip", "install", *options, "--find-links", self.wheels, *requirements)

    def run(self, *words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment, such as ``zoo``, in the working directory."""
        program, *rest = map(str, words)
        dropped = ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        compiled = str(self.folder / "compiled")
        settings = {"OMP_NUM_THREADS": "1", "PYTHONPYCACHEPREFIX": compiled, "NO_COLOR": "1"}
        path = f"{self.python.parent}{os.pathsep}{kept.get('PATH', '')}"
        return subprocess.run(
            [str(self.python.with_name(program)), *rest],
            env={**kept, **settings, "PATH": path},
            capture_output=True,
            text=True,
            **options,
        )

    def remove(self) -> None:
        """Remove all but what it compiled."""
        shutil.rmtree(self.folder / "env")


@pytest.fixture(scope="session")
def uv() -> Any:
    """``uv("build", ...)`` runs uv."""
    return run_uv


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels and sdists of the core and of every plugin."""
    folder = tmp_path_factory.mktemp("dist")
    for project in (ROOT, *sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))):
        run_uv("build", "--quiet", "--out-dir", folder, project)
    return folder


@pytest.fixture(scope="session")
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("fresh")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def fresh(_place: Path, wheels: Path) -> Iterator[Fresh]:
    """A fresh environment, removed after the test."""
    environment = Fresh(_place, wheels)
    yield environment
    environment.remove()
