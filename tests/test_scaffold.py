"""A new plugin installs, passes the conformance kit and trains, unedited; and what the guide for
authors says is so."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from zoo.scaffold.new_plugin import TASKS

GUIDE = Path(__file__).parents[1] / "docs/writing-a-plugin.md"
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```', re.M | re.S)

needs_copier = pytest.mark.usefixtures("_copier")


@pytest.fixture
def _copier() -> None:
    pytest.importorskip("copier", reason="copier is not installed, the extra `author`")


@pytest.mark.slow
@pytest.mark.parametrize("task", [task for task in TASKS if task != "classification"])
def test_a_new_plugin_works_unedited(task: str, fresh: Any) -> None:
    fresh.install("zoo[author]")
    made = fresh.run("zoo", "plugin", "new", "mine", "--task", task, "--json")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout) == [{"name": "mine", "task": task, "folder": "mine"}]
    fresh.install("--editable", Path("mine").resolve())
    checked = fresh.run("zoo", "plugin", "check", "mine", "--json")
    results = json.loads(checked.stdout)
    assert checked.returncode == 0, [each for each in results if each["outcome"] == "failed"]
    passed = [each["check"] for each in results if each["outcome"] == "passed"]
    assert len(passed) > 30
    assert {"predicts", "produces"} & {*passed}
    trained = fresh.run("zoo", "train", "mine/first", "--out", "run", "--json")
    assert trained.returncode == 0, trained.stderr
    (row,) = json.loads(trained.stdout)
    assert_reached(Path("mine/zoo_mine/recipes/first.yaml"), row)
    assert list(Path("run/plots").glob("[!c]*.png"))
    assert {path.name for path in Path().iterdir()} == {"mine", "run"}


def assert_reached(recipe: Path, metrics: dict[str, Any]) -> None:
    """The target that the recipe states."""
    target = yaml.safe_load(recipe.read_text(encoding="utf-8"))["about"]["target"]
    reached, wanted = metrics[target["metric"]], target["value"]
    lower_is_better = target["metric"] in ("test/cer", "test/energy_distance")
    assert reached <= wanted if lower_is_better else reached >= wanted


@needs_copier
@pytest.mark.parametrize("task", TASKS)
def test_its_code_is_tidy(task: str, zoo: Any) -> None:
    assert zoo("plugin", "new", "mine", "--task", task).status == 0
    for words in (["check"], ["format", "--check"]):
        command = [sys.executable, "-m", "ruff", *words, "--no-cache", "mine"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
    texts = [path.read_text() for path in Path("mine").rglob("*") if path.is_file()]
    assert len(texts) >= 12
    workflow = yaml.safe_load(Path("mine/.github/workflows/ci.yml").read_text(encoding="utf-8"))
    assert workflow["env"]["ZOO"] == "${{ vars.ZOO || 'zoo[author]>=0.1,<1' }}"
    assert "zoo plugin check mine" in [
        step.get("run") for step in workflow["jobs"]["test"]["steps"]
    ]
    assert not any(sign in text.replace("${{", "") for text in texts for sign in ("{{ ", "{%"))


@needs_copier
@pytest.mark.slow
def test_their_types_are_strict(zoo: Any) -> None:
    """As an author sees it: beside an installed zoo, whose own types count."""
    pytest.importorskip("mypy", reason="mypy is not installed, the group `dev`")
    packages: list[str] = []
    for task in TASKS:
        assert zoo("plugin", "new", f"my-{task}", "--task", task, "--dir", task).status == 0
        packages += ("-p", f"zoo_my_{task}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *packages],
        env={**os.environ, "MYPYPATH": os.pathsep.join([str(GUIDE.parents[1]), *TASKS])},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@needs_copier
@pytest.mark.parametrize(
    ("name", "package"),
    [("my-shapes.2", "zoo_my_shapes_2"), ("zoo-shapes", "zoo_shapes"), ("9lives", "zoo_9lives")],
)
def test_names(name: str, package: str, zoo: Any) -> None:
    assert zoo("plugin", "new", name, "--dir", "folder/inside").status == 0
    assert Path("folder/inside", package, "plugin.py").is_file()
    assert f'"{name}" = "{package}.plugin"' in Path("folder/inside/pyproject.toml").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["Mine"], "such as 'mine'"),
        (["my models"], "such as 'my-models'"),
        (["../mine"], "such as 'mine'"),
        (["mine-"], "such as 'mine'"),
        ([""], "lower-case letters and digits"),
        (["zoo"], "taken by the installed distribution zoo"),
        (["Pluggy".lower()], "taken by the installed distribution pluggy"),
        (["toy"], "taken by the plugin 'toy' of zoo-toy 1.0"),
        (["zoo_toy"], "taken by the installed distribution zoo_toy 1.0"),
        (["mine", "--task", "segmentaton"], "did you mean 'segmentation'?"),
        (
            ["mine", "--task", "cooking"],
            "there are classification, segmentation, sequence, rl, other",
        ),
        (["mine", "--dir", "full"], "the folder full is not empty"),
        (["mine", "--dir", "full/file"], "full/file is a file"),
        (["mine", "--dir", "full/file/mine"], "cannot be written"),
    ],
)
@needs_copier
def test_a_wrong_call_is_one_sentence_and_writes_nothing(
    words: list[str], told: str, zoo: Any, toy: Any
) -> None:
    Path("full").mkdir()
    Path("full/file").write_text("", encoding="utf-8")
    done = zoo("plugin", "new", *words)
    assert done.status == 2
    assert told in done.err
    assert len(done.err.splitlines()) == 1
    assert [path.name for path in Path().rglob("*")] == ["full", "file"]


def test_without_copier_the_extra_is_named(zoo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "copier", None)
    done = zoo("plugin", "new", "mine")
    assert done.status == 2
    assert done.err.startswith(
        "zoo: `zoo plugin new` needs copier, which is not installed: pip install --find-links DIST "
        '"zoo[author]", where DIST is '
    )
    assert not list(Path().iterdir())


@needs_copier
def test_an_empty_folder_is_filled(zoo: Any) -> None:
    Path("here").mkdir()
    done = zoo("plugin", "new", "mine", "--dir", "here")
    assert done.status == 0
    assert "cd here" in done.out
    assert Path("here/zoo_mine/model.py").is_file()


@pytest.mark.slow
def test_the_guide_from_an_empty_folder_to_a_wheel(fresh: Any, uv: Any) -> None:
    """Every command of the guide works, in its order, and its files are put where it says; what it
    begins with, the task classification, is the fifth of the plugins that work unedited."""
    blocks = BLOCK.findall(GUIDE.read_text())
    assert len(blocks) == GUIDE.read_text().count("\n```") / 2
    fresh.install("zoo[author]")
    folder, commands = Path.cwd(), 0
    for language, title, text in blocks:
        if title:
            (folder / title).write_text(text)
        if language != "sh":
            continue
        for line in text.splitlines():
            program, *words = shlex.split(line, comments=True)
            commands += 1
            if program == "cd":
                folder = (folder / words[0]).resolve()
            elif program == "cp":
                subprocess.run([program, *words], cwd=folder, check=True)
            elif [program, *words][:2] == ["pip", "install"]:
                editable = ["--editable", folder] if words[1:] == ["-e", "."] else words[1:]
                fresh.install(*editable)
            elif program == "uv":
                uv(*words, "--directory", folder)
            else:
                done = fresh.run(program, *words, cwd=folder)
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert commands >= 10
    metrics = json.loads((folder / "runs/first/metrics.json").read_text())
    assert_reached(folder / "zoo_shapes/recipes/first.yaml", metrics)
    assert list(folder.glob("dist/*.whl"))
