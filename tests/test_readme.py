"""The README's commands and Python lines do what it says."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty folder with a user's photos in two classes."""
    path = tmp_path_factory.mktemp("reader")
    noise = np.random.default_rng(0)
    for label, level in (("dark", 40), ("light", 200)):
        (path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            pixels = noise.normal(level, 20, (40, 50, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(path / "photos" / label / f"{number}.png")
    return path


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ZOO_CACHE": str(folder / "cache")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.whole_zoo
def test_the_commands_run_in_their_order(folder: Path) -> None:
    (script,) = blocks("sh")
    commands = [shlex.split(line, comments=True) for line in script.splitlines()]
    assert len(commands) >= 10
    for program, *words in commands:
        assert program == "zoo"
        done = run([sys.executable, "-m", "zoo", *words], folder)
        assert done.returncode == 0, f"zoo {shlex.join(words)}\n{done.stderr}"
    assert (folder / "runs/digits/bundle/model.safetensors").is_file()
    assert (folder / "predictions/predictions.csv").read_text().count("\n") == 25
    assert (folder / "digits.onnx").is_file()


@pytest.mark.slow
@pytest.mark.whole_zoo
def test_the_python_lines_run(folder: Path) -> None:
    (script,) = blocks("python")
    done = run([sys.executable, "-c", script], folder)
    assert done.returncode == 0, done.stderr
    assert 0.5 < float(done.stdout.splitlines()[-1]) <= 1


def test_the_make_targets_exist() -> None:
    targets = re.findall(r"^make (\S+)", "\n".join(blocks("")), re.MULTILINE)
    assert {"demo", "test"} <= set(targets)
    for target in targets:
        done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    demo = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True)
    assert "zoo train vision/mpcnn-digits" in demo.stdout


def test_every_link_into_the_repository_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_recipe_is_named_by_the_table_or_the_page_that_it_points_to() -> None:
    paths = (ROOT / "plugins").glob("*/zoo_*/recipes/*.yaml")
    recipes = {f"{path.parents[2].name}/{path.stem}" for path in paths}
    assert recipes
    page = (ROOT / "docs/reproduction.md").read_text()
    assert recipes <= set(re.findall(r"^### ([\w/-]+)$", page, re.MULTILINE))
    assert set(re.findall(r"^\| `([\w/-]+)`", README, re.MULTILINE)) & recipes


def test_the_page_of_the_wheel_has_no_link_into_the_repository() -> None:
    hook = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["metadata"]
    text = README
    for each in hook["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(each["pattern"], each["replacement"], text)
    assert re.findall(r"\]\((?!https?:)[^)]*\)", text) == []
    assert "](https://" in text
    assert "picture" not in text
