"""The rows of benchmarks/results/peers-steps.csv, shared by both environments."""

from __future__ import annotations

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[1]
sys.path.append(str(BENCHMARKS))

from rows import add_row, read_rows  # noqa: E402  (beside the other benchmarks)

ROWS = BENCHMARKS / "results" / "peers-steps.csv"
COLUMNS = ("problem", "agent", "seed", "steps", "return", "processor_seconds")


def rows() -> list[dict[str, str]]:
    """All of them, by name."""
    return read_rows(ROWS)


def done(problem: str, agent: str, seed: int) -> bool:
    """Whether a run has its row."""
    key = (problem, agent, str(seed))
    return any((row["problem"], row["agent"], row["seed"]) == key for row in rows())


def add(
    problem: str, agent: str, seed: int, steps: int | None, value: float, seconds: float | None
) -> None:
    """Add a run.

    Args:
        problem: ``cartpole`` or ``bitflip8``.
        agent: Who learnt.
        seed: Its seed.
        steps: Environment steps at the first evaluation that was good enough; None for none.
        value: The mean return of the last evaluation.
        seconds: Of the processor, evaluations included; None where they were not taken.
    """
    row = {
        "problem": problem,
        "agent": agent,
        "seed": seed,
        "steps": "" if steps is None else steps,
        "return": f"{value:.4f}",
        "processor_seconds": "" if seconds is None else f"{seconds:.1f}",
    }
    add_row(ROWS, COLUMNS, row)
