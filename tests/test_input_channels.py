"""Fine-tuning to another number of channels: the first layer is adapted and that is told, or it is
refused before anything is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

import zoo as package
from zoo.runs.run import Run
from zoo.training.train import train

WORDS = ("--trainer.logger", "false", "--trainer.max_epochs", "0")
FIRST = "network.convolution.weight"


@pytest.fixture
def colored(toy: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the number of channels of the toy's images, each a copy of the gray one."""
    from zoo_toy import images

    facts = images.Images.facts.fget
    samples = images.Images.samples

    def set_channels(count: int) -> None:
        def more_facts(self: Any) -> dict[str, Any]:
            per_channel = {"mean": [0.4] * count, "std": [0.2] * count}
            return {**facts(self), "in_channels": count, **per_channel}

        def more_samples(self: Any, part: Any) -> Any:
            gray, labels = samples(self, part).tensors
            return torch.utils.data.TensorDataset(gray.expand(-1, count, -1, -1), labels)

        monkeypatch.setattr(images.Images, "facts", property(more_facts))
        monkeypatch.setattr(images.Images, "samples", more_samples)

    return set_channels


def trained(channels: int, colored: Callable[[int], None]) -> Run:
    colored(channels)
    short = {"trainer.logger": False, "trainer.max_epochs": 1}
    return train("toy/images", short, out="origin")


def first_layer(path: str) -> Tensor:
    return load_file(Path(path) / "bundle" / "model.safetensors")[FIRST]


@pytest.mark.parametrize(("before", "now"), [(1, 3), (3, 1), (3, 2), (2, 5)])
def test_the_first_layer_is_adapted_and_told(
    colored: Callable[[int], None], zoo: Callable, before: int, now: int
) -> None:
    trained(before, colored)
    colored(now)
    # With three means the net takes gray images too, which it spreads over them.
    typed = ("--model.in_channels", 1, "--model.mean", "[0.4]", "--model.std", "[0.2]")
    done = zoo("finetune", "origin", "--out", "tuned", *WORDS, *(typed if now == 1 else ()))
    assert done.status == 0, done.err
    ending = f"{now} channel{'s' if now > 1 else ''} of input"
    assert f"origin: the first layer ({FIRST}) is adapted from {before} to {ending}" in done.err
    assert "0 reshaped" in done.err
    old, new = first_layer("origin"), first_layer("tuned")
    assert new.shape[1] == now
    if before == 1 or now == 1:  # equal channels give what they gave before
        gray = torch.rand(1, 1, 8, 8)
        wanted = F.conv2d(gray.expand(-1, before, -1, -1), old)
        assert torch.allclose(F.conv2d(gray.expand(-1, now, -1, -1), new), wanted, atol=1e-6)
    else:
        turns = [index % before for index in range(now)]
        assert torch.allclose(new, old[:, turns] * before / now)
    assert package.load("tuned").hparams["in_channels"] == now
    assert package.load("tuned").hparams["mean"] == [0.4] * now


def test_a_weights_file_is_adapted_too(colored: Callable[[int], None], zoo: Callable) -> None:
    trained(1, colored)
    colored(3)
    file = "origin/bundle/model.safetensors"
    done = zoo("train", "toy/images", "--init_from.reference", file, "--out", "tuned", *WORDS)
    assert done.status == 0, done.err
    assert f"{file}: the first layer ({FIRST}) is adapted from 1 to 3 channels" in done.err


def test_a_model_may_adapt_its_weights_itself(
    colored: Callable[[int], None], zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo_toy.cnn import ToyCNN

    asked: list[tuple[int, int]] = []

    def adapt(cls: type, weights: dict[str, Tensor], before: int, now: int) -> dict[str, Tensor]:
        asked.append((before, now))
        return {**weights, FIRST: torch.full((4, now, 3, 3), 7.0)}

    trained(1, colored)
    colored(2)
    monkeypatch.setattr(ToyCNN, "adapt_input_channels", classmethod(adapt), raising=False)
    done = zoo("finetune", "origin", "--out", "tuned", *WORDS)
    assert done.status == 0, done.err
    assert asked == [(1, 2)]
    assert "origin: the first layer is adapted from 1 to 2 channels of input" in done.err
    assert torch.equal(first_layer("tuned"), torch.full((4, 2, 3, 3), 7.0))


def test_a_model_that_converts_its_inputs_keeps_its_channels(
    colored: Callable[[int], None], zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo_toy.cnn import ToyCNN

    forward = ToyCNN.forward

    def to_gray(self: Any, images: Tensor) -> Tensor:
        return forward(self, images.float().mean(1, keepdim=True))

    trained(1, colored)
    colored(3)
    monkeypatch.setattr(ToyCNN, "forward", to_gray)
    done = zoo("finetune", "origin", "--out", "tuned", *WORDS)
    assert done.status == 0, done.err
    assert "the data have 3 channels and the model takes 1: it converts its inputs" in done.err
    assert torch.equal(first_layer("tuned"), first_layer("origin"))


def test_weights_that_cannot_be_adapted_are_refused_before_a_folder(
    colored: Callable[[int], None], zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo_toy.cnn import PatternNet

    class Blocks(torch.nn.Conv2d):  # each channel is four of the net
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images.repeat(1, 4, 1, 1))

    init = PatternNet.__init__

    def blocks(self: Any, in_channels: int, *rest: Any) -> None:
        init(self, in_channels, *rest)
        self.convolution = Blocks(4 * in_channels, 4, 3, padding=1)

    monkeypatch.setattr(PatternNet, "__init__", blocks)
    trained(1, colored)
    colored(2)
    done = zoo("finetune", "origin", "--out", "tuned", *WORDS)
    assert done.status == 2
    assert done.err.endswith(
        "zoo: the model of origin takes 1 channel and the data have 2 channels: its weights cannot "
        "be adapted; take data of 1 channel, or train afresh\n"
    )
    assert not Path("tuned").exists()


def test_channels_that_are_typed_count(colored: Callable[[int], None], zoo: Callable) -> None:
    trained(1, colored)
    words = ("--model.in_channels", "2", "--model.mean", "[0,0]", "--model.std", "[1,1]")
    done = zoo(
        "finetune", "origin", *words, "--out", "tuned", *WORDS[:2], "--trainer.max_epochs", "1"
    )
    assert "is adapted from 1 to 2 channels" in done.err
    assert package.load("tuned").hparams["in_channels"] == 2


def test_another_fact_that_the_model_does_not_take_is_refused_with_its_values(
    toy: Any, zoo: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo_toy import data

    short = {"trainer.logger": False, "trainer.max_epochs": 1}
    train("toy/points", short, out="origin")
    facts = data.Points.facts.fget
    setup = data.Points.setup

    def wider(self: Any, stage: str) -> None:
        setup(self, stage)
        for part, found in self.parts.items():
            points, labels = found.tensors
            self.parts[part] = torch.utils.data.TensorDataset(points.repeat(1, 2), labels)

    monkeypatch.setattr(data.Points, "facts", property(lambda self: {**facts(self), "features": 4}))
    monkeypatch.setattr(data.Points, "setup", wider)
    done = zoo("finetune", "origin", "--out", "tuned", "--trainer.max_epochs", "1")
    assert done.status == 2
    assert "the model of origin does not take these data (features is 4 and was 2): " in done.err
    assert not Path("tuned").exists()
