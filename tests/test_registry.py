"""Names to entries, and what an unknown name is answered with."""

import importlib.metadata
from typing import Any

import pytest

from zoo.errors import UsageError, ZooError, nearest
from zoo.plugin.entries import Checkpoint, Dataset, Model, Recipes
from zoo.registry.plugins import Plugin
from zoo.registry.registry import Registry, extras, missing_extras, package_folder, registry


@pytest.fixture
def made() -> Registry:
    """A registry of one plugin, made of plain entries."""
    entries = (
        Model("mpcnn", "a.b:C", "x"),
        Model("mcdnn", "a.b:C", "x"),
        Model("timm/*", "a.b:C", "x", wildcard="architecture"),
        Model("nets/*-small", "a.b:C", "x", wildcard="size"),
        Dataset("digits", "a.b:C", "x"),
        Checkpoint("mpcnn-digits", "a:b", "x"),
    )
    return Registry([Plugin("vision", "zoo-vision", "1.0", "m", 1, entries)])


@pytest.mark.parametrize(
    ("kind", "wrong", "right"),
    [
        ("model", "mpcn", "mpcnn"),
        ("model", "mpcnm", "mpcnn"),
        ("dataset", "digit", "digits"),
        ("checkpoint", "mpcnn-digts", "mpcnn-digits"),
    ],
)
def test_did_you_mean(made: Registry, kind: str, wrong: str, right: str) -> None:
    with pytest.raises(UsageError, match=f"no {kind} '{wrong}': did you mean '{right}'") as error:
        getattr(made, kind)(wrong)
    assert error.value.status == 2


@pytest.mark.parametrize("kind", ["model", "dataset", "checkpoint", "recipe"])
def test_nothing_near_points_to_the_list(made: Registry, kind: str) -> None:
    with pytest.raises(UsageError, match=f"see `zoo list {kind}s`"):
        getattr(made, kind)("qqqqqq")


def test_did_you_mean_of_recipes(toy: Any) -> None:
    for wrong in ("toy/point", "toy/pionts", "points", "point"):
        with pytest.raises(UsageError, match="did you mean 'toy/points'"):
            registry().recipe(wrong)


def test_every_name_with_a_letter_lost_is_found() -> None:
    known = ["max_epochs", "learning_rate", "dropout", "batch_size", "seed", "root", "num_workers"]
    for name in known:
        for index in range(len(name)):
            assert nearest(name[:index] + name[index + 1 :], known, 1) == repr(name)


def test_nearest_is_empty_when_nothing_is_near() -> None:
    assert nearest("zzz", ["root", "seed"]) == ""
    assert nearest("x", []) == ""


def test_families(made: Registry) -> None:
    found = made.model("timm/resnet18")
    assert found.entry.name == "timm/*"
    assert found.name == "timm/resnet18"
    assert found.arguments == {"architecture": "resnet18"}
    assert made.model("nets/tiny-small").arguments == {"size": "tiny"}
    assert made.model("mpcnn").arguments == {}


@pytest.mark.parametrize("name", ["timm/", "nets/-small", "nets/tiny-large", "other/x"])
def test_what_no_family_covers(made: Registry, name: str) -> None:
    with pytest.raises(UsageError, match="there is no model"):
        made.model(name)


def test_a_family_is_no_model(made: Registry) -> None:
    with pytest.raises(UsageError, match="put the name of one of them"):
        made.model("timm/*")


def test_missing_plugin_names_the_extra(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    requirements = [
        "torch>=2.6",
        "zoo-toy>=0.1; extra == 'toy'",
        'zoo-golf>=0.1,<1; extra == "golf"',
        "zoo-golf>=0.1; extra == 'all'",
    ]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: requirements)
    assert extras() == {"toy": "zoo-toy", "golf": "zoo-golf"}
    assert missing_extras() == ["golf"]
    with pytest.raises(
        UsageError, match=r'no recipe \'golf/swing\'.*--find-links DIST "zoo\[golf\]"'
    ):
        registry().recipe("golf/swing")
    with pytest.raises(UsageError, match="did you mean 'toy/points'"):
        registry().recipe("toy/point")
    with pytest.raises(UsageError, match="or install one of the extras golf"):
        registry().model("qqqqqq")


def test_broken_plugin_is_named_instead_of_guesses(toy: Any) -> None:
    toy.add("golf", "1 / 0")
    with pytest.raises(UsageError, match="the plugin 'golf' is broken; see `zoo doctor`"):
        registry().recipe("golf/swing")


def test_class_that_does_not_exist(toy: Any) -> None:
    with pytest.raises(ZooError, match=r"'toy-absent' of zoo-toy names .*Absent.*Update zoo-toy"):
        registry().load(registry().models["toy-absent"])


def test_module_that_does_not_import(toy: Any) -> None:
    with pytest.raises(ZooError, match=r"a_dependency_that_nobody_has.*Reinstall zoo-toy") as error:
        registry().load(registry().models["toy-broken"])
    assert error.value.status == 1


def test_owner(toy: Any) -> None:
    assert registry().owner(registry().models["toy-net"]).distribution == "zoo-toy"


def test_package_folder(toy: Any) -> None:
    folder = package_folder("zoo_toy:recipes")
    assert folder is not None
    assert (folder / "points.yaml").is_file()
    assert package_folder("zoo_toy:nothing") is None
    assert package_folder("no_such_package:recipes") is None
    assert package_folder("no_such_package.inner:recipes") is None


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        (Model("x", "a:B", "x"), "model"),
        (Dataset("x", "a:B", "x"), "dataset"),
        (Checkpoint("x", "a:b", "x"), "checkpoint"),
        (Recipes("x", "a:b"), "recipe"),
    ],
)
def test_clash_of_every_kind(entry: Any, kind: str) -> None:
    plugins = [Plugin(n, f"zoo-{n}", "1", n, 1, (entry,)) for n in ("a", "b")]
    made = Registry(plugins)
    with pytest.raises(UsageError, match="zoo-a and by zoo-b"):
        getattr(made, kind)("x/y" if kind == "recipe" else "x")


def test_kinds_have_names_of_their_own() -> None:
    entries = (Model("x", "a:B", "x"), Dataset("x", "a:B", "x"), Checkpoint("x", "a:b", "x"))
    made = Registry([Plugin("a", "zoo-a", "1", "a", 1, entries)])
    assert made.clashes == []
    assert made.model("x").entry is entries[0]
    assert made.dataset("x") is entries[1]
