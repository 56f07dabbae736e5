"""Attacks, damages and broken things that were tried, and how many of them the zoo held.

Every row is a list of named kinds, those that the tests take too (``tests/helpers/hostile``): each
is tried in a process of its own, bounded in time and memory. A kind holds if the command does what
it should or ends with one plain sentence, runs no code of the attacker's, and leaves nothing
behind. Kills are counted by ``kills.py``.

    python benchmarks/trust/count.py
    python benchmarks/trust/count.py --only yaml --only bundles
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a process with threads cannot be forked
sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))

from conftest import OURS, installed
from hostile import bombs, bundles, code, pickles, places, plugins, runs, texts, trial
from hostile.trial import Kinds

ROOT = Path(__file__).parents[2]
Results = Iterator[tuple[str, str]]
"""Kind, and what fell; nothing if it held."""

TESTS = {
    "http": ("tests/hub", "answers or address or download or wrong or names or damaged"),
    "simultaneous": (
        "tests/hub/test_processes.py tests/test_one_bad_file.py tests/test_runs.py",
        "at_once or one_second or same_second or wait or folders_of or locked",
    ),
}
"""Rows whose kinds need servers and many processes of the tests' own: files and names of tests."""


def main() -> int:
    """Print a row for each list, what fell, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    rows = ("bundles", "code", "pickles", "runs", "yaml", "bombs", "plugins", "places", *TESTS)
    parser.add_argument("--only", action="append", choices=rows, help="a row; all by default")
    options = parser.parse_args()
    print("| row | tried | held |\n|---|---|---|")
    trial.quick = 5.0
    fallen: list[str] = []
    tried = held = 0
    with tempfile.TemporaryDirectory() as scratch, _prepared(Path(scratch)) as lists:
        for row in options.only or rows:
            found = list(_tests(*TESTS[row]) if row in TESTS else _kinds(lists[row]()))
            good = sum(not said for _, said in found)
            tried, held = tried + len(found), held + good
            fallen += [f"{row}: {name}: {said}" for name, said in found if said]
            print(f"| {row} | {len(found)} | {good} |", flush=True)
    print(f"| all | {tried} | {held} |")
    for line in fallen:
        print(line, file=sys.stderr)
    return 1 if fallen else 0


@contextmanager
def _prepared(scratch: Path) -> Iterator[dict[str, Callable[[], Kinds]]]:
    """The lists, on a sound bundle and on a run that was cut, of the tests' toy plugin."""
    from cuts import cut_toy_run

    from zoo.training.train import train

    os.environ["ZOO_CACHE"] = str(scratch / "cache")
    os.environ["ZOO_DISABLE_PLUGINS"] = OURS
    quiet = {"trainer.max_epochs": 1, "trainer.logger": False, "trainer.enable_progress_bar": False}
    with installed(scratch / "site") as distributions:
        distributions.add_toy()
        os.environ["PYTHONPATH"] = distributions.python_path
        bundle = train("toy/points", quiet, out=scratch / "sound").bundle
        cut = cut_toy_run(scratch / "cut").path
        yield {
            "bundles": lambda: bundles.kinds(bundle),
            "code": lambda: code.kinds(bundle),
            "pickles": lambda: pickles.kinds(cut),
            "runs": lambda: runs.kinds(cut),
            "yaml": lambda: texts.KINDS,
            "bombs": lambda: bombs.KINDS,
            "plugins": lambda: plugins.kinds(bundle),
            "places": lambda: places.KINDS,
        }


def _kinds(kinds: Kinds) -> Results:
    for name, kind in kinds.items():
        with tempfile.TemporaryDirectory() as outer:
            folder = Path(outer) / "here"
            folder.mkdir()
            try:
                yield name, kind(folder)
            except Exception as error:  # noqa: BLE001  # a fault of the trial is no success
                yield name, f"{type(error).__name__}: {error}"


def _tests(files: str, names: str) -> Results:
    """What tests of these names find."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = ["-q", *files.split(), "-k", names, f"--junitxml={report}"]
        environment = {k: v for k, v in os.environ.items() if k != "ZOO_DISABLE_PLUGINS"}
        subprocess.run(
            [sys.executable, "-m", "pytest", *command],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            check=False,
        )
        for case in ElementTree.parse(report).iter("testcase"):
            failure = case.find("failure")
            failure = failure if failure is not None else case.find("error")
            yield case.get("name", ""), "" if failure is None else failure.get("message", "failed")


if __name__ == "__main__":
    sys.exit(main())
