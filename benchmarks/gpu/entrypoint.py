"""An epoch of ``zoo train`` against a bare loop, both on the device: benchmarks/entrypoint.py."""

from __future__ import annotations

import statistics
from typing import Any

from entrypoint import compare

from gpu.cases import require_data
from gpu.record import CUDA, DEVICE, attempt, finish

EPOCHS, ROUNDS = 2, 2
BATCHES = 540 if CUDA else 20
"""Of 100 images each, in an epoch."""


def main() -> None:
    """One network."""
    attempt("entrypoint", "mpcnn on MNIST", ratio)
    finish()


def ratio() -> dict[str, Any]:
    """Seconds an epoch by both, and the ratio of their medians."""
    require_data("mnist")
    times = compare(EPOCHS, ROUNDS, BATCHES, DEVICE)
    facts = {name: [round(each, 3) for each in taken] for name, taken in times.items()}
    found = statistics.median(times["zoo"]) / statistics.median(times["bare"])
    return {"batches": BATCHES, **facts, "ratio": round(found, 3)}


if __name__ == "__main__":
    main()
