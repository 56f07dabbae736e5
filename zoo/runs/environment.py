"""Where and how a run ran: versions, hardware, git revision, seed and command."""

from __future__ import annotations

import datetime
import importlib.metadata
import os
import platform
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any


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


_PASSWORD = re.compile(r"(://[^:/@\s]*):[^@\s]+@")


def command() -> str:
    """The command line of this process, to be typed again; passwords in addresses are left out."""
    program = Path(sys.argv[0])
    words = [without_password(word) for word in sys.argv[1:]]
    if program.name == "__main__.py":
        return shlex.join(["python", "-m", program.parent.name, *words])
    return shlex.join([program.name, *words])


def without_password(text: str) -> str:
    """An address, or a text that has one, without the password in it."""
    return _PASSWORD.sub(r"\1:***@", text)


def hardware() -> dict[str, Any]:
    """Processor, cores and accelerators."""
    import torch

    cpu = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8", errors="replace").splitlines()
        cpu = next((x.partition(":")[2].strip() for x in lines if x.startswith("model name")), cpu)
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {"cpu": cpu, "cores": os.cpu_count(), "gpus": gpus, "platform": platform.platform()}


def git_revision() -> str | None:
    """Commit of the working directory's repository, with ``+changes`` if it has any; None
    outside a repository or without git."""
    try:
        revision = _git("rev-parse", "HEAD")
        status = _git(*_harmless(), "status", "--porcelain", "--ignore-submodules=all")
        return revision + ("+changes" if status else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _harmless() -> list[str]:
    """Options under which the configuration of a repository, which may be anybody's, makes git
    run nothing: no file system monitor, no hook, no filter of file contents."""
    listed = subprocess.run(
        ["git", "config", "--name-only", "--get-regexp", r"^filter\..*\.(clean|smudge|process)$"],
        capture_output=True,
        text=True,
        check=False,
    )
    keys = ("core.fsmonitor", "core.hooksPath", "core.pager", *listed.stdout.splitlines())
    return [option for key in dict.fromkeys(keys) for option in ("-c", f"{key}=")]


def now() -> str:
    """The time, in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
