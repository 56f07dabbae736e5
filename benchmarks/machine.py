"""What a result is measured on."""

from __future__ import annotations

import datetime

import torch

from zoo.runs.environment import hardware


def describe() -> str:
    """Processor, accelerators, threads and torch, in a line."""
    found = hardware()
    parts = [f"{found['cpu']}, {found['cores']} cores", *found["gpus"]]
    return f"{'; '.join(parts)}; torch {torch.__version__}, {torch.get_num_threads()} thread(s)"


def today() -> str:
    """The date, as results carry it."""
    return datetime.date.today().isoformat()
