"""The scan for GPUs, without one: its kernels by Triton's interpreter, the rest by references."""

from __future__ import annotations

import contextlib
import copy
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import ClassVar

import pytest
import torch
from torch import Tensor

from zoo_segmentation.layers import PyramidLSTM, scan
from zoo_segmentation.layers.scan import fused_cell
from zoo_segmentation.layers.scan.fused import Fused
from zoo_segmentation.layers.scan.parallel_map import parallel_map
from zoo_segmentation.layers.scan.step_convolution import WAYS, chosen_way


@pytest.fixture
def kernels(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """``triton_cell``, interpreted."""
    pytest.importorskip("triton", reason="Triton is for Linux")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    file = Path(fused_cell.__file__).with_name("triton_cell.py")
    spec = importlib.util.spec_from_file_location("interpreted_cell", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def step(narrow: torch.dtype, wide: torch.dtype) -> dict[str, Tensor]:
    """Tensors of one step of 5 positions and 3 channels, which fill no block."""
    torch.manual_seed(0)
    made = {
        name: torch.randn(5, 12).to(narrow) if name in ("gates", "z") else torch.randn(5, 3)
        for name in ("gates", "z", "before", "cell", "d_out", "d_hidden", "d_cell")
    }
    for name in ("before", "cell", "d_out", "d_cell"):
        made[name] = made[name].to(wide)
    made["d_hidden"] = made["d_hidden"].to(narrow)
    return made


DTYPES = [(torch.float64, torch.float64), (torch.bfloat16, torch.float32)]


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(("narrow", "wide"), DTYPES)
def test_the_kernel_forward_is_its_reference(
    kernels: ModuleType, narrow: torch.dtype, wide: torch.dtype, first: bool
) -> None:
    results = []
    for function in (fused_cell.reference_forward, kernels.forward):
        t = step(narrow, wide)
        cell, hidden = torch.zeros(5, 3, dtype=wide), torch.zeros(5, 3, dtype=wide)
        small = hidden if narrow == wide else torch.zeros(5, 3, dtype=narrow)
        z, before = (None, None) if first else (t["z"], t["before"])
        function(t["gates"], z, before, cell, hidden, small)
        results.append((t["gates"], cell, hidden, small))
    for mine, true in zip(results[1], results[0], strict=True):
        assert true.abs().max() > 0
        torch.testing.assert_close(mine, true)


@pytest.mark.parametrize(("first", "last"), [(True, False), (False, True), (False, False)])
@pytest.mark.parametrize(("narrow", "wide"), DTYPES)
def test_the_kernel_backward_is_its_reference(
    kernels: ModuleType, narrow: torch.dtype, wide: torch.dtype, first: bool, last: bool
) -> None:
    results = []
    for function in (fused_cell.reference_backward, kernels.backward):
        t = step(narrow, wide)
        gates, d_gates = t["gates"].sigmoid(), torch.zeros(5, 12, dtype=narrow)
        function(
            gates,
            None if first else t["before"],
            t["cell"],
            t["d_out"],
            None if last else t["d_hidden"],
            t["d_cell"],
            d_gates,
        )
        results.append((d_gates, t["d_cell"]))
    for mine, true in zip(results[1], results[0], strict=True):
        assert true.abs().max() > 0
        torch.testing.assert_close(mine, true)


def layer(strategy: str) -> PyramidLSTM:
    torch.manual_seed(0)
    return PyramidLSTM(2, 3, 3, strategy=strategy).double()


def results(made: PyramidLSTM, x: Tensor) -> list[Tensor]:
    x = x.detach().requires_grad_()
    y = made(x)
    return [y, *torch.autograd.grad(y.square().sum(), [x, *made.parameters()])]


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_a_steps_convolution_gives_the_loops_numbers(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setitem(scan.STRATEGIES, "fused", Fused(way))
    x = torch.randn(2, 2, 3, 4, 4, dtype=torch.float64)
    for mine, true in zip(results(layer("fused"), x), results(layer("loop"), x), strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-10, atol=1e-12)


def test_the_kernels_in_a_layer_give_the_loops_numbers(
    kernels: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_cell, "kernels_on", lambda device: kernels)
    x = torch.randn(1, 2, 2, 3, 3, dtype=torch.float64)
    for mine, true in zip(results(layer("fused"), x), results(layer("loop"), x), strict=True):
        torch.testing.assert_close(mine, true, rtol=1e-10, atol=1e-12)


def test_the_gates_are_kept_in_the_convolutions_dtype_and_states_in_float32() -> None:
    made = layer("fused").float()
    x = torch.randn(1, 2, 3, 4, 4)
    exact = made(x)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = made(x)
    node = mixed.grad_fn
    while not hasattr(node, "kept"):
        node = node.next_functions[0][0]
    for _, _, saved in node.kept:
        narrow, gates, cells = saved[0]
        assert narrow.dtype == gates.dtype == torch.bfloat16
        assert cells.dtype == mixed.dtype == torch.float32
    assert 0 < (mixed - exact).abs().max() < 0.05


def test_a_machine_without_a_gpu_has_neither_kernels_nor_another_rule() -> None:
    cpu = torch.device("cpu")
    assert fused_cell.kernels_on(cpu) is None
    assert chosen_way(torch.zeros(1, 3, 2, 2), 3) == "grouped"
    x = torch.randn(1, 2, 3, 4, 4, dtype=torch.float64)
    graphed = copy.deepcopy(layer("graphed"))
    for mine, true in zip(results(graphed, x), results(layer("fused"), x), strict=True):
        torch.testing.assert_close(mine, true, rtol=0, atol=0)


class FakeStream:
    """Notes what waits for what."""

    waited: ClassVar[list[tuple[int, int]]] = []

    def __init__(self, device: object = None) -> None:
        self.device = device

    def wait_stream(self, other: FakeStream) -> None:
        self.waited.append((id(self), id(other)))


def test_while_a_graph_is_recorded_groups_are_branches_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, current = FakeStream(), []
    monkeypatch.setattr(FakeStream, "waited", [])
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: here)
    monkeypatch.setattr(torch.cuda, "Stream", FakeStream)

    @contextlib.contextmanager
    def stream(chosen: FakeStream) -> Iterator[None]:
        current.append(id(chosen))
        yield

    monkeypatch.setattr(torch.cuda, "stream", stream)
    found = list(parallel_map(lambda item: 2 * item, [1, 2], torch.device("cuda")))
    assert found == [2, 4]
    begun = [(each, id(here)) for each in current]
    assert FakeStream.waited == [*begun, *((id(here), each) for each in current)]


@pytest.mark.slow  # the compiler, without a GPU
@pytest.mark.parametrize("capability", [80, 90])
def test_the_kernels_compile_for_gpus(capability: int) -> None:
    pytest.importorskip("triton", reason="Triton is for Linux")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, compile

    from zoo_segmentation.layers.scan import triton_cell

    narrow, wide = "*bf16", "*fp32"
    forward = {"gates": narrow, "z": narrow, "before": wide, "cell": wide, "hidden": wide}
    backward = {"gates": narrow, "before": wide, "cell": wide, "d_out": wide, "d_hidden": narrow}
    forward["narrow"] = narrow
    backward |= {"d_cell": wide, "d_gates": narrow}
    for kernel, pointers, flag in (
        (triton_cell._forward, forward, "same"),
        (triton_cell._backward, backward, "last"),
    ):
        constants = {"width": 64, "first": False, flag: False, "block": triton_cell.BLOCK}
        signature = {**pointers, "count": "i32", **dict.fromkeys(constants, "constexpr")}
        source = ASTSource(kernel, signature, constexprs=constants)
        assert compile(source, target=GPUTarget("cuda", capability, 32)).asm["cubin"]
