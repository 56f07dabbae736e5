"""Recipes: read, overridden, checked against the classes they name."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from lightning.pytorch import Trainer

from zoo.errors import UsageError
from zoo.recipes.experiment import build_model, resolve
from zoo.recipes.recipe import make_recipe, override, read_recipe
from zoo.recipes.signatures import instantiate
from zoo.registry.registry import registry

GOOD: dict[str, Any] = {"model": {"name": "toy-net"}, "data": {"name": "toy-points"}}


def test_read_by_name_and_by_file(toy: Any, tmp_path: Path) -> None:
    recipe = read_recipe("toy/points")
    assert (recipe.name, recipe.model_name, recipe.data_name) == (
        "toy/points",
        "toy-net",
        "toy-points",
    )
    assert recipe.seed == 3
    assert recipe.model == {"hidden": 16}
    file = tmp_path / "mine.yaml"
    file.write_text(recipe.to_yaml())
    again = read_recipe(file)
    assert again.name == "mine"
    assert again.as_dict() == recipe.as_dict()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("model: {name: toy-net", "cannot be read"),
        ("a: b: c", "cannot be read"),
        ("\tmodel: x", "cannot be read"),
        ("- a\n- b", "is not a mapping"),
        ("just text", "is not a mapping"),
        ("", "is not a mapping"),
    ],
)
def test_malformed_files(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(text)
    with pytest.raises(UsageError, match=complaint) as error:
        read_recipe(file)
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


def test_file_that_is_not_text(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_bytes(b"\xff\xfe\x00\x9f")
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(file)


def test_missing_file() -> None:
    with pytest.raises(UsageError, match=r"no recipe file 'absent\.yaml'"):
        read_recipe("absent.yaml")


def test_all_faults_of_form_at_once() -> None:
    content = {"modle": {}, "data": [1], "sed": 1, "seed": "x", "trainer": "fast"}
    with pytest.raises(UsageError) as error:
        make_recipe(content, "mine")
    text = str(error.value)
    assert "'modle' is not part of a recipe; did you mean 'model'?" in text
    assert "'sed' is not part of a recipe; did you mean 'seed'?" in text
    assert "'data' has to be a mapping" in text
    assert "'trainer' has to be a mapping" in text
    assert "'model.name' is missing" in text
    assert "'data.name' is missing" in text
    assert "'seed' has to be a whole number from 0 to 4294967295, not 'x'" in text


@pytest.mark.parametrize("seed", [-1, 1.5, True, "x", "1.5", None, [1], 2**32])
def test_bad_seeds(seed: object) -> None:
    with pytest.raises(UsageError, match="'seed' has to be a whole number"):
        make_recipe({**GOOD, "seed": seed}, "mine")
    with pytest.raises(UsageError, match="'seed' has to be a whole number"):
        override(make_recipe(GOOD, "mine"), {"seed": seed})


def test_seed_is_zero_unless_given() -> None:
    assert make_recipe(GOOD, "mine").seed == 0
    assert override(make_recipe(GOOD, "mine"), {"seed": "7"}).seed == 7


def test_overrides() -> None:
    recipe = make_recipe(
        {**GOOD, "model": {"name": "toy-net", "table": {"a": 1, "b": {"c": 2}}}, "trainer": {}},
        "mine",
    )
    before = copy.deepcopy(recipe.as_dict())
    changed = override(
        recipe,
        {"model.hidden": 4, "model.table.b.c": 5, "trainer.max_epochs": 9, "data.root": "x"},
    )
    assert changed.model == {"hidden": 4, "table": {"a": 1, "b": {"c": 5}}}
    assert changed.trainer == {"max_epochs": 9}
    assert changed.data == {"root": "x"}
    assert recipe.as_dict() == before  # the recipe it came from is untouched


@pytest.mark.parametrize("first", ["data.name", "data.root"])
def test_another_name_starts_its_section_afresh(first: str) -> None:
    recipe = make_recipe({**GOOD, "data": {"name": "toy-points", "clouds": 5}}, "mine")
    changes = {"data.name": "toy-files", "data.root": "x"}
    order = [first, *(key for key in changes if key != first)]
    changed = override(recipe, {key: changes[key] for key in order})
    assert (changed.data_name, changed.data) == ("toy-files", {"root": "x"})
    assert override(recipe, {"data.name": "toy-points"}).data == {"clouds": 5}


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("modl.lr", "--model.KEY"), ("sed", "--seed"), ("trainer", "--trainer.KEY"), ("lr", "--")],
)
def test_keys_that_are_no_override(key: str, nearest: str) -> None:
    with pytest.raises(UsageError, match=f"'--{key}' is not a setting of a recipe") as error:
        override(make_recipe(GOOD, "mine"), {key: 1})
    assert nearest in str(error.value)


def test_check_reports_every_wrong_key_and_value_at_once(toy: Any) -> None:
    recipe = override(
        read_recipe("toy/points"),
        {
            "model.learning_rat": 1,
            "model.hidden": "many",
            "data.siz": 3,
            "data.clouds": 1.5,
            "trainer.max_epoch": 3,
            "trainer.max_steps": "x",
        },
    )
    with pytest.raises(UsageError, match="6 faults") as error:
        resolve(recipe)
    text = str(error.value)
    assert "points.yaml" in text
    assert "did you mean 'model.learning_rate'?" in text
    assert "'model.hidden' has to be of type int" in text
    assert "did you mean 'data.size'?" in text
    assert "'data.clouds' has to be of type int" in text
    assert "did you mean 'trainer.max_epochs'?" in text
    assert "'trainer.max_steps'" in text


@pytest.mark.parametrize("key", ["default_root_dir", "enable_checkpointing", "barebones"])
def test_what_the_run_folder_decides(toy: Any, key: str) -> None:
    with pytest.raises(UsageError, match=f"'trainer.{key}' cannot be set: "):
        resolve(override(read_recipe("toy/points"), {f"trainer.{key}": "x"}))


@pytest.mark.parametrize("section", ["model", "data"])
def test_unknown_names(toy: Any, section: str) -> None:
    wrong = {"model": "toy-nett", "data": "toy-point"}[section]
    right = {"model": "toy-net", "data": "toy-points"}[section]
    with pytest.raises(UsageError, match=f"did you mean '{right}'"):
        resolve(override(read_recipe("toy/points"), {f"{section}.name": wrong}))


def test_resolved_recipe_is_a_recipe(toy: Any, tmp_path: Path) -> None:
    experiment = resolve(read_recipe("toy/points"))
    settled = experiment.with_facts({"features": 2, "num_classes": 3})
    assert settled.recipe.model["dropout"] == 0.2
    assert settled.recipe.model["hidden"] == 16
    assert "num_classes" not in settled.recipe.model  # the data's to say
    assert settled.recipe.data["seed"] == 3
    assert settled.recipe.data["size"] == 40
    for recipe in (experiment.recipe, settled.recipe):
        file = tmp_path / "again.yaml"
        file.write_text(recipe.to_yaml())
        assert resolve(read_recipe(file)).recipe.as_dict() == recipe.as_dict()


def test_seed_and_root_of_the_data(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = read_recipe("toy/files")
    assert resolve(recipe).recipe.data["root"] == str(Path("data/toy-files"))
    monkeypatch.setenv("ZOO_DATA", "/elsewhere")
    assert resolve(recipe).recipe.data["root"] == str(Path("/elsewhere/toy-files"))
    changed = resolve(override(recipe, {"data.root": "mine", "data.seed": 9, "seed": 4})).recipe
    assert changed.data["root"] == "mine"
    assert changed.data["seed"] == 9
    assert changed.seed == 4


def test_facts_fill_what_the_recipe_leaves_out(toy: Any) -> None:
    facts = {"features": 2, "num_classes": 5, "label_names": ["of no argument"]}
    model = resolve(read_recipe("toy/points")).with_facts(facts).build_model()
    assert model.hparams["num_classes"] == 5  # not the constructor's default
    assert model.hparams["hidden"] == 16
    explicit = override(read_recipe("toy/points"), {"model.num_classes": 9})
    assert resolve(explicit).with_facts(facts).build_model().hparams["num_classes"] == 9
    left = override(read_recipe("toy/points"), {"model.num_classes": None})
    assert resolve(left).with_facts(facts).build_model().hparams["num_classes"] == 5


def test_missing_required_argument_is_named(toy: Any) -> None:
    with pytest.raises(UsageError, match=r"model 'toy-net' needs a value for features"):
        resolve(read_recipe("toy/points")).build_model()


def test_family_member_gets_its_name(toy: Any) -> None:
    model = build_model(registry().model("toy/small"), {}, {"num_classes": 4})
    assert model.hparams["variant"] == "small"
    assert model.hparams["num_classes"] == 4
    with pytest.raises(UsageError, match=r"'model.variant' is not an argument of ToyFamily"):
        build_model(registry().model("toy/small"), {"variant": "large"}, {})


def test_to_yaml_keeps_order_and_text(toy: Any) -> None:
    recipe = replace(read_recipe("toy/points"), about={"summary": "Größe: 3", "paper": "b"})
    text = recipe.to_yaml()
    assert "Größe" in text
    assert list(yaml.safe_load(text)) == ["about", "seed", "model", "data", "trainer"]


@pytest.mark.parametrize(
    ("name", "arguments", "left_out"),
    [
        ("StochasticWeightAveraging", {"swa_lrs": 0.01}, {"device"}),
        ("StochasticWeightAveraging", {"swa_lrs": 0.01, "device": "cpu"}, set()),
        ("ModelPruning", {"pruning_fn": "l1_unstructured", "amount": 0.5}, set()),
        ("Timer", {"duration": "00:00:10:00"}, set()),
    ],
)
@pytest.mark.parametrize("form", [lambda value: value, yaml.safe_dump])
def test_arguments_that_are_objects(
    toy: Any, recwarn: Any, name: str, arguments: dict, left_out: set, form: Any
) -> None:
    """A device by default is left to the class, and a text where a function may stand is kept."""
    callbacks = [{"class_path": name, "init_args": arguments}]
    (written,) = resolve(
        override(read_recipe("toy/points"), {"trainer.callbacks": form(callbacks)})
    ).recipe.trainer["callbacks"]
    found = written["init_args"]
    assert {key: found[key] for key in arguments} == arguments
    assert not left_out & found.keys()
    assert "serialize" not in str(written)
    (built,) = instantiate(Trainer, {"callbacks": [written]})["callbacks"]
    assert type(built).__name__ == name
    assert not [each for each in recwarn if "serialize" in str(each.message)]
