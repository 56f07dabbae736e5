"""Compare what the arguments of a bundle ask for with its weights, before memory is taken.

The arguments of a stranger's bundle may ask for a net of a billion units. What its model would hold
is found on torch's meta device, where tensors have shapes and no numbers.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from lightning.pytorch.utilities.seed import isolate_rng
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.overrides import TorchFunctionMode

from zoo.errors import UsageError
from zoo.io.dynamic_tensors import take_shapes
from zoo.io.weights import require_match
from zoo.recipes.experiment import build_model
from zoo.registry.registry import ResolvedModel

_FREE = 1000
"""Parameters that every model may have, whatever its weights."""
_ELSEWHERE = ("generator", "out", "pin_memory")
"""What a factory on the meta device does not take."""
_FACTORIES = (
    torch.empty,
    torch.zeros,
    torch.ones,
    torch.full,
    torch.rand,
    torch.randn,
    torch.randint,
    torch.randperm,
    torch.arange,
    torch.linspace,
    torch.eye,
)


class _TooLarge(BaseException):
    """More is built than the weights can be for; not to be caught by a constructor."""


def require_fitting(
    found: ResolvedModel, arguments: Mapping[str, Any], weights: Mapping[str, Tensor], source: str
) -> None:
    """Refuse arguments whose model the weights do not fit.

    Nothing is kept of it, and no random number is used up. A class that cannot be built without
    numbers, as it looks into its own tensors, is built with them, and refused at the first tensor
    that is far larger than all of the weights.

    Args:
        found: The model.
        arguments: Its constructor's.
        weights: By name; on the meta device shape and dtype are enough.
        source: Whose they are, for messages.

    Raises:
        UsageError: the weights do not fit, or the model is far larger than they are.
        Exception: whatever the constructor raises.
    """
    try:
        with _without_traces(), _at_most(len(weights)):
            outline = _outline(found, arguments, weights)
    except _TooLarge as error:
        raise UsageError(
            f"the weights of {source} do not fit: its arguments ask for a {found.name!r} that is "
            f"far larger than the {len(weights)} tensors it holds; fetch it again"
        ) from error
    if outline is not None:
        require_match(outline, weights, source=source)


def _outline(
    found: ResolvedModel, arguments: Mapping[str, Any], weights: Mapping[str, Tensor]
) -> nn.Module | None:
    """The model on the meta device; None if it cannot be built there."""
    with contextlib.suppress(Exception), torch.device("meta"):
        outline = build_model(found, arguments, {})
        take_shapes(outline, weights)
        return outline
    # It looks into its own tensors, or refuses its arguments.
    stated = sum(tensor.nbytes for tensor in weights.values())
    # The bound is wide: a constructor may compute tables that are far larger than the weights.
    with _Bounded(16 * stated + (1 << 28)):
        build_model(found, arguments, {})
    return None


@contextlib.contextmanager
def _without_traces() -> Iterator[None]:
    """The model is built once more: nobody is warned twice, and random numbers stay the same."""
    with isolate_rng(include_cuda=False), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _at_most(tensors: int) -> Iterator[None]:
    """End a constructor that makes parameters without end. It may make more than it keeps."""
    left = 10 * tensors + _FREE

    def count(module: nn.Module, name: str, parameter: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _TooLarge

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


class _Bounded(TorchFunctionMode):
    """Refuses a tensor of more bytes than ``limit`` before it is made."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        if func in _FACTORIES:
            on_paper = {k: v for k, v in given.items() if k not in _ELSEWHERE}
            if func(*args, **{**on_paper, "device": "meta"}).nbytes > self._limit:
                raise _TooLarge
        return func(*args, **given)
