"""What the training entrypoint costs: an epoch of `zoo train` against a bare PyTorch loop.

Both train the same network with the same loader, deformation, optimizer and schedule. `zoo
train` also counts accuracy, logs to CSV and TensorBoard and writes a checkpoint every epoch;
the bare loop does none of it. The two alternate in one process and on one device, on
`$ZOO_DATA/mnist`.

    ZOO_DATA=DIR python benchmarks/entrypoint.py [--epochs 2] [--rounds 3] [--train-batches 300]
                                                 [--device cpu]
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from pathlib import Path

import torch
from lightning.pytorch import LightningModule, Trainer, seed_everything
from lightning.pytorch.callbacks import Callback
from machine import describe, today

from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import make_recipe
from zoo.training.train import fit, prepare_data
from zoo.training.trainer import quiet_lightning

RESULTS = Path(__file__).parent / "results"


class Clock(Callback):
    """Time from the start of the first epoch to the end of training, every hook included."""

    def __init__(self) -> None:
        self.started = self.ended = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Only the first epoch's start counts."""
        wait()
        self.started = self.started or time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Nothing of the training comes after this."""
        wait()
        self.ended = time.perf_counter()


def wait() -> None:
    """Until a GPU has done what it was given."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def experiment(epochs: int, batches: int, device: str):
    """The recipe of the benchmark, resolved."""
    content = {
        "model": {
            "name": "mpcnn",
            "net": "1x29x29-20C4-MP2-40C5-MP3-150N-N",
            "elastic_alpha": 20.0,
            "rotation": 10.0,
        },
        "data": {"name": "mnist", "batch_size": 100, "val_fraction": 0.0},
        "trainer": {
            "max_epochs": epochs,
            "limit_train_batches": batches,
            "accelerator": "cpu" if device == "cpu" else "gpu",
        },
    }
    return resolve(make_recipe(content, "benchmark"))


def through_zoo(epochs: int, batches: int, device: str, data, facts) -> float:
    """Seconds an epoch of the entrypoint takes."""
    found = experiment(epochs, batches, device)
    seed_everything(0, verbose=False)
    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        found = found.with_facts(facts)
        model = found.build_model()
        data.test_dataloader = list  # the figure is about training
        fit(found, model, data, out=Path(folder) / "run", callbacks=[clock])
    return (clock.ended - clock.started) / epochs


def bare(epochs: int, batches: int, device: str, data, facts) -> float:
    """Seconds an epoch of a bare loop takes."""
    seed_everything(0, verbose=False)
    model = experiment(epochs, batches, device).with_facts(facts).build_model().to(device)
    optimizer = torch.optim.AdamW(model.network.parameters(), lr=0.003, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.003, epochs * batches + 1)
    loader = data.train_dataloader()
    wait()
    started = time.perf_counter()
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        for images, labels in itertools.islice(loader, batches):
            images = images.to(device, non_blocking=True)
            labels = labels.to(device, non_blocking=True)
            prepared = model.normalize(model.deformation(model.prepare(images)))
            loss = torch.nn.functional.cross_entropy(model.network(prepared), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    wait()
    return (time.perf_counter() - started) / epochs


def compare(epochs: int, rounds: int, batches: int, device: str) -> dict[str, list[float]]:
    """Alternate the two, after warming up.

    Returns:
        Seconds an epoch, by ``zoo`` and ``bare``, of every round.
    """
    quiet_lightning()
    data, facts = prepare_data(experiment(epochs, batches, device))
    bare(1, 20, device, data, facts)
    times: dict[str, list[float]] = {"zoo": [], "bare": []}
    for _ in range(rounds):
        times["zoo"].append(through_zoo(epochs, batches, device, data, facts))
        times["bare"].append(bare(epochs, batches, device, data, facts))
    return times


def main() -> None:
    """Compare and write the result."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--train-batches", type=int, default=300)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    times = compare(options.epochs, options.rounds, options.train_batches, options.device)
    ratios = [a / b for a, b in zip(times["zoo"], times["bare"], strict=True)]
    lines = [
        "# Cost of the entrypoint",
        "",
        f"- {today()}, `python benchmarks/entrypoint.py --epochs {options.epochs} --rounds "
        f"{options.rounds} --train-batches {options.train_batches} --device {options.device}`",
        f"- {describe()}",
        "- mpcnn 1x29x29-20C4-MP2-40C5-MP3-150N-10N on MNIST, batches of 100, elastic deformation",
        "",
        "| what | seconds an epoch (median) | all |",
        "|---|---|---|",
        *(
            f"| {name} | {statistics.median(t):.2f} | {', '.join(f'{x:.2f}' for x in t)} |"
            for name, t in times.items()
        ),
        "",
        f"Ratio of each pair: {', '.join(f'{x:.3f}' for x in ratios)}; median "
        f"**{statistics.median(ratios):.3f}** (asked: at most 1.10).",
        "",
    ]
    name = "entrypoint.md" if options.device == "cpu" else f"entrypoint-{options.device}.md"
    (RESULTS / name).write_text("\n".join(lines))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
