"""What a sweep withstands, on scikit-learn's digits: 20 trials that are killed twice end as 20
trials that were not, and three processes share 20 trials without doing one twice.

The first sweep is left alone. The second is the same command, ended by SIGKILL once within the
training of its seventh trial and once as its fourteenth begins, and started again each time. The
third is the same command started three times, with a storage in SQLite.

    OMP_NUM_THREADS=1 python benchmarks/sweep.py
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from machine import describe, today

RESULT = Path(__file__).parent / "results" / "sweep.md"
TABLE = Path(__file__).parent / "results" / "sweep.csv"
TRIALS = 20
WORDS = (
    "vision/mpcnn-digits --model.lr log:1e-4:1e-1 --data.batch_size choice:16,32,64 "
    "--model.rotation float:0:20 --trainer.max_epochs 3 --trainer.limit_train_batches 20 "
    f"--trials {TRIALS}"
)
BEGUN = re.compile(r"^trial (\d+) of", re.MULTILINE)


def start(out: Path, said: Path, *more: str) -> subprocess.Popen[bytes]:
    """Start the command, what it says going to a file."""
    command = [sys.executable, "-m", "zoo", "sweep", *WORDS.split(), "--out", str(out), *more]
    with said.open("ab") as file:
        return subprocess.Popen(command, cwd=out.parent, stdout=file, stderr=file)


def finish(process: subprocess.Popen[bytes], said: Path) -> None:
    """Wait for its end, which has to be a good one."""
    if process.wait():
        raise RuntimeError(
            f"the sweep ended with {process.returncode}: {said.read_text(encoding='utf-8')}"
        )


def kill_when(out: Path, said: Path, due: Callable[[], bool]) -> str:
    """Start the command, kill it once it is due, and say where that was."""
    process = start(out, said)
    while not due():
        time.sleep(0.02)
        if process.poll() is not None:
            raise RuntimeError(
                f"the sweep ended before it was killed: {said.read_text(encoding='utf-8')}"
            )
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    cut = BEGUN.findall(said.read_text(encoding="utf-8"))[-1]
    rows = _lines(out / f"trial-{int(cut):04}" / "metrics.csv")
    return f"SIGKILL in trial {cut}, with {max(rows - 1, 0)} of its epochs in metrics.csv"


def _lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) if path.is_file() else 0


def table(out: Path) -> str:
    """Trial, state, value, validations and what was varied, of every trial."""
    return (out / "summary.csv").read_text()


def curves(out: Path) -> list[str]:
    """What every trial logged."""
    return [path.read_text() for path in sorted(out.glob("trial-*/metrics.csv"))]


def main() -> None:
    """Run the three sweeps and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--print", action="store_true", help="leave the recorded result alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        whole, killed, shared = (place / name for name in ("whole", "killed", "shared"))
        finish(start(whole, place / "whole.txt"), place / "whole.txt")
        said = place / "killed.txt"
        kills = [
            kill_when(killed, said, lambda: _lines(killed / "trial-0006" / "metrics.csv") > 1),
            kill_when(killed, said, lambda: (killed / "trial-0013").is_dir()),
        ]
        finish(start(killed, said), said)
        outputs = [place / f"shared-{index}.txt" for index in range(3)]
        storage = ("--storage", f"sqlite:///{place / 'trials.db'}")
        processes = [start(shared, each, *storage) for each in outputs]
        for process, each in zip(processes, outputs, strict=True):
            finish(process, each)
        done = [[int(number) for number in BEGUN.findall(each.read_text())] for each in outputs]
        every = sorted(number for numbers in done for number in numbers)
        summary = json.loads((shared / "summary.json").read_text())
        states = [row["state"] for row in summary["trials"]]
        best = json.loads((whole / "summary.json").read_text())["best"]
        rows = list(csv.DictReader(table(whole).splitlines()))
        pruned = sum(row["state"] == "pruned" for row in rows)
        lines = [
            "# Sweeps",
            "",
            f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/sweep.py`",
            f"- {describe()}",
            f"- `zoo sweep {WORDS}`",
            "",
            "## Killed twice",
            "",
            f"- left alone: {len(rows)} trials, {pruned} of them pruned; the best is "
            f"trial {best['trial']} with val/accuracy {best['value']:.4f}",
            *(f"- {kill}, and started again" for kill in kills),
            f"- `summary.csv` of the two sweeps is {_same(table(whole) == table(killed))}, and so "
            f"is `metrics.csv` of their trials: {_same(curves(whole) == curves(killed))}. It is "
            "[sweep.csv](sweep.csv).",
            "",
            "## Three processes",
            "",
            f"- the same command three times at once, with a storage in SQLite: {len(states)} "
            f"trials, {states.count('complete')} complete and "
            f"{states.count('pruned')} pruned",
            *(
                f"- process {index + 1} did {len(numbers)}: trials {', '.join(map(str, numbers))}"
                for index, numbers in enumerate(done)
            ),
            f"- every trial was done once: {every == list(range(TRIALS))}",
            "",
        ]
        text = "\n".join(lines)
        print(text)
        if not options.print:
            RESULT.write_text(text, encoding="utf-8")
            TABLE.write_text(table(whole), encoding="utf-8")


def _same(equal: bool) -> str:
    return "the same, byte for byte" if equal else "DIFFERENT"


if __name__ == "__main__":
    main()
