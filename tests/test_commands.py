"""The command line: exit statuses, JSON, help, refusals, and what is not imported."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import zoo as package
from zoo.cli.main import COMMANDS
from zoo.cli.overrides import read_overrides
from zoo.errors import UsageError
from zoo.recipes.signatures import argument_names
from zoo.registry.registry import registry

KINDS = ["models", "datasets", "recipes", "checkpoints", "plugins"]
READING = [
    ["--version"],
    ["--help"],
    ["list"],
    ["list", "--json"],
    *(["list", kind] for kind in KINDS),
    ["info", "toy-net"],
    ["info", "toy/points", "--json"],
    ["info", "toy"],
    ["info", "no-such-thing"],
    ["train", "--help"],
    ["train", "no/such-recipe"],
    ["sweep", "no/such-recipe"],
    ["tune", "no/such-recipe"],
    ["train", "toy/points", "--model", "no-such-model"],
    ["train", "toy/points", "--data", "no-such-data"],
    ["runs"],
    ["runs", "--json"],
    ["compare", "no-such-folder"],
]
WIDE = f"""
from zoo.plugin import Model, hookimpl
ZOO_PLUGIN_API = 1
@hookimpl
def zoo_models():
    return [Model("wide-net", "zoo_toy.model:ToyNet", "{"a net of many words, " * 10}that ends")]
"""
LOOK = """
import json, sys
from zoo.cli.main import main
statuses = []
for words in json.loads(sys.argv[1]):
    statuses.append(main(words))
    heavy = {"torch", "lightning", "numpy", "matplotlib", "jsonargparse", "rich", "zoo_toy.model"}
    assert not heavy & set(sys.modules), (words, heavy & set(sys.modules))
print(json.dumps(statuses))
"""


def test_reading_commands_import_nothing_heavy(toy: Any, python: Callable) -> None:
    done = python("-c", LOOK, json.dumps(READING))
    assert done.returncode == 0, done.stderr
    statuses = json.loads(done.stdout.splitlines()[-1])
    assert statuses == [2 if "no" in words[-1] else 0 for words in READING]


def test_importing_zoo_imports_nothing_heavy(python: Callable) -> None:
    done = python(
        "-c", "import zoo, sys; assert not {'torch', 'pluggy', 'yaml'} & set(sys.modules)"
    )
    assert done.returncode == 0, done.stderr


def test_as_a_program(toy: Any, python: Callable) -> None:
    listed = python("-m", "zoo", "list", "models", "--json")
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "toy-net" in {row["name"] for row in json.loads(listed.stdout)}
    wrong = python("-m", "zoo", "train", "toy/point")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "zoo: there is no recipe 'toy/point': did you mean 'toy/points'?\n"


def test_debug_shows_the_traceback(toy: Any, python: Callable) -> None:
    done = python("-m", "zoo", "train", "toy/point", "--debug")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "did you mean 'toy/points'?" in done.stderr


def test_public_names_resolve() -> None:
    for name in package.__all__:
        assert getattr(package, name) is not None
    assert set(package.__all__) <= set(dir(package))
    with pytest.raises(AttributeError, match="trian"):
        package.trian  # noqa: B018


def test_version(zoo: Callable) -> None:
    assert zoo("--version").out == f"zoo {package.__version__}\n"


def test_help_names_every_command(zoo: Callable) -> None:
    done = zoo("--help")
    assert done.status == 0
    for command in COMMANDS:
        assert f"    {command} " in done.out
        assert zoo(command, "--help").status == 0


@pytest.mark.parametrize("kind", KINDS)
def test_list_one_kind(toy: Any, zoo: Callable, kind: str) -> None:
    done = zoo("list", kind, "--json")
    assert done.status == 0
    rows = json.loads(done.out)
    assert all(isinstance(row["name"], str) for row in rows)
    names = {row["name"] for row in rows}
    expected = {
        "models": {"toy-net", "toy/*"},
        "datasets": {"toy-points", "toy-files"},
        "recipes": {"toy/points", "toy/files"},
        "checkpoints": {"toy-trained"},
        "plugins": {"toy"},
    }
    assert expected[kind] <= names
    text = zoo("list", kind)
    assert text.status == 0
    assert all(name in text.out for name in names)


def test_list_everything(toy: Any, zoo: Callable) -> None:
    rows = json.loads(zoo("list", "--json").out)
    assert {row["kind"] for row in rows} >= {"model", "dataset", "recipe", "checkpoint"}
    goals = {row["name"]: row["target"] for row in rows if row["kind"] == "recipe"}
    assert goals["toy/points"] == "test/accuracy 0.9"


def test_unreadable_recipe_is_listed_with_the_reason(toy: Any, zoo: Callable) -> None:
    code = (
        "from zoo.plugin import Recipes, hookimpl\nZOO_PLUGIN_API = 1\n"
        "@hookimpl\ndef zoo_recipes():\n    return [Recipes('odd', 'odd_recipes:all')]\n"
    )
    folder = toy.folder / "odd_recipes" / "all"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "torn.yaml").write_text("model: {name: toy-net")
    toy.add("odd", code)
    rows = {row["name"]: row for row in json.loads(zoo("list", "recipes", "--json").out)}
    assert "cannot be read" in rows["odd/torn"]["summary"]
    assert rows["toy/points"]["model"] == "toy-net"
    doctor = zoo("doctor", "--json")
    assert doctor.status == 1
    states = {row["name"]: row["state"] for row in json.loads(doctor.out)}
    assert states["recipe odd/torn"] == "broken"


def in_terminal(python: Callable, *words: str) -> list[str]:
    """The lines that a command prints to a terminal of 80 columns, without the marks for bold."""
    import pty  # not on every system

    screen, terminal = pty.openpty()
    process = python("-m", "zoo", *words, start=subprocess.Popen, stdout=terminal)
    os.close(terminal)
    printed = b""
    while block := _read(screen):
        printed += block
    os.close(screen)
    process.wait(timeout=60)
    return re.sub(r"\x1b\[\d*m", "", printed.decode()).splitlines()


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 1 << 16)
    except OSError:  # Linux's way to say that nobody writes any more
        return b""


no_terminal = pytest.mark.skipif(sys.platform == "win32", reason="it has no pseudo-terminals")


@no_terminal
@pytest.mark.parametrize(
    "words",
    [
        ["list"],
        *(["list", kind] for kind in KINDS),
        ["info", "wide-net"],
        ["info", "toy/points"],
        ["info", "wide"],
        ["doctor"],
        ["plugin", "check", "wide"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_terminal_of_80_columns_is_enough(
    toy: Any, python: Callable, monkeypatch: Any, words: list[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    toy.add("wide", WIDE)
    lines = in_terminal(python, *words)
    assert len(lines) > 1
    # What has no space to be folded at, such as a path, is copied in one piece.
    assert [line for line in lines if len(line) > 80 and " " in line.split(":")[-1].strip()] == []


@no_terminal
def test_an_entry_is_one_line(toy: Any, python: Callable, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    toy.add("wide", WIDE)
    models = in_terminal(python, "list", "models")
    assert [line[-1] for line in models if line.startswith("  wide-net ")] == ["…"]
    recipes = in_terminal(python, "list", "recipes")
    known = {"toy/points", "toy/files"}
    assert known <= set(registry().recipes)
    families = {name.partition("/")[0] for name in registry().recipes}
    hint = 2  # an empty line, and how to see more
    assert len(recipes) == 1 + len(families) + len(registry().recipes) + hint
    assert "  toy/" in recipes
    assert any(line.startswith("    points  ") for line in recipes)


def test_a_pipe_gets_everything(toy: Any, python: Callable, monkeypatch: Any) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    toy.add("wide", WIDE)
    lines = python("-m", "zoo", "list", "models").stdout.splitlines()
    assert [line.split()[-1] for line in lines if "that ends" in line] == ["wide"]
    assert len(lines) == 2 + len(registry().models)


@pytest.mark.parametrize(
    ("name", "kind", "key", "value"),
    [
        ("toy-net", "model", "class_path", "zoo_toy.model:ToyNet"),
        ("toy/small", "model", "wildcard", "variant"),
        ("toy-files", "dataset", "license", "yours"),
        ("toy/points", "recipe", "seed", 3),
        ("toy-trained", "checkpoint", "location", "zoo_toy:checkpoints/toy-trained"),
        ("toy", "plugin", "distribution", "zoo-toy"),
    ],
)
def test_info(toy: Any, zoo: Callable, name: str, kind: str, key: str, value: object) -> None:
    done = zoo("info", name, "--json")
    assert done.status == 0
    row = next(row for row in json.loads(done.out) if row["kind"] == kind)
    assert row[key] == value
    assert str(value) in zoo("info", name).out


def test_info_of_nothing(toy: Any, zoo: Callable) -> None:
    done = zoo("info", "toy-nett")
    assert done.status == 2
    assert "did you mean 'toy-net'" in done.err


def test_doctor_on_a_sound_plugin(toy: Any, zoo: Callable, monkeypatch: Any) -> None:
    rows = {row["name"]: row for row in json.loads(zoo("doctor", "--json").out)}
    assert rows["plugin toy"]["state"] == "ok"
    assert rows["data toy-files"]["state"] == "absent"
    assert "data toy-points" not in rows  # it needs no files
    folder = Path("store") / "toy-files"
    folder.mkdir(parents=True)
    monkeypatch.setenv("ZOO_DATA", "store")
    found = zoo("doctor", "--json")
    assert found.status == 1  # an empty folder is no data
    assert {r["name"]: r["state"] for r in json.loads(found.out)}["data toy-files"] == "broken"
    (folder / "clouds.txt").write_text("3")
    assert {r["name"]: r["state"] for r in json.loads(zoo("doctor", "--json").out)}[
        "data toy-files"
    ] == "ok"


def test_train_help_shows_exactly_the_arguments(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--help")
    assert done.status == 0
    shown = {
        word.rstrip(",")
        for line in done.out.splitlines()
        if line.startswith("  --")
        for word in line.split()
        if word.startswith(("--model.", "--data."))
    }
    shown = {word for word in shown if not word.endswith("+")}
    expected = set()
    for section, target in (("model", "toy-net"), ("data", "toy-points")):
        entry = getattr(registry(), f"{section}s" if section == "model" else "datasets")[target]
        expected |= {f"--{section}.{name}" for name in argument_names(registry().load(entry))}
    assert shown == expected
    assert "Step size of SGD." in done.out
    assert "Points of the training part." in done.out
    assert "default: 0.2" in done.out


def test_train_help_follows_the_named_dataset(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--data", "toy-files", "--help")
    assert "--data.root ROOT" in done.out
    assert "--data.clouds" not in done.out


def test_print_config(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--model.hidden", "5", "--seed", "9", "--print-config")
    assert done.status == 0
    Path("printed.yaml").write_text(done.out, encoding="utf-8")
    again = zoo("train", "printed.yaml", "--print-config")
    assert again.out == done.out
    assert "hidden: 5" in done.out
    assert "seed: 9" in done.out
    assert not Path("runs").exists()


WRONG = {
    "no-command": ([], "COMMAND"),
    "unknown-command": (["trian"], "trian"),
    "unknown-kind": (["list", "modles"], "modles"),
    "unknown-option": (["list", "--jsn"], "--jsn"),
    "no-recipe": (["train"], "RECIPE is missing"),
    "unknown-recipe": (["train", "toy/point"], "did you mean 'toy/points'"),
    "no-file": (["train", "mine.yaml"], "there is no recipe file 'mine.yaml'"),
    "unknown-model": (["train", "toy/points", "--model", "toy-nett"], "did you mean 'toy-net'"),
    "unknown-data": (["train", "toy/points", "--data", "toy-point"], "did you mean 'toy-points'"),
    "unknown-key": (
        ["train", "toy/points", "--model.learning_rat", "1"],
        "did you mean 'model.learning_rate'",
    ),
    "prefix-of-a-key": (
        ["train", "toy/points", "--model.hid", "1"],
        "'model.hid' is not an argument",
    ),
    "unknown-section": (["train", "toy/points", "--modl.hidden", "1"], "--modl.hidden"),
    "wrong-type": (["train", "toy/points", "--model.hidden=x"], "'model.hidden' has to be of type"),
    "wrong-trainer": (["train", "toy/points", "--trainer.max_epochs=x"], "'trainer.max_epochs'"),
    "wrong-choice": (["train", "toy/points", "--model.activation", "sin"], "'relu', 'tanh'"),
    "wrong-seed": (["train", "toy/points", "--seed", "x"], "'seed' has to be a whole number"),
    "no-value": (["train", "toy/points", "--model.hidden"], "--model.hidden needs a value"),
    "two-recipes": (["train", "toy/points", "toy/files"], "'toy/files' is neither an option"),
    "missing-data": (["train", "toy/files"], "write the number of clouds into it"),
    "no-accelerator": (["train", "toy/points", "--trainer.accelerator", "abacus"], "abacus"),
    "resume-of-nothing": (["train", "toy/points", "--resume", "absent"], "is not a run folder"),
    "test-of-nothing": (["test", "no-such-thing"], "no checkpoint 'no-such-thing'"),
}


@pytest.mark.parametrize(("words", "complaint"), WRONG.values(), ids=WRONG)
def test_wrong_calls(toy: Any, zoo: Callable, words: list[str], complaint: str) -> None:
    done = zoo(*words)
    assert done.status == 2, done.err
    assert done.out == ""
    assert complaint in done.err
    assert "Traceback" not in done.err
    sentence = done.err.strip().splitlines()[-1]
    assert sentence.startswith("zoo")
    if "usage:" not in done.err:  # argparse repeats the usage before its sentence
        assert done.err.count("\n") == 1
    assert list(Path.cwd().iterdir()) == []


@pytest.mark.parametrize("inside", ["file", "folder"])
def test_out_that_is_not_empty(toy: Any, zoo: Callable, inside: str) -> None:
    out = Path("mine")
    out.mkdir()
    (out / "precious.txt").write_text("keep")
    target = out if inside == "folder" else out / "precious.txt"
    done = zoo("train", "toy/points", "--out", target)
    assert done.status == 2
    assert "exists and is not empty: choose another --out" in done.err
    assert [path.name for path in out.rglob("*")] == ["precious.txt"]
    assert (out / "precious.txt").read_text() == "keep"


def test_out_that_cannot_be_made(toy: Any, zoo: Callable) -> None:
    Path("file").write_text("x", encoding="utf-8")
    done = zoo("train", "toy/points", "--out", "file/inside")
    assert done.status == 2
    assert "cannot be made" in done.err


def test_failed_work_exits_1_with_a_sentence(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "toy/points", "--model", "toy-broken")
    assert done.status == 1
    assert done.err.count("\n") == 1
    assert "Reinstall zoo-toy" in done.err


def test_overrides_from_words() -> None:
    words = ["--model.lr", "0.1", "--model.lr=-2", "--data", "mnist", "--a.b", "-1", "--c.d="]
    assert read_overrides(words) == {
        "model.lr": "-2",
        "data.name": "mnist",
        "a.b": "-1",
        "c.d": "",
    }
    assert read_overrides(["--a.b=x=y"]) == {"a.b": "x=y"}
    assert read_overrides([]) == {}


@pytest.mark.parametrize("words", [["x"], ["--a"], ["--a", "--b", "1"], ["--"], ["-a", "1"]])
def test_words_that_are_not_overrides(words: list[str]) -> None:
    with pytest.raises(UsageError):
        read_overrides(words)


def test_an_override_before_the_recipe(toy: Any, zoo: Callable) -> None:
    done = zoo("train", "--model.learning_rate", "0.5", "toy/points", "--print-config")
    assert done.status == 0, done.err
    assert "learning_rate: 0.5" in done.out
