"""Sizes as published, mixtures and memories against slow float64 programs."""

import math

import pytest
import torch

from zoo.plugin import UsageError
from zoo_worldmodels.linear import LinearControllers
from zoo_worldmodels.memories.recurrent import MDNLSTM, DeterministicGRU
from zoo_worldmodels.memories.rssm import RSSM
from zoo_worldmodels.mixtures import Mixture, per_number
from zoo_worldmodels.vae_net import ConvVAE, vae_loss


def trained(module: torch.nn.Module) -> int:
    return sum(each.numel() for each in module.parameters() if each.requires_grad)


def test_sizes_are_those_of_the_paper():
    assert trained(ConvVAE(3, 32)) == 4_348_547
    assert trained(ConvVAE(3, 64)) == 4_446_915
    assert trained(MDNLSTM(32, 3, 256)) == 422_368
    assert trained(MDNLSTM(64, 1, 512, ends=True)) == 1_678_785
    assert LinearControllers(32 + 256, 3).size == 867
    assert LinearControllers(64 + 512 + 512, 1, bias=False).size == 1_088


def slow_log_prob(mixture: Mixture, values: torch.Tensor) -> float:
    """Of one vector, number by number and component by component."""
    features, components = mixture.means.shape
    terms = [
        [
            -0.5
            * (
                (float(values[f]) - float(mixture.means[f, m]))
                / math.exp(float(mixture.log_scales[f, m]))
            )
            ** 2
            - float(mixture.log_scales[f, m])
            - 0.5 * math.log(2 * math.pi)
            for m in range(components)
        ]
        for f in range(features)
    ]
    weights = mixture.log_weights.tolist()
    if len(weights) == 1 and features > 1:
        rows = [
            sum(terms[f][m] for f in range(features)) + weights[0][m] for m in range(components)
        ]
        return math.log(sum(math.exp(each) for each in rows))
    return sum(
        math.log(sum(math.exp(weights[f][m] + terms[f][m]) for m in range(components)))
        for f in range(features)
    )


@pytest.mark.parametrize("joint", [False, True])
def test_densities_are_those_of_the_formula(joint):
    torch.manual_seed(0)
    weights = torch.randn(1 if joint else 4, 3).log_softmax(-1)
    mixture = Mixture(weights, torch.randn(4, 3), 0.3 * torch.randn(4, 3))
    values = torch.randn(4)
    assert float(mixture.log_prob(values)) == pytest.approx(
        slow_log_prob(mixture, values), abs=1e-5
    )
    assert mixture.is_joint == joint


def test_a_mixture_is_that_of_torch():
    torch.manual_seed(1)
    mixture = per_number(torch.randn(5, 2 * 3 * 4), 2, 4)
    choice = torch.distributions.Categorical(logits=mixture.log_weights)
    around = torch.distributions.Normal(mixture.means, mixture.log_scales.exp())
    theirs = torch.distributions.MixtureSameFamily(choice, around)
    values = torch.randn(5, 2)
    assert torch.allclose(mixture.log_prob(values), theirs.log_prob(values).sum(-1), atol=1e-5)
    assert torch.allclose(mixture.cdf(values), theirs.cdf(values), atol=1e-5)
    assert torch.allclose(mixture.mean, theirs.mean, atol=1e-5)


def test_temperature_sharpens_and_widens():
    wide = Mixture(
        torch.tensor([[0.7, 0.3]]).log().expand(20_000, 1, 2),
        torch.tensor([[-1.0, 1.0]]).expand(20_000, 1, 2),
        torch.full((20_000, 1, 2), 0.1).log(),
    )
    random = torch.Generator().manual_seed(0)
    assert torch.equal(wide.sample(random, 0.0), torch.full((20_000, 1), -1.0))
    for temperature in (0.5, 1.0, 2.0):
        drawn = wide.sample(random, temperature)
        second = 0.3 ** (1 / temperature) / (0.3 ** (1 / temperature) + 0.7 ** (1 / temperature))
        assert float((drawn > 0).float().mean()) == pytest.approx(second, abs=0.02)
        inside = drawn[drawn < 0] + 1
        assert float(inside.std()) == pytest.approx(0.1 * temperature**0.5, rel=0.05)
    with pytest.raises(UsageError, match="temperature"):
        wide.sample(random, -0.1)


def test_candidates_meet_the_same_chances():
    mixture = Mixture(
        torch.zeros(6, 2, 3).log_softmax(-1),
        torch.arange(36.0).view(6, 2, 3) % 18,
        torch.zeros(6, 2, 3),
    )
    drawn = mixture.sample(torch.Generator().manual_seed(3), copies=2)
    assert torch.equal(drawn[:3], drawn[3:])
    assert not torch.equal(drawn[0], drawn[1])


def memories():
    return [
        MDNLSTM(3, 2, 8, 2),
        MDNLSTM(3, 2, 8, 2, ends=True, residual=True),
        DeterministicGRU(3, 2, 8),
    ]


@pytest.mark.parametrize("memory", memories(), ids=["mdn", "mdn-ends", "gru"])
def test_a_sequence_is_its_steps(memory):
    """What training unrolls at once is what dreams do one step at a time."""
    torch.manual_seed(2)
    memory = memory.double()
    features, actions = torch.randn(4, 6, 3).double(), torch.randn(4, 5, 2).double()
    losses, readouts = memory.losses(features[:, :-1], actions, features[:, 1:])
    state = memory.begin(features[:, 0])
    for step in range(5):
        outlook, advanced = memory.predict(state, actions[:, step])
        expected = -outlook.log_prob(features[:, step + 1])
        assert torch.allclose(losses[:, step], expected, atol=1e-5)
        state = memory.observe(advanced, features[:, step + 1])
        assert torch.allclose(readouts[:, step], memory.readout(state), atol=1e-9)
        assert memory.readout(state).shape[1] == memory.readout_size


def test_the_lstm_is_that_of_the_equations():
    torch.manual_seed(3)
    memory = MDNLSTM(2, 1, 3, 2).double()
    x, a = torch.randn(1, 2).double(), torch.randn(1, 1).double()
    outlook, (hidden, cell, *_) = memory.predict(memory.begin(x), a)
    layer = memory.recurrent
    gates = layer.weight_ih_l0 @ torch.cat([x, a], -1)[0] + layer.bias_ih_l0
    i, _, g, o = gates.view(4, 3)
    c = i.sigmoid() * g.tanh()
    assert torch.allclose(cell[0], c)
    assert torch.allclose(hidden[0], o.sigmoid() * c.tanh())
    outputs = memory.output(hidden)[0].view(2, 3, 2)
    assert torch.allclose(outlook.means[0], outputs[:, 1])
    assert torch.allclose(outlook.log_weights[0].exp().sum(-1), torch.ones(2).double())


def test_gradients_reach_the_action_through_the_model():
    torch.manual_seed(4)
    memory = DeterministicGRU(3, 2, 8).double()
    state = memory.begin(torch.randn(1, 3).double())
    assert torch.autograd.gradcheck(
        lambda a: memory.expected(state, a)[0], (torch.randn(1, 2).double().requires_grad_(),)
    )


def test_the_state_space_model_learns_what_is_to_be_seen():
    torch.manual_seed(5)
    memory = RSSM(2, 1, 16, groups=2, classes=4, samples=3)
    features, actions = torch.randn(4, 4, 2), torch.randn(4, 3, 1)
    losses, readouts = memory.losses(features[:, :-1], actions, features[:, 1:])
    losses.mean().backward()
    assert losses.shape == (4, 3)
    assert readouts.shape == (4, 3, memory.readout_size)
    assert all(
        each.grad is not None and bool(each.grad.isfinite().all()) for each in memory.parameters()
    )
    state = memory.begin(features[:, 0])
    outlook, _ = memory.predict(state, actions[:, 0])
    assert outlook.is_joint
    first, after = memory.imagine(state, actions[:, 0], torch.Generator().manual_seed(0))
    again, _ = memory.imagine(state, actions[:, 0], torch.Generator().manual_seed(0))
    assert torch.equal(first, again)
    assert torch.equal(after[2], first)


def test_free_bits_are_those_of_the_whole_code():
    pictures = torch.zeros(2, 1, 4, 4)
    mean, log_variance = torch.zeros(2, 6), torch.zeros(2, 6)
    error, divergence = vae_loss(pictures, pictures + 0.5, mean, log_variance)
    assert float(error) == pytest.approx(16 * 0.25)
    assert float(divergence) == pytest.approx(3.0)
    mean[:, 0] = 4.0  # 8 nats in one number: more than what is free for all of them
    assert float(vae_loss(pictures, pictures, mean, log_variance)[1]) == pytest.approx(8.0)
