import math

import pytest
import torch
from torch import nn

from zoo.plugin import UsageError
from zoo_segmentation.optimizers import NormalizedMomentum, optimizer, schedule


def test_normalized_momentum_is_the_papers_rule():
    generator = torch.Generator().manual_seed(0)
    weights = [torch.randn(3, 2, generator=generator).double() for _ in range(2)]
    parameters = [nn.Parameter(weight.clone()) for weight in weights]
    optimizer = NormalizedMomentum(parameters, lr=0.01)
    squares = [torch.zeros_like(weight) for weight in weights]
    means = [torch.zeros_like(weight) for weight in weights]
    for step in range(1, 9):
        for index, parameter in enumerate(parameters):
            # Of the size of eps too, where it makes a difference.
            g = torch.randn(3, 2, generator=generator).double() * 10.0 ** -(step + index)
            parameter.grad = g
            decay = 0.5 if step <= 4 else 0.9
            squares[index] = decay * squares[index] + (1 - decay) * g * g
            means[index] = 0.9 * means[index] + 0.1 * g / (squares[index].sqrt() + 1e-5)
            weights[index] = weights[index] - 0.01 * means[index]
        optimizer.step()
        for parameter, weight in zip(parameters, weights, strict=True):
            torch.testing.assert_close(parameter.detach(), weight, rtol=1e-12, atol=1e-15)


def test_normalized_momentum_goes_on_from_its_state():
    def run(split: int) -> torch.Tensor:
        parameter = nn.Parameter(torch.ones(3))
        optimizer = NormalizedMomentum([parameter], lr=0.1)
        for step in range(8):
            if step == split:
                state = optimizer.state_dict()
                optimizer = NormalizedMomentum([parameter], lr=0.1)
                optimizer.load_state_dict(state)
            parameter.grad = torch.tensor([1.0, -2.0, 0.5]) * (step + 1)
            optimizer.step()
        return parameter.detach()

    torch.testing.assert_close(run(3), run(-1), rtol=0, atol=0)


def test_a_parameter_without_gradient_stays_and_starts_when_it_gets_one():
    one, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimizer = NormalizedMomentum([one, other], lr=0.1)
    for step in range(6):
        one.grad = torch.ones(2)
        other.grad = torch.ones(2) if step == 5 else None
        if step == 5:
            assert torch.equal(other.detach(), torch.ones(2))
        optimizer.step()
    # Its first step: v = 0.5, m = 0.1 / sqrt(0.5)
    expected = 1 - 0.1 * 0.1 / (math.sqrt(0.5) + 1e-5)
    torch.testing.assert_close(other.detach(), torch.full((2,), expected))


def test_weight_decay_is_decoupled():
    parameter = nn.Parameter(torch.full((2,), 3.0))
    optimizer = NormalizedMomentum([parameter], lr=0.1, weight_decay=0.5)
    parameter.grad = torch.zeros(2)
    optimizer.step()
    torch.testing.assert_close(parameter.detach(), torch.full((2,), 3.0 * (1 - 0.05)))


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="eps"):
        NormalizedMomentum([nn.Parameter(torch.ones(1))], eps=0)


@pytest.mark.parametrize("name", ["adamw", "normalized-momentum"])
def test_biases_do_not_decay_and_the_backbone_has_its_own_rate(name):
    module = nn.ModuleDict({"body": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    module["body"].register_parameter("bias_x", nn.Parameter(torch.zeros(2, 2)))
    made = optimizer(name, module.named_parameters(), 0.1, 0.01, ("head",), 0.001)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in made.param_groups
        for parameter in group["params"]
    }
    assert found[id(module["body"].weight)] == (0.001, 0.01)
    assert found[id(module["body"].bias_x)] == (0.001, 0.0)
    assert found[id(module["head"].weight)] == (0.1, 0.01)
    assert found[id(module["head"].bias)] == (0.1, 0.0)


def test_schedules():
    halving = schedule("halving", math.inf, half_life=100, floor=1e-4)
    assert halving(0) == pytest.approx(1.0001)
    assert halving(100) == pytest.approx(0.5001)
    assert halving(10_000) == pytest.approx(1e-4)
    onecycle = schedule("onecycle", 100, warmup=0.1)
    assert onecycle(0) == pytest.approx(0.04)
    assert onecycle(10) == pytest.approx(1.0)
    assert onecycle(55) == pytest.approx(0.5)
    assert onecycle(100) == pytest.approx(1e-4)
    assert schedule("cosine", 100)(50) == pytest.approx(0.5)
    assert schedule("constant", math.inf)(7) == 1


def test_wrong_names_and_endless_schedules_are_refused():
    with pytest.raises(UsageError, match="max_epochs"):
        schedule("cosine", math.inf)
    with pytest.raises(UsageError, match="halving"):
        schedule("half", 1)
    with pytest.raises(UsageError, match="normalized-momentum"):
        optimizer("sgd", [], 0.1, 0)
