"""Where an agent acts and learns: on a GPU only if that is faster for its net."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn

_STEPS = 300
"""Steps that an episode is taken to have."""


def faster_accelerator(
    network: nn.Module,
    observation_shape: Sequence[int],
    batch_size: int,
    updates: int,
    episodes: int,
    places: int,
) -> tuple[str, str]:
    """Try an iteration's work on the CPU and on the GPU, if there is one.

    Args:
        network: Takes observations and commands.
        observation_shape: Of one observation.
        batch_size: Observations in a batch of training.
        updates: Batches in an iteration.
        episodes: Episodes in an iteration, taken to have 300 steps each.
        places: Episodes that run at once.

    Returns:
        ``cpu`` or ``cuda``, and why, as a sentence.
    """
    if not torch.cuda.is_available():
        return "cpu", "acts and learns on the CPU: there is no GPU"

    def iteration(device: str) -> float:
        tried = copy.deepcopy(network).to(device)
        learning = updates * seconds_of_update(tried, observation_shape, batch_size, device)
        acting = seconds_of_choice(tried, observation_shape, min(places, episodes), device)
        return learning + episodes * _STEPS / min(places, episodes) * acting

    return verdict({device: iteration(device) for device in ("cpu", "cuda")})


def verdict(seconds: Mapping[str, float]) -> tuple[str, str]:
    """The faster of the two, and why.

    Args:
        seconds: Of an iteration, by ``cpu`` and ``cuda``.
    """
    chosen = "cuda" if seconds["cuda"] < seconds["cpu"] else "cpu"
    name = "the GPU" if chosen == "cuda" else "the CPU"
    return chosen, (
        f"acts and learns on {name}: an iteration's net takes {seconds['cpu']:.2f} s on the CPU, "
        f"{seconds['cuda']:.2f} s on the GPU"
    )


def seconds_of_update(
    network: nn.Module, observation_shape: Sequence[int], batch_size: int, device: str
) -> float:
    """Seconds of forward and backward of a batch."""
    observations = torch.rand(batch_size, *observation_shape, device=device)
    commands = torch.rand(batch_size, 2, device=device)

    def update() -> None:
        network.zero_grad()
        network(observations, commands).square().mean().backward()

    return _seconds(update, device, 10)


def seconds_of_choice(
    network: nn.Module, observation_shape: Sequence[int], rows: int, device: str
) -> float:
    """Seconds from observations on the CPU to the described actions there."""
    observations, commands = torch.rand(rows, *observation_shape), torch.rand(rows, 2)

    @torch.inference_mode()
    def choose() -> None:
        network(observations.to(device), commands.to(device)).cpu()

    return _seconds(choose, device, 50)


def _seconds(work: Callable[[], None], device: str, times: int) -> float:
    work()  # the first time loads kernels
    _wait(device)
    began = time.perf_counter()
    for _ in range(times):
        work()
    _wait(device)
    return (time.perf_counter() - began) / times


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
