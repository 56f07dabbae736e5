"""Independent pieces of work on the cores of a CPU, one thread each.

A step of a scan is too small to be split over cores; several scans are not.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")

_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def parallel_map(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[Result]:
    """``map(work, items)`` without gradients, on a CPU as many at a time as torch has threads.

    Results come in order, and no more than that many are under way or waiting, so that memory
    stays bounded by them. On other devices, and with one thread, one after another; while a CUDA
    graph is recorded, as branches of it that run side by side.

    Args:
        work: Takes an item. Where several run at a time, each has a thread of its own, in which
            torch has one thread.
        items: What to work on.
        device: Where the work is done.

    Yields:
        The results; the first error of a piece of work is raised in its place.
    """
    if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
        yield from _branches(work, items, device)
        return
    threads = torch.get_num_threads() if device.type == "cpu" else 1
    if threads == 1:
        with torch.no_grad():
            for item in items:
                yield work(item)
        return
    pool = _pool(threads)
    waiting: deque[Future[Result]] = deque()
    for item in items:
        if len(waiting) == threads:
            yield waiting.popleft().result()
        waiting.append(pool.submit(_no_grad, work, item))
    while waiting:
        yield waiting.popleft().result()


def _branches(
    work: Callable[[Item], Result], items: Iterable[Item], device: torch.device
) -> Iterator[Result]:
    """Each piece on a stream of its own, which begins where this one is; then this one waits."""
    here = torch.cuda.current_stream(device)
    results: list[Result] = []
    streams = []
    for item in items:
        stream = torch.cuda.Stream(device)
        stream.wait_stream(here)
        with torch.cuda.stream(stream), torch.no_grad():
            results.append(work(item))
        streams.append(stream)
    for stream in streams:
        here.wait_stream(stream)
    yield from results


def _no_grad(work: Callable[[Item], Result], item: Item) -> Result:
    with torch.no_grad():  # a matter of the thread
        return work(item)


def _pool(threads: int) -> ThreadPoolExecutor:
    key = (os.getpid(), threads)  # threads do not live on in a forked process
    if key not in _pools:
        ready = Barrier(threads + 1)
        pool = ThreadPoolExecutor(threads, "zoo-scan")
        for _ in range(threads):
            pool.submit(_set_single_thread, ready)
        ready.wait()
        # Setting it in a worker also set it for threads to come.
        torch.set_num_threads(threads)
        _pools[key] = pool
    return _pools[key]


def _set_single_thread(ready: Barrier) -> None:
    torch.get_num_threads()  # torch initializes a thread at its first question
    torch.set_num_threads(1)
    ready.wait()
