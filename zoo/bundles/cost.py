"""What a model costs: its parameters, and operations and memory of one forward pass."""

from __future__ import annotations

import contextlib
import copy
import warnings
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map
from torch.utils.flop_counter import FlopCounterMode

from zoo.io.dynamic_tensors import take_shapes
from zoo.io.failures import one_line
from zoo.recipes.experiment import build_model
from zoo.registry.registry import ResolvedModel


@dataclass(frozen=True)
class Cost:
    """What a model costs.

    Attributes:
        trainable: Numbers in parameters that training changes.
        frozen: Numbers in the other parameters.
        buffers: Numbers in buffers, such as running means.
        example_input: Shape of the model's ``example_input``, its first number being the batch's
            size; of several tensors, a shape each.
        flops: Floating-point operations of the forward pass on it, in evaluation: those of matrix
            products, convolutions and attention, which `torch.utils.flop_counter` counts, a
            multiplication and an addition being two. None if it could not be counted.
        memory: Bytes of parameters and buffers, and of the most tensors that are alive together in
            that pass. It is counted from their shapes: what kernels and allocators take beside is
            not in it. None as above.
        not_measured: Why not; empty if it was.
    """

    trainable: int
    frozen: int
    buffers: int
    example_input: list[Any] | None = None
    flops: int | None = None
    memory: int | None = None
    not_measured: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, as ``bundle.json`` keeps them."""
        return asdict(self)


def model_cost(model: nn.Module) -> Cost:
    """What a model costs. Neither the model nor a random state is changed.

    Shapes alone are computed, on torch's meta device, where the model can be run there; otherwise
    a copy of it runs on the CPU.

    Args:
        model: A module with an ``example_input``; without one, its parameters are counted alone.
    """
    return _cost(model, lambda: copy.deepcopy(model))


def trained_cost(
    model: nn.Module, found: ResolvedModel, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """What a model costs that may still hang on its Trainer: measured on another one, built from
    the same arguments.

    Args:
        model: The trained module, whose parameters are counted.
        found: Its entry.
        arguments: Its constructor's.

    Returns:
        ``Cost`` as plain values.
    """

    def build() -> nn.Module:
        again = build_model(found, arguments, {})
        take_shapes(
            again,
            {
                name: torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
                for name, tensor in model.state_dict().items()
            },
        )
        return again

    return _cost(model, build).as_dict()


def _cost(model: nn.Module, build: Callable[[], nn.Module]) -> Cost:
    counted = (
        _numbers(each for each in model.parameters() if each.requires_grad),
        _numbers(each for each in model.parameters() if not each.requires_grad),
        _numbers(model.buffers()),
    )
    if not hasattr(type(model), "example_input") and not hasattr(model, "example_input"):
        return Cost(*counted, not_measured="the model gives no example_input")
    try:
        with _without_traces():
            return Cost(*counted, *_measured(build))
    except Exception as error:  # noqa: BLE001  # a model's own code may raise errors of any kind
        reason = f"{type(error).__name__}: {one_line(error)}"[:200]
        return Cost(*counted, not_measured=f"it does not run on its example_input ({reason})")


def _measured(build: Callable[[], nn.Module]) -> tuple[list[Any], int, int]:
    """Shape of the input, operations and bytes."""
    with contextlib.suppress(Exception), torch.device("meta"):
        return _run(build().to("meta"), "meta")
    with _plain_kernels():  # it looks at its numbers
        return _run(build().to("cpu"), "cpu")


@torch.no_grad()
def _run(model: Any, device: str) -> tuple[list[Any], int, int]:
    model.eval()
    example = tree_map(
        lambda each: each.to(device) if isinstance(each, Tensor) else each, model.example_input
    )
    alive = _Alive([*model.parameters(), *model.buffers()])
    alive.hold(example)
    with alive, FlopCounterMode(display=False) as counter:
        model(example)
    shapes = [list(each.shape) for each in _tensors(example)]
    return shapes[0] if len(shapes) == 1 else shapes, counter.get_total_flops(), alive.most


class _Alive(TorchDispatchMode):
    """Counts the bytes of the tensors that are alive together, each memory once."""

    def __init__(self, kept: list[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known: set[int] = set()
        self._now = self.most = 0
        for tensor in kept:
            self.hold(tensor)

    def hold(self, value: Any) -> None:
        """Count what tensors hold until they are gone."""
        for tensor in _tensors(value):
            if tensor.layout != torch.strided:
                continue
            storage = tensor.untyped_storage()
            if id(storage) not in self._known:
                size = storage.nbytes()
                self._known.add(id(storage))
                weakref.finalize(storage, self._release, id(storage), size).atexit = False
                self._now += size
                self.most = max(self.most, self._now)

    def _release(self, name: int, size: int) -> None:
        self._known.discard(name)
        self._now -= size

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        self.hold(made)
        return made


@contextlib.contextmanager
def _without_traces() -> Iterator[None]:
    """Random numbers stay the same, and nobody is warned."""
    with isolate_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _plain_kernels() -> Iterator[None]:
    """Without the CPU's fused kernels, whose operations are not counted."""
    fast = torch.backends.mha.get_fastpath_enabled()
    with torch.backends.mkldnn.flags(enabled=False):
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)


def _tensors(value: Any) -> list[Tensor]:
    return [each for each in tree_flatten(value)[0] if isinstance(each, Tensor)]


def _numbers(tensors: Iterator[Any]) -> int:
    return sum(each.numel() for each in tensors if not is_lazy(each))
