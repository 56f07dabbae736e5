"""The conformance kit: a good plugin passes it; every check can fail, with reason and remedy."""

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from zoo.errors import UsageError
from zoo.plugin import hooks
from zoo.plugin.entries import Model
from zoo.registry.registry import registry
from zoo.testing import CHECKS, Result, cases, check_plugin, conformance_tests

PLUGIN = """
from zoo.plugin.entries import Checkpoint, Dataset, Model, Recipes
from zoo.plugin.hooks import hookimpl

ZOO_PLUGIN_API = 1

@hookimpl
def zoo_models():
    return [Model("small-net", "zoo_small.model:Net", "A net")]

@hookimpl
def zoo_datasets():
    return [Dataset("small-points", "zoo_small.data:Data", "Points", embedded=True)]

@hookimpl
def zoo_recipes():
    return [Recipes("small", "zoo_small:recipes")]
"""
MODEL = '''
import os
import torch
from torch import nn
from zoo_toy.model import ToyNet

class Net(ToyNet):
    """A net."""
'''
DATA = '''
from pathlib import Path
import torch
from zoo.errors import UsageError
from zoo_toy.data import Points

class Data(Points):
    """Points."""
'''
RECIPE = """
about:
  summary: Points
  paper: none
  source: set for these tests
  target: {metric: test/accuracy, value: 0.9}
model:
  name: small-net
  dropout: 0.1
data:
  name: small-points
trainer:
  max_epochs: 2
"""
ARGUMENTS = "self, features: int, num_classes: int"
INIT = f"""
def __init__({ARGUMENTS}, secret%s) -> None:
    super().__init__(features, num_classes)
"""
ROOT = '''
def __init__(self, root: str, batch_size: int = 8, num_workers: int = 0, seed: int = 0,
             split: str = "standard") -> None:
    """Read points.

    Args:
        root: The folder.
    """
    super().__init__(batch_size, num_workers, seed, split)
    self.root = root

@property
def facts(self):
    %s
'''

Faults = dict[str, str]


def model(body: str) -> Faults:
    return {"model": MODEL + textwrap.indent(textwrap.dedent(body), "    ")}


def data(body: str) -> Faults:
    return {"data": DATA + textwrap.indent(textwrap.dedent(body), "    ")}


def plugin(old: str, new: str) -> Faults:
    assert old in PLUGIN
    return {"plugin": PLUGIN.replace(old, new)}


def recipe(old: str, new: str) -> Faults:
    assert old in RECIPE
    return {"recipes/first.yaml": RECIPE.replace(old, new)}


def hook(name: str, entry: str) -> Faults:
    return {"plugin": f"{PLUGIN}\n@hookimpl\ndef {name}():\n    return [{entry}]\n"}


FAMILY = plugin('"small-net", "zoo', '"small/*", wildcard="activation", class_path="zoo')
FAMILY["plugin"] = FAMILY["plugin"].replace('"A net"', 'summary="A net"')
CHECKPOINT = 'Checkpoint("small-trained", "zoo_small:checkpoints/none", "Lost")'
FAULTY: list[tuple[str, str, Faults, str]] = [
    ("loads", "plugin", plugin("API = 1", "API = 0"), "written for plugin API 0"),
    ("loads", "plugin", plugin('"small-net"', '"Small Net"'), "is not of the form 'mpcnn'"),
    ("entries-plain", "plugin", plugin('"A net"', "str"), "summary of 'small-net' is"),
    ("entries-plain", "plugin", plugin('"A net"', '"A\\nnet"'), "more than one line"),
    ("entries-plain", "plugin", plugin('"A net"', '" "'), "empty summary"),
    (
        "names",
        "plugin",
        plugin('"A net")', '"A net"), Model("small-net", "a.b:C", "Again")'),
        "registers the model 'small-net' twice",
    ),
    ("names", "plugin", {"recipes/My First.yaml": RECIPE}, "'small/My First'"),
    ("names", "plugin", plugin('"small-net"', '"toy-net"'), "by zoo-small and by zoo-toy"),
    ("recipes-found", "recipes", plugin(":recipes", ":nowhere"), "there is no folder"),
    ("recipes-found", "recipes", plugin(":recipes", ":empty"), "holds no *.yaml"),
    ("imports-lightly", "plugin", {"plugin": f"import numpy\n{PLUGIN}"}, "loads numpy (by "),
    (
        "imports-lightly",
        "plugin",
        plugin("    return [Model", "    import torch\n    return [Model"),
        "loads torch (by ",
    ),
    (
        "imports-quickly",
        "plugin",
        {"plugin": f"import time\ntime.sleep(0.06)\n{PLUGIN}"},
        "importing zoo_small.plugin takes",
    ),
    ("class-exists", "model", plugin("model:Net", "model:Absent"), "which does not exist"),
    ("class-exists", "model", plugin("model:Net", "absent:Net"), "does not import"),
    ("class-exists", "model", plugin("model:Net", "data:Data"), "is not a LightningModule"),
    ("class-exists", "dataset", plugin("data:Data", "model:Net"), "is not a LightningDataModule"),
    ("arguments-typed", "model", model(INIT % "=3"), "what secret may be"),
    (
        "arguments-typed",
        "dataset",
        data("def __init__(self, batch_size=8):\n    super().__init__(batch_size)"),
        "what batch_size may be",
    ),
    ("arguments-typed", "model", model(INIT % ": 'Unknown' = 3"), "cannot be read at run time"),
    (
        "arguments-primitive",
        "model",
        model(INIT % ": torch.device | None = None"),
        "secret is of type torch.device",
    ),
    ("arguments-primitive", "model", model(INIT % ": tuple[int, int] = (1, 2)"), "tuple[int, int]"),
    ("arguments-primitive", "model", model(INIT % ": list = [nn.ReLU()]"), "default of secret"),
    ("arguments-documented", "model", model(INIT % ": int = 3"), "leaves out secret"),
    (
        "loader-arguments",
        "dataset",
        data("def __init__(self, batch_size: int = 8) -> None:\n    super().__init__(batch_size)"),
        "does not take num_workers, seed, split",
    ),
    ("loader-arguments", "dataset", plugin(", embedded=True", ""), "does not take root"),
    (
        "declarations",
        "model",
        model("conformance_exempt = {'overfits-one-bach': 'rewards'}"),
        "did you mean 'overfits-one-batch'?",
    ),
    ("declarations", "model", model("conformance_exempt = {'fits': ''}"), "not a reason"),
    ("declarations", "model", model("conformance_exempt = ['fits']"), "not a dict"),
    ("declarations", "model", model("conformance_arguments = {'hide': 3}"), "'hide' is not an arg"),
    ("declarations", "model", model("not_exportable = True"), "not_exportable is True"),
    ("builds", "model", model(INIT % ": int"), "needs a value for secret"),
    (
        "builds",
        "model",
        FAMILY,
        "declare conformance_arguments = {'activation': ...}",
    ),
    (
        "arguments-saved",
        "model",
        model(INIT % ": int = 3" + "    self.hparams.clear()"),
        "not among its hparams: features, num_classes, secret",
    ),
    (
        "arguments-saved",
        "model",
        model(INIT % ": int = 3"),
        "does not take: hidden, learning_rate",
    ),
    (
        "example-input",
        "model",
        model("@property\ndef example_input(self):\n    return torch.zeros(1, 2)"),
        "not a batch of 2 or more",
    ),
    (
        "example-input",
        "model",
        model("@property\ndef example_input(self):\n    return torch.zeros(2, 5)"),
        "mat1 and mat2",
    ),
    (
        "example-input",
        "model",
        model("def forward(self, points):\n    return super().forward(points) / 0"),
        "is not finite",
    ),
    (
        "head",
        "model",
        model("@property\ndef head(self):\n    return ('network.head',)"),
        "which is not a submodule",
    ),
    ("head", "model", model("@property\ndef head(self):\n    return 'classifier'"), "not a tuple"),
    ("head", "model", model("@property\ndef head(self):\n    return ('body.1',)"), "no parameters"),
    ("plots", "model", model("def draw_plots(self, batch):\n    pass"), "returned None"),
    (
        "plots",
        "model",
        model(
            "def draw_plots(self, batch):\n    import matplotlib.pyplot as plt\n"
            "    return {'x': plt.figure()}"
        ),
        "open in pyplot",
    ),
    (
        "gradients",
        "model",
        model(INIT % ": int = 3" + "    self.unused = nn.Linear(2, 2)"),
        "no gradient reaches unused.bias, unused.weight",
    ),
    (
        "gradients",
        "model",
        model("def training_step(self, *a):\n    return super().training_step(*a) * torch.inf"),
        "is not finite",
    ),
    (
        "overfits-one-batch",
        "model",
        model("def configure_optimizers(self):\n    return torch.optim.SGD(self.parameters(), 0.)"),
        "the loss on one batch went from",
    ),
    ("fits", "model", model("def test_step(self, *a):\n    pass"), "logs nothing under test/"),
    (
        "fits",
        "model",
        model(
            "def training_step(self, *a):\n    loss = super().training_step(*a)\n"
            "    self.log('train_loss', loss)\n    return loss"
        ),
        "logs 'train_loss'",
    ),
    (
        "fits",
        "model",
        model("def test_step(self, *a):\n    self.log('test/accuracy', 97.0)"),
        "which is not a fraction",
    ),
    (
        "fits",
        "model",
        model("def test_step(self, *a):\n    self.log('test/loss', float('nan'))"),
        "logs test/loss = nan",
    ),
    ("fits", "model", model("def training_step(self, *a):\n    1 / 0"), "ZeroDivisionError"),
    (
        "same-seed",
        "model",
        model(
            "def training_step(self, *a):\n"
            "    return super().training_step(*a) * (1 + os.urandom(1)[0])"
        ),
        "ends with another",
    ),
    (
        "resumes",
        "model",
        model(
            "steps = 0\n"
            "def training_step(self, *a):\n    self.steps += 1\n"
            "    return super().training_step(*a) / self.steps"
        ),
        "the resumed training ends with another",
    ),
    (
        "resumes",
        "model",
        model(
            "seen = 0\n"
            "def training_step(self, *a):\n    self.seen += 1\n"
            "    return super().training_step(*a)\n"
            "def on_train_epoch_end(self):\n    self.log('train/seen', float(self.seen))"
        ),
        "ends with train/seen = 2.0, not 6.0",
    ),
    (
        "bundle",
        "model",
        model(
            "scale = 1.0\n"
            "def training_step(self, *a):\n    self.scale += 1\n"
            "    return super().training_step(*a)\n"
            "def forward(self, points):\n    return super().forward(points) * self.scale"
        ),
        "gives other outputs",
    ),
    (
        "new-head",
        "model",
        model(
            f"def __init__({ARGUMENTS}, **rest) -> None:\n"
            "    super().__init__(features, num_classes, **rest)\n"
            "    self.more, self.body[0] = nn.Linear(2, 2), nn.Linear(features, num_classes)\n"
        ),
        "outside the head classifier these differ: body.0",
    ),
    (
        "new-head",
        "model",
        model(
            f"def __init__({ARGUMENTS}, **rest) -> None:\n"
            "    super().__init__(features, num_classes, **rest)\n"
            "    self.classifier = nn.Linear(8, 50)"
        ),
        "the head neither",
    ),
    (
        "exports",
        "model",
        model(
            "def forward(self, points):\n"
            "    return super().forward(points) * (2 if points.sum() > 1 else 1)"
        ),
        "cannot be exported",
    ),
    ("bundle-loads", "checkpoint", hook("zoo_checkpoints", CHECKPOINT), "is not in its package"),
    (
        "same-on-gpu",
        "model",
        model(
            "shift = 0.0\n"
            "def to(self, *a):\n    self.shift = 1.0\n    return super().to(*a)\n"
            "def forward(self, points):\n    return super().forward(points) + self.shift"
        ),
        "outputs differ by",
    ),
    ("missing-root", "dataset", data(ROOT % "return super().facts"), "neither facts nor setup"),
    (
        "missing-root",
        "dataset",
        data(ROOT % "return {'n': len(list(Path(self.root).iterdir()))}"),
        "met by FileNotFoundError",
    ),
    (
        "missing-root",
        "dataset",
        data(ROOT % "raise UsageError('the folder is not there: give another')"),
        "does not name the path",
    ),
    (
        "missing-root",
        "dataset",
        data(ROOT % "raise UsageError(f'there is no {self.root}')"),
        "names no remedy",
    ),
    (
        "facts-plain",
        "dataset",
        data("@property\ndef facts(self):\n    return {'mean': torch.zeros(1)}"),
        "JSON does not give back",
    ),
    ("facts-plain", "dataset", data("@property\ndef facts(self):\n    return []"), "is a list"),
    (
        "facts-plain",
        "dataset",
        data("@property\ndef facts(self):\n    return {'label names': []}"),
        "no name that an argument can have",
    ),
    *(
        (
            "facts-true",
            "dataset",
            data(f"@property\ndef facts(self):\n    return {{**super().facts, {fact}}}"),
            note,
        )
        for fact, note in {
            "'num_classes': 2": "num_classes is 2, and labels go from 0 to 2",
            "'label_names': ['a']": "label_names is ['a'], and num_classes is 3",
            "'features': 5": "features is 5, and inputs are (16, 2)",
            "'in_channels': 3": "in_channels is 3, and inputs are (16, 2)",
            "'image_size': [8, 8]": "image_size is [8, 8], and inputs are (16, 2)",
            "'std': [0.0]": "std is [0.0], and it has to be above 0",
            "'train_size': 7": "train_size is 7, the training part has 40",
        }.items()
    ),
    (
        "seed-decides-order",
        "dataset",
        data(
            "def train_dataloader(self):\n    return torch.utils.data.DataLoader("
            "self.parts['train'], self.batch_size, shuffle=True)"
        ),
        "other training batches the second time",
    ),
    (
        "seed-decides-order",
        "dataset",
        data("def train_dataloader(self):\n    return self._loader('train', shuffle=False)"),
        "seeds 0 and 1 give the same",
    ),
    ("recipe-keys", "recipe", recipe("dropout", "dropuot"), "did you mean 'model.dropout'?"),
    ("recipe-keys", "recipe", recipe("trainer:", "trianer:"), "not part of a recipe"),
    ("recipe-keys", "recipe", recipe("  max_epochs: 2", "  devices: 1"), "end by chance"),
    ("recipe-sourced", "recipe", recipe("  source: set for these tests\n", ""), "lacks source"),
    (
        "recipe-sourced",
        "recipe",
        recipe("test/accuracy", "val/accuracy"),
        "not a metric of the test",
    ),
    ("recipe-sourced", "recipe", recipe("value: 0.9", "value: high"), "not a number"),
    ("recipe-sourced", "recipe", recipe("metric: ", "metrics: "), "about.target is missing"),
    ("recipe-trains", "recipe", recipe("test/accuracy", "test/dice"), "logs no test/dice"),
    ("recipe-trains", "recipe", model("def training_step(self, *a):\n    1 / 0"), "ZeroDivision"),
]


@pytest.fixture
def write(toy: Any) -> Callable[[Faults], None]:
    """Installs the plugin ``small``, with the files that are given in place of its own."""

    def install(faults: Faults) -> None:
        good = {"plugin": PLUGIN, "model": MODEL, "data": DATA, "recipes/first.yaml": RECIPE}
        folder = toy.folder / "zoo_small"
        (folder / "empty").mkdir(parents=True)
        (folder / "__init__.py").touch()
        for name, text in {**good, **faults}.items():
            path = folder / (name if name.endswith(".yaml") else f"{name}.py")
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        toy.add("small", value="zoo_small.plugin")

    return install


def make(check: str, kind: str) -> Result:
    """The first case of that check and kind."""
    found = [c for c in cases("small") if (c.check.name, c.subject.kind) == (check, kind)]
    assert found, f"there is no case of {check} for a {kind}"
    return found[0].run()


def test_a_good_plugin_passes(write: Callable) -> None:
    write({})
    results = list(check_plugin("small"))
    assert [str(each) for each in results if each.outcome == "failed"] == []
    skipped = {each.check for each in results if each.outcome == "skipped"}
    assert skipped <= {"same-on-gpu", "missing-root"}  # no GPU; it reads no files
    assert {each.kind for each in results} == {"plugin", "model", "dataset", "recipes", "recipe"}
    assert not any(each.outcome == "exempt" for each in results)


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable,
    monkeypatch: pytest.MonkeyPatch,
    check: str,
    kind: str,
    faults: Faults,
    note: str,
) -> None:
    if check == "same-on-gpu":  # any device shows that the outputs are compared
        cpu = torch.device("cpu")
        monkeypatch.setattr("zoo.testing.checks.device.accelerator", lambda: cpu)
    write(faults)
    result = make(check, kind)
    assert result.outcome == "failed", str(result)
    assert note in result.note
    text = str(result)
    assert CHECKS[check].why in text
    assert CHECKS[check].remedy in text


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == set(CHECKS)
    assert all(check.why and check.remedy for check in CHECKS.values())


def test_an_exemption_is_shown_with_its_reason(write: Callable) -> None:
    write(
        model(
            """
            conformance_exempt = {
                "overfits-one-batch": "learns from episodes",
                "recipe-trains": "takes an hour",
            }
            not_exportable = "asks its environment"
            """
        )
    )
    results = {each.check: each for each in check_plugin("small") if each.kind != "dataset"}
    exempt = {name: each.note for name, each in results.items() if each.outcome == "exempt"}
    assert exempt == {
        "overfits-one-batch": "learns from episodes",
        "recipe-trains": "takes an hour",
        "exports": "asks its environment",
    }
    assert "learns from episodes" in str(results["overfits-one-batch"])
    assert results["fits"].outcome == "passed"


def test_a_family_says_which_member_is_checked(write: Callable) -> None:
    body = "conformance_arguments = {'activation': 'tanh', 'hidden': 5}"
    first = RECIPE.replace("small-net", "small/relu")
    write({**FAMILY, **model(body), "recipes/first.yaml": first})
    for check in ("builds", "fits", "bundle", "new-head", "exports"):
        assert make(check, "model").outcome == "passed"
    (case,) = [c for c in cases("small") if c.check.name == "builds"]
    built: Any = case.subject
    assert dict(built.build().hparams)["activation"] == "tanh"
    assert built.build().body[0].out_features == 5


def test_a_family_is_built_by_a_recipe(write: Callable) -> None:
    write({**FAMILY, "recipes/first.yaml": RECIPE.replace("small-net", "small/tanh")})
    assert make("builds", "model").outcome == "passed"
    assert make("recipe-trains", "recipe").outcome == "passed"


def test_missing_data_skip_what_needs_them(
    write: Callable, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    body = ROOT % (
        "if not Path(self.root).is_dir():\n"
        "        raise UsageError(f'there is no folder {self.root}: point --data.root at one')\n"
        "    return super().facts"
    )
    write({**plugin(", embedded=True", ""), **data(body)})
    results = {(r.kind, r.check): r for r in check_plugin("small")}
    assert [str(r) for r in results.values() if r.outcome == "failed"] == []
    skipped = {key for key, result in results.items() if result.outcome == "skipped"}
    assert {("dataset", "facts-true"), ("recipe", "recipe-trains"), ("model", "builds")} <= skipped
    assert "there is no data/small-points" in results["dataset", "facts-true"].note
    assert "point --data.root" in results["dataset", "missing-root"].note

    (tmp_path / "data" / "small-points").mkdir(parents=True)
    monkeypatch.setenv("ZOO_DATA", str(tmp_path / "data"))
    results = {(r.kind, r.check): r for r in check_plugin("small")}
    outcomes = {key: result.outcome for key, result in results.items()}
    assert {outcomes[key] for key in skipped - {("model", "same-on-gpu")}} == {"passed"}


def test_a_check_leaves_the_generators_as_they_were(write: Callable) -> None:
    write({})
    before = torch.get_rng_state()
    assert make("same-seed", "model").outcome == "passed"
    assert torch.equal(torch.get_rng_state(), before)


def test_a_check_that_depends_on_a_failed_one_says_so(write: Callable) -> None:
    write(model("def training_step(self, *a):\n    1 / 0"))
    results = {each.check: each for each in check_plugin("small") if each.kind == "model"}
    assert results["fits"].outcome == "failed"
    assert results["resumes"].note == "it does not train, see fits"
    assert results["bundle"].outcome == "passed"


def test_a_broken_plugin_fails_with_the_cause_that_doctor_tells(toy: Any, zoo: Callable) -> None:
    toy.add("small", "1 / 0")
    done = zoo("plugin", "check", "small", "--json")
    assert done.status == 1
    (row,) = json.loads(done.out)
    assert (row["name"], row["check"], row["outcome"]) == ("small", "loads", "failed")
    doctor = {each["name"]: each for each in json.loads(zoo("doctor", "--json").out)}
    cause = row["note"].partition(". Update")[0]
    assert "ZeroDivisionError" in cause
    assert cause in doctor["plugin small"]["note"]


def test_a_name_that_is_not_found_tells_of_broken_plugins(toy: Any, zoo: Callable) -> None:
    toy.add("small", "1 / 0")
    for words in (("info", "small-net"), ("train", "quite/unknown")):
        done = zoo(*words)
        assert done.status == 2
        assert "(broken, see `zoo doctor`: small)" in done.err


def test_doctor_tells_what_is_deprecated(
    write: Callable, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def zoo_models() -> list[Model]:  # type: ignore[empty-body]
        """As it would be in the minor release that replaces it."""

    text = "zoo_models goes with zoo 9.0: implement zoo_nets"
    old = hooks.hookspec(warn_on_impl=hooks.Deprecated(text))(zoo_models)
    write({})
    monkeypatch.setattr(hooks, "zoo_models", old)
    registry.cache_clear()
    done = zoo("doctor", "--json")
    notes = [(r["name"], r["note"]) for r in json.loads(done.out) if r["state"] == "deprecated"]
    assert ("plugin small", text) in notes
    assert "small-net" in registry().models  # it works on
    assert text in zoo("doctor").out


def test_the_command_prints_a_table(write: Callable, zoo: Callable) -> None:
    write(model("not_exportable = 'asks its environment'\ndef test_step(self, *a):\n    pass"))
    done = zoo("plugin", "check", "small")
    assert done.status == 1
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "model small-net head passed" in lines
    assert "model small-net exports exempt asks its environment" in lines
    assert "model small-net fits failed it logs nothing under test/" in lines
    assert f"why it matters: {CHECKS['fits'].why}" in lines
    assert f"remedy: {CHECKS['fits'].remedy}" in lines
    assert "2 failed" in lines[-1]  # and the recipe, whose metric is not logged


def test_the_command_gives_0_where_nothing_failed(write: Callable, zoo: Callable) -> None:
    write({})
    done = zoo("plugin", "check", "small", "--json")
    assert done.status == 0
    rows = json.loads(done.out)
    assert {"name", "kind", "check", "outcome", "note", "why", "remedy"} == set(rows[0])
    assert {row["outcome"] for row in rows} == {"passed", "skipped"}


def test_an_unknown_plugin_is_a_wrong_call(
    write: Callable, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    write({})
    done = zoo("plugin", "check", "smal")
    assert done.status == 2
    assert "there is no plugin 'smal': did you mean 'small'?" in done.err
    with pytest.raises(UsageError, match="did you mean 'small'"):
        conformance_tests("smal")
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "small")
    registry.cache_clear()
    assert "is disabled" in zoo("plugin", "check", "small").err


def test_under_plain_pytest(write: Callable, python: Callable) -> None:
    write(
        model(
            """
            conformance_exempt = {"exports": "asks its environment"}
            def test_step(self, *a):
                pass
            """
        )
    )
    Path("test_conformance.py").write_text(
        "from zoo.testing import conformance_tests\n\n"
        "test_conformance = conformance_tests('small')\n"
    )
    done = python("-m", "pytest", "-ra", "-p", "no:cacheprovider", "test_conformance.py")
    assert done.returncode == 1, done.stdout
    assert "test_conformance[model-small-net-head]" not in done.stdout  # it passed
    assert "test_conformance[model-small-net-fits]" in done.stdout
    assert "it logs nothing under test/" in done.stdout
    assert CHECKS["fits"].why in done.stdout
    assert CHECKS["fits"].remedy in done.stdout
    assert "exports exempt: asks its environment" in done.stdout
    assert "2 failed" in done.stdout.splitlines()[-1]
