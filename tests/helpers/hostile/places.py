"""Full, read-only and odd places, and odd names."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

from hostile.trial import Kinds, command, fell

QUIET = (
    *("--trainer.max_epochs", "1", "--trainer.logger", "false"),
    *("--trainer.enable_progress_bar", "false"),
)
LONG = "x" * 300
NAMES = {
    "a newline": "a\nb",
    "quotes": "a'b\"c",
    "spaces and a dollar": "a $b $c",
    "not UTF-8": os.fsdecode(b"a\xffb"),
    "an escape": "a\x1b[2Jb",
    "a percent sign": "a%db",
    "a leading hyphen in it": "in/-x",
    "the parent": "in/../out",
    "the folder itself": ".",
}


def _train(out: str, folder: Path) -> str:
    (folder / "empty").mkdir()
    inside = folder / "empty" if out == "." else folder
    told = command("train", "toy/points", *QUIET, "--out", out, inside=inside)
    run = inside / out
    if said := fell(told, (0,)):
        return said
    if not (run / "bundle" / "bundle.json").is_file():
        return "no bundle"
    return fell(command("test", out, inside=inside), (0,))


def _refused(words: tuple[str, ...], says: str, folder: Path) -> str:
    (folder / "file").write_text("x")
    (folder / "circle").symlink_to(folder / "circle")
    before = sorted(folder.iterdir())
    told = command(*words, inside=folder)
    if sorted(folder.iterdir()) != before:
        return "something was written"
    return fell(told, says=[says])


def _full(number: int, part: str) -> Callable[[], object]:
    """Let writes to files whose path holds ``part`` fail."""
    original = os.fsync

    def fsync(descriptor: int) -> None:
        if part in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        original(descriptor)

    return mock.patch("os.fsync", fsync).start


def _fails(number: int, part: str, says: str, folder: Path) -> str:
    """A training whose disk fails: told with the path, and continued once it is mended."""
    words = ("train", "toy/points", *QUIET)
    told = command(*words, "--out", "run", inside=folder, prepare=_full(number, part))
    if said := fell(told, (1, 2), says=[says, os.strerror(number)]):
        return said
    if left := [str(each) for each in (folder / "run").rglob("*.tmp")]:
        return f"left: {left}"
    again = ("--resume", "auto", "--out", "run")
    return fell(command(*words, *again, inside=folder), (0,))


def _removed(folder: Path) -> str:
    """The run folder goes while it trains."""

    def prepare() -> None:
        from zoo_toy.model import ToyNet

        step = ToyNet.training_step

        def training_step(self: ToyNet, batch: object, batch_idx: int) -> object:
            if self.global_step == 8:
                shutil.rmtree("run")
            return step(self, batch, batch_idx)

        ToyNet.training_step = training_step  # type: ignore[method-assign,assignment]

    words = ("train", "toy/points", "--trainer.max_epochs", "3", "--trainer.logger", "false")
    told = command(*words, "--out", "run", inside=folder, prepare=prepare)
    if (folder / "run").exists():
        return f"made again: {list((folder / 'run').iterdir())}"
    return fell(told, (1,), says=["was removed or moved while its training ran"])


_NEW = ("train", "toy/points", "--out")
KINDS: Kinds = {
    **{f"the name holds {k}": partial(_train, v) for k, v in NAMES.items()},
    "a name of 300 letters": partial(_refused, (*_NEW, LONG), "File name too long"),
    "a path of 5000 letters": partial(_refused, (*_NEW, "x/" * 2500), "File name too long"),
    "an empty name": partial(_refused, (*_NEW, ""), "is empty"),
    "an empty name to resume": partial(
        _refused, ("train", "toy/points", "--resume", ""), "an empty name is not a run folder"
    ),
    "an empty name to resume automatically": partial(
        _refused, (*_NEW, "", "--resume", "auto"), "is empty"
    ),
    "an empty name of predictions": partial(
        _refused, ("predict", "toy-trained", "x", "--out", ""), "is empty"
    ),
    "a file": partial(_refused, (*_NEW, "file"), "exists and is not empty"),
    "below a file": partial(_refused, (*_NEW, "file/run"), "file"),
    "in /proc": partial(_refused, (*_NEW, "/proc/run"), "/proc/run"),
    "a circle of links": partial(_refused, (*_NEW, "circle/run"), "circle"),
    "a recipe of 300 letters": partial(
        _refused, ("train", f"{LONG}.yaml"), "File name too long: choose a shorter name"
    ),
    "a reference of 300 letters": partial(_refused, ("test", LONG), "File name too long"),
    "a resumed run of 300 letters": partial(
        _refused, ("train", "toy/points", "--resume", LONG), "File name too long"
    ),
    **{
        f"{errno.errorcode[number]} at {part}": partial(_fails, number, part, says)
        for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)
        for part, says in {
            "last.ckpt": "run/checkpoints/last.ckpt",
            "environment.json": "run/environment.json",
            "model.safetensors": "run/bundle",
        }.items()
    },
    "removed while training": _removed,
}
