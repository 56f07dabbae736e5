"""A broken plugin is listed with its cause and remedy, and takes nothing else down."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from zoo.plugin.hooks import PLUGIN_API
from zoo.registry.plugins import Plugin, load_plugins
from zoo.registry.registry import registry

HEAD = """
from zoo.plugin.entries import Checkpoint, Dataset, Model, Recipes
from zoo.plugin.hooks import hookimpl
ZOO_PLUGIN_API = 1
"""

BROKEN = {
    "module-missing": ("import not_there_at_all", "not_there_at_all", "ZOO_DISABLE_PLUGINS=faulty"),
    "syntax-error": ("def (", "SyntaxError", "ZOO_DISABLE_PLUGINS=faulty"),
    "system-exit": ("raise SystemExit(3)", "SystemExit: 3", "ZOO_DISABLE_PLUGINS=faulty"),
    "any-error": ("1 / 0", "division by zero", "Update or uninstall zoo-faulty"),
    "no-api": ("x = 1", "does not declare ZOO_PLUGIN_API", "Add `ZOO_PLUGIN_API = 1`"),
    "newer-api": (f"ZOO_PLUGIN_API = {PLUGIN_API + 1}", "plugin API 2", "Update zoo."),
    "older-api": (f"ZOO_PLUGIN_API = {PLUGIN_API - 1}", "plugin API 0", "Update zoo-faulty."),
    "text-api": ("ZOO_PLUGIN_API = '1'", "plugin API 1", "Update zoo-faulty."),
    "hook-raises": (
        HEAD + "@hookimpl\ndef zoo_models():\n    raise KeyError('lost')",
        "KeyError: 'lost'",
        "Update or uninstall zoo-faulty",
    ),
    "hook-arguments": (
        HEAD + "@hookimpl\ndef zoo_models(device):\n    return []",
        "device",
        "Update or uninstall zoo-faulty",
    ),
    "unknown-hook": (
        HEAD + "@hookimpl\ndef zoo_model():\n    return []",
        "unknown hooks: zoo_model",
        "Did you mean zoo_models?",
    ),
    "forgotten-return": (
        HEAD + "@hookimpl\ndef zoo_datasets():\n    []",
        "zoo_datasets returned a NoneType",
        "Let it return a list of zoo.plugin.Dataset.",
    ),
    "not-a-list": (
        HEAD + "@hookimpl\ndef zoo_models():\n    return {'net': 'a.b:C'}",
        "zoo_models returned a dict",
        "Let it return a list of zoo.plugin.Model.",
    ),
    "wrong-entry": (
        HEAD + "@hookimpl\ndef zoo_models():\n    return [Dataset('x', 'a.b:C', 'X')]",
        "zoo_models returned Dataset(name='x'",
        "Let it return a list of zoo.plugin.Model.",
    ),
    "malformed-entry": (
        HEAD + "@hookimpl\ndef zoo_models():\n    return [Model('A Net', 'a.b:C', 'X')]",
        "model name 'A Net' is not of the form 'mpcnn'",
        "Update or uninstall zoo-faulty",
    ),
}


def models(*names: str) -> str:
    """Source of a plugin that registers models."""
    entries = ", ".join(f"Model({name!r}, 'zoo_toy.model:ToyNet', 'A net')" for name in names)
    return f"{HEAD}@hookimpl\ndef zoo_models():\n    return [{entries}]\n"


def loaded(name: str) -> Plugin:
    return next(plugin for plugin in load_plugins() if plugin.name == name)


@pytest.mark.parametrize(("code", "cause", "remedy"), BROKEN.values(), ids=BROKEN)
def test_broken_plugin_is_recorded_and_others_work(
    toy: Any, code: str, cause: str, remedy: str
) -> None:
    toy.add("faulty", code, version="2.5")
    plugin = loaded("faulty")
    assert plugin.state == "broken"
    assert (plugin.distribution, plugin.version) == ("zoo-faulty", "2.5")
    assert cause in plugin.problem
    assert remedy in plugin.remedy
    assert plugin.entries == ()
    assert loaded("toy").state == "ready"
    assert "toy-net" in registry().models
    assert "toy/points" in registry().recipes


@pytest.mark.parametrize("kind", ["module-missing", "system-exit", "no-api", "not-a-list"])
def test_commands_work_beside_a_broken_plugin_and_doctor_tells(
    toy: Any, zoo: Callable, kind: str
) -> None:
    code, cause, remedy = BROKEN[kind]
    toy.add("faulty", code, version="2.5")
    listed = zoo("list", "models", "--json")
    assert listed.status == 0
    assert "toy-net" in {row["name"] for row in json.loads(listed.out)}

    found = zoo("doctor", "--json")
    assert found.status == 1
    rows = {row["name"]: row for row in json.loads(found.out)}
    row = rows["plugin faulty"]
    assert row["state"] == "broken"
    assert "zoo-faulty 2.5" in row["note"]
    assert cause in row["note"]
    assert remedy in row["remedy"]
    assert rows["plugin toy"]["state"] == "ok"

    text = zoo("doctor")
    assert text.status == 1
    assert "zoo-faulty 2.5" in text.out
    assert remedy in text.out


def test_the_place_of_an_error_is_told(distributions: Any) -> None:
    distributions.add("faulty", "x = 1\ny = 1 / 0")
    plugin = loaded("faulty")
    assert plugin.problem.endswith("zoo_faulty_plugin.py:2)")
    assert "ZeroDivisionError" in plugin.details


def test_entry_point_that_names_an_object(distributions: Any) -> None:
    distributions.add("faulty", "thing = 3", value="zoo_faulty_plugin:thing")
    plugin = loaded("faulty")
    assert "names a int, not a module" in plugin.problem
    assert "name the module" in plugin.remedy


def test_entry_point_that_names_nothing(distributions: Any) -> None:
    distributions.add("faulty", value="no_such_package.plugin")
    assert "no_such_package" in loaded("faulty").problem


def test_ctrl_c_while_loading_stays_ctrl_c(distributions: Any) -> None:
    distributions.add("faulty", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        load_plugins()


def test_missing_recipe_folder_leaves_the_rest(toy: Any, zoo: Callable) -> None:
    code = "@hookimpl\ndef zoo_recipes():\n    return [Recipes('lost', 'no.such.package:recipes')]"
    toy.add("faulty", HEAD + code)
    assert zoo("list", "recipes").status == 0
    assert "toy/points" in registry().recipes
    assert zoo("doctor").status == 1


def test_disabled_plugin_is_not_imported(
    toy: Any, monkeypatch: pytest.MonkeyPatch, zoo: Callable
) -> None:
    toy.add("faulty", "1 / 0")
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "other, faulty")
    assert loaded("faulty").state == "disabled"
    assert loaded("toy").state == "ready"
    found = zoo("doctor", "--json")
    assert found.status == 0
    states = {row["name"]: row["state"] for row in json.loads(found.out)}
    assert states["plugin faulty"] == "disabled"


def test_recipe_of_a_disabled_plugin_says_so(
    toy: Any, monkeypatch: pytest.MonkeyPatch, zoo: Callable
) -> None:
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "toy")
    registry.cache_clear()
    done = zoo("info", "toy/points")
    assert done.status == 2
    assert "the plugin 'toy' is disabled" in done.err


def test_strict_turns_a_problem_into_an_error(
    toy: Any, monkeypatch: pytest.MonkeyPatch, zoo: Callable
) -> None:
    toy.add("faulty", "1 / 0", version="2.5")
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", "1")
    done = zoo("list")
    assert done.status == 1
    assert "plugin 'faulty' of zoo-faulty 2.5 is broken" in done.err
    assert "division by zero" in done.err
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", "0")
    assert zoo("list").status == 0


def test_strict_passes_over_disabled_plugins(
    toy: Any, monkeypatch: pytest.MonkeyPatch, zoo: Callable
) -> None:
    toy.add("faulty", "1 / 0")
    monkeypatch.setenv("ZOO_STRICT_PLUGINS", "1")
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "faulty")
    assert zoo("list").status == 0


def test_one_name_in_two_distributions(toy: Any, zoo: Callable) -> None:
    toy.add("first", models("shared", "only-first"))
    toy.add("second", models("shared", "only-second"))
    assert {"only-first", "only-second", "toy-net"} <= set(registry().models)
    assert "shared" not in registry().models

    done = zoo("info", "shared")
    assert done.status == 2
    assert "zoo-first" in done.err
    assert "zoo-second" in done.err
    assert "ZOO_DISABLE_PLUGINS" in done.err

    assert "only-first" in zoo("list", "models").out
    doctor = zoo("doctor", "--json")
    assert doctor.status == 1
    rows = {row["name"]: row for row in json.loads(doctor.out)}
    assert "zoo-first and by zoo-second" in rows["model shared"]["note"]


def test_a_clash_ends_when_one_side_is_disabled(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    toy.add("first", models("shared"))
    toy.add("second", models("shared"))
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "second")
    assert registry().owner(registry().models["shared"]).name == "first"


def test_one_name_twice_in_one_distribution(toy: Any, zoo: Callable) -> None:
    toy.add("first", models("twin", "twin", "single"))
    assert "twin" not in registry().models
    assert "single" in registry().models
    assert [str(clash) for clash in registry().clashes] == [
        "zoo-first registers the model 'twin' twice"
    ]
    assert zoo("doctor").status == 1


def test_one_recipe_family_in_two_distributions(toy: Any, zoo: Callable) -> None:
    code = "@hookimpl\ndef zoo_recipes():\n    return [Recipes('toy', 'zoo_toy:recipes')]\n"
    toy.add("second", HEAD + code)
    assert not any(name.startswith("toy/") for name in registry().recipes)
    done = zoo("train", "toy/points")
    assert done.status == 2
    assert "zoo-toy" in done.err
    assert "zoo-second" in done.err
