"""Functions called by CUDA graphs: on a CPU, where recording is played by static memory."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from zoo.plugin.cuda_graphs import CudaGraphs


def product(x: Tensor, weight: Tensor) -> Tensor:
    return (x @ weight).tanh()


class Recorder:
    """What ``torch.cuda.make_graphed_callables`` promises: inputs, results and gradients that lie
    in the same memory in every call."""

    def __init__(self) -> None:
        self.made = 0

    def __call__(self, function: Callable[..., Tensor], examples: tuple[Tensor, ...]) -> Any:
        self.made += 1
        static = [each.detach().clone().requires_grad_(each.requires_grad) for each in examples]
        kept: dict[str, Any] = {}

        class Graphed(torch.autograd.Function):
            @staticmethod
            def forward(ctx: Any, *inputs: Tensor) -> Tensor:
                with torch.no_grad():
                    for place, given in zip(static, inputs, strict=True):
                        place.copy_(given)
                with torch.enable_grad():
                    result = function(*static)
                kept.setdefault("out", torch.empty_like(result)).copy_(result.detach())
                kept["graph"] = result
                return kept["out"].detach()

            @staticmethod
            def backward(ctx: Any, *grads: Tensor) -> Any:
                needed = [each for each in static if each.requires_grad]
                found = iter(torch.autograd.grad(kept["graph"], needed, grads[0]))
                places = kept.setdefault("grads", [torch.empty_like(each) for each in static])
                given = [next(found) if each.requires_grad else None for each in static]
                for place, grad in zip(places, given, strict=True):
                    if grad is not None:
                        place.copy_(grad)
                pairs = zip(places, given, strict=True)
                return tuple(None if grad is None else place.detach() for place, grad in pairs)

        return Graphed.apply


def arguments(rows: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    torch.manual_seed(seed)
    return torch.randn(rows, 3), torch.randn(3, 2, requires_grad=True)


def test_a_shape_is_recorded_when_it_has_come_twice_and_gives_the_same() -> None:
    recorder = Recorder()
    graphs = CudaGraphs(product, "a product", make=recorder)
    for call in range(5):
        x, weight = arguments(4, call)
        result = graphs(x, weight)
        assert recorder.made == (call >= 2)
        (found,) = torch.autograd.grad(result.square().sum(), weight)
        expected = product(x, weight)
        (true,) = torch.autograd.grad(expected.square().sum(), weight)
        torch.testing.assert_close(result, expected, rtol=0, atol=0)
        torch.testing.assert_close(found, true, rtol=0, atol=0)


def test_results_and_gradients_do_not_change_by_later_calls() -> None:
    graphs = CudaGraphs(product, "a product", eager=0, make=Recorder())
    x, weight = arguments(4)
    first = graphs(x, weight)
    kept = first.detach().clone()
    first.sum().backward()
    assert weight.grad is not None
    gradient = weight.grad.clone()
    other, second = arguments(4, 1)
    graphs(other, second).sum().backward()
    torch.testing.assert_close(first, kept, rtol=0, atol=0)
    torch.testing.assert_close(weight.grad, gradient, rtol=0, atol=0)


def test_two_calls_before_their_backward_passes_keep_apart() -> None:
    graphs = CudaGraphs(product, "a product", eager=0, make=Recorder())
    (a, weight), (b, _) = arguments(4, 1), arguments(4, 2)
    total = graphs(a, weight).square().sum() + graphs(b, weight).square().sum()
    (found,) = torch.autograd.grad(total, weight)
    expected = product(a, weight).square().sum() + product(b, weight).square().sum()
    (true,) = torch.autograd.grad(expected, weight)
    torch.testing.assert_close(found, true)


def test_a_call_whose_result_is_thrown_away_frees_the_graph() -> None:
    recorder = Recorder()
    graphs = CudaGraphs(product, "a product", eager=0, make=recorder)
    x, weight = arguments(4)
    graphs(x, weight)
    (graph,) = graphs._graphs.values()
    assert not graph.busy
    held = graphs(x, weight)
    assert graph.busy
    held.sum().backward()
    assert not graph.busy


def test_without_gradients_there_are_graphs_of_their_own() -> None:
    recorder = Recorder()
    graphs = CudaGraphs(product, "a product", eager=0, make=recorder)
    x, weight = arguments(4)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            first = graphs(x, weight)
            second = graphs(2 * x, weight)
        torch.testing.assert_close(first, product(x, weight).detach())
        torch.testing.assert_close(second, product(2 * x, weight).detach())
    assert recorder.made == 2


def test_a_second_backward_pass_is_refused() -> None:
    graphs = CudaGraphs(product, "a product", eager=0, make=Recorder())
    x, weight = arguments(4)
    result = graphs(x, weight).sum()
    result.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="a second backward pass"):
        result.backward()


def test_the_shapes_that_came_last_are_kept_and_a_copy_has_none() -> None:
    recorder = Recorder()
    graphs = CudaGraphs(product, "a product", most=2, eager=0, make=recorder)
    for rows in (2, 3, 4, 3, 2):
        graphs(*arguments(rows)).sum().backward()
    assert recorder.made == 4
    assert len(graphs._graphs) == 2
    assert len(copy.deepcopy(graphs)._graphs) == 0


def test_what_is_not_recorded_is_called_and_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("operation not permitted when stream is capturing")

    graphs = CudaGraphs(product, "the layer", eager=0, make=refuse)
    x, weight = arguments(4)
    for _ in range(2):
        torch.testing.assert_close(graphs(x, weight), product(x, weight))
    said = capsys.readouterr().err
    assert said.count("the layer is not recorded as a CUDA graph (operation not permitted") == 1
