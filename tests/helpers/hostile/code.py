"""Contents of bundles and recipes that name code, or places to write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from hostile.bundles import edit
from hostile.trial import Kinds, command, fell

PAYLOAD = """
from pathlib import Path
from lightning.pytorch.callbacks import Callback
Path({mark!r}).write_text("ran")
class C(Callback):
    pass
def function(*args, **kwargs):
    Path({mark!r}).write_text("ran")
"""
"""A module that leaves a mark wherever it is imported."""

SETTINGS: dict[str, dict[str, Any]] = {
    "callback": {"callbacks": [{"class_path": "payload.C"}]},
    "callback by its name": {"callbacks": ["payload.C"]},
    "callback alone": {"callbacks": "payload.C"},
    "function of a callback": {
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.LambdaCallback",
                "init_args": {"on_fit_start": "payload.function"},
            }
        ]
    },
    "class for a function": {
        "callbacks": [
            {
                "class_path": "LambdaCallback",
                "init_args": {"on_fit_start": {"class_path": "payload.C"}},
            }
        ]
    },
    "logger": {"logger": [{"class_path": "payload.C"}]},
    "profiler": {"profiler": {"class_path": "payload.C"}},
    "strategy": {"strategy": {"class_path": "payload.C"}},
    "plugin": {"plugins": [{"class_path": "payload.C"}]},
}
"""Trainer settings that name the module ``payload``."""
OUTSIDE: dict[str, dict[str, Any]] = {
    "a keeper that writes elsewhere": {
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {"dirpath": "elsewhere", "filename": "../escape"},
            }
        ]
    },
    "a logger that writes elsewhere": {
        "logger": [
            {
                "class_path": "lightning.pytorch.loggers.CSVLogger",
                "init_args": {"save_dir": "elsewhere"},
            }
        ]
    },
}
"""Trainer settings that name a place to write to."""

_QUIET = ("--trainer.max_epochs", "1", "--trainer.enable_progress_bar", "false")


def _module(folder: Path) -> Path:
    """Put the payload on the import path of this process's children; returns its mark."""
    mark = folder / "PWNED"
    (folder / "site").mkdir()
    (folder / "site" / "payload.py").write_text(PAYLOAD.format(mark=str(mark)))
    return mark


def _import_from(folder: Path) -> None:
    sys.path.insert(0, str(folder / "site"))


def _bundled(change: Any, statuses: tuple[int, ...], whole: Path, folder: Path) -> str:
    mark = _module(folder)
    bundle = Path(shutil.copytree(whole, folder / "bundle"))
    edit(bundle, change)
    for words in (
        ("test", "bundle"),
        ("export", "bundle", "--format", "torch-export", "--out", "net.pt2"),
        ("finetune", "bundle", *_QUIET, "--trainer.logger", "false", "--out", "tuned"),
    ):
        told = command(*words, inside=folder, prepare=partial(_import_from, folder))
        if mark.exists():
            return f"code ran in {words[0]}"
        if said := fell(told, statuses):
            return f"{words[0]}: {said}"
    rest = {each.name for each in folder.iterdir()} - {"site", "bundle", "net.pt2", "tuned"}
    return f"wrote {', '.join(sorted(rest))}" if rest else ""


def _file(change: Any, folder: Path) -> str:
    from zoo.recipes.recipe import read_recipe

    mark = _module(folder)
    content = read_recipe("toy/points").as_dict()
    change(content)
    (folder / "theirs.yaml").write_text(yaml.safe_dump(content))
    told = command(
        *("train", "theirs.yaml", "--out", "run"),
        inside=folder,
        prepare=partial(_import_from, folder),
    )
    if mark.exists():
        return "code ran"
    return "something was written" if (folder / "run").exists() else fell(told)


def _working_directory(words: tuple[str, ...], whole: Path, folder: Path) -> str:
    """``python -m zoo`` in a folder with modules of the names that it imports."""
    mark = folder / "PWNED"
    bundle = Path(shutil.copytree(whole, folder / "bundle"))
    for name in ("pluggy", "yaml", "lightning", "payload", "torch"):
        (bundle / f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *words],
        cwd=bundle,
        env=environment,
        capture_output=True,
        timeout=120,
        check=False,
    )
    if mark.exists():
        return "code ran"
    return "" if done.returncode == 0 else f"status {done.returncode}: {done.stderr!r}"


def _git(settings: dict[str, str], folder: Path) -> str:
    mark = folder / "PWNED"
    git = ("git", "-C", str(folder))
    subprocess.run([*git, "init", "--quiet"], check=True)
    (folder / ".gitattributes").write_text("* filter=theirs\n")
    (folder / "file").write_text("x")
    for key, value in settings.items():
        subprocess.run([*git, "config", key, value.format(mark=mark)], check=True)
    words = ("train", "toy/points", *_QUIET, "--trainer.logger", "false", "--out", "run")
    said = fell(command(*words, inside=folder), (0,))
    return "code ran" if mark.exists() else said


def kinds(bundle: Path) -> Kinds:
    """Every kind.

    Args:
        bundle: A sound bundle of the recipe toy/points; copied.
    """
    named = {"class_path": "payload.C"}

    def trainer(settings: dict[str, Any]) -> Any:
        return lambda content: content["recipe"]["trainer"].update(settings)

    def of_file(section: str, values: dict[str, Any]) -> Any:
        return lambda content: content[section].update(values)

    return {
        **{
            f"bundle: {name}": partial(_bundled, trainer(each), (0,), bundle)
            for name, each in {**SETTINGS, **OUTSIDE}.items()
        },
        "bundle: argument of the model": partial(
            _bundled, lambda c: c["model"]["arguments"].update(hidden=named), (2,), bundle
        ),
        "bundle: argument of the data": partial(
            _bundled, lambda c: c["recipe"]["data"].update(size=named), (0, 2), bundle
        ),
        "bundle: a name with a path": partial(
            _bundled, lambda c: c["recipe"].update(name="../../../PWNED"), (0,), bundle
        ),
        "bundle: a start from elsewhere": partial(
            _bundled,
            lambda c: c["recipe"].update(init_from={"reference": "x.ckpt"}),
            (0, 2),
            bundle,
        ),
        **{
            f"recipe: {name}": partial(_file, of_file("trainer", each))
            for name, each in SETTINGS.items()
        },
        "recipe: argument of the model": partial(_file, of_file("model", {"hidden": named})),
        "recipe: argument of the data": partial(_file, of_file("data", {"size": named})),
        "modules beside a bundle: list": partial(_working_directory, ("list", "--json"), bundle),
        "modules beside a bundle: test": partial(_working_directory, ("test", "."), bundle),
        "git: a monitor of files": partial(_git, {"core.fsmonitor": "touch {mark}; false"}),
        "git: a filter": partial(
            _git, {"filter.theirs.clean": "touch {mark}", "filter.theirs.process": "touch {mark}"}
        ),
    }
