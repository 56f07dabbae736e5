"""The conformance kit: a good plugin passes it; every check can fail, with reason and remedy."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from small_plugin import FAMILY, RECIPE, ROOT, data, make, model, plugin

from zoo.errors import UsageError
from zoo.plugin import hooks
from zoo.plugin.entries import Model
from zoo.registry.registry import registry
from zoo.testing import CHECKS, cases, check_plugin, conformance_tests

DOES_NOT = ("predicts", "produces", "new-channels", "references", "export-formats")
"""Checks of what the small model does not offer, and of ONNX, which is left out."""


@pytest.fixture(autouse=True)
def _without_onnx(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes seconds, and has tests of its own."""
    monkeypatch.setitem(sys.modules, "onnx", None)


def test_a_good_plugin_passes(write: Callable) -> None:
    write({})
    results = list(check_plugin("small"))
    assert [str(each) for each in results if each.outcome == "failed"] == []
    skipped = {each.check for each in results if each.outcome == "skipped"}
    # No GPU; it reads no files, and says nothing of folds.
    assert skipped <= {"same-on-gpu", "missing-root", "folds", *DOES_NOT}
    assert {each.kind for each in results} == {"plugin", "model", "dataset", "recipes", "recipe"}
    assert not any(each.outcome == "exempt" for each in results)


def test_every_check_has_a_file_of_faults() -> None:
    """In which a test asks whether any check of its modules is left out."""
    files = sorted(Path(__file__).parent.glob("test_kit_*.py"))
    called = re.findall(r"checks_of\((.*?)\)", "".join(file.read_text() for file in files))
    tested = [name for names in called for name in re.findall(r'"(\w+)"', names)]
    modules = {check.run.__module__.rpartition(".")[2] for check in CHECKS.values()}
    assert sorted(tested) == sorted(modules)
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
        "export-formats": "asks its environment",
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
    not_asked = {("model", name) for name in ("same-on-gpu", *DOES_NOT)} | {("dataset", "folds")}
    assert {outcomes[key] for key in skipped - not_asked} == {"passed"}


def test_what_data_declare_for_the_kit_goes_before_a_recipe(write: Callable) -> None:
    long = RECIPE.replace("name: small-points", "name: small-points\n  clouds: 5\n  size: 4000")
    write({**data("conformance_arguments = {'size': 24}"), "recipes/first.yaml": long})
    (case,) = [c for c in cases("small") if (c.check.name, c.subject.kind) == ("builds", "model")]
    subject: Any = case.subject
    arguments = subject.find_setting().data_arguments
    assert (arguments["size"], arguments["clouds"]) == (24, 5)


def test_other_data_do_not_stand_in_for_those_of_a_recipe(write: Callable) -> None:
    points = 'Dataset("small-points", "zoo_small.data:Data", "Points")'
    other = 'Dataset("other", "zoo_small.data:Other", "Others", embedded=True)'
    replaced = plugin('Dataset("small-points", "zoo_small.data:Data", "Points", embedded=True)',
                      f"{points}, {other}")  # fmt: skip
    # The net needs `features`, which these data do not know.
    body = ROOT % "return super().facts" + "\nclass Other(Data):\n    facts = {}\n"
    write({**replaced, "data": data(body)["data"].replace("    class Other", "class Other")})
    assert make("builds", "model").outcome == "skipped"


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
    assert re.search(r"^\d+ passed, .* in \d+\.\d s$", lines[-1])
    lines = [re.sub(r" \d+\.\d s\b", " T", line) for line in lines]
    assert "model small-net head passed T" in lines
    assert "model small-net exports exempt T asks its environment" in lines
    assert "model small-net fits failed T it logs nothing under test/" in lines
    assert f"why it matters: {CHECKS['fits'].why}" in lines
    assert f"remedy: {CHECKS['fits'].remedy}" in lines
    assert "2 failed" in lines[-1]  # and the recipe, whose metric is not logged


def test_the_command_gives_0_where_nothing_failed(write: Callable, zoo: Callable) -> None:
    write({})
    done = zoo("plugin", "check", "small", "--json")
    assert done.status == 0
    rows = json.loads(done.out)
    assert {"name", "kind", "check", "outcome", "note", "why", "remedy", "seconds"} == set(rows[0])
    assert all(row["seconds"] >= 0 for row in rows)
    assert sum(row["seconds"] for row in rows) > 0.5
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
        "test_conformance = conformance_tests('small')\n",
        encoding="utf-8",
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


def test_no_plugin_is_nothing_to_check(zoo: Callable) -> None:
    done = zoo("plugin", "check")
    assert (done.status, done.out) == (0, "no plugin is installed\n")
