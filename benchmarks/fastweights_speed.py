"""The chunkwise delta rule against the loop, forward and backward, and the stream beside both.

    OMP_NUM_THREADS=1 python benchmarks/fastweights_speed.py    # writes
    results/fastweights-speed.md

Every figure is the least of several repetitions, in processor seconds of one thread, so that other
work on the machine says little.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from machine import describe, today
from torch import Tensor

from zoo_fastweights.layers.chunks import chunk_of
from zoo_fastweights.layers.delta_rule import (
    delta_rule_chunkwise,
    delta_rule_recurrent,
    delta_rule_step,
)

RESULTS = Path(__file__).parent / "results/fastweights-speed.md"
BATCH, HEADS, DIM = 4, 4, 32
TARGETS = {512: 8, 2048: 12}


def drawn(length: int, dtype: torch.dtype) -> list[Tensor]:
    """q, k, v, beta of unit keys."""
    random = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, BATCH, HEADS, length, DIM, generator=random, dtype=dtype).unbind()
    beta = torch.rand(BATCH, HEADS, length, generator=random, dtype=dtype)
    return [x.requires_grad_() for x in (q, torch.nn.functional.normalize(k, dim=-1), v, beta)]


def seconds(call: Callable[[], object], repeats: int) -> float:
    """Processor seconds of one call, the least of some."""
    call()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        call()
        found.append(time.process_time() - begin)
    return min(found)


def both_ways(form: Callable[..., tuple[Tensor, Tensor]], arguments: list[Tensor]) -> None:
    """Forward and backward."""
    output, _ = form(*arguments)
    torch.autograd.grad(output.sum(), arguments)


def agreement(length: int, dtype: torch.dtype) -> float:
    """The largest difference of the outputs."""
    arguments = drawn(length, dtype)
    with torch.no_grad():
        return float(
            (delta_rule_chunkwise(*arguments)[0] - delta_rule_recurrent(*arguments)[0]).abs().max()
        )


def streaming(lengths: tuple[int, ...] = (512, 2048)) -> list[tuple[int, float, int]]:
    """Tokens seen, seconds of the next one, and numbers that are kept."""
    rows = []
    with torch.no_grad():
        for length in lengths:
            q, k, v, beta = (x.detach() for x in drawn(length, torch.float32))
            state = q.new_zeros(BATCH, HEADS, DIM, DIM)
            for t in range(length):
                _, state = delta_rule_step(q[:, :, t], k[:, :, t], v[:, :, t], beta[:, :, t], state)
            last = [x[:, :, -1] for x in (q, k, v, beta)]
            took = seconds(lambda last=last, state=state: delta_rule_step(*last, state), 200)
            rows.append((length, took, state.numel()))
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    lines = [
        "# Speed of the delta rule's forms",
        "",
        f"`OMP_NUM_THREADS=1 python benchmarks/fastweights_speed.py --repeats {repeats}`, "
        f"{today()}, {describe()}, processor seconds, the least of {repeats}. Batch {BATCH}, "
        f"{HEADS} heads of {DIM} x {DIM}, float32, forward and backward; the default is chunk 32, "
        "and 64 from 1,024 steps on.",
        "",
        "| T | loop | chunk 16 | chunk 32 | chunk 64 | loop / default | asked | apart, float64 "
        "| float32 |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for length, target in TARGETS.items():
        arguments = drawn(length, torch.float32)
        loop = seconds(lambda a=arguments: both_ways(delta_rule_recurrent, a), repeats)
        chunks = {
            chunk: seconds(
                lambda a=arguments, c=chunk: both_ways(
                    lambda *x: delta_rule_chunkwise(*x, chunk=c), a
                ),
                repeats,
            )
            for chunk in (16, 32, 64)
        }
        apart = [agreement(length, dtype) for dtype in (torch.float64, torch.float32)]
        cells = [f"{value:.4f}" for value in (loop, *chunks.values())]
        times = loop / chunks[chunk_of(length, None)]
        lines.append(
            f"| {length} | {' | '.join(cells)} | {times:.1f} | {target} | "
            f"{apart[0]:.1e} | {apart[1]:.1e} |"
        )
    lines += [
        "",
        "The stream: one more token after T.",
        "",
        "| T | seconds | numbers kept |",
        "|---|---|---|",
    ]
    lines += [f"| {length} | {took:.6f} | {count} |" for length, took, count in streaming()]
    RESULTS.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
