"""What starting costs: `zoo train vision/mpcnn-digits` up to its first step, and a call with a
wrong key, each in processor time against `python -c "import torch, lightning"`.

Processes take turns; their user and system time is the operating system's account of them, with
compiled modules cached as they are from the second start on. The process that trains is ended
at its first batch, the one beside it as abruptly after its imports.

    OMP_NUM_THREADS=1 python benchmarks/startup.py [--pairs 7] [--python ANOTHER-ENVIRONMENT]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe, today

RESULT = Path(__file__).parent / "results" / "startup.md"
IMPORTS = "import torch, lightning"
FIRST_BATCH = """
import os, runpy, sys
from lightning.pytorch import LightningModule
LightningModule.on_train_batch_start = lambda *arguments: os._exit(0)
sys.argv[0] = "zoo"
runpy.run_module("zoo", run_name="__main__", alter_sys=True)
"""
RECIPE = "vision/mpcnn-digits"
WRONG_KEY = "--model.learning_rat"


def processor_time(command: list[str], status: int, folder: str) -> float:
    """User and system seconds of a process and those it waited for.

    Args:
        command: What to run.
        status: The exit status that it has to have.
        folder: Its working directory.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr
        said = process.stderr.read()
        _, ended, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(ended)
    if process.returncode != status:
        raise RuntimeError(f"{command} ended with {process.returncode}: {said.decode()}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure pairs and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--python", default=sys.executable, help="an interpreter that has the zoo")
    parser.add_argument("--print", action="store_true", help="leave the recorded result alone")
    options = parser.parse_args()
    python = options.python
    pairs = {
        f"to the first step of `zoo train {RECIPE}`": (
            1.12,
            ([python, "-c", FIRST_BATCH, "train", RECIPE], 0),
            ([python, "-c", f"{IMPORTS}, os; os._exit(0)"], 0),
        ),
        f"`zoo train {RECIPE} {WRONG_KEY} 1`": (
            1.10,
            ([python, "-m", "zoo", "train", RECIPE, WRONG_KEY, "1"], 2),
            ([python, "-c", IMPORTS], 0),
        ),
    }
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, (target, ours, theirs) in pairs.items():
            times = [
                [processor_time(*command, folder) for command in (ours, theirs)]
                for _ in range(options.pairs + 1)
            ][1:]  # the first compiles what is not compiled yet
            ratios = sorted(a / b for a, b in times)
            middle = statistics.median(ratios)
            ours_, theirs_ = (statistics.median(column) for column in zip(*times, strict=True))
            rows.append(
                f"| {what} | {target:.2f} | **{middle:.3f}** | {ratios[0]:.3f} | {ratios[-1]:.3f} "
                f"| {ours_:.2f} | {theirs_:.2f} |"
            )
    lines = [
        "# Start-up",
        "",
        f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/startup.py --pairs {options.pairs}`",
        f"- {describe()}",
        "- processor time, user and system, of whole processes, each paired with "
        f'`python -c "{IMPORTS}"`',
        "",
        "| what | target: at most | median ratio | least | most | seconds | of the imports |",
        "|---|---|---|---|---|---|---|",
        *rows,
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if not options.print:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
