"""A PyraMiD-LSTM layer, forward and backward: its strategies, the obvious loop, and the limit."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from typing import Any

import torch
from pyramid import layer_step, limit_step

from gpu.record import CUDA, DEVICE, attempt, finish
from gpu.timing import host_waits, kernels, median, peak_memory
from zoo_segmentation.layers.scan.step_convolution import WAYS, convolve, convolve_back

SIZES = ((15, 128, 128), (25, 240, 240)) if CUDA else ((5, 16, 16),)
KERNEL = 7
LAYERS = ((45, 64), (25, 32), (1, 16)) if CUDA else ((3, 4),)
"""(Channels of the input, of the states) of the paper's layers, the last first."""
TRIED = (
    ("loop", torch.float32),
    ("graphed", torch.bfloat16),
    ("fused", torch.bfloat16),
    ("grouped", torch.bfloat16),
    ("graphed", torch.float32),
    ("grouped", torch.float32),
    ("hoisted", torch.bfloat16),
    ("paired", torch.bfloat16),
    ("dense", torch.bfloat16),
    ("loop", torch.bfloat16),
)
"""Strategies with the precision of their convolutions, the most telling first. At the larger size
those that are not of the first four are left out."""
GOALS = {"times_the_loop": 10, "of_the_limit": 0.4}
"""Asked of ``graphed`` in bfloat16, set before anything was measured; then 0.6 of the limit."""


def main() -> None:
    """Each layer."""
    for place, size in enumerate(SIZES):
        for channels, hidden in LAYERS:
            Layer(channels, hidden, size).measure(TRIED[:4] if place else TRIED)
    finish()


class Layer:
    """One layer's measurements, which are told as shares of its limit and multiples of its loop.

    Args:
        channels: Of the input.
        hidden: Channels of the states.
        size: Of the sub-volume, in voxels.
    """

    def __init__(self, channels: int, hidden: int, size: Sequence[int]) -> None:
        self.size = size
        self.arguments = argparse.Namespace(
            channels=channels, hidden=hidden, kernel=KERNEL, size=list(size), device=DEVICE
        )
        work = 3 * 6 * 2 * math.prod(size) * KERNEL**2 * 4 * hidden * (channels + hidden)
        self.facts = {"size": list(size), "channels": channels, "hidden": hidden}
        self.flop = work
        self.limit = self.loop = math.inf

    def measure(self, tried: Sequence[tuple[str, torch.dtype]]) -> None:
        """The limit, a step's convolution by every way, then strategies."""
        sides = "x".join(map(str, self.size))
        where = f"{self.arguments.channels} to {self.arguments.hidden} channels, {sides}"
        for dtype in (torch.bfloat16, torch.float32):
            attempt("pyramid", f"limit, {dtype}, {where}", lambda d=dtype: self._limit(d))
        for way in WAYS:
            for axis, count in ((0, 2), (1, 4)):
                name = f"step along axis {axis}, {way}, {where}"
                work = lambda a=axis, c=count, w=way: self._convolution(a, c, w)  # noqa: E731
                attempt("pyramid", name, work)
        for strategy, dtype in tried:
            name = f"{strategy}, {dtype}, {where}"
            attempt("pyramid", name, lambda s=strategy, d=dtype: self._strategy(s, d))

    def _limit(self, dtype: torch.dtype) -> dict[str, Any]:
        """The layer's multiplications in six plain convolutions, over all slabs at once."""
        taken = median(limit_step(self.arguments, dtype, last=True), 0.7)
        self.limit = min(self.limit, taken)
        tf32 = CUDA and dtype == torch.float32 and torch.backends.cudnn.allow_tf32
        speed = round(self.flop / taken / 1e12, 2)
        return {**self.facts, "ms": _ms(taken), "tflop_per_s": speed, "tf32": tf32}

    def _convolution(self, axis: int, count: int, way: str) -> dict[str, Any]:
        """The convolution of one step of ``count`` directions, forward and back to the states; what
        is fastest belongs into ``step_convolution.MEASURED``."""
        hidden = self.arguments.hidden
        slab = [length for place, length in enumerate(self.size) if place != axis]
        kinds = {"device": DEVICE, "dtype": torch.bfloat16}
        last = {"memory_format": torch.channels_last}
        states = torch.randn(1, count * hidden, *slab, **kinds).contiguous(**last)
        d_z = torch.randn(1, count * 4 * hidden, *slab, **kinds).contiguous(**last)
        weights = torch.randn(count * 4 * hidden, hidden, KERNEL, KERNEL, **kinds)
        weights = weights.contiguous(**last)
        bias = torch.zeros(count * 4 * hidden, **kinds)
        padding = [KERNEL // 2, KERNEL // 2]

        def there() -> None:
            convolve(states, weights, bias, padding, count, way)

        def back() -> None:
            convolve_back(d_z, states, weights, padding, count, way)

        repeats = 20 if CUDA else 1
        facts: dict[str, Any] = {"capability": torch.cuda.get_device_capability()} if CUDA else {}
        flop = 2 * count * math.prod(slab) * KERNEL**2 * 4 * hidden * hidden
        for name, work in (("", there), ("back_", back)):
            taken = median(lambda work=work: [work() for _ in range(repeats)], 0.1) / repeats
            facts |= {
                f"{name}us": round(1e6 * taken, 2),
                f"{name}tflop_per_s": round(flop / taken / 1e12, 2),
            }
        return facts

    def _strategy(self, strategy: str, dtype: torch.dtype) -> dict[str, Any]:
        step = layer_step(self.arguments, dtype, strategy=strategy)
        taken = median(step, 0.8, warm=3)  # at the third call a graph is recorded
        if self.loop == math.inf and strategy == "loop":
            self.loop = taken
        told = strategy in ("graphed", "grouped", "loop")
        asked = strategy == "graphed" and dtype == torch.bfloat16
        return {
            **self.facts,
            **({f"asked_{key}": value for key, value in GOALS.items()} if asked else {}),
            "ms": _ms(taken),
            "of_the_limit": round(self.limit / taken, 3),
            "times_the_loop": round(self.loop / taken, 2),
            **peak_memory(step),
            **(kernels(step) if told else {}),
            **(host_waits(step) if told else {}),
        }


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 3)


if __name__ == "__main__":
    main()
