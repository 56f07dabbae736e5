"""Run parts one after the other, each in a process of its own, within a limit.

    python -m gpu.run [PART[=SECONDS] ...]

All parts in the order of ``PARTS`` without arguments. ``$BUDGET`` seconds (default 540) are for
all of them: a part for which less than its least time remains is left out. What the parts print
goes to ``$OUT/log.txt``, their results to ``$OUT/results.jsonl``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, NamedTuple

from gpu.record import CUDA, note

GRACE = 10
"""Seconds from the signal to end until a part is killed."""


class Part(NamedTuple):
    """Seconds of a part.

    Attributes:
        least: With less it is not begun.
        limit: After these it is stopped.
    """

    least: int
    limit: int


PARTS = {
    "check": Part(5, 40),
    "parity": Part(20, 75),
    "train": Part(20, 90),
    "resume": Part(15, 45),
    "pyramid": Part(20, 120),
    "mcdnn": Part(60, 150),
    "reach": Part(40, 150),
    "entrypoint": Part(15, 45),
    "paper": Part(20, 60),
    "rl": Part(15, 40),
    "memory": Part(10, 30),
    "extra": Part(10, 120),
}
"""In the order of their value. ``extra`` is ``.gpu/extra.sh``, a program of your own."""


def main() -> None:
    """Read the arguments, run the parts, and print the results."""
    if not CUDA and os.environ.get("DEVICE") != "cpu":
        raise SystemExit("torch sees no GPU here; set DEVICE=cpu to try the parts at toy sizes")
    chosen = asked(sys.argv[1:])
    ends = time.time() + float(os.environ.get("BUDGET", "540"))
    out = Path(os.environ.setdefault("OUT", ".gpu/out"))
    out.mkdir(parents=True, exist_ok=True)
    with (out / "log.txt").open("a", encoding="utf-8") as log:
        statuses = [run(name, part, ends, log) for name, part in chosen.items()]
    for line in (out / "results.jsonl").read_text(encoding="utf-8").splitlines():
        print(line[:240])
    failed = sum(status not in (0, None) for status in statuses)
    raise SystemExit(f"{failed} part(s) failed or were stopped: {out}/log.txt" if failed else 0)


def asked(arguments: list[str]) -> dict[str, Part]:
    """The parts that the arguments name, each with its time.

    Raises:
        SystemExit: one of them does not exist, or its seconds are not a whole number.
    """
    if not arguments:
        return {name: part for name, part in PARTS.items() if _command(name)}
    chosen = {}
    for argument in arguments:
        name, _, seconds = argument.partition("=")
        if name not in PARTS or not (seconds or "1").isdigit():
            raise SystemExit(f"{argument!r} is not PART or PART=SECONDS of {', '.join(PARTS)}")
        if not _command(name):
            raise SystemExit(".gpu/extra.sh does not exist")
        least, limit = PARTS[name]
        chosen[name] = Part(least, int(seconds or limit))
    return chosen


def run(name: str, part: Part, ends: float, log: IO[str]) -> int | None:
    """Run a part.

    Args:
        name: Of the part.
        part: Its time.
        ends: When all parts have to be done, in seconds since 1970.
        log: An open file, for what it prints.

    Returns:
        Its exit status; None if too little time remained.
    """
    remain = ends - time.time()
    if remain < min(part.least, part.limit):
        note(name, "part", left_out=f"{remain:.0f} s remained")
        return None
    limit = min(part.limit, remain)
    started = time.time()
    process = subprocess.Popen(
        _command(name),
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PART_ENDS": str(started + limit)},
        start_new_session=True,  # so that whatever it starts ends with it
    )
    stopped = False
    try:
        process.wait(limit)
    except subprocess.TimeoutExpired:
        stopped = True
        _end(process)
    seconds = round(time.time() - started, 1)
    note(name, "part", status=process.returncode, stopped=stopped, seconds=seconds)
    return process.returncode


def _command(name: str) -> list[str]:
    if name != "extra":
        return [sys.executable, "-m", f"gpu.{name}"]
    return ["bash", ".gpu/extra.sh"] if Path(".gpu/extra.sh").is_file() else []


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask a part and what it started to end, then kill them."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


if __name__ == "__main__":
    main()
