"""Checks of the cost of importing a plugin, which everybody pays, users of others too."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from typing import Any

from zoo.plugin.hooks import ENTRY_POINT_GROUP
from zoo.testing.check import check
from zoo.testing.results import CheckFailed
from zoo.testing.subjects import PluginSubject

MILLISECONDS = 50
TIMES = 5

_CHILD = """
import importlib, json, sys, time
import zoo.plugin.entries, zoo.plugin.hooks

class Watch:
    def __init__(self):
        self.heavy = {}
    def find_spec(self, name, path=None, target=None):
        if name in ("torch", "lightning", "pytorch_lightning", "numpy"):
            frame = sys._getframe(1)
            while "importlib" in frame.f_code.co_filename:
                frame = frame.f_back
            self.heavy.setdefault(name, f"{frame.f_code.co_filename}:{frame.f_lineno}")

watch = Watch()
sys.meta_path.insert(0, watch)
start = time.perf_counter()
importlib.import_module(sys.argv[1])
seconds = time.perf_counter() - start
from zoo.registry.plugins import load_plugins
load_plugins()
print("\\n" + json.dumps({"seconds": seconds, "heavy": watch.heavy}))
"""


@check(
    "imports-lightly",
    "plugin",
    why="`zoo list` imports every plugin; one that loads torch makes it take seconds for all",
    remedy="import torch, lightning and numpy in the modules that class paths name, not in "
    "plugin.py or in the package's __init__.py",
)
def imports_lightly(subject: PluginSubject) -> None:
    """Importing the module and calling its hooks loads no torch, lightning or numpy."""
    heavy = _import(subject.plugin.module, subject.name)["heavy"]
    if heavy:
        loaded = ", ".join(f"{name} (by {place})" for name, place in heavy.items())
        raise CheckFailed(f"{subject.plugin.module} loads {loaded}")


@check(
    "imports-quickly",
    "plugin",
    why=f"every `zoo` command waits for every plugin; {MILLISECONDS} ms each are hardly felt",
    remedy="look at `python -X importtime -c 'import YOUR.plugin'` and import less in plugin.py",
)
def imports_quickly(subject: PluginSubject) -> None:
    """The median import in fresh interpreters that know the hooks takes under 50 ms."""
    module = subject.plugin.module
    _import(module, subject.name)  # writes the compiled files, as an installation does
    seconds = [_import(module, subject.name)["seconds"] for _ in range(TIMES)]
    median = 1000 * statistics.median(seconds)
    if median >= MILLISECONDS:
        raise CheckFailed(f"importing {module} takes {median:.0f} ms")


def _import(module: str, plugin: str) -> dict[str, Any]:
    """Import in an interpreter of its own that sees what this one sees."""
    from importlib.metadata import entry_points

    others = {point.name for point in entry_points(group=ENTRY_POINT_GROUP)} - {plugin}
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "ZOO_DISABLE_PLUGINS": ",".join(sorted(others)),
    }
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, module],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise CheckFailed(f"{module} does not import on its own: {done.stderr.strip()[-500:]}")
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen
