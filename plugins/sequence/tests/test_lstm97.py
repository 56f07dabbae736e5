"""The cell of 1997 against the equations as a loop, its truncation against its definition."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.plugin import UsageError
from zoo_sequence.lstm97 import LSTM97, LSTM97Net
from zoo_sequence.lstm97_recurrence import Layout, recurrence, reference

LAYOUTS = [
    Layout(2, 2),
    Layout(2, 3, forget_gate=True),
    Layout(1, 2, output_gate=False, squashing="linear"),
    Layout(2, 1, forget_gate=True, squashing="tanh"),
    Layout(2, 2, truncated=False),
    Layout(2, 2, forget_gate=True, truncated=False),
    Layout(1, 2, output_gate=False, squashing="linear", truncated=False),
]


def drawn(layout: Layout, count: int = 3, steps: int = 6) -> tuple[Tensor, Tensor, Any]:
    torch.manual_seed(0)
    double = {"dtype": torch.float64}
    nets = torch.randn(count, steps, layout.units, **double, requires_grad=True)
    weight = torch.randn(layout.units, layout.units, **double, requires_grad=True)
    state = (torch.rand(count, layout.units, **double), torch.randn(count, layout.cells, **double))
    return nets, weight, state


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_recurrence_is_the_loop_of_its_equations(layout: Layout) -> None:
    nets, weight, state = drawn(layout)
    results = []
    for function in (reference, recurrence):
        outputs, end = function(nets, weight, state, layout)
        towards = torch.linspace(-1, 1, outputs.numel(), dtype=torch.float64).view_as(outputs)
        grads = torch.autograd.grad((outputs * towards).sum(), (nets, weight))
        results.append([outputs, *end, *grads])
    for slow, fast in zip(*results, strict=True):
        torch.testing.assert_close(fast, slow, rtol=0, atol=1e-11)


def test_full_gradients_are_finite_differences() -> None:
    layout = Layout(2, 2, forget_gate=True, truncated=False)
    nets, weight, state = drawn(layout, 2, 4)
    assert torch.autograd.gradcheck(lambda a, b: recurrence(a, b, state, layout)[0], (nets, weight))


def test_truncated_errors_go_back_by_the_cells_alone() -> None:
    """The gradient of an input far back is that by the carousel: out h' in g', whatever the
    recurrent weights are."""
    layout = Layout(1, 1)
    nets, weight, state = drawn(layout, 1, 9)
    outputs, _ = recurrence(nets, weight, state, layout)
    (grad,) = torch.autograd.grad(outputs[0, -1, 0], nets)
    logistic = (nets + 0).detach().clone()
    before = torch.cat([state[0][:, None], outputs[:, :-1].detach()], 1)
    net = (logistic + before @ weight.detach().T)[0]
    gate_in, gate_out = outputs[0, :, 1].detach(), outputs[0, :, 2].detach()
    cell = state[1][0, 0] + (gate_in * (4 * net[:, 0].sigmoid() - 2)).cumsum(0)
    slope = gate_out[-1] * 2 * cell[-1].sigmoid() * (1 - cell[-1].sigmoid())
    expected = slope * gate_in * 4 * net[:, 0].sigmoid() * (1 - net[:, 0].sigmoid())
    torch.testing.assert_close(grad[0, :, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("features", "outputs", "blocks", "size", "biases", "weights"),
    [(2, 1, 2, 2, "all", 93), (8, 4, 2, 2, "all", 156), (8, 8, 3, 2, "all", 308),
     (7, 7, 3, 2, "gates", 276), (7, 7, 4, 1, "gates", 264), (1, 1, 3, 1, "hidden", 102)],
)  # fmt: skip
def test_nets_have_the_weights_that_the_paper_counts(
    features: int, outputs: int, blocks: int, size: int, biases: Any, weights: int
) -> None:
    net = LSTM97Net(features, outputs, Layout(blocks, size), biases=biases)
    assert net.weights == weights


@pytest.mark.parametrize(
    ("layout", "arguments", "weights"),
    [
        # 2a and 2b of table 10: each layer sees all layers below.
        (Layout(1, 1, output_gate=False, squashing="linear"), (101, "none", "none"), 10504),
        # The net of 2000, figure 3.
        (Layout(4, 2, forget_gate=True), (7, "gates-and-outputs", "cells"), 424),
    ],
)
def test_nets_with_shortcuts_have_the_weights_that_papers_count(
    layout: Layout, arguments: tuple[int, Any, Any], weights: int
) -> None:
    size, biases, recurrence_ = arguments
    net = LSTM97Net(size, size, layout, 0.2, biases, recurrence_, shortcuts=True)
    assert net.weights == weights


def test_what_is_not_seen_has_no_part_and_shortcuts_add_the_inputs() -> None:
    torch.manual_seed(0)
    net = LSTM97Net(3, 2, Layout(2, 2), 0.5, "all", "cells", shortcuts=True).double()
    inputs = torch.randn(2, 6, 3, dtype=torch.float64)
    net(inputs).square().sum().backward()
    assert (net.recurrent[:, 4:] == 0).all()
    assert (net.recurrent.grad[:, 4:] == 0).all()  # type: ignore[index]
    assert (net.recurrent.grad[:, :4] != 0).all()  # type: ignore[index]
    plain = LSTM97Net(3, 2, Layout(2, 2)).double()
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if k != "shortcut"})
    added = (inputs @ net.shortcut.T).sigmoid().logit()  # type: ignore[union-attr]
    torch.testing.assert_close(net(inputs), (plain(inputs).logit() + added).sigmoid())


def test_biases_that_are_not_there_stay_zero() -> None:
    net = LSTM97Net(2, 1, Layout(2, 2), biases="gates")
    net(torch.randn(3, 4, 2)).sum().backward()
    assert net.bias.grad is not None
    assert (net.bias.grad[:4] == 0).all()
    assert (net.bias.grad[4:] != 0).any()


def test_states_go_on_from_chunk_to_chunk_and_are_reset_where_a_stream_begins() -> None:
    torch.manual_seed(0)
    model = LSTM97(3, 2, forget_gate=True)
    whole = torch.randn(2, 8, 3)
    together = model(whole)
    begins = [torch.tensor(True), torch.tensor(False)]
    pieces = [
        model.respond({"inputs": part, "begins": begin}, "train")
        for part, begin in zip((whole[:, :5], whole[:, 5:]), begins, strict=True)
    ]
    torch.testing.assert_close(torch.cat(pieces, 1), together)
    again = model.respond({"inputs": whole[:, :5], "begins": begins[0]}, "train")
    torch.testing.assert_close(again, together[:, :5])
    checkpoint: dict[str, Any] = {}
    model.on_save_checkpoint(checkpoint)
    other = LSTM97(3, 2, forget_gate=True)
    other.load_state_dict(model.state_dict())
    other.on_load_checkpoint(checkpoint)
    rest = other.respond({"inputs": whole[:, 5:], "begins": begins[1]}, "train")
    torch.testing.assert_close(rest, together[:, 5:])


def test_initial_biases_are_those_asked_for() -> None:
    model = LSTM97(2, 1, input_gate_bias=[-3.0, -6.0], output_gate_bias=[-1.0, -2.0])
    assert model.network.bias[4:].tolist() == [-3.0, -6.0, -1.0, -2.0]
    chrono = LSTM97(2, 1, forget_gate=True, chrono=100).network.bias
    assert ((chrono[8:] >= 0) & (chrono[8:] <= torch.tensor(99.0).log())).all()
    torch.testing.assert_close(chrono[4:6], -chrono[8:])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"input_gate_bias": [1.0]}, "input_gate_bias has 1 numbers, and there are 2 blocks"),
        ({"chrono": 50}, "set forget_gate true"),
        ({"chrono": 2, "forget_gate": True}, "above 2"),
        ({"squashing": "relu"}, "squashing has to be one of"),
        ({"gradients": "ful"}, "did you mean 'full'"),
        ({"recurrence": "cell"}, "did you mean 'cells'"),
        ({"weight_decay": -1.0}, "weight_decay has to be 0 or more"),
    ],
)
def test_wrong_arguments_are_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        LSTM97(2, 1, **arguments)
