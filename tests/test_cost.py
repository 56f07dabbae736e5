"""What a model costs: counted by hand, and without a trace in the model or a random state."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zoo.bundles.cost import Cost, model_cost


class Net(nn.Module):
    """Two layers, of which the first is not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(100, 200), nn.Linear(200, 10)
        self.first.requires_grad_(False)
        self.register_buffer("scale", torch.ones(3))

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(4, 100)

    def forward(self, values: Tensor) -> Tensor:
        scores: Tensor = self.second(torch.relu(self.first(values)))
        return scores


class Looking(Net):
    """Looks at its numbers, which the meta device does not have."""

    def forward(self, values: Tensor) -> Tensor:
        if float(values.sum()) > 0:
            raise AssertionError
        return super().forward(values)


class Counting(Net):
    """Changes a buffer, draws a random number, and keeps a tensor of its input's device."""

    kept: Any = None

    def forward(self, values: Tensor) -> Tensor:
        self.scale += 1
        self.kept = values + torch.rand(1)
        return super().forward(self.kept)


class Recurrent(nn.Module):
    """Layers that the CPU computes by kernels of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 16)
        self.attention = nn.TransformerEncoderLayer(16, 2, batch_first=True)
        self.looks = False

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(5, 3, 8)

    def forward(self, values: Tensor) -> Tensor:
        if self.looks:
            float(values.sum())
        found: Tensor = self.attention(self.lstm(values)[0])
        return found


WEIGHTS = 100 * 200 + 200, 200 * 10 + 10


@pytest.mark.parametrize("kind", [Net, Looking])
def test_counted_by_hand(kind: type[Net]) -> None:
    activations = 4 * (100 + 200 + 200)  # of the input, the first layer, and what follows it
    assert model_cost(kind()) == Cost(
        trainable=WEIGHTS[1],
        frozen=WEIGHTS[0],
        buffers=3,
        example_input=[4, 100],
        flops=2 * 4 * (100 * 200 + 200 * 10),
        memory=4 * (sum(WEIGHTS) + 3 + activations),
    )


def test_the_same_on_the_cpu_as_by_shapes_alone() -> None:
    model = Recurrent()
    by_shapes = model_cost(model)
    model.looks = True
    assert model_cost(model) == by_shapes
    assert by_shapes.flops


def test_no_traces() -> None:
    model = Counting().train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    assert model_cost(model).flops
    assert model.training
    assert model.kept is None
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_model_that_does_not_run() -> None:
    class Broken(Net):
        def forward(self, values: Tensor) -> Tensor:
            raise ValueError("no\nway")

    found = model_cost(Broken())
    assert (found.trainable, found.flops, found.memory) == (WEIGHTS[1], None, None)
    assert found.not_measured == "it does not run on its example_input (ValueError: no way)"
    assert model_cost(nn.Linear(2, 3)).not_measured == "the model gives no example_input"
