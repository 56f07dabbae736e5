"""The plugins of ``examples/plugins``: each installed, checked, trained, tested and predicted with,
in an environment of its own over the packages of this one."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
PLUGINS = sorted(path.parent for path in ROOT.glob("examples/plugins/*/pyproject.toml"))
LINES = 150


def draw_masks(folder: Path) -> Path:
    """Noisy images with a bright rectangle each, and its masks; an image."""
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (folder / kind).mkdir(parents=True)
    for index in range(30):
        top, left = random.integers(4, 36, 2)
        mask = np.zeros((64, 64), dtype=bool)
        mask[top : top + 24, left : left + 24] = True
        image = random.normal(80, 15, (64, 64, 3)) + 90 * mask[..., None]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"images/{index}.png")
        Image.fromarray(255 * mask.astype(np.uint8)).save(folder / f"masks/{index}.png")
    return folder / "images/0.png"


def write_texts(folder: Path) -> Path:
    """Texts of animals and texts of the sky; one of them."""
    random = np.random.default_rng(0)
    for kind, words in {"animals": ["cat", "dog", "owl"], "sky": ["sun", "rain", "fog"]}.items():
        (folder / kind).mkdir(parents=True)
        for index in range(40):
            (folder / kind / f"{index}.txt").write_text(" ".join(random.choice(words, 6)))
    return folder / "sky/0.txt"


def write_numbers(folder: Path) -> Path:
    """No digit at all."""
    folder.mkdir()
    np.savetxt(folder / "noise.csv", np.random.default_rng(0).random((1, 64)), delimiter=",")
    return folder / "noise.csv"


class Layer:
    """An environment over the packages of this one, with what a plugin needs besides them."""

    def __init__(self, folder: Path, uv: Any) -> None:
        self.folder, self.uv = folder, uv
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        (site,) = (folder / "lib").glob("python3*/site-packages")
        below = [each for each in sys.path if each.endswith("site-packages")]
        (site / "below.pth").write_text("\n".join([*below, str(ROOT)]), encoding="utf-8")

    def install(self, plugin: Path) -> None:
        """Install a plugin with the packages that this environment lacks; those that it has stay
        as they are."""
        self.uv("build", "--quiet", "--wheel", "--out-dir", self.folder / "dist", plugin)
        (wheel,) = (self.folder / "dist").glob("*.whl")
        beside = Path(sys.executable).with_name("uv")
        command = [beside if beside.is_file() else "uv", "pip", "install", "--dry-run"]
        planned = subprocess.run(
            [*map(str, command), "--python", sys.executable, "--find-links", self.folder, wheel],
            capture_output=True,
            text=True,
        )
        assert planned.returncode == 0, planned.stderr
        changes = re.findall(r"^ ([-+~]) ([^\s]+)", planned.stderr, re.M)
        assert not [name for sign, name in changes if sign == "-"], planned.stderr
        missing = [name for _, name in changes if not name.startswith("zoo-")]
        self.uv("pip", "install", "--quiet", "--no-deps", "--python", self.python, wheel, *missing)

    def zoo(self, *words: object, status: int = 0) -> str:
        """What a command of the zoo prints.

        Args:
            words: Of the command.
            status: Its exit status, at most.
        """
        done = subprocess.run(
            [str(self.python), "-m", "zoo", *map(str, words)],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            capture_output=True,
            text=True,
        )
        assert done.returncode <= status, f"{words}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def layer(tmp_path: Path, uv: Any) -> Iterator[Layer]:
    folder = tmp_path / "layer"
    yield Layer(folder, uv)
    shutil.rmtree(folder)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "recipe", "make", "options", "reached"),
    [
        ("smp", "smp/masks", draw_masks, ["--trainer.max_epochs", 6], {"test/iou": 0.5}),
        ("bert", "bert/texts", write_texts, ["--trainer.max_epochs", 6], {"test/accuracy": 0.9}),
        ("svm", "svm/digits", write_numbers, [], {"test/auroc": 0.95}),
    ],
)
def test_an_example_does_all_that_its_readme_says(
    layer: Layer,
    name: str,
    recipe: str,
    make: Any,
    options: list[object],
    reached: dict[str, float],
) -> None:
    file = make(Path("data"))
    layer.install(ROOT / "examples/plugins" / name)
    root = [] if name == "svm" else ["--data.root", "data"]
    # The kit looks for the data of a user's own where ZOO_DATA points.
    os.environ["ZOO_DATA"] = "kit"
    try:
        for dataset in ("smp-masks", "text-folder"):
            shutil.copytree("data", Path("kit", dataset))
        results = json.loads(layer.zoo("plugin", "check", name, "--json", status=1))
    finally:
        del os.environ["ZOO_DATA"]
    assert [each for each in results if each["outcome"] not in ("passed", "skipped")] == []

    layer.zoo("train", recipe, *root, *options, "--out", "run")
    metrics = json.loads(Path("run/metrics.json").read_text(encoding="utf-8"))
    for metric, least in reached.items():
        assert metrics[metric] >= least
    layer.zoo("test", "run", "--out", "again")
    again = json.loads(Path("again/metrics.json").read_text(encoding="utf-8"))
    assert again == pytest.approx({k: v for k, v in metrics.items() if k in again})
    (row,) = json.loads(layer.zoo("predict", "run", file, "--json"))
    assert "error" not in row


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_an_example_is_short(plugin: Path) -> None:
    assert sum(map(lines_of_code, plugin.glob("zoo_*/*.py"))) < LINES


def test_the_page_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs/bring-a-lightningmodule.md").read_text(encoding="utf-8")
    blocks = re.findall(r'^```\w+ title="([^"]+)"\n(.+?)^```$', page, re.M | re.S)
    assert len(blocks) == 6
    for name, text in blocks:
        assert text.strip() in (ROOT / "examples/plugins/smp" / name).read_text(encoding="utf-8")


def lines_of_code(path: Path) -> int:
    """Lines that are neither empty, nor comments, nor in docstrings."""
    text = path.read_text(encoding="utf-8")
    prose: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            prose |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    lines = enumerate(text.splitlines(), 1)
    return len([n for n, line in lines if line.split("#")[0].strip() and n not in prose])


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda path: path.name)
def test_an_example_uses_nothing_but_the_door(plugin: Path) -> None:
    for path in plugin.glob("zoo_*/*.py"):
        own = rf"zoo_{plugin.name}"
        used = re.findall(r"^\s*(?:from|import) (zoo[\w.]*)", path.read_text(), re.M)
        assert all(each == "zoo.plugin" or each.startswith(own) for each in used), path
