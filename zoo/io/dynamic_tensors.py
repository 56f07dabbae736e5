"""Modules whose tensors get their shapes from data: they take those of a file before its numbers.

A constructor cannot know how large a memory bank will be, or how many layers a net that grows will
have. A module names such tensors in ``dynamic_tensors``, or makes room for them in ``grow_to``; the
protocols are ``HasDynamicTensors`` and ``Growing`` of ``zoo.plugin``. Any submodule may.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from zoo.errors import UsageError
from zoo.io.failures import one_line


def is_dynamic(module: nn.Module) -> bool:
    """Whether a module, or one inside it, takes shapes from what is loaded."""
    return any(
        getattr(each, "dynamic_tensors", ()) or hasattr(each, "grow_to")
        for each in module.modules()
    )


def take_shapes(module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Give the dynamic tensors of a module the shapes that are about to be loaded.

    Everything else stays as it is, the numbers too where the shape is the same. A tensor that the
    module lacks becomes a buffer, or a parameter in a ``ParameterList`` or ``ParameterDict``.

    Args:
        module: On any device, torch's meta device included.
        tensors: By the module's names; on the meta device shape and dtype are enough.

    Raises:
        UsageError: a ``grow_to`` does not take the shapes.
    """
    for path, each in module.named_modules():  # those inside a module are asked after it grew
        prefix = f"{path}." if path else ""
        own = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        if hasattr(each, "grow_to"):
            _grow(each, {name: tuple(tensor.shape) for name, tensor in own.items()})
        starts = tuple(getattr(each, "dynamic_tensors", ()))
        for name, tensor in own.items():
            if name.startswith(starts):
                _reshape(each, name, tensor)


def take_shapes_when_loading(module: nn.Module) -> None:
    """Let ``module.load_state_dict`` call ``take_shapes``, whoever calls it: Lightning, on resuming
    a training, does it itself."""
    if is_dynamic(module):
        module.register_load_state_dict_pre_hook(_before_loading)


def _before_loading(module: nn.Module, state: Mapping[str, Tensor], prefix: str, *_: Any) -> None:
    own = {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
    take_shapes(module, own)


def _grow(module: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    try:
        module.grow_to(shapes)
    except Exception as error:  # whatever a plugin raises over a file that is not its own
        raise UsageError(
            f"{type(module).__name__}.grow_to does not take the shapes of these weights "
            f"({one_line(error)}): they are damaged, or of another version of the plugin"
        ) from error


def _reshape(module: nn.Module, name: str, tensor: Tensor) -> None:
    """Give one tensor its new shape, or make it."""
    path, _, key = name.rpartition(".")
    try:
        owner = module.get_submodule(path)
    except AttributeError:  # it is told as unexpected
        return
    now = getattr(owner, key, None)
    if isinstance(now, Tensor):
        if not is_lazy(now) and now.shape != tensor.shape:
            room = torch.zeros(tensor.shape, dtype=now.dtype, device=now.device)
            parameter = isinstance(now, nn.Parameter)
            setattr(owner, key, nn.Parameter(room, now.requires_grad) if parameter else room)
    elif now is None:  # a file cannot put a tensor in place of a method
        _make(owner, key, torch.zeros(tensor.shape, dtype=tensor.dtype, device=_device(module)))


def _make(owner: nn.Module, key: str, room: Tensor) -> None:
    """A buffer, or a parameter where that is what the owner holds."""
    if isinstance(owner, nn.ParameterDict):
        owner[key] = nn.Parameter(room)
    elif isinstance(owner, nn.ParameterList):
        owner.append(nn.Parameter(room))
    elif key in vars(owner):  # `self.bank = None` in the constructor
        delattr(owner, key)
        owner.register_buffer(key, room)
    elif not hasattr(owner, key):
        owner.register_buffer(key, room)
    else:
        try:
            setattr(owner, key, room)  # after `register_buffer(key, None)`
        except TypeError:  # after `register_parameter(key, None)`
            setattr(owner, key, nn.Parameter(room))


def _device(module: nn.Module) -> torch.device | None:
    """That of any tensor of the module; None leaves it to torch's default."""
    first = next(iter([*module.parameters(), *module.buffers()]), None)
    return None if first is None else first.device
