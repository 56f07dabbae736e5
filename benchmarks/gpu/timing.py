"""Seconds, kernels, host waits and memory of a piece of work."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from gpu.record import CUDA

Work = Callable[[], object]
_WAIT = "synchronizing CUDA operation"


def wait() -> None:
    """Until the GPU has done what it was given."""
    if CUDA:
        torch.cuda.synchronize()


def median(work: Work, seconds: float = 1.5, warm: int = 2, most: int = 50) -> float:
    """Median seconds of a call, by the clock, with nothing left to do on the GPU.

    Args:
        work: Called ``warm`` times before, then for about ``seconds``, 3 to ``most`` times.
    """
    for _ in range(warm):
        work()
    wait()
    taken: list[float] = []
    began = time.perf_counter()
    while len(taken) < 3 or (time.perf_counter() - began < seconds and len(taken) < most):
        started = time.perf_counter()
        work()
        wait()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def kernels(work: Work) -> dict[str, Any]:
    """Kernels that a call launches and how long they run: ``kernels``, ``kernel_ms``; nothing on
    a CPU."""
    if not CUDA:
        return {}
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    work()
    wait()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiled:
        work()
        wait()
    found = [
        event
        for event in profiled.events() or []
        if event.device_type == DeviceType.CUDA and not event.name.startswith(("Mem", "mem"))
    ]
    busy = sum(event.time_range.elapsed_us() for event in found) / 1e3
    return {"kernels": len(found), "kernel_ms": round(busy, 3)}


def host_waits(work: Work) -> dict[str, Any]:
    """Where in a call the host waits for the GPU: ``host_waits`` and ``host_waits_at``; nothing
    on a CPU."""
    if not CUDA:
        return {}
    work()
    wait()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            work()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return counted(warned)


def counted(warned: Iterable[warnings.WarningMessage]) -> dict[str, Any]:
    """The host waits among warnings, with the lines of Python that most of them come from."""
    places = Counter(
        f"{Path(each.filename).name}:{each.lineno}" for each in warned if _WAIT in str(each.message)
    )
    return {"host_waits": places.total(), "host_waits_at": dict(places.most_common(4))}


def peak_memory(work: Work) -> dict[str, Any]:
    """The most memory that a call takes beyond what is taken before: ``peak_mib``; nothing on a
    CPU."""
    if not CUDA:
        return {}
    wait()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    work()
    wait()
    return {"peak_mib": round((torch.cuda.max_memory_allocated() - before) / 2**20)}
