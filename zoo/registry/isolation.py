"""Keep what third-party code does while it is loaded from everybody else.

What cannot be caught inside a process (a hang, ``os._exit``, a crash) is found out by the next
command: a note in the cache folder says which plugin a process was loading, and a plugin whose
process is gone is tried in a child process first.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from zoo.io.cache_folder import cache_folder

TRIAL_SECONDS = 10.0
"""How long a suspicious plugin may take to import in a child process."""


@contextlib.contextmanager
def contained() -> Iterator[io.StringIO]:
    """Catch what is printed, and put back what a module has no business to change: the working
    directory and torch's default type of numbers, where torch is loaded.

    Yields:
        What was printed, on both streams.
    """
    printed = io.StringIO()
    folder = os.getcwd()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        try:
            yield printed
        finally:
            if os.getcwd() != folder:
                printed.write(f"[changed the working directory to {os.getcwd()}]")
                os.chdir(folder)
            torch = sys.modules.get("torch")
            if torch is not None and torch.get_default_dtype() != torch.float32:
                printed.write(f"[changed torch's default dtype to {torch.get_default_dtype()}]")
                torch.set_default_dtype(torch.float32)


def text_of(error: BaseException) -> str:
    """What an error says in one line, also if its own text raises."""
    try:
        return " ".join(str(error).split())
    except BaseException:  # noqa: BLE001  # third-party code
        return "(an error whose text cannot be shown)"


@contextlib.contextmanager
def noted(plugin: str) -> Iterator[None]:
    """Leave a note of what is being loaded, which goes when loading ends in any way but with the
    process."""
    note = _notes() / f"{os.getpid()}"
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(plugin, encoding="utf-8")
    except OSError:  # a cache that cannot be written costs this safeguard and nothing else
        yield
        return
    try:
        yield
    except KeyboardInterrupt:  # perhaps because it hangs: the note stays
        raise
    except BaseException:
        note.unlink(missing_ok=True)
        raise
    else:
        note.unlink(missing_ok=True)


def suspicious() -> dict[str, list[Path]]:
    """Plugins that a process was loading when it ended, with the notes that tell so."""
    found: dict[str, list[Path]] = {}
    with contextlib.suppress(OSError):
        for note in _notes().iterdir():
            if note.name.isdecimal() and (
                int(note.name) == os.getpid() or not _is_running(int(note.name))
            ):
                found.setdefault(note.read_text(encoding="utf-8", errors="replace"), []).append(
                    note
                )
    return found


def trial(module: str, seconds: float = TRIAL_SECONDS) -> str:
    """Import a module in a child process.

    Args:
        module: The module that a plugin's entry point names.
        seconds: How long it may take.

    Returns:
        What went wrong, in a few words; empty if it imports, or raises an error that this process
        can catch.
    """
    code = (
        "import importlib, os, sys\n"
        "try:\n    importlib.import_module(sys.argv[1])\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"  # nobody pressed Ctrl-C here
        "except BaseException:\n    pass\n"
        "os.write(1, b'imported')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, module],
            env=environment,
            capture_output=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"its import did not end within {seconds:g} seconds"
    if done.stdout.endswith(b"imported"):
        return ""
    how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
    return f"its import ended the process ({how})"


def _notes() -> Path:
    return cache_folder() / "loading"


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
