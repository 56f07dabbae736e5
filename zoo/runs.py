"""The run folder: what a training leaves behind, and how to find it again."""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from zoo.errors import UsageError
from zoo.files import leftovers, write_atomically
from zoo.plain_json import figures_from, to_json
from zoo.recipes import Recipe, read_recipe

RUNS = Path("runs")


@dataclass(frozen=True)
class Run:
    """One run folder.

    Attributes:
        path: The folder.
    """

    path: Path

    @property
    def recipe_file(self) -> Path:
        """The resolved recipe; ``zoo train`` on it repeats the run."""
        return self.path / "recipe.yaml"

    @property
    def metrics_log(self) -> Path:
        """Figures over time, a row for every logged step or epoch."""
        return self.path / "metrics.csv"

    @property
    def checkpoint(self) -> Path:
        """The Lightning checkpoint that ``--resume`` continues from."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def figures(self) -> Path:
        """Folder of PNG files."""
        return self.path / "figures"

    @property
    def bundle(self) -> Path:
        """The trained model to keep."""
        return self.path / "bundle"

    @property
    def finished(self) -> bool:
        """Whether training and testing came to their end."""
        return "finished" in self.environment

    @property
    def environment(self) -> dict[str, Any]:
        """What is known of where and how it ran; empty before it was written."""
        return _read_json(self.path / "environment.json")

    @property
    def metrics(self) -> dict[str, float]:
        """The final figures, flat; empty before there are any."""
        return figures_from(_read_json(self.path / "metrics.json"))

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe under the name it was trained by."""
        recipe = read_recipe(self.recipe_file)
        return Recipe(**{**vars(recipe), "name": self.environment.get("recipe", recipe.name)})

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``name`` in the folder; what was there before survives a failure."""
        text = to_json(content, sort_keys=name == "metrics.json")
        write_atomically(self.path / name, (text + "\n").encode())

    def note(self, **facts: Any) -> None:
        """Add to ``environment.json``."""
        self.write_json("environment.json", {**self.environment, **facts})


@contextlib.contextmanager
def locked(run: Run) -> Iterator[None]:
    """Keep other processes from training in the same folder; the lock ends with the process.

    Args:
        run: A run whose folder exists.

    Raises:
        UsageError: another process is training there.
    """
    lock = FileLock(run.path / ".lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UsageError(
            f"another process is training in {run.path}; wait for it, stop it, or start a run of "
            "its own without --resume"
        ) from error
    except (NotImplementedError, OSError) as error:  # some network file systems
        warnings.warn(
            f"{run.path} cannot be locked ({error}): let no second process train in it",
            stacklevel=3,
        )
    try:
        yield
    finally:
        lock.release()


def plan_run(recipe: Recipe, out: str | Path | None) -> Run:
    """Where a run will lie: ``out``, or ``runs/<recipe>/<time>`` if None. Nothing is made yet."""
    return Run(Path(out) if out is not None else timed_folder(RUNS / recipe.name))


def create_run(run: Run, recipe: Recipe) -> None:
    """Make the folder of a planned run and write down recipe and environment.

    Args:
        run: Where.
        recipe: The resolved recipe.

    Raises:
        UsageError: the folder exists and is not empty, or cannot be made.
    """
    require_empty(run.path)
    try:
        run.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"the run folder {run.path} cannot be made: {error.strerror}") from error
    # The recipe last: a folder is a run once it is there.
    run.write_json("environment.json", {"recipe": recipe.name, **environment(recipe.seed)})
    write_atomically(run.recipe_file, recipe.to_yaml().encode())


def require_empty(path: str | Path) -> None:
    """Refuse a folder that has more in it than what a start that was killed left.

    Raises:
        UsageError: ``path`` is a file, or a folder that is not empty.
    """
    path = Path(path)
    started = {path / "environment.json", *leftovers(path)}
    if path.exists() and (not path.is_dir() or set(path.iterdir()) - started):
        raise UsageError(
            f"{path} exists and is not empty: choose another --out, or continue an unfinished "
            f"run with --resume {path}"
        )


def open_run(path: str | Path) -> Run:
    """The run in a folder.

    Raises:
        UsageError: the folder is no run folder.
    """
    run = Run(Path(path))
    if not run.recipe_file.is_file():
        raise UsageError(f"{path} is no run folder: it has no recipe.yaml")
    return run


def newest_unfinished(recipe_name: str, runs: Path = RUNS) -> Run | None:
    """The newest run of that recipe under ``runs`` that did not come to its end."""
    folder = runs / recipe_name
    candidates = [Run(path.parent) for path in folder.glob("*/recipe.yaml")]
    unfinished = [run for run in candidates if not run.finished]
    return max(unfinished, key=lambda run: run.path.name, default=None)


def environment(seed: int) -> dict[str, Any]:
    """Versions, hardware, git revision, seed and command of this process."""
    import torch

    distributions = ("zoo", "torch", "lightning", "torchmetrics", "numpy")
    plugins = {
        point.dist.name
        for point in importlib.metadata.entry_points(group="zoo")
        if point.dist is not None
    }
    return {
        "command": command(),
        "seed": seed,
        "started": now(),
        "versions": {
            "python": platform.python_version(),
            **{name: importlib.metadata.version(name) for name in distributions},
            **{name: importlib.metadata.version(name) for name in sorted(plugins)},
        },
        "hardware": hardware(),
        "torch_threads": torch.get_num_threads(),
        "git": git_revision(),
    }


def command() -> str:
    """The command line of this process, to be typed again."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *sys.argv[1:]])
    return shlex.join([program.name, *sys.argv[1:]])


def hardware() -> dict[str, Any]:
    """Processor, cores and accelerators."""
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        cpu = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), cpu)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu": cpu, "cores": os.cpu_count(), "gpus": gpus, "platform": platform.platform()}


def git_revision() -> str | None:
    """Commit of the working directory's repository, with ``+changes`` if it has any; None
    outside a repository or without git."""
    try:
        revision = _git("rev-parse", "HEAD")
        return revision + ("+changes" if _git("status", "--porcelain") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def timed_folder(parent: Path) -> Path:
    """A folder in ``parent``, not yet there, named after the time."""
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path, count = parent / stamp, 1
    while path.exists():
        count += 1
        path = parent / f"{stamp}_{count}"
    return path


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.is_file() else {}
