"""A PyraMiD-LSTM layer, forward and backward: its strategies, the obvious loop, and the limit."""

from __future__ import annotations

import argparse
import math
from typing import Any

import torch
import torch.nn.functional as F
from pyramid import layer_step, limit_step

from gpu.record import CUDA, DEVICE, attempt, finish
from gpu.timing import host_waits, kernels, median, peak_memory

SIZE = (15, 128, 128) if CUDA else (5, 16, 16)
KERNEL = 7
LAYERS = ((45, 64), (25, 32), (1, 16)) if CUDA else ((3, 4),)
"""(Channels of the input, of the states) of the paper's layers, the last first."""
TRIED = (
    ("loop", torch.float32),
    ("grouped", torch.bfloat16),
    ("grouped", torch.float32),
    ("hoisted", torch.bfloat16),
    ("paired", torch.bfloat16),
    ("dense", torch.bfloat16),
    ("loop", torch.bfloat16),
)
"""Strategies with the precision of their convolutions, the most telling first."""


def main() -> None:
    """Each layer."""
    for channels, hidden in LAYERS:
        Layer(channels, hidden).measure()
    finish()


class Layer:
    """One layer's measurements, which are told as shares of its limit and multiples of its loop.

    Args:
        channels: Of the input.
        hidden: Channels of the states.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        self.arguments = argparse.Namespace(
            channels=channels, hidden=hidden, kernel=KERNEL, size=list(SIZE), device=DEVICE
        )
        work = 3 * 6 * 2 * math.prod(SIZE) * KERNEL**2 * 4 * hidden * (channels + hidden)
        self.facts = {"size": list(SIZE), "channels": channels, "hidden": hidden}
        self.flop = work
        self.limit = self.loop = math.inf

    def measure(self) -> None:
        """The limit, a step's convolution, then every strategy."""
        where = f"{self.arguments.channels} to {self.arguments.hidden} channels"
        for dtype in (torch.bfloat16, torch.float32):
            attempt("pyramid", f"limit, {dtype}, {where}", lambda d=dtype: self._limit(d))
        for layout in ("contiguous", "channels last", "channels last, ungrouped"):
            for axis, count in ((0, 2), (1, 4)):
                name = f"step along axis {axis}, {layout}, {where}"
                work = lambda a=axis, c=count, o=layout: self._convolution(a, c, o)  # noqa: E731
                attempt("pyramid", name, work)
        for strategy, dtype in TRIED:
            name = f"{strategy}, {dtype}, {where}"
            attempt("pyramid", name, lambda s=strategy, d=dtype: self._strategy(s, d))

    def _limit(self, dtype: torch.dtype) -> dict[str, Any]:
        """The layer's multiplications in six plain convolutions, over all slabs at once."""
        taken = median(limit_step(self.arguments, dtype, last=True), 0.7)
        self.limit = min(self.limit, taken)
        tf32 = CUDA and dtype == torch.float32 and torch.backends.cudnn.allow_tf32
        speed = round(self.flop / taken / 1e12, 2)
        return {**self.facts, "ms": _ms(taken), "tflop_per_s": speed, "tf32": tf32}

    def _convolution(self, axis: int, count: int, layout: str) -> dict[str, Any]:
        """The convolution of the states in one step of a grouped scan: ``count`` directions."""
        hidden = self.arguments.hidden
        slab = [length for place, length in enumerate(SIZE) if place != axis]
        order = torch.contiguous_format if layout == "contiguous" else torch.channels_last
        kinds = {"device": DEVICE, "dtype": torch.bfloat16}
        states = torch.randn(1, count * hidden, *slab, **kinds).contiguous(memory_format=order)
        weights = torch.randn(count * 4 * hidden, hidden, KERNEL, KERNEL, **kinds)
        weights = weights.contiguous(memory_format=order)
        single = [each.contiguous(memory_format=order) for each in states.chunk(count, dim=1)]
        parts = list(zip(single, weights.chunk(count), strict=True))

        def grouped() -> None:
            F.conv2d(states, weights, padding=KERNEL // 2, groups=count)

        def ungrouped() -> None:
            for state, weight in parts:
                F.conv2d(state, weight, padding=KERNEL // 2)

        work = ungrouped if layout.endswith("ungrouped") else grouped
        repeats = 20 if CUDA else 1
        taken = median(lambda: [work() for _ in range(repeats)], 0.1) / repeats
        flop = 2 * count * math.prod(slab) * KERNEL**2 * 4 * hidden * hidden
        return {"us": round(1e6 * taken, 2), "tflop_per_s": round(flop / taken / 1e12, 2)}

    def _strategy(self, strategy: str, dtype: torch.dtype) -> dict[str, Any]:
        step = layer_step(self.arguments, dtype, strategy=strategy)
        taken = median(step, 0.8)
        if self.loop == math.inf and strategy == "loop":
            self.loop = taken
        told = strategy in ("grouped", "loop")
        return {
            **self.facts,
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
