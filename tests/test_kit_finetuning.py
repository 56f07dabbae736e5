"""What the conformance kit says of models that are fine-tuned wrongly."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from small_plugin import Faults, Faulty, assert_fails, checks_of, make, model

CHANNELS = """
def __init__(self, features: int, num_classes: int, in_channels: int = 2, **rest) -> None:
    super().__init__(features, num_classes, **rest)
    self.save_hyperparameters()
    self.features = in_channels
    self.body[0] = nn.Linear(in_channels, 8)
"""
FAULTY: Faulty = [
    (
        "finetunes",
        "model",
        model(
            "def on_train_batch_end(self, *a):\n"
            "    with torch.no_grad():\n        self.body[0].bias.add_(1.0)"
        ),
        "with a frozen backbone body.0.bias changed",
    ),
    (
        "finetunes",
        "model",
        model(
            "def on_fit_start(self):\n    assert all(p.requires_grad for p in self.parameters())"
        ),
        "AssertionError",
    ),
    (
        "new-channels",
        "model",
        model(
            CHANNELS + "@classmethod\ndef adapt_input_channels(cls, weights, before, now):\n"
            "    return {**weights, 'body.0.weight': weights['body.0.weight'][:, :0]}"
        ),
        "body.0.weight",
    ),
    (
        "new-channels",
        "model",
        model(
            CHANNELS + "@classmethod\ndef adapt_input_channels(cls, weights, before, now):\n"
            "    adapted = weights['body.0.weight'][:, :1].expand(-1, now) / 0\n"
            "    return {**weights, 'body.0.weight': adapted}"
        ),
        "is not finite",
    ),
    (
        "new-channels",
        "model",
        model(CHANNELS.replace("features = in_channels", "features = 2")),
        "mat1 and mat2",
    ),
]


@pytest.mark.parametrize(("check", "kind", "faults", "note"), FAULTY)
def test_every_check_can_fail(
    write: Callable, check: str, kind: str, faults: Faults, note: str
) -> None:
    write(faults)
    assert_fails(check, kind, note)


def test_no_check_is_left_out() -> None:
    assert {check for check, *_ in FAULTY} == checks_of("finetuning")


def test_a_first_layer_that_has_its_channels_passes(write: Callable) -> None:
    write(model(CHANNELS))
    result = make("new-channels", "model")
    assert (result.outcome, result.note) == ("passed", "from 2 to 1")
    assert make("finetunes", "model").outcome == "passed"


def test_a_refusal_in_a_sentence_is_no_fault(write: Callable) -> None:
    body = CHANNELS.replace("nn.Linear(in_channels, 8)", "nn.Linear(in_channels, 4 * in_channels)")
    write(model(f"{body}    self.classifier = nn.Linear(4 * in_channels, num_classes)\n"))
    result = make("new-channels", "model")
    assert result.outcome == "skipped"
    assert "cannot be adapted" in result.note


@pytest.mark.parametrize("body", ["head = ()", "head = property(lambda self: ())"])
def test_a_model_without_a_head_is_not_fine_tuned(write: Callable, body: str) -> None:
    write(model(body))
    result = make("head", "model")
    assert (result.outcome, result.note) == ("passed", "it has none: it is not fine-tuned")
    for check in ("new-head", "new-channels", "finetunes"):
        assert make(check, "model").note == "it has no head"
