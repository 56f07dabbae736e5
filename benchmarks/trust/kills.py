"""Runs that are killed at any call and continued, against one never cut: how many end the same.

For each of the settings below: one whole run, then others that are killed with SIGKILL at a random
call of a function, in Python or C, continued, killed once more and continued to the end. Same
means: the weights to the byte, ``metrics.json`` and ``metrics.csv`` to the digit, and the names of
the checkpoints that were kept. On a CPU, in one thread.

    python benchmarks/trust/kills.py --runs 3 --seed 0
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a process with threads cannot be forked
sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "helpers"))

from cuts import calls_of, checkpoints, die_at_call, in_a_process

from zoo.runs.run import Run
from zoo.training.train import train

SMALL = {
    "model.net": "1x8x8-4C3-MP2-N",
    "model.dropout": 0.5,
    "model.elastic_alpha": 8.0,
    "data.num_workers": 0,
    "trainer.max_epochs": 4,
    "trainer.limit_train_batches": 8,
    "trainer.logger": False,
    "trainer.enable_progress_bar": False,
}


def _callbacks(*named: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    return {"trainer.callbacks": [{"class_path": n, "init_args": a} for n, a in named]}


_LOSS = {"monitor": "val/loss"}
_STOPS = ("EarlyStopping", {**_LOSS, "mode": "max", "patience": 1})
_SWA = ("StochasticWeightAveraging", {"swa_lrs": 0.01, "swa_epoch_start": 2})
_FULL = {"trainer.limit_train_batches": None}
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "full epochs": _FULL,
    "two workers": {"data.num_workers": 2},
    "bf16-mixed": {"trainer.precision": "bf16-mixed"},
    "gradient clipping": {"trainer.gradient_clip_val": 0.1},
    "val_check_interval 3": {"trainer.val_check_interval": 3},
    "check_val_every_n_epoch 2": {"trainer.check_val_every_n_epoch": 2},
    "max_time of an hour": {"trainer.max_time": "00:01:00:00"},
    "TensorBoard": {"trainer.logger": True},
    "LearningRateMonitor": _callbacks(("LearningRateMonitor", {})),
    "best by a metric": _callbacks(("ModelCheckpoint", _LOSS)),
    "best and LearningRateMonitor": _callbacks(
        ("ModelCheckpoint", _LOSS), ("LearningRateMonitor", {})
    ),
    "best two, within epochs": _callbacks(
        ("ModelCheckpoint", {**_LOSS, "save_top_k": 2, "every_n_train_steps": 3})
    ),
    "all and the last": _callbacks(("ModelCheckpoint", {"save_top_k": -1, "save_last": True})),
    "max_steps alone": {"trainer.max_epochs": None, "trainer.max_steps": 20},
    "max_steps at an epoch's end": {"trainer.max_epochs": None, "trainer.max_steps": 16},
    "max_steps before max_epochs": {"trainer.max_steps": 20},
    "max_epochs before max_steps": {"trainer.max_steps": 200},
    "EarlyStopping": _callbacks(_STOPS),
    "EarlyStopping within epochs": {**_callbacks(_STOPS), "trainer.val_check_interval": 3},
    "EarlyStopping and the best": _callbacks(_STOPS, ("ModelCheckpoint", _LOSS)),
    "EMAWeightAveraging": _callbacks(("EMAWeightAveraging", {"decay": 0.9})),
    "StochasticWeightAveraging": _callbacks(_SWA),
    "accumulation of 3": {"trainer.accumulate_grad_batches": 3},
    "scheduled accumulation": _callbacks(("GradientAccumulationScheduler", {"scheduling": {1: 3}})),
    "LearningRateFinder": {
        **_callbacks(("LearningRateFinder", {"num_training_steps": 30})),
        **_FULL,
    },
    "BatchSizeFinder": {**_callbacks(("BatchSizeFinder", {"max_trials": 3})), **_FULL},
}


def main() -> None:
    """Print a row for each of the settings, and the sums."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3, help="killed runs for each of the settings")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    draw = random.Random(options.seed)
    print("| settings | kills | continued runs | same |\n|---|---|---|---|")
    kills = same = 0
    for name, changes in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            more, held = measure({**SMALL, **changes}, Path(folder), draw, options.runs)
        kills, same = kills + more, same + held
        print(f"| {name} | {more} | {options.runs} | {held} |", flush=True)
    print(f"| all {len(SETTINGS)} | {kills} | {options.runs * len(SETTINGS)} | {same} |")


def measure(
    settings: dict[str, Any], folder: Path, draw: random.Random, runs: int
) -> tuple[int, int]:
    """How many kills there were, and how many of the runs ended as the whole one."""

    def work(name: str) -> Run:
        out = folder / name
        return train("vision/mpcnn-digits", settings, out=out, resume="auto")

    total = calls_of(lambda: work("counted"), folder)
    whole = Run(folder / "counted")
    kills = same = 0
    for number in range(runs):
        for part in (1, 2):  # the second part is shorter

            def die(
                name: str = str(number), moment: int = draw.randrange(1, total // part)
            ) -> None:
                die_at_call(moment)
                work(name)

            kills += in_a_process(die) == -signal.SIGKILL
        assert in_a_process(lambda name=str(number): work(name)) == 0
        same += is_same(Run(folder / str(number)), whole)
    return kills, same


def is_same(run: Run, whole: Run) -> bool:
    """Whether nothing that a user keeps differs."""
    return run.finished and all(
        of(run) == of(whole)
        for of in (
            lambda each: (each.bundle / "model.safetensors").read_bytes(),
            lambda each: each.metrics_csv.read_text(),
            lambda each: each.metrics,
            checkpoints,
        )
    )


if __name__ == "__main__":
    main()
