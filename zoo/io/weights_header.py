"""What a weights file states about its tensors, read without taking memory for them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from zoo.errors import UsageError
from zoo.io.utf8_path import utf8_path

_DTYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "U16": torch.uint16,
    "U32": torch.uint32,
    "U64": torch.uint64,
    "I8": torch.int8,
    "I16": torch.int16,
    "I32": torch.int32,
    "I64": torch.int64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F32": torch.float32,
    "F64": torch.float64,
    "C64": torch.complex64,
}
"""The names of https://github.com/huggingface/safetensors for what torch can hold."""


def stated_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file on torch's meta device: name, shape and dtype alone.

    Raises:
        UsageError: the file is missing, damaged, or holds numbers that torch does not have.
    """
    try:
        with utf8_path(path) as readable, safe_open(readable, framework="pt") as file:
            stated = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            shapes = {name: (each.get_shape(), each.get_dtype()) for name, each in stated.items()}
    except (SafetensorError, OSError, ValueError) as error:
        raise UsageError(
            f"{path} is damaged or not a safetensors file ({error}): fetch it again"
        ) from error
    if unknown := sorted({dtype for _, dtype in shapes.values()} - _DTYPES.keys()):
        raise UsageError(
            f"{path} holds numbers of the type {unknown[0]}, which are not read: convert them to "
            "F32, or fetch it again"
        )
    try:
        return {
            name: torch.empty(shape, dtype=_DTYPES[dtype], device="meta")
            for name, (shape, dtype) in shapes.items()
        }
    except (RuntimeError, TypeError, OverflowError) as error:  # no bytes, of 2**63 rows
        raise UsageError(
            f"{path} states a tensor of an impossible shape: fetch it again"
        ) from error
