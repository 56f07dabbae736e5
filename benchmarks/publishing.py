"""A model published on a hub and loaded back: `zoo publish` of vision/mpcnn-digits to a server on
the loopback address that speaks the calls of the Hugging Face Hub (tests/helpers/hub_server.py).

    OMP_NUM_THREADS=1 python benchmarks/publishing.py

Every command runs in a process of its own, with an empty cache for those who fetch. Hashes are
compared after each step. The time of reading commands is the processor time of whole processes,
user and system, each paired with `python -c pass`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from machine import describe, today

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from hub_server import Hub, serving

RESULT = Path(__file__).parent / "results" / "publishing.md"
ADDRESS = "hf://alice/digits"
READING = (["info", "run"], ["info", "mpcnn-digits"], ["list"], ["publish", "--help"])


class Place:
    """A folder to work in, and whose commands know the hub."""

    def __init__(self, folder: str, hub: Hub) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_HUB_DISABLE_XET": "1",  # a protocol that the small server does not speak
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
            "HF_TOKEN": "hf_alice",
            "ZOO_CACHE": f"{folder}/cache",
        }

    def zoo(self, *words: str, status: int = 0, **environment: str) -> str:
        """What a command prints; its error where it is to fail."""
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *words],
            cwd=self.folder,
            env=self.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != status:
            raise RuntimeError(f"zoo {words} ended with {done.returncode}: {done.stderr}")
        return done.stderr if status else done.stdout

    def seconds(self, *words: str) -> float:
        """User and system time of a whole process of Python."""
        with subprocess.Popen(
            [sys.executable, *words],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.DEVNULL,
        ) as process:
            _, ended, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(ended)
        if process.returncode:
            raise RuntimeError(f"{words} ended with {process.returncode}")
        return usage.ru_utime + usage.ru_stime


def publish(place: Place, hub: Hub) -> list[str]:
    """Publish, publish again, publish another, and fetch the first: rows of a table."""
    words = ["vision/mpcnn-digits", "--trainer.enable_progress_bar", "false"]
    place.zoo("train", *words, "--trainer.max_epochs", "3", "--out", "run")
    place.zoo("train", *words, "--trainer.max_epochs", "1", "--seed", "2", "--out", "other")
    row = json.loads(place.zoo("publish", "run", ADDRESS, "--yes", "--json"))[0]
    there = hub.repositories["alice/digits"]
    again = json.loads(place.zoo("publish", "run", ADDRESS, "--yes", "--json"))[0]
    assert (again["committed"], again["revision"]) == (False, row["revision"])
    taken = place.zoo("publish", "other", ADDRESS, "--yes", status=2)
    moved = json.loads(place.zoo("publish", "other", ADDRESS, "--replace", "--yes", "--json"))[0]
    assert there.branches["main"] == moved["revision"] != row["revision"]
    fetched = {"ZOO_CACHE": f"{place.folder}/anothers"}
    tested = [
        json.loads(place.zoo("test", reference, "--json", **fetched))[0]
        for reference in (row["reference"], "run")
    ]
    for each in tested:
        each.pop("name")
    weights = (Path(place.folder) / "run/bundle/model.safetensors").read_bytes()
    sent = there.commits[row["revision"]]["model.safetensors"]
    digest = hashlib.sha256(weights).hexdigest()
    assert hashlib.sha256(sent).hexdigest() == digest
    assert tested[0] == tested[1]
    return [
        f"| published | `{row['reference']}` |",
        f"| files | {', '.join(f'{name} {size:,} bytes' for name, size in row['files'].items())} |",
        f"| sha256 of `bundle.json` | `{row['sha256']}` |",
        f"| sha256 of the weights, here and there | `{digest}` |",
        f"| `zoo test` of it from an empty cache | {_metrics(tested[0])} |",
        f"| `zoo test` of the run | {_metrics(tested[1])} |",
        f"| published again | nothing committed, still `{again['revision'][:12]}` |",
        f"| another model there | {_said(taken)} |",
        f"| with `--replace` | main is `{moved['revision'][:12]}`, the pinned one stays |",
    ]


def times(place: Place, pairs: int) -> list[str]:
    """Reading commands beside a Python that does nothing."""
    rows = []
    for words in READING:
        taken = [
            (place.seconds("-m", "zoo", *words), place.seconds("-c", "pass"))
            for _ in range(pairs + 1)
        ][1:]  # the first compiles what is not compiled yet
        ours, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
        ratio = statistics.median(a / b for a, b in taken)
        least = min(a for a, _ in taken)
        rows.append(
            f"| `zoo {' '.join(words)}` | {ours:.3f} | {least:.3f} | {theirs:.3f} | {ratio:.1f} |"
        )
    return rows


def _metrics(row: dict[str, float]) -> str:
    return ", ".join(f"`{key}` {value:.6g}" for key, value in sorted(row.items()))


def _said(error: str) -> str:
    return error.strip().splitlines()[-1].replace("|", "\\|")


def main() -> None:
    """Publish, measure, and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--print", action="store_true", help="leave the recorded result alone")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serving() as hub:
        hub.tokens["hf_alice"] = "alice"
        place = Place(folder, hub)
        rows = publish(place, hub)
        cost = place.zoo("info", "run")
        measured = times(place, options.pairs)
    kept = ("parameters", "example input", "forward pass", "memory")
    lines = [
        "# Publishing",
        "",
        f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/publishing.py --pairs {options.pairs}`",
        f"- {describe()}",
        "- vision/mpcnn-digits, trained for three epochs, published to a server on the loopback "
        "address, and loaded back from an empty cache; the hash of `bundle.json` holds that of the "
        "weights",
        "",
        "| step | what came of it |",
        "|---|---|",
        *rows,
        "",
        "What `zoo info run` says the model costs:",
        "",
        "```text",
        *(line for line in cost.splitlines() if line.strip().startswith(kept)),
        "```",
        "",
        "Reading commands, target at most 0.3 s: processor time, user and system, of whole "
        "processes, medians:",
        "",
        "| command | seconds | least | `python -c pass` | ratio |",
        "|---|---|---|---|---|",
        *measured,
        "",
    ]
    text = "\n".join(lines)
    print(text)
    if not options.print:
        RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
