"""Broken plugins, and the commands that have to work beside them."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path

from hostile.trial import SECONDS, Kinds, Told, command

HEAD = """
from zoo.plugin import Model, Dataset, Recipes, hookimpl
ZOO_PLUGIN_API = 1
"""
GOOD = (
    HEAD
    + """
@hookimpl
def zoo_models():
    return [Model("faulty-net", "faulty:Net", "A net")]
"""
)
_HOOK = HEAD + "@hookimpl\ndef zoo_models():\n    "
RAISES = {
    "base exception": "class Odd(BaseException): pass\nraise Odd('odd')",
    "generator exit": "raise GeneratorExit",
    "an error whose text raises": (
        "class Odd(Exception):\n    def __str__(self):\n        raise RuntimeError('no')\nraise Odd"
    ),
    "an error whose text exits": (
        "class Odd(Exception):\n    def __str__(self):\n        raise SystemExit\nraise Odd"
    ),
    "recursion": "def f():\n    f()\nf()",
}
"""Sources of plugins that raise something odd when they are imported."""
BROKEN = {
    **RAISES,
    "an error": "1 / 0",
    "no such module": "import not_there_at_all",
    "no Python": "def (",
    "the end of the process asked for": "raise SystemExit(3)",
    "no API": "x = 1",
    "an API of tomorrow": "ZOO_PLUGIN_API = 99",
    "a text for the API": "ZOO_PLUGIN_API = '1'",
    "a hook that raises": _HOOK + "raise KeyError('lost')",
    "a hook that exits": _HOOK + "raise SystemExit",
    "a hook with other arguments": HEAD + "@hookimpl\ndef zoo_models(x):\n    return []",
    "a hook that is unknown": HEAD + "@hookimpl\ndef zoo_model():\n    return []",
    "a hook without return": _HOOK + "[]",
    "a hook that yields": _HOOK + "yield 1",
    "a hook that returns a mapping": _HOOK + "return {'a': 'b'}",
    "an entry of another kind": _HOOK + "return [Dataset('x', 'a.b:C', 'X')]",
    "an entry with a bad name": _HOOK + "return [Model('A Net', 'a.b:C', 'X')]",
    "an entry with a bad class path": _HOOK + "return [Model('net', 'a b', 'X')]",
    "a member list that raises": GOOD + "def __dir__():\n    raise ValueError('no')",
}
"""Sources of plugins that are found broken and named."""
ODD = {
    "prints": "import sys\nprint('hello')\nprint('there', file=sys.stderr)" + GOOD,
    "prints in a hook": _HOOK + "print('hello')\n    return []",
    "changes the folder": "import os\nos.chdir('/')" + GOOD,
    "changes the kind of numbers": ("import torch\ntorch.set_default_dtype(torch.float64)" + GOOD),
    "ignores signals": "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)" + GOOD,
    "a folder of recipes that is missing": HEAD
    + "@hookimpl\ndef zoo_recipes():\n    return [Recipes('faulty', 'zoo_faulty:none')]",
}
"""Sources of plugins that are loaded, and concern nobody else."""
DEADLY = {
    "Ctrl-C": "raise KeyboardInterrupt",
    "ends the process": "import os\nos._exit(0)",
    "crashes": "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)",
    "takes for ever": "import time\ntime.sleep(600)" + GOOD,
}
"""Sources that no process survives: the next command names them."""
COMMANDS = {
    "list": ("list", "models"),
    "list --json": ("list", "models", "--json"),
    "info": ("info", "toy/points"),
    "doctor": ("doctor", "--json"),
    "train --print-config": ("train", "toy/points", "--print-config"),
    "predict": ("predict", "bundle", "x.txt"),
}
"""Six commands; the last is refused with a sentence, as the toy reads no files."""
OURS = ",".join(
    path.parent.name for path in Path(__file__).parents[3].glob("plugins/*/pyproject.toml")
)


def _install(site: Path, plugin: str, module: str, code: str | None) -> None:
    site.mkdir(exist_ok=True)
    if code is not None:
        (site / f"{module}.py").write_text(code)
    info = site / f"zoo_{plugin}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: zoo-{plugin}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[zoo]\n{plugin} = {module}\n")


def _run(words: tuple[str, ...], folder: Path, seconds: float = SECONDS) -> Told:
    def prepare() -> None:
        from zoo.registry.registry import registry

        sys.path.insert(0, str(folder / "site"))
        importlib.invalidate_caches()
        os.environ.update(ZOO_CACHE=str(folder / "cache"), ZOO_DISABLE_PLUGINS=OURS)
        registry.cache_clear()

    return command(*words, inside=folder, prepare=prepare, seconds=seconds)


def _beside(code: str, named: bool, words: tuple[str, ...], bundle: Path, folder: Path) -> str:
    _install(folder / "site", "faulty", "faulty_plugin", code)
    return _judged(words, named, bundle, folder)


def _judged(words: tuple[str, ...], named: bool, bundle: Path, folder: Path) -> str:
    shutil.copytree(bundle, folder / "bundle")
    told = _run(words, folder)
    statuses = {"doctor": (0, 1), "predict": (2,)}.get(words[0], (0,))
    if told.status not in statuses or "Traceback" in told.err:
        return f"status {told.status}: {told.err[-500:]}"
    if "--json" in words:
        rows = {row["name"]: row for row in json.loads(told.out)}
        if words[0] == "list":
            return "" if "toy-net" in rows else "toy-net is not listed"
        if named and rows.get("plugin faulty", {}).get("state") != "broken":
            return "doctor does not name it"
    return ""


def _deadly(code: str, words: tuple[str, ...], bundle: Path, folder: Path) -> str:
    _install(folder / "site", "faulty", "faulty_plugin", code)
    _run(("list", "models"), folder, seconds=3)  # it may end with the plugin; it leaves a note
    return _judged(words, True, bundle, folder)


def kinds(bundle: Path) -> Kinds:
    """Every kind with each of the six commands.

    Args:
        bundle: A sound bundle of the recipe toy/points; copied.
    """
    found: dict[str, partial[str]] = {}
    for name, words in COMMANDS.items():
        for kind, code in BROKEN.items():
            found[f"{kind}: {name}"] = partial(_beside, code, True, words, bundle)
        for kind, code in ODD.items():
            found[f"{kind}: {name}"] = partial(_beside, code, False, words, bundle)
        for kind, code in DEADLY.items():
            found[f"{kind}: {name}"] = partial(_deadly, code, words, bundle)
    return found
