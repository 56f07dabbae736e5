"""Environment steps that peers need: PPO and DQN on CartPole, DQN with hindsight on 8 bits.

    python benchmarks/peers/steps.py cartpole-ppo cartpole-dqn bitflip8-dqn-her --seeds 1 2 3

Runs in an environment with requirements.txt, without the zoo; the rule stands in README.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import yaml
from gymnasium import spaces
from stable_baselines3 import DQN, PPO, HerReplayBuffer
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.evaluation import evaluate_policy
from table import add, done

_FOUND = importlib.util.find_spec("rl_zoo3")
assert _FOUND is not None
assert _FOUND.origin is not None
SETTINGS = Path(_FOUND.origin).parent / "hyperparams"
NOT_ARGUMENTS = ("n_envs", "n_timesteps", "policy", "policy_kwargs", "normalize")


class BitFlipping(gym.Env[dict[str, np.ndarray], int]):
    """The zoo's bit flipping as a goal environment: T = bits + 1, an episode has at most T - 1
    actions, and reaching the goal at action t pays T - t and ends it."""

    def __init__(self, bits: int = 8) -> None:
        self.bits = bits
        vector = spaces.Box(0.0, 1.0, (bits,), np.float32)
        names = ("observation", "achieved_goal", "desired_goal")
        self.observation_space = spaces.Dict(dict.fromkeys(names, vector))
        self.action_space = spaces.Discrete(bits)
        self.state = np.zeros(bits, np.float32)
        self.goal = np.zeros(bits, np.float32)
        self.time = 0

    def _observe(self) -> dict[str, np.ndarray]:
        state = self.state.copy()
        return {"observation": state, "achieved_goal": state, "desired_goal": self.goal.copy()}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.state = np.zeros(self.bits, np.float32)
        self.goal = self.np_random.integers(0, 2, self.bits).astype(np.float32)
        self.time = 0
        return self._observe(), {}

    def step(self, action: int) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.state[action] = 1 - self.state[action]
        self.time += 1
        met = bool((self.state == self.goal).all())
        info = {"time": self.time}
        reward = float(self.compute_reward(self.state[None], self.goal[None], np.array([info]))[0])
        return self._observe(), reward, met, self.time >= self.bits, info

    def compute_reward(self, achieved: np.ndarray, desired: np.ndarray, info: Any) -> np.ndarray:
        """As many as actions are left, and one, where the goal is met; 0 elsewhere."""
        rows = np.atleast_1d(info)
        times = np.array([row["time"] for row in rows], np.float32)
        met = (np.atleast_2d(achieved) == np.atleast_2d(desired)).all(axis=1)
        found: np.ndarray = met * (self.bits + 1 - times)
        return found


class UntilGood(BaseCallback):
    """Evaluate now and then, and stop when the mean return is high enough."""

    def __init__(self, make: Callable[[], gym.Env], every: int, episodes: int, asked: float):
        super().__init__()
        # An environment an episode: all of them count, the short ones not more than the long.
        self.env = make_vec_env(make, n_envs=episodes, seed=1_000_000)
        self.every, self.episodes, self.asked = every, episodes, asked
        self.next = every
        self.last = 0.0
        self.reached: int | None = None

    def _on_step(self) -> bool:
        if self.num_timesteps < self.next:
            return True
        self.next += self.every
        returns, _ = evaluate_policy(
            self.model, self.env, self.episodes, return_episode_rewards=True
        )
        self.last = float(np.mean(returns))
        if self.last >= self.asked:
            self.reached = self.num_timesteps
        return self.reached is None


def linear(value: float) -> Callable[[float], float]:
    """From ``value`` to 0 over the training, as rl-zoo3's ``lin_``."""
    return lambda left: left * value


def settings(algorithm: str, environment: str) -> dict[str, Any]:
    """rl-zoo3's, as they are in its package."""
    text = (SETTINGS / f"{algorithm}.yml").read_text(encoding="utf-8")
    return dict(yaml.safe_load(text)[environment])


def arguments(found: dict[str, Any]) -> dict[str, Any]:
    """Of the algorithm's constructor."""
    given = {name: value for name, value in found.items() if name not in NOT_ARGUMENTS}
    for name, value in given.items():
        if isinstance(value, str) and value.startswith("lin_"):
            given[name] = linear(float(value.removeprefix("lin_")))
    if "policy_kwargs" in found:
        sides = found["policy_kwargs"].partition("net_arch=[")[2].partition("]")[0]
        given["policy_kwargs"] = {"net_arch": [int(side) for side in sides.split(",")]}
    return given


def cartpole(algorithm: str, seed: int) -> tuple[BaseAlgorithm, int]:
    """The agent, and for how many steps rl-zoo3 trains it."""
    found = settings(algorithm, "CartPole-v1")
    kind = {"ppo": PPO, "dqn": DQN}[algorithm]
    env = make_vec_env("CartPole-v1", n_envs=found.get("n_envs", 1), seed=seed)
    made = kind(found["policy"], env, seed=seed, device="cpu", **arguments(found))
    return made, int(found["n_timesteps"])


def bits(seed: int) -> tuple[BaseAlgorithm, int]:
    """DQN with hindsight replay: the net is the zoo's, the rest its defaults but for these."""
    made = DQN(
        "MultiInputPolicy",
        BitFlipping(),
        replay_buffer_class=HerReplayBuffer,
        replay_buffer_kwargs={
            "n_sampled_goal": 4,
            "goal_selection_strategy": "future",
            "copy_info_dict": True,
        },
        learning_rate=1e-3,
        learning_starts=100,
        batch_size=128,
        train_freq=1,
        target_update_interval=100,
        exploration_final_eps=0.05,
        exploration_fraction=0.05,
        gamma=0.98,
        policy_kwargs={"net_arch": [256, 256]},
        seed=seed,
        device="cpu",
    )
    return made, 40_000


AGENTS: dict[str, tuple[Callable[[int], tuple[BaseAlgorithm, int]], Callable[[], gym.Env], Any]] = {
    "cartpole-ppo": (
        lambda seed: cartpole("ppo", seed), lambda: gym.make("CartPole-v1"), (2000, 100, 495.0),
    ),
    "cartpole-dqn": (
        lambda seed: cartpole("dqn", seed), lambda: gym.make("CartPole-v1"), (2000, 100, 495.0),
    ),
    "bitflip8-dqn-her": (bits, BitFlipping, (200, 256, 4.6)),
}  # fmt: skip


def main() -> None:
    """Run what is not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("agents", nargs="+", choices=list(AGENTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    options = parser.parse_args()
    torch.set_num_threads(1)
    for agent in options.agents:
        make, environment, (every, episodes, asked) = AGENTS[agent]
        problem, _, name = agent.partition("-")
        for seed in options.seeds:
            if done(problem, name, seed):
                continue
            start = time.process_time()
            model, steps = make(seed)
            watch = UntilGood(environment, every, episodes, asked)
            model.learn(steps, callback=watch)
            add(problem, name, seed, watch.reached, watch.last, time.process_time() - start)
            print(agent, seed, watch.reached, round(watch.last, 3), flush=True)


if __name__ == "__main__":
    main()
