"""What the conformance kit says of faulty plugins and recipes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import (
    PLUGIN,
    RECIPE,
    Faults,
    Faulty,
    assert_fails,
    checks_of,
    model,
    plugin,
    recipe,
)

FAULTY: Faulty = [
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
    ("recipe-keys", "recipe", recipe("dropout", "dropuot"), "did you mean 'model.dropout'?"),
    ("recipe-keys", "recipe", recipe("trainer:", "trianer:"), "not part of a recipe"),
    (
        "recipe-keys",
        "recipe",
        recipe("dropout: 0.1", "activation: recipe:small/first"),
        "model.activation",
    ),
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


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("plugin", "imports", "recipe")
