"""The device, and lines of results that are written as soon as there is something to say.

``$DEVICE`` is ``cuda`` or ``cpu`` (the GPU if there is one), ``$OUT`` the folder of
``results.jsonl``, ``$PART_ENDS`` when the part is stopped, in seconds since 1970. ``$ONLY`` leaves
out every attempt whose name does not contain it.
"""

from __future__ import annotations

import json
import math
import os
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from zoo.training.interruption import TrainingInterrupted

DEVICE = os.environ.get("DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu")
CUDA = DEVICE == "cuda"
ACCELERATOR = "gpu" if CUDA else "cpu"
"""What Lightning calls it."""

_failed: list[str] = []


class LeftOut(Exception):
    """Raised by what cannot be tried here, with the reason."""


def note(part: str, name: str, **facts: Any) -> None:
    """Write a line, to ``results.jsonl`` and to standard output.

    Args:
        part: The part's name.
        name: What was measured or tried.
        facts: What came of it; primitives.
    """
    card = torch.cuda.get_device_name(0) if CUDA else "CPU"
    line = json.dumps({"part": part, "name": name, **facts, "card": card, "torch": _torch()})
    out = Path(os.environ.get("OUT", ".gpu/out"))
    out.mkdir(parents=True, exist_ok=True)
    with (out / "results.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    print(line, flush=True)


def attempt(part: str, name: str, work: Callable[[], dict[str, Any]]) -> None:
    """Do something and write what came of it: a failure is a line as well, and the next follows.

    Args:
        part: The part's name.
        name: What is tried.
        work: Returns facts, or raises: an ``AssertionError`` says what does not hold.

    Raises:
        SystemExit: the part was stopped within a training.
    """
    if os.environ.get("ONLY", "") not in name:
        return
    started = time.perf_counter()
    try:
        if seconds_left() < 5:
            raise LeftOut("the part's time is over")
        facts = work()
    except LeftOut as reason:
        note(part, name, left_out=str(reason))
    except TrainingInterrupted as stop:
        note(part, name, left_out="it was not done when the part was stopped")
        raise SystemExit(stop.status) from stop
    except Exception as error:  # noqa: BLE001  # whatever it is, it is the result
        traceback.print_exc()
        _failed.append(name)
        said = " ".join(f"{type(error).__name__}: {error}".split())
        note(part, name, failed=said[:300])
        if CUDA:
            torch.cuda.empty_cache()
    else:
        note(part, name, **facts, seconds=round(time.perf_counter() - started, 2))


def finish() -> None:
    """The end of a part.

    Raises:
        SystemExit: with status 1, if an attempt failed.
    """
    if _failed:
        raise SystemExit(1)


def seconds_left() -> float:
    """Until this part is stopped; infinite for one that was started by itself."""
    return float(os.environ.get("PART_ENDS", math.inf)) - time.time()


def _torch() -> str:
    return str(torch.__version__)
