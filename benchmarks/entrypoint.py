"""What the training entrypoint costs a step: `zoo train` against a bare PyTorch loop.

Both train the same network with the same loader, deformation, optimizer and schedule, on the same
device. `zoo train` also counts accuracy, logs to CSV and TensorBoard and writes a checkpoint
every epoch; the bare loop does none of it. Between them stands Lightning's own Trainer with
everything switched off, which shows what of the difference is its dispatch of hooks.

The three take turns in one process. On a CPU processor time is compared; on a GPU the time until
the device has finished. The data are `$ZOO_DATA/mnist`.

    OMP_NUM_THREADS=1 ZOO_DATA=DIR python benchmarks/entrypoint.py [--rounds 5] [--device cuda]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from machine import describe, today

from zoo.recipes.experiment import Experiment, resolve
from zoo.recipes.recipe import make_recipe
from zoo.training.quiet import quiet_lightning
from zoo.training.train import fit, prepare_data

RESULTS = Path(__file__).parent / "results"
EPOCHS = 2


@dataclass(frozen=True)
class Case:
    """A network to train.

    Attributes:
        what: Its row in the result.
        model: The recipe's section.
        batch_size: Images in a batch.
        batches: Training batches an epoch.
        asked: The ratio that the entrypoint may cost, stated before it was measured.
    """

    what: str
    model: dict[str, Any]
    batch_size: int
    batches: int
    asked: str


CASES = (
    Case(
        "mpcnn 1x29x29-20C4-MP2-40C5-MP3-150N-10N, elastic deformation, batches of 100",
        {
            "name": "mpcnn",
            "net": "1x29x29-20C4-MP2-40C5-MP3-150N-N",
            "elastic_alpha": 20.0,
            "rotation": 10.0,
        },
        100,
        60,
        "at most 1.10",
    ),
    Case(
        "mlp 784-16-10, batches of 10",
        {"name": "mlp", "hidden": [16], "input_size": [28, 28]},
        10,
        600,
        "nothing",
    ),
)


class Clock:
    """Processor time on a CPU; on a GPU the time until it has done its work."""

    def __init__(self, device: str) -> None:
        self.device = device

    def __call__(self) -> float:
        if self.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()


class Stopwatch(Callback):
    """Time from the start of the first epoch to the end of training, every hook included."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.started = self.ended = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Only the first epoch's start counts."""
        self.started = self.started or self.clock()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing of the training comes after this."""
        self.ended = self.clock()


def experiment(case: Case, epochs: int, batches: int, device: str) -> Experiment:
    """The recipe of a case, resolved."""
    content = {
        "model": case.model,
        "data": {"name": "mnist", "batch_size": case.batch_size, "val_fraction": 0.0},
        "trainer": {
            "max_epochs": epochs,
            "limit_train_batches": batches,
            "accelerator": "cpu" if device == "cpu" else "gpu",
        },
    }
    return resolve(make_recipe(content, "benchmark"))


def through_zoo(found: Experiment, data: Any, clock: Clock) -> float:
    """Seconds that the entrypoint trains for."""
    seed_everything(0, verbose=False)
    watch = Stopwatch(clock)
    with tempfile.TemporaryDirectory() as folder:
        data.test_dataloader = list  # the figure is about training
        fit(found, found.build_model(), data, out=Path(folder) / "run", callbacks=[watch])
    return watch.ended - watch.started


def through_lightning(found: Experiment, data: Any, clock: Clock) -> float:
    """Seconds that Lightning's Trainer trains for with nothing but the module."""
    seed_everything(0, verbose=False)
    watch = Stopwatch(clock)
    trainer = Trainer(
        **found.recipe.trainer,
        devices=1,
        callbacks=[watch],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(found.build_model(), data.train_dataloader())
    return watch.ended - watch.started


def bare(found: Experiment, data: Any, clock: Clock) -> float:
    """Seconds that a bare loop trains for."""
    seed_everything(0, verbose=False)
    epochs = found.recipe.trainer["max_epochs"]
    batches = found.recipe.trainer["limit_train_batches"]
    model: Any = found.build_model().to(clock.device)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=0.003, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, epochs * batches + 1)
    loader = data.train_dataloader()
    started = clock()
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for batch in itertools.islice(loader, batches):
            images, labels = (each.to(clock.device, non_blocking=True) for each in batch)
            prepared = model.normalize(model.deformation(model.prepare(images)))
            loss = torch.nn.functional.cross_entropy(model.network(prepared), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return clock() - started


CONTENDERS: dict[str, Callable[[Experiment, Any, Clock], float]] = {
    "bare": bare,
    "lightning": through_lightning,
    "zoo": through_zoo,
}


def compare(
    epochs: int,
    rounds: int,
    batches: int,
    device: str,
    case: Case = CASES[0],
    names: Sequence[str] = ("bare", "zoo"),
) -> dict[str, list[float]]:
    """Let contenders take turns, after a short round that is not counted.

    Returns:
        Seconds an epoch, by the contender's name, of every round.
    """
    quiet_lightning()
    clock = Clock(device)
    found = experiment(case, epochs, batches, device)
    data, facts = prepare_data(found)
    found = found.with_facts(facts)
    brief = experiment(case, 1, min(batches, 20), device).with_facts(facts)
    for name in names:
        CONTENDERS[name](brief, data, clock)
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, taken in times.items():
            taken.append(CONTENDERS[name](found, data, clock) / epochs)
    return times


def rows(case: Case, rounds: int, device: str) -> tuple[str, str]:
    """The row of a case, and what its last columns say in words."""
    times = compare(EPOCHS, rounds, case.batches, device, case, tuple(CONTENDERS))
    plain, lightning, zoo = (
        statistics.median(times[name]) * 1000 / case.batches for name in CONTENDERS
    )
    ratios = sorted(a / b for a, b in zip(times["zoo"], times["bare"], strict=True))
    rest = statistics.median(a / b for a, b in zip(times["zoo"], times["lightning"], strict=True))
    row = (
        f"| {case.what} | {case.asked} | **{statistics.median(ratios):.3f}** | {ratios[0]:.3f} | "
        f"{ratios[-1]:.3f} | {rest:.3f} | {plain:.2f} | {lightning:.2f} | {zoo:.2f} |"
    )
    words = (
        f"- {case.what.partition(',')[0]}: `zoo train` adds {zoo - plain:.2f} ms a step to a bare "
        f"loop. {lightning - plain:.2f} ms are Lightning's dispatch of hooks, the same for every "
        "module; the rest are the zoo's callbacks, loggers and a checkpoint an epoch."
    )
    return row, words


def main() -> None:
    """Alternate the three and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    measured = [rows(case, options.rounds, options.device) for case in CASES]
    kind = "processor time" if options.device == "cpu" else "time, the device's work included"
    lines = [
        "# Cost of the entrypoint",
        "",
        f"- {today()}, `OMP_NUM_THREADS=1 python benchmarks/entrypoint.py --rounds "
        f"{options.rounds} --device {options.device}`",
        f"- {describe()}",
        f"- MNIST, {EPOCHS} epochs a round; {kind}, medians of the rounds",
        "",
        "| net | asked | zoo / bare | least | most | zoo / Lightning alone | bare, ms a step "
        "| Lightning alone | zoo |",
        "|---|---|---|---|---|---|---|---|---|",
        *(row for row, _ in measured),
        "",
        # The large net's differences are smaller than its noise.
        measured[-1][1],
        "",
    ]
    text = "\n".join(lines)
    print(text)
    name = "entrypoint.md" if options.device == "cpu" else f"entrypoint-{options.device}.md"
    (RESULTS / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
