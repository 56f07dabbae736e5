"""The device that a user names, or the best there is."""

from __future__ import annotations

import torch

from zoo.errors import UsageError


def find_device(name: str | None = None) -> torch.device:
    """A device that computes.

    Args:
        name: Such as ``cuda:0``; None takes a GPU if there is one, otherwise the CPU.

    Raises:
        UsageError: there is no such device here.
    """
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"{name!r} is not a device: {_available()}") from None
    try:
        torch.zeros(1, device=device).item()
    except Exception as error:  # each backend raises its own kinds
        raise UsageError(f"there is no device {name!r} here: {_available()}") from error
    return device


def _available() -> str:
    """The devices that this machine has, for messages."""
    found = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        found.append("mps")
    return f"this machine has {' and '.join(found)}"
