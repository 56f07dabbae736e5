"""`zoo predict`: an agent plays by a command and is recorded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium as gym
import numpy as np
import torch

from zoo.plugin import UsageError, at_least
from zoo_rl.plots import save_gif
from zoo_rl.rollout import rollout
from zoo_rl.seeding import episode_seeds, generator
from zoo_rl.vector import EpisodicVectorEnv, SyncEpisodicVectorEnv

if TYPE_CHECKING:
    from zoo_udrl.agent import UpsideDownAgent

_MAX_FRAMES = 1000
"""Of one GIF."""


def play_commanded(
    agent: UpsideDownAgent,
    folder: Path | None,
    episodes: int,
    command_return: float | None,
    command_horizon: int | None,
    greedy: bool,
    seed: int,
    record_video: bool = True,
) -> list[dict[str, Any]]:
    """What ``UpsideDownAgent.play`` does; see there."""
    desired, horizon = checked_command(agent, command_return, command_horizon)
    at_least("--episodes", episodes, 1)
    at_least("--seed", seed, 0)
    seeds = episode_seeds("test", episodes, seed)
    folder = folder if record_video else None
    envs = SyncEpisodicVectorEnv(
        agent.environment,
        1 if folder else min(episodes, 20),
        max_episode_steps=agent.max_episode_steps or None,
        screen_size=agent.observation_shape[-1],
        render_mode="rgb_array" if folder else None,
    )
    recorder = VideoRecorder(folder) if folder else None
    commands = torch.tensor([[desired, horizon]]).expand(episodes, 2)
    act = agent.actor(commands, generator(seed, len(seeds)), greedy)
    played = rollout(envs, act, seeds, on_step=recorder)
    if recorder:
        recorder.save()
    envs.close()
    return [
        {
            "episode": number,
            "commanded_return": desired,
            "achieved_return": round(float(played.returns[number]), 4),
            "commanded_horizon": horizon,
            "length": int(played.lengths[number]),
            "seed": seeds[number],
        }
        for number in range(episodes)
    ]


def checked_command(
    agent: UpsideDownAgent, desired: float | None, horizon: int | None
) -> tuple[float, float]:
    """The command, filled in by that of evaluation.

    Raises:
        UsageError: it is out of the range that was trained.
    """
    low, high = agent.extremes.tolist()
    limit = agent.max_episode_steps
    if desired is None:
        desired = float(agent.command[0])
    elif not low <= desired <= max(high, agent.max_return or high):
        raise UsageError(
            f"--command-return {desired:g} is out of the range of returns that the agent has seen "
            f"in training, {low:g} to {high:g}; command one within"
        )
    if horizon is None:
        return desired, float(agent.command[1])
    if horizon < 1 or (limit and horizon > limit):
        ends = f"from 1 to {limit}" if limit else "1 or more"
        raise UsageError(
            f"--command-horizon is {horizon}; episodes of {agent.environment} take {ends} steps"
        )
    return desired, float(horizon)


def _not_rendered(env: gym.Env[Any, Any], reason: str) -> UsageError:
    name = env.spec.id if env.spec else str(env)
    return UsageError(
        f"{name} renders no images here ({reason}): play with --record-video false; MuJoCo without "
        "a display renders with the variable MUJOCO_GL=egl or MUJOCO_GL=osmesa set"
    )


class VideoRecorder:
    """Renders the episode in an environment, and writes a GIF of each.

    Args:
        folder: Where they go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._frames: list[np.ndarray] = []
        self._episode = 0
        self._fps = 30.0

    def __call__(self, envs: EpisodicVectorEnv, indices: np.ndarray, episodes: np.ndarray) -> None:
        assert isinstance(envs, SyncEpisodicVectorEnv)
        if episodes[0] != self._episode:
            self.save()
        self._episode = int(episodes[0])
        env = envs.envs[int(indices[0])]
        self._fps = float(env.metadata.get("render_fps", 30))
        if len(self._frames) < _MAX_FRAMES:
            self._frames.append(self._rendered(env))

    @staticmethod
    def _rendered(env: gym.Env[Any, Any]) -> np.ndarray:
        try:
            frame = env.render()
        except Exception as error:  # third-party code
            raise _not_rendered(env, " ".join(str(error).split())) from error
        if not isinstance(frame, np.ndarray):
            raise _not_rendered(env, f"its render() gives a {type(frame).__name__}")
        return frame

    def save(self) -> None:
        """Write the GIF of the episode recorded last."""
        save_gif(self._frames, self._folder / f"episode-{self._episode:02d}.gif", self._fps)
        self._frames = []
