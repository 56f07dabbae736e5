"""The layers without a parallel form, against their equations written slowly in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from zoo_fastweights.layers.delta_rnn import DeltaRNN
from zoo_fastweights.layers.programmer_1992 import FastProgrammer
from zoo_fastweights.layers.self_referential import SelfReferentialMatrix


def softmax(x: np.ndarray) -> np.ndarray:
    shares = np.exp(x - x.max())
    return shares / shares.sum()


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def test_the_self_referential_matrix_follows_its_equations() -> None:
    torch.manual_seed(0)
    layer = SelfReferentialMatrix(6, 2, rate_bias=-0.5).double()
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    found, _ = layer(x)
    output = layer.output.weight.detach().numpy()
    for n in range(2):
        matrices = layer.matrix.detach().numpy().copy()
        for t in range(5):
            answers = []
            for head in range(2):
                matrix, part = matrices[head], x[n, t, 3 * head : 3 * head + 3].numpy()
                made = matrix @ part
                y, q, k, rates = made[:3], softmax(made[3:6]), softmax(made[6:9]), sigmoid(made[9:])
                blocks = [slice(0, 3), slice(3, 6), slice(6, 9), slice(9, 13)]
                changed = matrix.copy()
                for block, rate in zip(blocks, rates, strict=True):
                    changed[block] += rate * np.outer(matrix[block] @ q - matrix[block] @ k, k)
                matrices[head] = changed
                answers.append(y)
            expected = output @ np.concatenate(answers)
            np.testing.assert_allclose(found[n, t].detach().numpy(), expected, atol=1e-12)


def test_without_rates_the_matrix_is_a_linear_layer() -> None:
    layer = SelfReferentialMatrix(4, 1, rate_bias=0.0).double()
    with torch.no_grad():
        layer.matrix[:, 12:] = 0
        layer.matrix[:, 12:, 0] = -1e3  # rates of 0 for inputs whose first number is 1
    x = torch.randn(1, 6, 4, dtype=torch.float64)
    x[..., 0] = 1
    found, after = layer(x)
    torch.testing.assert_close(after[0], layer.matrix)
    torch.testing.assert_close(found, layer.output(x @ layer.matrix[0, :4].T))


def test_the_delta_rnn_follows_its_equations() -> None:
    torch.manual_seed(0)
    layer = DeltaRNN(4, 2).double()
    x = torch.randn(1, 6, 4, dtype=torch.float64)
    found, _ = layer(x)
    made = layer.slow(x)[0].detach().numpy()
    output = layer.output.weight.detach().numpy()
    answers = np.zeros((6, 4))
    for head in range(2):
        fast, recurrent, hidden = np.zeros((2, 2)), np.zeros((2, 2)), np.zeros(2)
        for t in range(6):
            parts = made[t, :20].reshape(5, 2, 2)[:, head]
            q, k, again_k = map(softmax, parts[:3])
            rates = sigmoid(made[t, 20:].reshape(2, 2)[:, head])
            old = softmax(hidden)
            fast = fast + rates[0] * np.outer(parts[3] - fast @ k, k)
            recurrent = recurrent + rates[1] * np.outer(parts[4] - recurrent @ again_k, again_k)
            hidden = fast @ q + recurrent @ old
            answers[t, 2 * head : 2 * head + 2] = hidden
    np.testing.assert_allclose(found[0].detach().numpy(), answers @ output.T, atol=1e-12)


@pytest.mark.parametrize("interface", ["direct", "from-to"])
def test_sensitivities_are_the_gradient_through_all_of_history(interface: str) -> None:
    torch.manual_seed(0)
    net = FastProgrammer(3, 2, interface, slope=3.0, init=0.4).double()  # type: ignore[arg-type]
    stream = torch.randn(7, 3, dtype=torch.float64)
    target = torch.randn(2, dtype=torch.float64)
    fast: Tensor = net.start().double()
    for x in stream[:-1]:
        fast = net(x, fast)
    loss = 0.5 * (net.read(stream[-1], fast) - target).square().sum()
    (expected,) = torch.autograd.grad(loss, net.slow.weight)

    fast, sensitivity = net.start().double(), net.start_sensitivity()
    for x in stream[:-1]:
        fast, sensitivity = net.write(x, fast, sensitivity)
    error = net.read(stream[-1], fast) - target
    found = net.error_gradient(error, stream[-1], sensitivity)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert ((fast > 0) & (fast < 1)).all()


def test_from_to_writes_an_outer_product() -> None:
    net = FastProgrammer(3, 2, "from-to", slope=1.0)
    x = torch.tensor([0.3, -1.0, 2.0])
    to, origin = net.slow(x).split([2, 3])
    expected = torch.sigmoid(net.start() + torch.outer(to, origin) - 0.5)
    torch.testing.assert_close(net(x, net.start()), expected)
