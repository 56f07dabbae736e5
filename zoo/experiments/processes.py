"""Runs of a group in processes of their own: several at once, and none takes another down.

    while members are left:
        start the next where fewer than `jobs` are at work
        show what each says, a line under the member's name
        note how each ended; a failure is an outcome like any other

A member is a run folder within the group and a call of the command line that makes or continues
it. Ctrl-C and SIGTERM stop all members in order, each with its checkpoint. Members whose starter
was killed stop by themselves (``zoo.io.lifeline``); until they have, their folders are locked, and
whoever continues the group waits for that.
"""

from __future__ import annotations

import contextlib
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from zoo.errors import UsageError, ZooError
from zoo.io.lifeline import VARIABLE
from zoo.io.printable import printable
from zoo.runs.group import Group
from zoo.runs.state import is_held

_PROGRAM = (sys.executable, "-m", "zoo")
_REFUSED = 2
_SAYS = "zoo: "
_WARNS = "zoo: warning: "
_PATIENCE = 60.0
"""Seconds to wait for a process that another one left in a member's folder."""


@dataclass(frozen=True)
class Outcome:
    """How a member ended.

    Attributes:
        name: Folder name of the member.
        status: Exit status of its process: 0 done, 1 failed, 2 refused; negative for a signal.
        reason: What it said last, if it failed.
    """

    name: str
    status: int
    reason: str

    @property
    def failed(self) -> bool:
        """Whether it did not come to its end."""
        return self.status != 0


class ExperimentInterrupted(ZooError):
    """Ctrl-C or SIGTERM ended an experiment of several runs, which can be continued.

    Args:
        status: The exit status: 130 for Ctrl-C, 143 for SIGTERM.
        continued_by: The command that continues it.
    """

    def __init__(self, status: int, continued_by: str) -> None:
        super().__init__(f"stopped; continue the unfinished runs with `{continued_by}`")
        self.status = status


def run_members(
    group: Group, jobs: int, command_of: Callable[[str], Sequence[str]], continued_by: str
) -> list[Outcome]:
    """Run every unfinished member of a group, each in a process of its own.

    Args:
        group: Written already; its members' folders need not exist.
        jobs: How many processes at once. More than one share the processor's cores, unless
            ``OMP_NUM_THREADS`` is set.
        command_of: The words after ``zoo`` by the name of a member, such as ``["train", RECIPE,
            "--out", FOLDER, "--resume", "auto", "--json"]``. What a process prints to standard
            output is dropped, standard error is shown.
        continued_by: The command that continues the group, for the sentence after Ctrl-C.

    Returns:
        How each of them ended, in the order of the members. Finished members are left out.

    Raises:
        UsageError: ``jobs`` is not positive, or the first member to end refused the call before
            any wrote a run: all would.
        ExperimentInterrupted: Ctrl-C or SIGTERM came; all processes have ended.
    """
    if jobs < 1:
        raise UsageError(f"the number of jobs has to be 1 or more, not {jobs}")
    waiting = [name for name, run in group.runs.items() if not run.finished]
    crew = _Crew(group, command_of, min(jobs, max(len(waiting), 1)))
    try:
        with _sigterm_raises():
            return crew.work(waiting)
    except (KeyboardInterrupt, _Terminated) as stop:
        print("stopping; a second Ctrl-C ends at once", file=sys.stderr, flush=True)
        crew.stop()
        status = 143 if isinstance(stop, _Terminated) else 130
        raise ExperimentInterrupted(status, continued_by) from stop
    finally:
        crew.kill()


def threads_each(jobs: int) -> int:
    """The share that each of several processes has of the cores this one may use."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, cores // jobs)


class _Terminated(BaseException):
    """SIGTERM came."""


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """While members run, SIGTERM is an exception, so that they are stopped in order."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        raise _Terminated

    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class _Member:
    """A process at work, and what it said last: from the sentence of an error on, which is kept
    until its end and then told once."""

    name: str
    process: subprocess.Popen[str]
    reader: threading.Thread
    said: list[str] = field(default_factory=list)
    last: str = ""

    def take(self, line: str) -> str | None:
        """A line that it wrote.

        Returns:
            The line, if it is to be shown now.
        """
        if self.said or (line.startswith(_SAYS) and not line.startswith(_WARNS)):
            self.said.append(line.removeprefix(_SAYS) if not self.said else line)
            return None
        self.last = line.strip() or self.last
        return line

    def outcome(self) -> Outcome:
        """How it ended."""
        status = self.process.returncode
        if status == 0:
            return Outcome(self.name, 0, "")
        reason = "\n".join(self.said) or self.last or f"exit status {status}"
        if status < 0:
            name = signal.Signals(-status).name
            reason = f"killed by {name}"
            if -status == signal.SIGKILL:
                reason += ", as the system does where memory is used up"
        return Outcome(self.name, status, reason)


class _Crew:
    """The processes of a group."""

    def __init__(self, group: Group, command_of: Callable[[str], Sequence[str]], jobs: int) -> None:
        self._group = group
        self._command_of = command_of
        self._jobs = jobs
        self._lines: queue.Queue[tuple[str, str]] = queue.Queue()
        self._running: list[_Member] = []
        self._said_waiting = False
        self._width = max(map(len, group.members), default=0)

    def work(self, waiting: Sequence[str]) -> list[Outcome]:
        """Run these members."""
        order, left = list(waiting), list(waiting)
        found: dict[str, Outcome] = {}
        patience = time.monotonic() + _PATIENCE
        if self._jobs > 1 and "OMP_NUM_THREADS" not in os.environ:
            threads = threads_each(self._jobs)
            self._tell(f"{self._jobs} at once, with {threads} thread{'s'[: threads > 1]} each")
        while left or self._running:
            while left and len(self._running) < self._jobs:
                name = self._next(left, patience)
                if name is None:
                    break
                left.remove(name)
                self._running.append(self._start(name))
            for outcome in self._look():
                found[outcome.name] = outcome
                if outcome.status == _REFUSED and not self._anything_written():
                    self.stop()
                    raise UsageError(outcome.reason)
                said = f"failed: {outcome.reason}" if outcome.failed else "done"
                self._tell(said, outcome.name)
        return [found[name] for name in order]

    def stop(self) -> None:
        """Let every process end in order; a second Ctrl-C ends them at once."""
        for member in self._running:
            member.process.terminate()
        try:
            while self._running:
                self._look()
        except KeyboardInterrupt:
            self.kill()

    def kill(self) -> None:
        """End every process at once."""
        for member in self._running:
            member.process.kill()
            member.process.wait()
            _close(member.process)
        self._running.clear()

    def _next(self, left: Sequence[str], patience: float) -> str | None:
        """The next member to start: one that no other process holds, as long as that may end."""
        free = (name for name in left if not is_held(self._group.runs[name]))
        if (name := next(free, None)) is not None:
            return name
        if self._running or time.monotonic() < patience:
            self._say_waiting(left)
            return None
        return left[0]  # which says itself that another process trains there

    def _say_waiting(self, left: Sequence[str]) -> None:
        if not self._running and not self._said_waiting:
            self._tell(f"waiting for the process that still works in {', '.join(left)}")
            self._said_waiting = True

    def _start(self, name: str) -> _Member:
        environment = {**os.environ, VARIABLE: "1"}
        if self._jobs > 1:
            environment.setdefault("OMP_NUM_THREADS", str(threads_each(self._jobs)))
        process = subprocess.Popen(
            [*_PROGRAM, *map(str, self._command_of(name))],
            stdin=subprocess.PIPE,  # its end is ours
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
            start_new_session=True,  # Ctrl-C comes to this process, which passes it on in order
        )
        reader = threading.Thread(target=self._read, args=(name, process), daemon=True)
        reader.start()
        return _Member(name, process, reader)

    def _read(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self._lines.put((name, line.rstrip("\r\n")))

    def _look(self) -> list[Outcome]:
        """Show what was said within a moment.

        Returns:
            Of those members that have ended meanwhile, how.
        """
        self._show(0.1)
        ended = [member for member in self._running if member.process.poll() is not None]
        outcomes = []
        for member in ended:
            member.reader.join(timeout=2.0)  # a grandchild may keep the pipe open
            self._show(0.0)
            self._running.remove(member)
            _close(member.process)
            outcomes.append(member.outcome())
        return outcomes

    def _show(self, seconds: float) -> None:
        members = {member.name: member for member in self._running}
        with contextlib.suppress(queue.Empty):
            name, line = self._lines.get(timeout=seconds) if seconds else self._lines.get_nowait()
            while True:
                shown = members[name].take(line) if name in members else line
                if shown is not None:
                    self._tell(shown, name)
                name, line = self._lines.get_nowait()

    def _tell(self, line: str, name: str = "") -> None:
        text = printable(f"{name.ljust(self._width)}  {line}" if name else line)
        if sys.stderr.isatty():
            text = text[: shutil.get_terminal_size().columns]
        print(text, file=sys.stderr, flush=True)

    def _anything_written(self) -> bool:
        return any(run.recipe_file.exists() for run in self._group.runs.values())


def _close(process: subprocess.Popen[Any]) -> None:
    for stream in (process.stdin, process.stderr):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
