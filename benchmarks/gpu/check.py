"""What stands on this machine, and its ceilings: without them no other figure can be read."""

from __future__ import annotations

import importlib.metadata
import platform
from typing import Any

import torch

from gpu.record import CUDA, DEVICE, attempt, finish
from gpu.timing import kernels, median
from zoo.registry.registry import registry

PACKAGES = ("lightning", "torchmetrics", "torchvision", "numpy", "timm", "monai", "gymnasium")


def main() -> None:
    """Versions, plugins, then ceilings."""
    attempt("check", "versions", versions)
    attempt("check", "plugins", plugins)
    for dtype in (torch.bfloat16, torch.float32):
        attempt("check", f"matrix product, {dtype}", lambda dtype=dtype: product(dtype))
    attempt("check", "matrix product, torch.float32 with TF32", product_with_tf32)
    attempt("check", "copy", copy)
    attempt("check", "launch", launch)
    attempt("check", "host wait", host_wait)
    attempt("check", "constant to the device", constant)
    finish()


def versions() -> dict[str, Any]:
    """Versions, and the defaults that decide what "float32" means."""
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "cudnn": torch.backends.cudnn.version() if CUDA else None,
        "cudnn_tf32": torch.backends.cudnn.allow_tf32,
        "matmul_tf32": torch.backends.cuda.matmul.allow_tf32,
    }


def plugins() -> dict[str, Any]:
    """Every plugin loads, and every model's and dataset's class can be imported."""
    found = registry()
    problems = [f"{each.name}: {each.problem}" for each in found.plugins if each.problem]
    for entry in (*found.models.values(), *found.datasets.values()):
        found.load(entry)
    assert not problems, "; ".join(problems)
    return {"plugins": [each.name for each in found.plugins]}


def product(dtype: torch.dtype) -> dict[str, Any]:
    """A large product of random matrices."""
    side = 8192 if CUDA else 512
    a, b = (torch.randn(side, side, device=DEVICE).to(dtype) for _ in range(2))
    taken = median(lambda: a @ b)
    return {"side": side, "tflop_per_s": round(2 * side**3 / taken / 1e12, 1 if CUDA else 4)}


def product_with_tf32() -> dict[str, Any]:
    """The same where TF32 is allowed."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        return product(torch.float32)
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


def copy() -> dict[str, Any]:
    """From the device's memory to the device's memory; bytes read and written both count."""
    source = torch.empty(2**30 if CUDA else 2**22, device=DEVICE)
    target = torch.empty_like(source)
    taken = median(lambda: target.copy_(source))
    return {"tb_per_s": round(2 * source.numel() * 4 / taken / 1e12, 3)}


def launch() -> dict[str, Any]:
    """The cost of an operation that has next to nothing to compute, a thousand in a row."""
    numbers = torch.zeros(64, device=DEVICE)

    def thousand() -> None:
        for _ in range(1000):
            numbers.add_(1)

    return {"us": round(1e3 * median(thousand), 2), **kernels(thousand)}


def host_wait() -> dict[str, Any]:
    """The cost of reading a number back, a hundred in a row."""
    numbers = torch.zeros(64, device=DEVICE)

    def hundred() -> None:
        for _ in range(100):
            numbers.add_(1)
            numbers[0].item()

    return {"us": round(1e4 * median(hundred), 2)}


def constant() -> dict[str, Any]:
    """The cost of making a tensor out of Python's numbers, a hundred in a row."""

    def hundred() -> None:
        for _ in range(100):
            torch.tensor([1.0, 2.0], device=DEVICE)

    return {"us": round(1e4 * median(hundred), 2)}


if __name__ == "__main__":
    main()
