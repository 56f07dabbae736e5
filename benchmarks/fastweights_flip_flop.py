"""The flip-flop of 1992 by several seeds, with the settings of its two recipes.

    python benchmarks/fastweights_flip_flop.py --seeds 1-10

Writes results/fastweights-flip-flop.md. The events are learned from as in a run of the recipes,
without a Trainer around: a run of the same seed begins with other slow weights.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

import torch
from machine import describe, today

from zoo_fastweights.data.flip_flop import FlipFlop
from zoo_fastweights.flip_flop import FlipFlop1992

RESULTS = Path(__file__).parent / "results/fastweights-flip-flop.md"
SETTINGS = {"direct": (0.05, 300), "from-to": (0.03, 800)}
"""Rate of Adam, and the paper's events, by interface."""
LIMIT = 10_000


def solved_at(interface: str, lr: float, seed: int) -> int | None:
    """The event with which the task is solved; None where 10,000 do not suffice."""
    torch.manual_seed(seed)
    model = FlipFlop1992(interface=interface, lr=lr)  # type: ignore[arg-type]
    optimizer = torch.optim.Adam(model.parameters(), lr)
    stream = FlipFlop(seed=seed).samples("train")
    for number in range(LIMIT):
        model.learn(*stream[number], optimizer)
        if model.solved_at:
            return int(model.solved_at)
    return None


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="1-10", help="such as 1-10")
    first, last = map(int, parser.parse_args().seeds.split("-"))
    lines = [
        "# The flip-flop of 1992",
        "",
        f"`python benchmarks/fastweights_flip_flop.py --seeds {first}-{last}`, {today()}, "
        f"{describe()}. Events until 100 in a row were within 0.05, by seed; the median counts "
        f"what is not solved within {LIMIT} as infinite.",
        "",
        "| interface | rate | paper | asked | median | solved | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    for interface, (lr, paper) in SETTINGS.items():
        found = [solved_at(interface, lr, seed) for seed in range(first, last + 1)]
        median = statistics.median(events or float("inf") for events in found)
        solved = sum(events is not None for events in found)
        each = ", ".join(str(events or "no") for events in found)
        lines.append(
            f"| {interface} | {lr} | {paper} | {2 * paper} | {median:g} | {solved} of {len(found)} "
            f"| {each} |"
        )
        print(lines[-1], flush=True)
    RESULTS.write_text("\n".join([*lines, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
