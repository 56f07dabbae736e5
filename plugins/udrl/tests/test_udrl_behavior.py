"""The behavior function against formulas written out, and distributions of actions."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from zoo_udrl.action_distributions import CategoricalActions, GaussianActions
from zoo_udrl.behavior import BehaviorFunction, Bilinear


def affine(values: list[float], weight: Tensor, bias: Tensor) -> list[float]:
    return [
        sum(w * v for w, v in zip(row, values, strict=True)) + b
        for row, b in zip(weight.tolist(), bias.tolist(), strict=True)
    ]


def test_the_gated_net_is_its_formula() -> None:
    torch.manual_seed(0)
    net = BehaviorFunction([3], 2, [4, 5], return_scale=0.5, horizon_scale=0.25).double()
    observations = torch.randn(6, 3, dtype=torch.float64)
    commands = torch.randn(6, 2, dtype=torch.float64) * 5
    found = net(observations, commands)
    weights = dict(net.named_parameters())
    for row in range(6):
        features = affine(
            observations[row].tolist(), weights["embedding.0.weight"], weights["embedding.0.bias"]
        )
        command = [0.5 * float(commands[row, 0]), 0.25 * float(commands[row, 1])]
        gates = affine(command, weights["command.gates.weight"], weights["command.gates.bias"])
        gated = [math.tanh(f) / (1 + math.exp(-g)) for f, g in zip(features, gates, strict=True)]
        hidden = affine(gated, weights["body.0.weight"], weights["body.0.bias"])
        hidden = [max(0.0, h) for h in hidden]
        expected = affine(hidden, weights["head.weight"], weights["head.bias"])
        assert found[row].tolist() == pytest.approx(expected)


def test_the_bilinear_layer_has_weights_that_are_linear_in_the_command() -> None:
    torch.manual_seed(0)
    layer = Bilinear(3).double()
    features = torch.randn(5, 3, dtype=torch.float64)
    commands = torch.randn(5, 2, dtype=torch.float64)
    found = layer(features, commands)
    for row in range(5):
        command = torch.tensor([*commands[row].tolist(), 1.0], dtype=torch.float64)
        made = (layer.weights.weight * command).sum(2)  # W(c), (3, 3)
        bias = layer.biases.weight @ commands[row] + layer.biases.bias
        torch.testing.assert_close(found[row], (made @ features[row] + bias).clamp(min=0))


@pytest.mark.parametrize("conditioning", ["gated", "bilinear"])
@pytest.mark.parametrize("shape", [[6], [8, 32, 32], [2, 20, 28]])
def test_nets_for_vectors_and_pictures_depend_on_observation_and_command(
    conditioning: str, shape: list[int]
) -> None:
    net = BehaviorFunction(shape, 3, [16, 8], [4, 8, 8, 8], conditioning)
    observations = torch.rand(2, *shape) * 255
    images = observations.byte() if len(shape) == 3 else observations
    found = net(images, torch.tensor([[50.0, 20.0], [50.0, 20.0]]))
    other = net(images, torch.tensor([[5.0, 20.0], [50.0, 2.0]]))
    assert found.shape == (2, 3)
    assert not torch.allclose(found, other)
    assert not torch.allclose(found[0], found[1])
    found.sum().backward()
    assert all(p.grad is not None for p in net.parameters())


def test_scales_travel_with_the_weights() -> None:
    net = BehaviorFunction([3], 2, [4], return_scale=0.5)
    assert net.state_dict()["scales"].tolist() == pytest.approx([0.5, 0.02])


def test_choices_are_drawn_as_often_as_the_softmax_says() -> None:
    logits = torch.tensor([[2.0, 0.0, -1.0, 1.0]])
    distribution = CategoricalActions(4)
    drawn = distribution.sample(logits.expand(40_000, 4), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / 40_000
    torch.testing.assert_close(shares, logits[0].softmax(0), atol=0.01, rtol=0)
    assert distribution.mode(logits).tolist() == [0]
    expected = -logits[0].log_softmax(0)[torch.tensor([1, 3])]
    found = distribution.cross_entropy(logits.expand(2, 4), torch.tensor([1, 3]))
    torch.testing.assert_close(found, expected)


def test_every_action_is_tried_at_random() -> None:
    counts = torch.bincount(CategoricalActions(3).uniform(3000, torch.Generator().manual_seed(0)))
    assert counts.sub(1000).abs().max() < 120
    actions = GaussianActions([-2.0, 0.0], [2.0, 1.0]).uniform(
        3000, torch.Generator().manual_seed(0)
    )
    assert actions.amin(0).tolist() == pytest.approx([-2, 0], abs=0.01)
    assert actions.amax(0).tolist() == pytest.approx([2, 1], abs=0.01)


def test_the_density_of_vectors_is_that_of_torch() -> None:
    distribution = GaussianActions([-2.0, 0.0], [2.0, 1.0])
    parameters = torch.tensor([[0.1, -0.3, -1.0, 0.5]])
    actions = torch.tensor([[1.0, 0.75]])
    unit = torch.tensor([0.5, 0.5])
    normal = torch.distributions.Normal(parameters[0, :2], parameters[0, 2:].exp())
    expected = -normal.log_prob(unit).sum()
    torch.testing.assert_close(distribution.cross_entropy(parameters, actions)[0], expected)


def test_vectors_are_drawn_around_their_mean_and_within_their_bounds() -> None:
    distribution = GaussianActions([-2.0, 0.0], [2.0, 1.0])
    parameters = torch.tensor([[0.5, 0.0, math.log(0.1), math.log(0.2)]])
    drawn = distribution.sample(parameters.expand(20_000, 4), torch.Generator().manual_seed(0))
    assert drawn.mean(0).tolist() == pytest.approx([1.0, 0.5], abs=0.01)
    assert drawn.std(0).tolist() == pytest.approx([0.2, 0.1], abs=0.01)
    wide = distribution.sample(torch.tensor([[0.9, 0, 1, 1]]).expand(999, 4), torch.Generator())
    assert wide[:, 0].max() == 2
    assert wide[:, 1].min() == 0
    assert distribution.mode(torch.tensor([[3.0, 0.0, 0.0, 0.0]])).tolist() == [[2.0, 0.5]]
