"""What the conformance kit says of faulty models and their bundles."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_plugin import (
    ARGUMENTS,
    FAMILY,
    INIT,
    RECIPE,
    Faults,
    Faulty,
    assert_fails,
    checks_of,
    hook,
    model,
)

CHECKPOINT = 'Checkpoint("small-trained", "zoo_small:checkpoints/none", "Lost")'
FAULTY: Faulty = [
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
    (
        "references",
        "model",
        {
            **model(
                "from zoo import load\n"
                "from zoo.plugin import Reference\n"
                f"def __init__({ARGUMENTS}, world: Reference, **rest) -> None:\n"
                "    super().__init__(features, num_classes, **rest)\n"
                "    self.world = [Net.load(world)]\n"
                "def forward(self, points):\n"
                "    return super().forward(points) + self.world[0](points)"
            ),
            "recipes/first.yaml": RECIPE.replace("name: small-net", "name: toy-net"),
            "recipes/second.yaml": RECIPE.replace("dropout: 0.1", "world: recipe:small/first"),
        },
        "there is no folder",
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
        "gradients or weights differ by",
    ),
]


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
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("model", "bundle", "device")
