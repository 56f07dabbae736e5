"""The GPU is taken only if it is faster."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import zoo_udrl.device
from zoo_udrl.behavior import BehaviorFunction
from zoo_udrl.device import faster_accelerator, seconds_of_choice, seconds_of_update, verdict


def test_the_faster_one_is_chosen_and_named() -> None:
    assert verdict({"cpu": 1.0, "cuda": 2.0})[0] == "cpu"
    chosen, why = verdict({"cpu": 2.0, "cuda": 0.5})
    assert chosen == "cuda"
    assert why.startswith("acts and learns on the GPU: ")
    assert "2.00 s on the CPU, 0.50 s on the GPU" in why


def test_without_a_gpu_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    net = BehaviorFunction([4], 2, [8])
    assert faster_accelerator(net, [4], 8, 100, 20, 20) == (
        "cpu",
        "acts and learns on the CPU: there is no GPU",
    )


@pytest.mark.parametrize(("learning", "wanted"), [(0.001, "cpu"), (0.1, "cuda")])
def test_acting_and_learning_both_count(
    learning: float, wanted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The GPU learns ten times as fast and acts five times as slowly."""

    def update(*arguments: Any) -> float:
        return learning if arguments[-1] == "cpu" else learning / 10

    def choice(*arguments: Any) -> float:
        assert arguments[2] == 10  # of 20 places, 10 hold the iteration's episodes
        return 0.001 if arguments[-1] == "cpu" else 0.005

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, *_: self)
    monkeypatch.setattr(zoo_udrl.device, "seconds_of_update", update)
    monkeypatch.setattr(zoo_udrl.device, "seconds_of_choice", choice)
    # On the CPU 100 updates and 300 choices, 0.3 s of them choices; on the GPU 1.5 s.
    assert faster_accelerator(BehaviorFunction([4], 2, [8]), [4], 8, 100, 10, 20)[0] == wanted


def test_the_work_that_is_timed_runs() -> None:
    net = BehaviorFunction([4], 2, [8])
    assert seconds_of_update(net, [4], 8, "cpu") > 0
    assert seconds_of_choice(net, [4], 2, "cpu") > 0
