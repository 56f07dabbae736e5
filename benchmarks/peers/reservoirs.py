"""How long reservoirpy needs to fit and to run a reservoir, in seconds of the processor.

    peers/bin/python benchmarks/peers/reservoirs.py 100 500

Runs in an environment with requirements.txt, without the zoo; ``benchmarks/sequence.py reservoirs``
calls it and measures the zoo's beside it. Prints JSON: of each size the least of three.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

import numpy as np
from reservoirpy.nodes import Reservoir, Ridge

STEPS = 2000


def main() -> None:
    """Measure the sizes named."""
    series = np.sin(np.arange(2 * STEPS + 1)[:, None] * np.array([0.2, 0.311, 0.42])).sum(1)[
        :, None
    ]
    known, wanted = series[:STEPS], series[1 : STEPS + 1]
    found = {}
    for units in map(int, sys.argv[1:]):
        reservoir = Reservoir(
            units, lr=0.9, sr=0.9, input_scaling=0.5, rc_connectivity=1.0, input_connectivity=1.0,
            seed=0,
        )  # fmt: skip
        net = reservoir >> Ridge(ridge=1e-6)
        fit = least(lambda net=net: net.fit(known, wanted, warmup=100))
        run = least(lambda net=net: net.run(series[STEPS : 2 * STEPS]))
        found[units] = {"fit": fit, "run": run}
    json.dump(found, sys.stdout)


def least(work: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the processor, after one that does not count."""
    work()
    found = []
    for _ in range(repeats):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


if __name__ == "__main__":
    main()
