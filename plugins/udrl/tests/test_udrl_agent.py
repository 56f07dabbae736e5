"""Agents that train, are cut, continue, play and move to other environments."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from zoo import evaluate, finetune, load, predict, train
from zoo.plugin import UsageError
from zoo_rl.errors import EnvironmentFailure
from zoo_udrl.agent import UpsideDownAgent
from zoo_udrl.data import CommandedEpisodes

SMALL: dict[str, Any] = {
    "batch_size": 16,
    "warmup_episodes": 8,
    "episodes_per_iteration": 4,
    "updates_per_iteration": 5,
    "iterations_per_epoch": 2,
    "replay_size": 12,
    "last_few": 4,
    "eval_episodes": 6,
    "num_envs": 4,
    "frames": 3,
    "screen_size": 16,
}


def write_recipe(folder: Path, environment: str = "Corridor-v0") -> Path:
    """A recipe for one of the tiny environments."""
    content = {
        "about": {"summary": "a corridor"},
        "seed": 3,
        "model": {"name": "udrl", "hidden": [8, 8], "channels": [4, 4], "lr": 0.01},
        "data": {"name": "udrl-episodes", "environment": environment, **SMALL},
        "trainer": {
            "accelerator": "cpu",
            "max_epochs": 3,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "logger": False,
        },
    }
    path = folder / "corridor.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def weights(run: Any) -> dict[str, torch.Tensor]:
    return torch.load(run.checkpoint, weights_only=True)["state_dict"]


def assert_same_weights(first: Any, second: Any) -> None:
    before, after = weights(first), weights(second)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_it_learns_to_do_what_it_is_commanded(tmp_path: Path) -> None:
    changes = {
        "data.warmup_episodes": 300,  # of random returns around 5
        "data.replay_size": 300,
        "data.updates_per_iteration": 150,
        "data.batch_size": 128,
        "trainer.max_epochs": 1,
        "model.return_scale": 0.2,
    }
    train(write_recipe(tmp_path), changes, out=tmp_path / "run")
    agent = load(tmp_path / "run")
    little, much = (
        agent.play_episodes(list(range(1, 41)), torch.tensor([[wish, 10.0]]).expand(40, 2))
        for wish in (2.0, 8.0)
    )
    assert little.returns.mean() < 4
    assert much.returns.mean() > 6


@pytest.mark.parametrize(
    "environment", ["Corridor-v0", "CorridorContinuous-v0", "CorridorScreen-v0"]
)
def test_a_run_that_a_crash_cut_ends_as_if_never_cut(
    environment: str, tmp_path: Path, corridor: Any
) -> None:
    whole = train(write_recipe(tmp_path, environment), out=tmp_path / "whole")
    made, corridor.steps_made = corridor.steps_made, 0
    corridor.failures = {made // 2}
    with pytest.raises(EnvironmentFailure, match="raised RuntimeError: the simulator died"):
        train(write_recipe(tmp_path, environment), out=tmp_path / "cut")
    assert not (tmp_path / "cut/metrics.json").exists()
    again = train(write_recipe(tmp_path, environment), out=tmp_path / "cut", resume="auto")
    assert_same_weights(whole, again)
    assert again.metrics == whole.metrics


def test_the_state_between_two_batches_of_an_iteration_is_enough() -> None:
    def batches(data: CommandedEpisodes, epoch: int, start: int) -> list[Any]:
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)  # type: ignore[union-attr]
        loader.load_state_dict({"batches": start})  # type: ignore[attr-defined]
        return list(loader)

    whole = CommandedEpisodes("Corridor-v0", **SMALL)
    expected = batches(whole, 0, 0) + batches(whole, 1, 0)
    for cut in (3, 5, 7):
        first = CommandedEpisodes("Corridor-v0", **SMALL)
        loader = iter(first.train_dataloader())
        for _ in range(cut):
            next(loader)
        second = CommandedEpisodes("Corridor-v0", **SMALL)
        second.load_state_dict(first.state_dict())
        rest = batches(second, 0, cut) + batches(second, 1, 0)
        assert len(rest) == len(expected) - cut
        for batch, same in zip(rest, expected[cut:], strict=True):
            assert all(map(torch.equal, batch, same))
        assert second.env_steps == whole.env_steps
        assert second.metrics == whole.metrics


def test_a_checkpoint_loads_without_running_code_from_it(tmp_path: Path) -> None:
    run = train(write_recipe(tmp_path), {"trainer.max_epochs": 1}, out=tmp_path / "run")
    state = torch.load(run.checkpoint, weights_only=True)["CommandedEpisodes"]
    assert state["replay"]["rewards"].shape == (12, 10)
    assert state["env_steps"] == 10 * (8 + 4)


def test_the_limit_of_steps_ends_the_run_with_the_epoch_that_reaches_it(tmp_path: Path) -> None:
    # An epoch is two iterations: 8 + 4 episodes of 10 steps, then 4 + 4.
    changes = {"trainer.max_epochs": -1, "data.max_env_steps": 201}
    run = train(write_recipe(tmp_path), changes, out=tmp_path / "run")
    assert run.metrics["train/env_steps"] == 280
    assert run.environment["epochs"] == 3
    # Cut after the last epoch, before the test: nothing is trained any more.
    before = weights(run)
    environment = {k: v for k, v in run.environment.items() if k != "finished"}
    run.write_json("environment.json", environment)
    again = train(write_recipe(tmp_path), changes, out=tmp_path / "run", resume="auto")
    assert again.metrics == run.metrics
    assert all(torch.equal(value, weights(again)[name]) for name, value in before.items())


def test_evaluation_commands_the_lower_end_of_the_range(tmp_path: Path) -> None:
    run = train(write_recipe(tmp_path), out=tmp_path / "run")
    data = torch.load(run.checkpoint, weights_only=True)["CommandedEpisodes"]
    returns = data["replay"]["rewards"].sum(1)[:4]
    assert run.metrics["test/commanded_return"] == pytest.approx(float(returns.mean()))
    assert run.metrics["test/commanded_horizon"] == 10
    assert run.metrics["test/return/low"] <= run.metrics["test/return"]
    assert (run.plots / "commands.png").is_file()


def test_the_same_episodes_are_evaluated_again(tmp_path: Path) -> None:
    run = train(write_recipe(tmp_path), out=tmp_path / "run")
    again = evaluate(tmp_path / "run")
    assert again["test/return"] == run.metrics["test/return"]
    more = evaluate(tmp_path / "run", {"data.split": "all"})
    assert more["test/return"] != again["test/return"]


def test_predict_plays_by_a_command_and_records_videos(tmp_path: Path) -> None:
    train(write_recipe(tmp_path), out=tmp_path / "run")
    wish = {"episodes": 3, "command_return": 5.0, "command_horizon": 10}
    found = predict(tmp_path / "run", options=wish, out=tmp_path / "videos")
    assert [row["commanded_return"] for row in found.rows] == [5, 5, 5]
    assert [row["length"] for row in found.rows] == [10, 10, 10]
    assert len({row["seed"] for row in found.rows}) == 3
    assert (tmp_path / "videos/predictions.csv").read_text().count("\n") == 4
    for number in range(3):
        with Image.open(tmp_path / f"videos/episode-{number:02d}.gif") as gif:
            # Frames alike are joined: the walker stands still where an action paid nothing.
            assert gif.n_frames == found.rows[number]["achieved_return"] + 1  # type: ignore[attr-defined]
    again = predict(tmp_path / "run", options=wish, out=tmp_path / "again")
    assert again.rows == found.rows


def test_an_environment_that_draws_nothing_plays_unrecorded(
    tmp_path: Path, corridor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    train(write_recipe(tmp_path), {"trainer.max_epochs": 1}, out=tmp_path / "run")
    monkeypatch.setattr(corridor, "render", lambda self: None)
    with pytest.raises(
        UsageError, match=r"Corridor-v0 renders no images here .*--record-video false"
    ):
        predict(tmp_path / "run", out=tmp_path / "videos")
    unseen = predict(
        tmp_path / "run", options={"record_video": False, "episodes": 5}, out=tmp_path / "no"
    )
    assert len(unseen.rows) == 5
    assert not list((tmp_path / "no").glob("*.gif"))


@pytest.mark.parametrize(
    ("wish", "what"),
    [
        ({"command_return": 99.0}, r"--command-return 99 is out of the range .* [0-9] to [0-9]+;"),
        ({"command_horizon": 0}, r"--command-horizon is 0; episodes of Corridor-v0 take 1 or more"),
        ({"episodes": 0}, r"--episodes has to be 1 or more, not 0"),
        ({"command_return": float("nan")}, r"--command-return nan is out of the range"),
    ],
)
def test_commands_out_of_range_are_refused(wish: dict[str, Any], what: str, tmp_path: Path) -> None:
    train(write_recipe(tmp_path), {"trainer.max_epochs": 1}, out=tmp_path / "run")
    with pytest.raises(UsageError, match=what):
        predict(tmp_path / "run", options=wish, out=tmp_path / "videos")


def test_an_agent_continues_in_another_environment_of_the_same_spaces(tmp_path: Path) -> None:
    first = train(write_recipe(tmp_path), out=tmp_path / "first")
    import gymnasium as gym
    from gymnasium.wrappers import TimeLimit

    gym.register("Short-v0", entry_point=lambda: TimeLimit(gym.make("Corridor-v0"), 6))
    changes = {"data.environment": "Short-v0", "trainer.max_epochs": 1, "model.lr": 1e-9}
    second = finetune(tmp_path / "first", overrides=changes, out=tmp_path / "second")
    before, after = weights(first), weights(second)
    name = "network.head.weight"
    torch.testing.assert_close(before[name], after[name], atol=1e-6, rtol=0)
    assert load(tmp_path / "second").environment == "Short-v0"
    assert second.metrics["test/length"] == 6
    del gym.registry["Short-v0"]


def test_an_environment_of_other_spaces_is_refused_by_a_trained_agent(tmp_path: Path) -> None:
    train(write_recipe(tmp_path), {"trainer.max_epochs": 1}, out=tmp_path / "run")
    with pytest.raises(UsageError, match="embedding"):
        finetune(tmp_path / "run", overrides={"data.environment": "CartPole-v1"})
    with pytest.raises(UsageError, match=r"'CartPole-v1'.*\[4\].*\[2\]"):
        evaluate(tmp_path / "run", {"data.environment": "CartPole-v1"})


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"data.environment": "Coridor-v0"}, "did you mean 'Corridor-v0'"),
        ({"data.last_few": 13}, "last_few is 13, of only 12"),
        ({"data.max_env_steps": 0}, "max_env_steps has to be 1 or more, not 0"),
        ({"data.seed": -1}, "seed has to be 0 or more, not -1"),
        ({"data.split": "half"}, "split has to be one of standard, all, not 'half'"),
        ({"data.backend": "async"}, "backend has to be one of sync, envpool"),
        ({"model.conditioning": "film"}, "conditioning has to be one of gated, bilinear"),
        ({"model.hidden": []}, "one layer or more"),
        ({"data.environment": "FrozenLake-v1"}, "observations of 'FrozenLake-v1' are Discrete"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_it_begins(
    changes: dict[str, Any], what: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=what):
        train(write_recipe(tmp_path), changes, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_processes_are_refused() -> None:
    data = CommandedEpisodes("Corridor-v0", **SMALL)
    data.trainer = SimpleNamespace(world_size=2)  # type: ignore[assignment]
    with pytest.raises(UsageError, match="in one process, not in 2"):
        data.train_dataloader()


def test_the_environments_of_the_datamodule_are_used_for_evaluation(
    tmp_path: Path, corridor: Any
) -> None:
    run = train(write_recipe(tmp_path), {"trainer.max_epochs": 1}, out=tmp_path / "run")
    # Played: 8 + 4 for training, 6 in validation, 6 in the test, 4 in the plot; tried before: a
    # step, and an episode, as no limit is stated.
    assert corridor.steps_made == 10 * (12 + 6 + 6 + 4) + 1 + 10
    assert isinstance(load(run.path), UpsideDownAgent)


def test_arguments_and_state_of_zoo_0_1_0_are_read() -> None:
    saved = {"environment": "Corridor-v0", "places": 7, "budget": 1000}
    arguments = CommandedEpisodes.upgrade_arguments(saved)
    assert arguments == {"environment": "Corridor-v0", "num_envs": 7, "max_env_steps": 1000}
    first = CommandedEpisodes("Corridor-v0", **SMALL)
    first.gather(0)
    state = first.state_dict()
    older = {"return_range": "extremes", "random_baseline": "beginning", "metrics": "figures"}
    state = {older.get(name, name): value for name, value in state.items()}
    second = CommandedEpisodes("Corridor-v0", **SMALL)
    second.load_state_dict(state)
    assert second.return_range == first.return_range
    assert second.random_baseline == first.random_baseline
    assert second.metrics == first.metrics


@pytest.mark.parametrize(
    ("observation_shape", "gpu", "accelerator"),
    [
        ([4], False, "cpu"),
        ([4], True, "cpu"),
        ([8, 32, 32], False, "cpu"),
        ([8, 32, 32], True, "cuda"),
    ],
)
def test_the_gpu_is_for_images(
    observation_shape: list[int], gpu: bool, accelerator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    agent = UpsideDownAgent("x", observation_shape, "discrete", 2, [], [], hidden=[8])
    assert agent.choose_accelerator(None) == accelerator


def test_the_gpu_that_is_left_out_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    UpsideDownAgent("x", [4], "discrete", 2, [], []).choose_accelerator(None)
    assert "--trainer.accelerator gpu takes the GPU" in "".join(capsys.readouterr())


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.bool_])
def test_observations_may_be_whole_numbers(tmp_path: Path, corridor: Any, kind: type) -> None:
    name = f"Corridor{kind.__name__}-v0"
    space = gym.spaces.Box(0, 1 if kind is np.bool_ else 20, (2,), kind)
    gym.register(
        name,
        entry_point=lambda **options: gym.wrappers.TransformObservation(
            corridor(**options), lambda seen: seen.astype(kind), space
        ),
    )
    try:
        run = train(
            write_recipe(tmp_path),
            {"data.environment": name, "trainer.max_epochs": 1},
            out=tmp_path / "r",
        )
    finally:
        del gym.registry[name]
    assert run.metrics["test/return"] >= 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"episodes": 0}, "--episodes has to be 1 or more, not 0"),
        ({"episodes": -1}, "--episodes has to be 1 or more, not -1"),
        ({"seed": -1}, "--seed is -1; it has to be a whole number"),
        ({"command_return": float("nan")}, "--command-return nan is out of the range"),
    ],
)
def test_what_cannot_be_played_leaves_no_folder(
    tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        predict("udrl-cartpole", options=options, out=tmp_path / "played")
    assert not (tmp_path / "played").exists()
