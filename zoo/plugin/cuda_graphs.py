"""A function of tensors as CUDA graphs: its kernels, launched thousands at a time.

A step of many small kernels takes as long as the host needs to launch them. A CUDA graph is
recorded once, for inputs of one shape, and launches them all by one call. What that costs: inputs
are copied into the graph's own memory, and results lie there until the next call.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from zoo.io.failures import one_line
from zoo.io.rank_zero import rank_zero_print

Function = Callable[..., Tensor]
"""Of tensors, to a tensor. The same kernels for the same shapes, without a host wait."""
Maker = Callable[[Function, tuple[Tensor, ...]], Function]
"""From a function and examples of its arguments to its graph, with static inputs and outputs."""


def record(function: Function, arguments: tuple[Tensor, ...]) -> Function:
    """The function's graph, and that of its gradient, by ``torch.cuda.make_graphed_callables``."""
    mixed = torch.is_autocast_enabled("cuda")
    # Without its cache: what that holds is made within the graph.
    with torch.autocast("cuda", torch.get_autocast_dtype("cuda"), mixed, cache_enabled=False):
        make: Any = torch.cuda.make_graphed_callables
        made: Function = make(function, arguments, allow_unused_input=True)
    return made


class CudaGraphs:
    """Calls a function by CUDA graphs, one for each shape of its arguments.

    A shape is recorded when it has come ``eager`` times, so that odd ones are not, and the graphs
    of the ``most`` shapes that came last are kept, each with memory of its own for all that it
    computes. Between a call and its backward pass, another call of the same shape is made without
    the graph, whose memory the first one still needs. What cannot be recorded is called as it is
    from then on, and a line says so.

    Args:
        function: What is called. It may not draw random numbers by other generators than torch's.
        what: What to call it in messages: ``the PyraMiD-LSTM layer``.
        most: Graphs that are kept.
        eager: Calls of a shape before it is recorded.
        make: Records.
    """

    def __init__(
        self,
        function: Function,
        what: str,
        most: int = 4,
        eager: int = 2,
        make: Maker = record,
    ) -> None:
        self._function, self._what, self._make = function, what, make
        self._most, self._eager = most, eager
        self._seen: deque[Any] = deque(maxlen=64)
        self._graphs: OrderedDict[Any, _Graph] = OrderedDict()
        self._failed = False

    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def __call__(self, *arguments: Tensor) -> Tensor:
        """Call the function."""
        graph = None if self._failed else self._graph_of(arguments)
        if graph is None or graph.busy:
            return self._function(*arguments)
        return graph(arguments)

    def __getstate__(self) -> dict[str, Any]:
        """Graphs belong to the memory that they were recorded in: a copy has none."""
        return {**vars(self), "_graphs": OrderedDict(), "_seen": deque(maxlen=64)}

    def _graph_of(self, arguments: tuple[Tensor, ...]) -> _Graph | None:
        mixed = torch.get_autocast_dtype("cuda") if torch.is_autocast_enabled("cuda") else None
        modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        key = (*modes, mixed, *(_kind(each) for each in arguments))
        if key in self._graphs:
            self._graphs.move_to_end(key)
            return self._graphs[key]
        if self._seen.count(key) < self._eager:
            self._seen.append(key)
            return None
        while len(self._graphs) >= self._most:
            self._graphs.popitem(last=False)
        examples = tuple(
            torch.empty_like(each).copy_(each.detach()).requires_grad_(_needs_gradient(each))
            for each in arguments
        )
        try:
            self._graphs[key] = _Graph(self._make(self._function, examples))
        except (RuntimeError, NotImplementedError, ValueError) as error:
            self._failed = True
            self._graphs.clear()
            rank_zero_print(
                f"{self._what} is not recorded as a CUDA graph ({one_line(error)}): its kernels "
                "are launched one by one, which takes longer"
            )
            return None
        return self._graphs[key]


def _needs_gradient(tensor: Tensor) -> bool:
    return tensor.requires_grad and torch.is_grad_enabled()


def _kind(tensor: Tensor) -> tuple[Any, ...]:
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device, tensor.requires_grad


class _Graph:
    """A recorded function, and whether its memory is needed by a backward pass to come."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._lease: weakref.ref[_Lease] | None = None

    @property
    def busy(self) -> bool:
        lease = self._lease() if self._lease else None
        return lease is not None and not lease.over

    def __call__(self, arguments: tuple[Tensor, ...]) -> Tensor:
        given = [_OwnGradient.apply(each) if _needs_gradient(each) else each for each in arguments]
        result = self._function(*given)
        if not result.requires_grad:
            return result.clone()
        lease = _Lease()
        self._lease = weakref.ref(lease)
        leased: Tensor = _Leased.apply(result, lease)
        return leased


class _Lease:
    """From a call to its backward pass, or to the end of what would have made one."""

    over = False


class _Leased(torch.autograd.Function):
    """A result out of the graph's memory; its backward pass ends the lease."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, lease: _Lease) -> Tensor:
        ctx.lease = lease
        return result.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        if ctx.lease.over:
            raise RuntimeError(
                "a second backward pass through a CUDA graph: its memory was given to the next "
                "call; call the layer again"
            )
        ctx.lease.over = True
        return gradients[0], None


class _OwnGradient(torch.autograd.Function):
    """The identity; the gradient that comes back, in the graph's memory, is copied out of it."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.view_as(value)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0].clone()
