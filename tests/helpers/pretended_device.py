"""A GPU where there is none: tensors that say ``cuda:0`` and compute on the CPU.

What a machine without a GPU can show of code for one: that tensors of two devices never meet, and
where the host would wait for the GPU or hold it up by a copy. ``PretendedDevice`` counts both, with
the line of Python that asked for them. The numbers are the CPU's.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map, tree_map_only
from torchmetrics import Metric

CUDA = torch.device("cuda", 0)
WAITING = {
    "_local_scalar_dense",
    "_unique2",
    "bincount",
    "equal",
    "is_nonzero",
    "linalg_inv_ex",
    "masked_select",
    "multinomial",
    "nonzero",
    "unique_consecutive",
    "unique_dim",
}
"""Operations whose CUDA kernels make the host wait: the size of a result, a check or a number is
needed to go on."""
_BACKWARD = "a backward pass"
_HOST_ARGUMENTS = {"_pack_padded_sequence", "_ctc_loss", "_ctc_loss_backward", "ctc_loss"}
"""Operations that take lengths from the CPU."""
_MASKED = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}

_counting: list[PretendedDevice] = []


class MixedDevices(RuntimeError):
    """Tensors of the CPU and of the GPU met."""


class Pretended(Tensor):
    """A tensor that says it lies on the GPU.

    Args:
        inner: What it is, on the CPU.
    """

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> Pretended:
        made: Pretended = Tensor._make_wrapper_subclass(
            cls,
            inner.shape,
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=inner.device,
        )
        made.inner = inner
        return made

    device = property(lambda self: CUDA)  # type: ignore[assignment]
    is_cuda = property(lambda self: True)  # type: ignore[assignment]
    is_cpu = property(lambda self: False)  # type: ignore[assignment]

    def __repr__(self, **_: Any) -> str:
        return f"Pretended({self.inner!r})"

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        _look(name, args, kwargs)
        given, named = tree_map_only(Pretended, lambda each: each.inner, (args, kwargs))
        found = func(*given, **named)
        if name == "_pack_padded_sequence":  # the sizes of its steps are the host's
            return _pretend(found[0]), found[1]
        out = tree_map(_pretend, found)
        return return_and_correct_aliasing(func, args, kwargs, out)


def _pretend(value: Any) -> Any:
    plain = isinstance(value, Tensor) and not isinstance(value, Pretended)
    return Pretended(value.detach()) if plain else value


def _look(name: str, args: Any, kwargs: Any) -> None:
    """Count what an operation costs the host; refuse one on two devices."""
    plain = _plain(args, kwargs)
    if name in WAITING:
        _count("wait", name)
    if name in _MASKED:
        _look_at_indices(name, args)
        plain = [each for each in plain if not any(each is index for index in args[1])]
    if name in ("copy_", "_to_copy"):
        made_by_autograd = not isinstance(args[0], Pretended) and _asking_line() == _BACKWARD
        if plain and not _non_blocking(args, kwargs) and not made_by_autograd:
            _count("copy", name)
        return
    # What autograd makes by itself, such as zeros for a gradient that there is not, it makes where
    # these tensors are for its C++: on the CPU.
    wrong = [each for each in plain if each.ndim and name not in _HOST_ARGUMENTS]
    if wrong and _asking_line() != _BACKWARD:
        raise MixedDevices(f"{name}: {tuple(wrong[0].shape)} of the CPU among tensors of the GPU")


def _plain(args: Any, kwargs: Any) -> list[Tensor]:
    found = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    return [each for each in found if not isinstance(each, Pretended)]


def _look_at_indices(name: str, args: Any) -> None:
    indices = [each for each in args[1] if each is not None]
    masked = any(each.dtype == torch.bool for each in indices)
    # With a scalar and one mask it is a masked fill, which waits for nothing.
    if masked and (name == "index" or len(indices) > 1 or args[2].ndim):
        _count("wait", f"{name} by a mask")
    for each in indices:
        if not isinstance(each, Pretended):
            _count("copy", f"{name} by a list")


def _non_blocking(args: Any, kwargs: Any) -> bool:
    return bool(kwargs.get("non_blocking") or (len(args) > 2 and args[2]))


def _count(kind: str, what: str) -> None:
    if _counting:
        _counting[-1].counts[kind, f"{what} at {_asking_line()}"] += 1


def _asking_line() -> str:
    """The innermost line of the zoo, or of a plugin, that is being run."""
    frame: Any = sys._getframe()
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        if any(part == "zoo" or part.startswith("zoo_") for part in file.parent.parts):
            return f"{file.name}:{frame.f_lineno}"
        if frame.f_code.co_name == "_engine_run_backward":
            return _BACKWARD
        frame = frame.f_back
    return "another place"


class PretendedGenerator(torch.Generator):
    """A generator that says it draws on the GPU."""

    device = property(lambda self: CUDA)  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, device: Any = None) -> PretendedGenerator:
        return super().__new__(cls, "cpu")


class PretendedDevice(TorchFunctionMode):
    """While it lasts, ``device="cuda"`` makes ``Pretended`` tensors, and waits and copies count.

    Attributes:
        counts: By kind, ``wait`` or ``copy``, and by what was done in which line.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[tuple[str, str]] = Counter()

    def __enter__(self) -> PretendedDevice:
        _counting.append(self)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        _counting.pop()

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return sum(number for (each, _), number in self.counts.items() if each == kind)

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        own = args[0] if args and isinstance(args[0], Tensor) else None
        name = getattr(func, "__name__", "")
        if own is not None and name in ("to", "cuda", "cpu"):
            return _moved(name, own, list(args[1:]), kwargs)
        if isinstance(own, Pretended) and name in ("tolist", "numpy", "__array__"):
            _count("wait", name)
            return getattr(own.inner, name)(*args[1:], **kwargs)
        if isinstance(own, Pretended) and name == "new_tensor":
            _count("copy", name)
            kwargs.pop("device", None)
            return Pretended(own.inner.new_tensor(*args[1:], **kwargs))
        if name == "one_hot" and isinstance(own, Pretended):  # made in C++, where it is not seen
            if len(args) < 2 and "num_classes" not in kwargs:
                _count("wait", name)
            return Pretended(func(own.inner, *args[1:], **kwargs))
        if name == "_pad_packed_sequence" and isinstance(own, Pretended):
            return _padded(own, *args[1:])
        there = _is_cuda(kwargs.get("device"))
        if kwargs.get("device") is not None and there:
            kwargs["device"] = torch.device("cpu")
            if name in ("tensor", "as_tensor") and not isinstance(args[0], Pretended):
                _count("copy", name)
        made = func(*args, **kwargs)
        return tree_map(_as_leaf, made) if there else made


def _padded(
    data: Tensor, batch_sizes: Tensor, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    """torch's own makes its result in C++, where it is not seen."""
    sizes = batch_sizes.tolist()
    starts = batch_sizes.cumsum(0) - batch_sizes
    frames, count = max(total_length, len(sizes)), sizes[0]
    own = torch.zeros(frames, count, dtype=torch.bool)
    place = torch.zeros(frames, count, dtype=torch.int64)
    for frame, size in enumerate(sizes):
        own[frame, :size] = True
        place[frame, :size] = starts[frame] + torch.arange(size)
    found = data.index_select(0, Pretended(place.flatten())).unflatten(0, (frames, count))
    result = found * Pretended(own[..., None].to(data.dtype)) + 0 * padding_value
    return result.transpose(0, 1) if batch_first else result, own.sum(0)


def _as_leaf(value: Any) -> Any:
    plain = isinstance(value, Tensor) and not isinstance(value, Pretended)
    return Pretended(value.detach()).requires_grad_(value.requires_grad) if plain else value


def _is_cuda(device: Any) -> bool:
    return device is not None and torch.device(device).type == "cuda"


def _moved(name: str, own: Tensor, args: list[Any], kwargs: dict[str, Any]) -> Tensor:
    """``Tensor.to``, ``cuda`` and ``cpu``."""
    here = isinstance(own, Pretended)
    target: Any = {"cuda": CUDA, "cpu": torch.device("cpu")}.get(name)
    if name == "to":
        if args and isinstance(args[0], (torch.device, str, int)):
            target = torch.device(args.pop(0))
        elif args and isinstance(args[0], Tensor):
            like = args.pop(0)
            target, args = like.device, [like.dtype, *args]
        target = torch.device(kwargs.pop("device")) if kwargs.get("device") else target
    non_blocking = bool(kwargs.pop("non_blocking", False))
    there = here if target is None else target.type == "cuda"
    if not there and here:
        _count("wait", "to the CPU")
        moved = own.inner.detach()
        return moved.to(*args, **kwargs) if name == "to" and (args or kwargs) else moved
    if there and not here:
        if not non_blocking:
            _count("copy", "to the GPU")
        own = Pretended(own.detach())
    if name != "to" or not (args or kwargs):
        return own
    return own.to(*args, **kwargs)


def to_gpu(value: Any) -> Any:
    """Tensors in lists, tuples and dicts as if they had come to the GPU; nothing is counted."""
    return tree_map(_pretend, value)


def module_to_gpu(module: nn.Module) -> None:
    """Put parameters, buffers and metrics there; nothing is counted."""
    for each in module.modules():
        for name, parameter in list(each._parameters.items()):
            if parameter is not None:
                moved = nn.Parameter(Pretended(parameter.detach()), parameter.requires_grad)
                setattr(each, name, moved)
        for name, buffer in list(each._buffers.items()):
            if buffer is not None:
                each._buffers[name] = Pretended(buffer)
        if isinstance(each, Metric):
            each._device = CUDA
            for name in each._defaults:
                if isinstance(getattr(each, name), Tensor):
                    setattr(each, name, Pretended(getattr(each, name)))
