"""Batches from growing experience, the limit of steps, and evaluation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from zoo_rl.env_steps import MaxEnvSteps
from zoo_rl.evaluation import episode_loader, return_metrics
from zoo_rl.loading import IterationLoader
from zoo_rl.seeding import RANGES
from zoo_rl.statistics import bootstrap_interval


class Log:
    """Notes what a loader does, in its order."""

    def __init__(self) -> None:
        self.events: list[tuple[str, int, int]] = []
        self.loader = IterationLoader(self.gather, self.draw, iterations=2, updates=3)

    def gather(self, iteration: int) -> None:
        self.events.append(("gather", iteration, -1))

    def draw(self, iteration: int, number: int) -> torch.Tensor:
        self.events.append(("draw", iteration, number))
        return torch.tensor([iteration, number])

    def epoch(self, epoch: int, start: int = 0, stop: int = 99) -> list[list[int]]:
        self.loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        if start:
            self.loader.load_state_dict({"batches": start})
        found = []
        for number, batch in enumerate(self.loader):
            found.append(batch.tolist())
            if number + 1 == stop:
                break
        return found


def test_an_epoch_is_its_iterations_one_after_the_other() -> None:
    log = Log()
    assert len(log.loader) == 6
    assert log.epoch(0) == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]
    assert log.epoch(3) == [[6, 0], [6, 1], [6, 2], [7, 0], [7, 1], [7, 2]]


def test_experience_is_gathered_after_all_batches_before_were_used() -> None:
    log = Log()
    batches = iter(log.loader)
    for _ in range(3):
        next(batches)
    assert ("gather", 1, -1) not in log.events
    next(batches)
    assert log.events[-2:] == [("gather", 1, -1), ("draw", 1, 0)]


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 5])
def test_a_loader_continues_where_another_was_cut(cut: int) -> None:
    whole, first, second = Log(), Log(), Log()
    begun = first.epoch(1, stop=cut)
    state = first.loader.state_dict()
    assert state == {"batches": cut}
    assert begun + second.epoch(1, start=state["batches"]) == whole.epoch(1)


@pytest.mark.parametrize(
    ("steps", "limit", "stops"), [(99, 100, False), (100, 100, True), (10**9, None, False)]
)
def test_the_limit_stops_the_trainer(steps: int, limit: int | None, stops: bool) -> None:
    data = SimpleNamespace(env_steps=steps, max_env_steps=limit)
    trainer: Any = SimpleNamespace(datamodule=data, should_stop=False, world_size=1)
    limiter = MaxEnvSteps()
    limiter.on_train_batch_end(trainer, SimpleNamespace(), None, None, 0)  # type: ignore[arg-type]
    assert not trainer.should_stop
    limiter.on_train_epoch_end(trainer, SimpleNamespace())  # type: ignore[arg-type]
    assert trainer.should_stop is stops
    told = "100 environment steps are played, and max_env_steps is 100"
    assert limiter.stop_reason == (told if stops else "")


def test_evaluation_episodes_are_the_same_every_time_and_of_their_part() -> None:
    def seeds(*parts: str) -> list[int]:
        batches = list(episode_loader(parts[0], 7, 3, *parts[1:]))
        assert max(len(batch) for (batch,) in batches) == 3
        return [seed for (batch,) in batches for seed in batch.tolist()]

    assert seeds("val") == seeds("val")
    assert all(seed in RANGES["val"] for seed in seeds("val"))
    assert seeds("test", "val") == seeds("test") + seeds("val")


def test_metrics_of_returns() -> None:
    returns = torch.tensor([1.0, 2.0, 6.0])
    metrics = return_metrics(returns)
    low, high = bootstrap_interval([1.0, 2.0, 6.0])
    assert metrics["return"] == pytest.approx(3)
    assert metrics["return/std"] == pytest.approx((14 / 3) ** 0.5)
    assert (metrics["return/low"], metrics["return/high"]) == (low, high)
    assert low < 3 < high
