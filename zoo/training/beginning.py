"""What is said and noted before the first step: what was found in the data, how large the model
is, where it trains, where to watch it."""

from __future__ import annotations

import shlex
import shutil
import sys
import textwrap

import torch
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.nn.parameter import UninitializedParameter

from zoo.io.rank_zero import rank_zero_print
from zoo.plugin.protocols import DataDescriber
from zoo.runs.run import Run


def tell_beginning(
    run: Run,
    trainer: Trainer,
    model: LightningModule,
    data: LightningDataModule,
    tested: bool = True,
) -> None:
    """Say it in a line, and note it.

    Args:
        run: Its ``environment.json`` gets ``found`` and ``parameters``.
        trainer: Before it fits.
        model: What it trains.
        data: On what, set up.
        tested: Whether a test follows. Where the test part may not be read, as in a sweep, the
            data are not described, as their sizes are those of all parts.
    """
    found = list(data.describe_found()) if tested and isinstance(data, DataDescriber) else []
    count = count_parameters(model)
    run.note(parameters=count, **({"found": found} if found else {}))
    size = f"{shown_count(count)} parameters" if count else ""
    parts = [", ".join(found), size, describe_device(trainer)]
    rank_zero_print(wrapped("; ".join(filter(None, parts))))
    if any(isinstance(each, TensorBoardLogger) for each in trainer.loggers):
        rank_zero_print(f"to watch it: tensorboard --logdir {shlex.quote(str(run.path))}")


def wrapped(line: str) -> str:
    """Folded at spaces where a terminal is narrower."""
    if not sys.stderr.isatty():
        return line
    width = shutil.get_terminal_size().columns - 1
    return textwrap.fill(line, width, subsequent_indent="  ", break_on_hyphens=False)


def count_parameters(model: torch.nn.Module) -> int:
    """Numbers that a model learns or keeps frozen; lazy ones, whose shapes are not known yet, are
    not counted."""
    return sum(
        each.numel() for each in model.parameters() if not isinstance(each, UninitializedParameter)
    )


def shown_count(count: int) -> str:
    """As ``11.2 M``."""
    for unit, size in (("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


def describe_device(trainer: Trainer) -> str:
    """As ``CPU, 2 threads`` or ``NVIDIA H100, 2 processes``."""
    device = trainer.strategy.root_device
    if device.type == "cuda":
        shown = torch.cuda.get_device_name(device)
    elif device.type == "cpu":
        threads = torch.get_num_threads()
        shown = f"CPU, {threads} thread{'s' * (threads != 1)}"
    else:
        shown = device.type.upper()
    return f"{shown}, {trainer.world_size} processes" if trainer.world_size > 1 else shown
