"""One command in a process of its own, bounded in time and memory, and what it has to tell."""

from __future__ import annotations

import functools
import math
import os
import resource
import shutil
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Kind = Callable[[Path], str]
"""Tries something in a folder; returns what fell, or nothing."""
Kinds = Mapping[str, Kind]

SECONDS = 60.0
"""After which a command is killed."""
quick = math.inf
"""Seconds of the processor within which a refusal has to come; the tests, which run beside other
work and under a tracer, set none."""
MEMORY = 6 << 30
"""Bytes that a command may take before its allocations fail."""


@dataclass
class Told:
    """What a command said, and how it ended."""

    status: int
    out: str
    err: str
    seconds: float


def command(
    *words: object,
    inside: Path,
    prepare: Callable[[], object] | None = None,
    seconds: float = SECONDS,
) -> Told:
    """Run ``zoo WORDS`` in a child of this process.

    Args:
        words: The words after ``zoo``; bytes and text that is not UTF-8 are passed as they are.
        inside: Its working directory.
        prepare: Called in the child first.
        seconds: After which it is killed.
    """
    main = _warm()
    streams = [inside.with_name(f".{inside.name}.{name}") for name in ("out", "err")]
    child = os.fork()
    if not child:
        for number, stream in enumerate(streams, 1):
            os.dup2(os.open(stream, os.O_CREAT | os.O_WRONLY | os.O_TRUNC), number)
        sys.stdout = os.fdopen(1, "w", closefd=False)
        sys.stderr = os.fdopen(2, "w", closefd=False)
        status = 99
        try:
            os.chdir(inside)
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
            if prepare is not None:
                prepare()
            status = main([str(word) for word in words])
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    status, taken = _wait(child, seconds)
    out, err = (stream.read_text(errors="replace") for stream in streams)
    for stream in streams:
        stream.unlink()
    return Told(status, out, err, taken)


@functools.cache
def _warm() -> Callable[[Sequence[str]], int]:
    """Import what takes long once, before the forks."""
    from lightning.pytorch import Trainer

    import zoo.inference.evaluate
    import zoo.inference.export
    import zoo.inference.predict
    import zoo.training.finetune  # noqa: F401
    from zoo.cli.main import main
    from zoo.recipes.signatures import defaults

    defaults(Trainer)
    return main


def _wait(child: int, seconds: float) -> tuple[int, float]:
    """The exit status, or minus the signal, and the seconds of the processor."""
    start = time.monotonic()
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime
        if time.monotonic() - start > seconds:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.005)


def fell(told: Told, statuses: Sequence[int] = (2,), says: Sequence[str] = ()) -> str:
    """What is wrong with how a command ended: not in one of these ways, without a plain sentence,
    without the words that it has to say, or too late."""
    problems = []
    if told.status not in statuses:
        problems.append(f"status {told.status}")
    if "--debug shows where" in told.err or "Traceback" in told.err:
        problems.append("an error that nobody foresaw")
    if told.status and "zoo: " not in told.err:
        problems.append("no sentence")
    problems += [f"does not say {text!r}" for text in says if text not in told.err]
    if told.seconds > quick and told.status:
        problems.append(f"{told.seconds:.1f} s")
    return f"{'; '.join(problems)}: {told.err[-600:]}" if problems else ""


def copy(source: Path, to: Path) -> Path:
    """A copy of a folder."""
    return Path(shutil.copytree(source, to))
