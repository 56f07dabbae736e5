"""The plots of a run: training curves, and what the model draws of itself at work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from zoo import plots
from zoo.plugin.counters import counters
from zoo.plugin.parts import has_part
from zoo.plugin.protocols import PlotCaptioner, PlotDrawer
from zoo.report.run_report import CAPTIONS
from zoo.runs.run import Run
from zoo.training.csv_logger import MetricsLogger
from zoo.training.seeding import seeded


@contextmanager
def as_in_training(trainer: Trainer, model: LightningModule) -> Iterator[None]:
    """While it lasts, the model is on the Trainer's device, in its precision: Lightning puts it
    back on the CPU after each fit and test, where whole volumes take hundreds of times as long.

    Args:
        trainer: That has trained or tested the model.
        model: On the CPU afterwards.
    """
    device = trainer.strategy.root_device
    model.to(device)
    try:
        with trainer.precision_plugin.forward_context():
            yield
    finally:
        if device.type != "cpu":
            model.cpu()


def draw(
    run: Run,
    log: MetricsLogger,
    model: LightningModule,
    data: LightningDataModule,
    seed: int,
    samples: bool = True,
) -> None:
    """Write training curves, and what the model draws from one batch of test data.

    Args:
        run: Where.
        log: The metrics over time.
        model: The trained module.
        data: Its data.
        seed: Of what is random in drawing.
        samples: Whether the test data may be read; the curves alone are drawn otherwise.
    """
    units = list(counters(model, data))
    x = units[0].replace("_", " ") if units else "epoch"
    plots.save(plots.curves(log.series(units), x), run.plots / "curves.png")
    if not samples or not isinstance(model, PlotDrawer) or not has_part(data, "test"):
        return
    was_training = model.training
    model.eval()
    with torch.no_grad(), seeded(seed):
        batch = next(iter(data.test_dataloader()))
        batch = model.transfer_batch_to_device(batch, model.device, 0)
        drawn = model.draw_plots(batch)
    for name, figure in drawn.items():
        plots.save(figure, run.plots / f"{name}.png")
    if isinstance(model, PlotCaptioner):
        captions = {k: v for k, v in model.plot_captions.items() if k in drawn}
        run.write_json(f"plots/{CAPTIONS}", captions)
    model.train(was_training)
