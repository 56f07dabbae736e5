"""A bundle runs no code, and a recipe file only what the user allows."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hostile.code import PAYLOAD
from hostile.code import SETTINGS as HOSTILE

import zoo as package
from zoo.bundles.bundle import content_hash
from zoo.errors import UsageError
from zoo.inference.evaluate import evaluate
from zoo.io.printable import printable, safe_name
from zoo.plugin.trust import require_trusted_module, values_from
from zoo.recipes.recipe import read_recipe
from zoo.recipes.trust import bundle_settings
from zoo.runs.environment import git_revision
from zoo.training.train import train

SHORT = {
    "trainer.max_epochs": 1,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
}


@pytest.fixture
def mark(distributions: Any, tmp_path: Path) -> Path:
    """A file that is there once the importable module ``payload`` ran."""
    mark = tmp_path / "PWNED"
    (distributions.folder / "payload.py").write_text(PAYLOAD.format(mark=str(mark)))
    return mark


@pytest.fixture
def bundle(toy: Any) -> Path:
    return train("toy/points", SHORT, out="run").bundle


def edit(bundle: Path, **sections: Any) -> None:
    """Change the sections of the bundle's recipe, or its model's arguments, and seal it again."""
    file = bundle / "bundle.json"
    content = json.loads(file.read_text())
    content["model"]["arguments"] |= sections.pop("arguments", {})
    for name, values in sections.items():
        content["recipe"][name] |= values
    content["sha256"] = content_hash(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize("settings", HOSTILE.values(), ids=HOSTILE)
def test_a_bundle_names_no_code(
    bundle: Path, mark: Path, settings: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    edit(bundle, trainer=settings)
    assert evaluate(bundle)["test/accuracy"] >= 0
    package.load(bundle)
    package.export(bundle, "torch-export", "net.pt2")
    package.finetune(bundle, overrides=SHORT, out="tuned")
    assert not mark.exists()
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "these are not taken:" in x]
    assert next(iter(settings)) in line


@pytest.mark.parametrize("settings", HOSTILE.values(), ids=HOSTILE)
def test_a_recipe_file_names_no_code_unasked(
    toy: Any, mark: Path, settings: dict[str, Any], zoo: Callable
) -> None:
    content = read_recipe("toy/points").as_dict()
    content["trainer"] |= settings
    Path("theirs.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    for words in (("--out", "run"), ("--print-config",)):
        done = zoo("train", "theirs.yaml", *words)
        assert done.status == 2
        assert "payload." in done.err
        assert "add --trust" in done.err
    assert not mark.exists()
    assert not Path("run").exists()


def test_trust_is_given_by_a_flag(toy: Any, mark: Path) -> None:
    content = read_recipe("toy/points").as_dict()
    content["trainer"] |= {**HOSTILE["callback"], "max_epochs": 1, "logger": False}
    Path("theirs.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UsageError, match=r"'trainer.callbacks\[0\]' names 'payload.C'"):
        train("theirs.yaml", out="run")
    assert train("theirs.yaml", out="run", trust=True).finished
    assert mark.exists()


def test_what_the_user_types_needs_no_flag(toy: Any, mark: Path) -> None:
    Path("mine.yaml").write_text(read_recipe("toy/points").to_yaml(), encoding="utf-8")
    train("mine.yaml", {**SHORT, "trainer.callbacks": '[{"class_path": "payload.C"}]'}, out="run")
    assert mark.exists()


def test_callbacks_of_lightning_and_of_plugins_are_taken(toy: Any) -> None:
    content = read_recipe("toy/points").as_dict()
    content["trainer"] |= {
        "callbacks": [
            {
                "class_path": "lightning.pytorch.callbacks.ModelCheckpoint",
                "init_args": {"filename": "best.of.all", "save_top_k": 1},
            },
            {"class_path": "zoo.training.finite_loss.FiniteLoss", "init_args": {"stop": False}},
        ]
    }
    Path("mine.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    assert train("mine.yaml", SHORT, out="run").finished


def test_an_argument_of_a_bundle_that_names_a_class_is_refused(bundle: Path, mark: Path) -> None:
    edit(bundle, arguments={"hidden": {"class_path": "payload.C"}})
    with pytest.raises(UsageError, match=r"names the code 'payload.C' in its argument 'hidden'"):
        package.load(bundle)
    edit(bundle, arguments={"hidden": 16}, data={"size": {"class_path": "payload.C"}})
    with pytest.raises(UsageError, match=r"names the code 'payload.C' in its argument 'size'"):
        evaluate(bundle)
    assert not mark.exists()


def test_settings_of_the_machine_are_not_the_bundles(bundle: Path) -> None:
    edit(
        bundle,
        trainer={"accelerator": "gpu", "devices": 8, "num_nodes": 2, "default_root_dir": "/x"},
    )
    evaluate(bundle)
    assert package.finetune(bundle, overrides=SHORT, out="tuned").finished
    kept, left_out = bundle_settings({"max_epochs": 3, "devices": 8, "precision": ["x"]})
    assert kept == {"max_epochs": 3}
    assert left_out == ["devices", "precision"]


def test_modules_named_in_values(monkeypatch: pytest.MonkeyPatch) -> None:
    require_trusted_module("mine.mazes", "the environment 'mine.mazes:Maze-v0'")  # one's own call
    with values_from("the bundle b"):
        with pytest.raises(UsageError, match=r"of the bundle b would import the module"):
            require_trusted_module("mine.mazes", "the environment 'mine.mazes:Maze-v0'")
        monkeypatch.setenv("ZOO_TRUST_MODULES", "other, mine")
        require_trusted_module("mine.mazes", "the environment 'mine.mazes:Maze-v0'")
        monkeypatch.setenv("ZOO_TRUST_MODULES", "mine.maz")
        with pytest.raises(UsageError, match=r"ZOO_TRUST_MODULES=mine\.mazes"):
            require_trusted_module("mine.mazes", "the environment 'mine.mazes:Maze-v0'")
    with values_from("the bundle b", typed=("mine.mazes:Maze-v0",)):
        require_trusted_module("mine.mazes", "the environment")


def test_python_m_imports_nothing_from_the_working_directory(
    toy: Any, python: Callable, tmp_path: Path
) -> None:
    mark = tmp_path / "PWNED"
    for name in ("pluggy", "yaml", "lightning", "payload"):
        Path(f"{name}.py").write_text(f"open({str(mark)!r}, 'w')\n", encoding="utf-8")
    done = python("-m", "zoo", "list", "models", cwd=Path.cwd())
    assert done.returncode == 0
    assert "toy-net" in done.stdout
    assert not mark.exists()


def test_git_runs_nothing_that_a_repository_configures(tmp_path: Path) -> None:
    mark = tmp_path / "PWNED"
    for words in (
        ("init", "-q"),
        ("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "--allow-empty", "-m", "x"),
    ):
        subprocess.run(["git", *words], check=True)
    Path(".gitattributes").write_text("* filter=evil\n", encoding="utf-8")
    Path("file").write_text("one", encoding="utf-8")
    subprocess.run(["git", "add", "."], check=True)
    Path("file").write_text("two", encoding="utf-8")
    with Path(".git/config").open("a", encoding="utf-8") as config:
        config.write(f'[core]\n fsmonitor = "touch {mark}; false"\n')
        config.write(f'[filter "evil"]\n clean = touch {mark}\n smudge = touch {mark}\n')
    revision = git_revision()
    assert revision is not None
    assert revision.endswith("+changes")
    assert not mark.exists()


def test_text_of_a_bundle_is_written_out(bundle: Path, zoo: Callable) -> None:
    file = bundle / "bundle.json"
    content = json.loads(file.read_text())
    content["plugin"] = {"name": "x", "distribution": "a\x1b[2Jb; rm -rf", "version": "\x07"}
    content["sha256"] = content_hash(content)
    file.write_text(json.dumps(content))
    done = zoo("test", bundle)
    assert done.status == 2
    assert "\x1b" not in done.err
    assert "\x07" not in done.err


def test_printable_and_safe_names() -> None:
    assert printable("a\x1b[2Jb\nc\td\x9bé") == "a\\x1b[2Jb\nc\td\\x9bé"
    assert safe_name("../a b\x1b/c") == "_a_b__c"
    assert safe_name("..") == "_"
