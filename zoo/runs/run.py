"""The run folder: what a training leaves behind, and how to find it again."""

from __future__ import annotations

import contextlib
import datetime
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.io.atomic import leftovers, write_atomically
from zoo.io.bounds import read_json
from zoo.io.failures import system_failure
from zoo.io.plain_json import metrics_from_json, to_json
from zoo.recipes.format_1 import upgrade_recipe
from zoo.recipes.recipe import Recipe, make_recipe, read_recipe_file
from zoo.runs.environment import environment

RUNS = Path("runs")
_MAX_BYTES = 4 << 20
"""Of what a run notes of itself, some thousands."""
_GLANCE = 0.2
"""Seconds, of which `zoo runs` needs a fraction to look whether a run is locked."""


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
    def metrics_csv(self) -> Path:
        """Metrics over time, a row for every logged step or epoch."""
        return self.path / "metrics.csv"

    @property
    def checkpoint(self) -> Path:
        """The Lightning checkpoint that ``--resume`` continues from."""
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def plots(self) -> Path:
        """Folder of PNG files."""
        return self.path / "plots"

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
        """Where and how it ran; empty before it was written."""
        return _read_json(self.path / "environment.json")

    @property
    def metrics(self) -> dict[str, float]:
        """The final metrics, flat; empty before there are any."""
        return metrics_from_json(_read_json(self.path / "metrics.json"))

    @property
    def recipe(self) -> Recipe:
        """The resolved recipe under the name it was trained by."""
        name = self.environment.get("recipe", self.recipe_file.stem)
        content = upgrade_recipe(read_recipe_file(self.recipe_file))
        return make_recipe(content, name, self.recipe_file)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
        """Write ``name`` in the folder; what was there before survives a failure."""
        text = to_json(content, sort_keys=name == "metrics.json")
        # A byte of a name that is not UTF-8 becomes an escape of JSON, which is read as it was.
        write_atomically(self.path / name, (text + "\n").encode("utf-8", "backslashreplace"))

    def note(self, **values: Any) -> None:
        """Add to ``environment.json``."""
        self.write_json("environment.json", {**self.environment, **values})


@contextlib.contextmanager
def locked(run: Run) -> Iterator[None]:
    """Keep other processes from training in the same folder; the lock ends with the process.

    Args:
        run: A run whose folder exists.

    Raises:
        UsageError: another process is training there.
    """
    from filelock import FileLock, Timeout  # it brings asyncio, which reading commands do without

    lock = FileLock(run.path / ".lock")
    try:
        lock.acquire(timeout=_GLANCE, poll_interval=_GLANCE / 5)
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
    """Where a run will lie: ``out``, or a new folder ``runs/<recipe>/<time>`` if None."""
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
        with locked(run):  # of two processes that were given one folder the second finds it taken
            require_empty(run.path)
            # The recipe last: a folder is a run once it is there.
            run.write_json("environment.json", {"recipe": recipe.name, **environment(recipe.seed)})
            write_atomically(run.recipe_file, recipe.to_yaml().encode())
    except OSError as error:
        raise UsageError(system_failure(error, "the run folder cannot be made")) from error


def describe_again(run: Run, recipe: Recipe) -> None:
    """Write down where and how a run runs whose ``environment.json`` was lost."""
    found = {"recipe": recipe.name, **environment(recipe.seed), **run.environment}
    run.write_json("environment.json", found)


def require_empty(path: str | Path, resumable: bool = True) -> None:
    """Refuse a folder that has more in it than what a start that was killed left.

    Args:
        path: The folder, which need not exist.
        resumable: Whether the command can continue what is there.

    Raises:
        UsageError: ``path`` is a file, or a folder that is not empty, or no name of one.
    """
    require_name(path)
    path = Path(path)
    started = {path / "environment.json", path / ".lock", *leftovers(path)}
    try:
        taken = path.exists() and (not path.is_dir() or bool(set(path.iterdir()) - started))
    except OSError as error:
        raise UsageError(system_failure(error, "the folder cannot be used")) from error
    if taken:
        rest = f", or continue an unfinished run with --resume {path}" if resumable else ""
        raise UsageError(f"{path} exists and is not empty: choose another --out{rest}")


def require_name(path: str | Path) -> None:
    """Refuse the empty name, which would stand for the working directory.

    Raises:
        UsageError: it is empty.
    """
    if str(path) == "":
        raise UsageError("the name of the folder is empty: name one after --out, or omit --out")


def open_run(path: str | Path) -> Run:
    """The run in a folder.

    Raises:
        UsageError: the folder is not a run folder.
    """
    run = Run(Path(path))
    if str(path) == "" or not run.recipe_file.is_file():
        shown = path if str(path) else "an empty name"
        raise UsageError(f"{shown} is not a run folder: it has no recipe.yaml")
    if run.checkpoint.is_dir():
        raise UsageError(
            f"{run.checkpoint} is a folder, not a checkpoint: remove it, then the run begins again"
        )
    return run


def newest_unfinished(recipe_name: str, runs: Path = RUNS) -> Run | None:
    """The newest run of that recipe under ``runs`` that did not come to its end."""
    found = (run for run in _runs_of(recipe_name, runs) if not run.finished)
    return max(found, key=_beginning, default=None)


def newest_finished(recipe_name: str, runs: Path = RUNS) -> Run | None:
    """The newest run of that recipe under ``runs`` that came to its end."""
    found = (run for run in _runs_of(recipe_name, runs) if run.finished)
    return max(found, key=_beginning, default=None)


def _runs_of(recipe_name: str, runs: Path) -> list[Run]:
    return [Run(path.parent) for path in (runs / recipe_name).glob("*/recipe.yaml")]


def _beginning(run: Run) -> tuple[float, int]:
    """When a run began, in seconds, and in nanoseconds for those of one second.

    Its name tells local time, which is set back once a year, and ``_10`` comes before ``_2``.
    """
    written = run.recipe_file.stat().st_mtime_ns
    try:
        noted = datetime.datetime.fromisoformat(run.environment["started"]).timestamp()
    except (KeyError, TypeError, ValueError, OverflowError):  # the note is lost
        noted = written // 10**9
    return noted, written


def timed_folder(parent: Path) -> Path:
    """A new folder in ``parent``, named after the time. It is made at once: of several processes
    that start in the same second each has its own.

    Raises:
        UsageError: it cannot be made.
    """
    stamp = datetime.datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    path, count = parent / stamp, 1
    while True:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            path.mkdir()
        except FileExistsError:
            if not parent.is_dir():
                raise UsageError(
                    f"the folder {path} cannot be made: {parent} is a file; choose another place"
                ) from None
            count += 1
            path = parent / f"{stamp}_{count}"
        except OSError as error:
            raise UsageError(system_failure(error, "the folder cannot be made")) from error
        else:
            return path


def discard_folder(path: Path) -> None:
    """Remove a folder that nothing was written into, and the parents that it leaves empty."""
    for folder in (path, *path.parents[:-1]):
        try:
            folder.rmdir()
        except OSError:  # not empty, or not ours
            return


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a file; empty if there is none, or if the file is damaged, with a word: what
    a run notes of itself keeps nobody from its weights."""
    try:
        content = read_json(path, _MAX_BYTES)
    except FileNotFoundError:
        return {}
    except ValueError:  # not JSON, or not such as a run writes
        content = None
    if not isinstance(content, dict):
        warnings.warn(f"{path} is damaged: what was noted in it is lost", stacklevel=1)  # once
        return {}
    return content
