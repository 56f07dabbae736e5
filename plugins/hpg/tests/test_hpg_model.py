"""The model: its gradient, its episodes, its measurements, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn

import zoo
from zoo.plugin import UsageError
from zoo_hpg.data.datasets import (
    BitFlippingEpisodes,
    EmptyRoomEpisodes,
    FourRoomsEpisodes,
    MsPacmanEpisodes,
)
from zoo_hpg.episodes import Episodes, rollout
from zoo_hpg.model import HindsightPolicyGradient
from zoo_hpg.networks.goal_net import GoalNet
from zoo_hpg.policy_gradient import estimators
from zoo_hpg.policy_gradient.baseline import baseline_loss
from zoo_hpg.policy_gradient.hindsight import active_goals, hindsight_rewards
from zoo_rl.seeding import generator

QUICK = {
    "trainer.max_epochs": 2,
    "trainer.enable_progress_bar": False,
    "data.batches_per_epoch": 3,
    "data.eval_episodes": 16,
    "model.hidden": [8],
}


def make(data: Any, **arguments: Any) -> HindsightPolicyGradient:
    torch.manual_seed(0)
    defaults = {"hidden": [16, 8], "initialization": "glorot"}
    return HindsightPolicyGradient(**data.facts, **{**defaults, **arguments})


def episodes_of(model: HindsightPolicyGradient, data: Any, count: int) -> Episodes:
    random = generator(5)
    return rollout(data.environment, lambda goals: model.actor(goals, random), count, random)


def gradient(model: nn.Module) -> list[Tensor]:
    return [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]


def by_goal(model: HindsightPolicyGradient, episodes: Episodes, per_episode: int = 0) -> Tensor:
    """The same estimate, one hindsight goal after the other, with the plain net."""
    total = torch.zeros((), dtype=torch.float64)
    estimate = getattr(estimators, model.estimator.replace("-", "_"))
    count, steps = episodes.mask.shape
    seen = episodes.observations.flatten(0, 1)
    times = torch.arange(1.0, steps + 1).expand(count, steps).reshape(-1, 1)
    for goal in active_goals(episodes, per_episode):
        goals = goal.expand(count * steps, -1)
        scores = model.policy(seen, goals).log_softmax(1)
        likely = scores.gather(1, episodes.actions.flatten()[:, None]).view(count, steps, 1)
        rewards, before = hindsight_rewards(episodes, goal[None], model.horizon, model.tolerance)
        expected = None
        if model.baseline is not None:
            values = model.baseline(torch.cat([seen, times], 1), goals).view(count, steps, 1)
            expected = values.detach() * before
        mask = episodes.mask
        found = estimate(likely, episodes.log_probabilities, rewards, mask, expected)
        total = total + (found * likely).sum()
    return total


@pytest.mark.parametrize("baseline", [False, True])
@pytest.mark.parametrize("estimator", ["hpg", "weighted-hpg"])
@pytest.mark.parametrize("data", [BitFlippingEpisodes(bits=4), FourRoomsEpisodes()])
def test_all_goals_at_once_are_goal_after_goal(data: Any, estimator: str, baseline: bool) -> None:
    model = make(data, estimator=estimator, baseline=baseline, max_pairs=37)
    episodes = episodes_of(model, data, 6)
    model.double()
    episodes = Episodes(*(e.double() if e.is_floating_point() else e for e in episodes))
    wanted = by_goal(model, episodes)
    wanted.backward()
    reference = [each.clone() for each in gradient(model.policy)]
    assert max(float(each.abs().max()) for each in reference) > 1e-3
    model.zero_grad()
    found = model.surrogate_objective(episodes)
    found.backward()
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
    for one, other in zip(gradient(model.policy), reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("baseline", [False, True])
def test_gcpg_step_after_step(baseline: bool) -> None:
    data = FourRoomsEpisodes()
    model = make(data, estimator="gcpg", baseline=baseline)
    goals = torch.tensor([[0.0, 1], [1, 0], [1, 1], [9, 9]])  # near the starts: some are reached
    random = generator(1)
    episodes = rollout(data.environment, lambda g: model.actor(g, random), 4, random, goals)
    assert episodes.returns.max() > 0
    wanted = torch.zeros(())
    for i in range(4):
        for t in range(int(episodes.mask[i].sum())):
            gain = episodes.rewards[i, t:].sum()
            seen, goal = episodes.observations[i, t], episodes.goals[i]
            if model.baseline is not None:
                timed = torch.cat([seen, torch.tensor([t + 1.0])])
                gain = gain - model.baseline(timed[None], goal[None])[0, 0].detach()
            scores = model.policy(seen[None], goal[None]).log_softmax(1)[0]
            wanted = wanted + gain * scores[episodes.actions[i, t]] / 4
    wanted.backward()
    reference = [each.clone() for each in gradient(model.policy)]
    model.zero_grad()
    found = model.surrogate_objective(episodes)
    found.backward()
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    for one, other in zip(gradient(model.policy), reference, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_the_baseline_learns_the_reward_and_its_value_a_step_later() -> None:
    data = EmptyRoomEpisodes()
    model = make(data, baseline=True)
    episodes = episodes_of(model, data, 3)
    total, count = 0.0, 0
    assert model.baseline is not None
    for i in range(3):
        length = int(episodes.mask[i].sum())
        values = [
            model.baseline(
                torch.cat([episodes.observations[i, t], torch.tensor([t + 1.0])])[None],
                episodes.goals[i][None],
            ).item()
            for t in range(length)
        ]
        for t in range(length):
            later = values[t + 1] if t + 1 < length else 0.0
            total += (values[t] - float(episodes.rewards[i, t]) - later) ** 2
            count += 1
    torch.testing.assert_close(
        baseline_loss(model.baseline, episodes).item(), total / count, rtol=1e-4, atol=1e-5
    )


def test_goals_drawn_of_each_episode() -> None:
    data = BitFlippingEpisodes(bits=6)
    model = make(data)
    episodes = episodes_of(model, data, 5)
    everything = {tuple(goal) for goal in active_goals(episodes).tolist()}
    reached = {tuple(goal) for goal in episodes.achieved.flatten(0, 1).tolist()}
    assert everything == reached
    some = {tuple(goal) for goal in active_goals(episodes, 2, generator(1)).tolist()}
    others = {tuple(goal) for goal in active_goals(episodes, 2, generator(2)).tolist()}
    assert some < everything
    assert some != others
    assert len(some) <= 10
    for episode in episodes.achieved.tolist():
        assert {tuple(goal) for goal in episode} & some


def test_the_policy_that_plays_is_the_one_that_learns() -> None:
    """No batch is played ahead: the weights of own goals would not be 1."""
    gaps: list[float] = []

    class Watch(Callback):
        def on_train_batch_start(
            self, trainer: Any, module: Any, batch: Any, batch_idx: int
        ) -> None:
            episodes = Episodes(*batch)
            shape = episodes.mask.shape
            goals = episodes.goals[:, None].expand(*shape, -1).flatten(0, 1)
            scores = module.policy(episodes.observations.flatten(0, 1), goals).log_softmax(1)
            now = scores.gather(1, episodes.actions.flatten()[:, None]).view(shape)
            gap = (now - episodes.log_probabilities)[episodes.mask].abs().max()
            gaps.append(float(gap))

    data = BitFlippingEpisodes(bits=4, batches_per_epoch=5, eval_episodes=4)
    trainer = Trainer(
        max_epochs=2, callbacks=[Watch()], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )  # fmt: skip
    trainer.fit(make(data, lr=0.05), datamodule=data)
    assert len(gaps) == 10
    assert max(gaps) < 1e-4


def test_a_run_has_an_evaluation_before_the_first_step(tmp_path: Path) -> None:
    run = zoo.train("hpg/bitflip8", QUICK, out=tmp_path / "run")
    content = torch.load(run.checkpoint, weights_only=True)
    evaluations = content["evaluations"]
    assert len(evaluations) == 3
    average = sum(evaluations) / 3
    assert run.metrics["val/average_return"] == pytest.approx(average, abs=1e-6)
    assert 0 <= run.metrics["test/return"] <= 8
    assert (run.plots / "learning.png").is_file()
    assert (run.plots / "episodes.png").is_file()


@pytest.mark.parametrize("estimator", ["gcpg", "weighted-hpg"])
def test_learns_to_flip_three_bits(estimator: str, tmp_path: Path) -> None:
    changes = {
        **QUICK,
        "data.bits": 3,
        "data.batch_size": 16,
        "data.batches_per_epoch": 40,
        "data.eval_episodes": 64,
        "model.hidden": [32],
        "model.initialization": "glorot",
        "model.estimator": estimator,
        "model.baseline": True,
        "model.lr": 0.01,
    }
    run = zoo.train("hpg/bitflip8", changes, out=tmp_path / "run")
    assert run.metrics["test/return"] > 0.8 * 2.25  # of the best possible


def test_plays_to_a_goal(tmp_path: Path) -> None:
    model = make(FourRoomsEpisodes())
    rows = model.play(tmp_path, goal="0,1", episodes=3)
    assert [row["goal"] for row in rows] == ["0,1"] * 3
    rate = sum(row["reached"] for row in rows) / 3
    assert all(row["success_rate"] == pytest.approx(rate) for row in rows)
    assert all(row["return"] == (32 - row["steps"]) * row["reached"] for row in rows)
    assert (tmp_path / "episodes.png").stat().st_size > 1000
    assert rows == model.play(None, goal="0,1", episodes=3)
    drawn = [model.play(None, goal="9,9", episodes=8, greedy=False, seed=s) for s in (0, 0, 1)]
    assert drawn[0] == drawn[1]
    assert len({row["goal"] for row in model.play(None, episodes=6)}) > 1


def test_wrong_calls_to_play() -> None:
    model = make(FourRoomsEpisodes())
    for arguments, message in (
        ({"goal": "3,77"}, "lies outside the room"),
        ({"goal": "3;7"}, "not of numbers with commas between"),
        ({"episodes": 0}, "--episodes has to be 1 or more, not 0"),
    ):
        with pytest.raises(UsageError, match=message):
            model.play(None, **arguments)  # type: ignore[arg-type]


def test_what_is_refused_before_the_first_step() -> None:
    facts = BitFlippingEpisodes().facts
    with pytest.raises(UsageError, match="is not one of those with goals: bit-flipping"):
        HindsightPolicyGradient(**{**facts, "environment": {"name": "CartPole-v1"}})
    with pytest.raises(UsageError, match="does not fit"):
        HindsightPolicyGradient(**{**facts, "observation_shape": [4, 4]})
    with pytest.raises(UsageError, match=r"not of \(4, 4\)"):
        GoalNet([4, 4], 2, 4, [8], None)
    with pytest.raises(UsageError, match="does not take images"):
        HindsightPolicyGradient(**MsPacmanEpisodes().facts, baseline=True)
    with pytest.raises(UsageError, match="one layer or more"):
        HindsightPolicyGradient(**facts, hidden=[])
    with pytest.raises(UsageError, match="goals_per_episode has to be 0 or more, not -1"):
        HindsightPolicyGradient(**facts, goals_per_episode=-1)
    with pytest.raises(UsageError, match="max_pairs has to be 1 or more, not 0"):
        HindsightPolicyGradient(**facts, max_pairs=0)
    for name in ("batch_size", "batches_per_epoch", "eval_episodes"):
        with pytest.raises(UsageError, match=f"{name} has to be 1 or more, not 0"):
            BitFlippingEpisodes(**{name: 0})
    with pytest.raises(UsageError, match="split has to be one of standard, all, not 'most'"):
        BitFlippingEpisodes(split="most")


def test_other_data_at_the_test_are_refused(tmp_path: Path) -> None:
    zoo.train("hpg/bitflip8", QUICK, out=tmp_path / "run")
    with pytest.raises(UsageError, match="goals of 8 numbers and 8 actions, which does not fit"):
        zoo.evaluate(tmp_path / "run", {"data.bits": 4})


def test_a_net_for_other_observations_is_refused_by_the_recipe(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"observations of \(7,\).* does not fit"):
        zoo.train("hpg/bitflip8", {**QUICK, "model.observation_shape": [7]}, out=tmp_path / "run")
