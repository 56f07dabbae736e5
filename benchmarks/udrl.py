"""Upside-Down RL on LunarLander: the whole loop of `zoo train`, and a straightforward one.

    python benchmarks/udrl.py [--agent udrl-lunarlander] [--epochs 1] [--repeats 3] [--threads 1]

One repeat is an epoch of the recipe udrl/lunarlander: iterations of episodes and batches, then a
validation of 100 episodes, by a trained agent (a run, bundle or checkpoint) whose episodes also
fill the replay at the beginning, so that they are as long as in the middle of a training. The
straightforward loop does the same with the same net: one environment, one observation at a time,
the replay a sorted list of Python lists, a batch gathered by a loop. The repeats alternate, so
that a busy machine slows both; printed are medians, in seconds of the clock and of the processor.
On a machine that does other things the latter are those to look at. Ten million steps are
projected from them. EnvPool is left out where it is not installed. The result is written to
benchmarks/results/udrl.md.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from dataclasses import astuple, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import gymnasium as gym
import machine
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from zoo import load
from zoo.recipes.experiment import resolve
from zoo.recipes.recipe import override, read_recipe
from zoo.training.train import fit, prepare_data
from zoo_rl.seeding import episode_seeds
from zoo_udrl.agent import UpsideDownAgent
from zoo_udrl.data import CommandedEpisodes
from zoo_udrl.replay import keep_best

RESULTS = Path(__file__).parent / "results"
RECIPE = "udrl/lunarlander"
STEPS = 10_000_000


@dataclass
class Measured:
    """One repeat of one loop.

    Attributes:
        steps: Environment steps of training episodes.
        clock: Seconds of the clock.
        processor: Seconds of the processor.
        inside: Seconds of the clock inside the environments.
    """

    steps: int
    clock: float
    processor: float
    inside: float


class Watch(Callback):
    """Times a training from its first batch to the end of its last epoch, validation included:
    what comes once a run, such as its bundle and its metrics, is left out."""

    def __init__(self, data: CommandedEpisodes) -> None:
        self.data = data
        self._began = self._now()

    def _now(self) -> Measured:
        return Measured(
            self.data.env_steps,
            time.perf_counter(),
            time.process_time(),
            self.data.envs.seconds,
        )

    def on_train_start(self, *_: Any) -> None:
        self._began = self._now()

    def on_train_end(self, *_: Any) -> None:
        self.measured = difference(self._began, self._now())


def difference(began: Measured, ended: Measured) -> Measured:
    return Measured(*(b - a for a, b in zip(astuple(began), astuple(ended), strict=True)))


def experiment(epochs: int, backend: str = "sync") -> Any:
    changes = {
        "data.backend": backend,
        "trainer.max_epochs": epochs,
        "trainer.enable_progress_bar": False,
        "trainer.logger": False,
        "data.max_env_steps": None,
    }
    return resolve(override(read_recipe(RECIPE), changes))


def filled(data: CommandedEpisodes, agent: UpsideDownAgent) -> dict[str, Any]:
    """The state of data whose replay holds what the agent plays."""
    count = 100
    commands = agent.command.expand(count, 2)
    episodes = agent.play_episodes(episode_seeds("train", count, 0), commands)
    data.replay = keep_best(episodes, data.replay_size)
    data.iterations = 1
    data.env_steps = data.replay.steps
    data.return_range = (float(episodes.returns.min()), float(episodes.returns.max()))
    return copy.deepcopy(data.state_dict())


def whole_loop(
    agent: UpsideDownAgent, state: dict[str, Any], epochs: int, backend: str
) -> Measured:
    """Training as `zoo train` does it."""
    setting = experiment(epochs, backend)
    data, _ = prepare_data(setting)
    data.load_state_dict(copy.deepcopy(state))
    data.iterations = 0  # the first iteration plays too
    data.test_dataloader = list
    watch = Watch(data)
    with tempfile.TemporaryDirectory() as folder:
        fit(
            setting, copy.deepcopy(agent).train(), data, out=Path(folder) / "run", callbacks=[watch]
        )
    return watch.measured


class Straightforward:
    """The same algorithm as one would write it down first.

    Args:
        agent: Its net is used.
        state: Its episodes fill the replay.
        data: Its numbers are used.
    """

    def __init__(
        self, agent: UpsideDownAgent, state: dict[str, Any], data: CommandedEpisodes
    ) -> None:
        self.net, self.data = copy.deepcopy(agent.network), data
        self.limit = agent.max_return
        self.optimizer = torch.optim.Adam(self.net.parameters(), agent.lr)
        self.env = gym.make(data.environment)
        self.inside = 0.0
        kept = state["replay"]
        self.replay = [
            {
                "observations": list(kept["observations"][row, :length].numpy()),
                "actions": kept["actions"][row, :length].tolist(),
                "rewards": kept["rewards"][row, :length].tolist(),
            }
            for row, length in enumerate(kept["lengths"].tolist())
        ]

    def episode(self, seed: int, desired: float, horizon: float) -> dict[str, list[Any]]:
        episode: dict[str, list[Any]] = {"observations": [], "actions": [], "rewards": []}
        began = time.perf_counter()
        observation, _ = self.env.reset(seed=seed)
        self.inside += time.perf_counter() - began
        done = False
        while not done:
            with torch.no_grad():
                logits = self.net(
                    torch.as_tensor(observation)[None], torch.tensor([[desired, horizon]])
                )
            action = int(torch.distributions.Categorical(logits=logits).sample())
            began = time.perf_counter()
            following, reward, terminated, truncated, _ = self.env.step(action)
            self.inside += time.perf_counter() - began
            episode["observations"].append(observation)
            episode["actions"].append(action)
            episode["rewards"].append(float(reward))
            desired = min(desired - float(reward), self.limit or float("inf"))
            horizon = max(horizon - 1, 1)
            observation, done = following, terminated or truncated
        return episode

    def command(self) -> tuple[float, float, float]:
        best = self.replay[: self.data.last_few]
        returns = [sum(episode["rewards"]) for episode in best]
        horizon = sum(len(episode["rewards"]) for episode in best) / len(best)
        return statistics.mean(returns), statistics.pstdev(returns), horizon

    def update(self) -> None:
        observations, commands, actions = [], [], []
        for _ in range(self.data.batch_size):
            episode = self.replay[np.random.randint(len(self.replay))]
            start = np.random.randint(len(episode["rewards"]))
            observations.append(episode["observations"][start])
            left = episode["rewards"][start:]
            commands.append([np.sum(left), float(len(left))])
            actions.append(episode["actions"][start])
        logits = self.net(
            torch.tensor(np.array(observations)), torch.tensor(commands, dtype=torch.float32)
        )
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(actions))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def run(self, epochs: int) -> Measured:
        data, steps = self.data, 0
        clock, processor = time.perf_counter(), time.process_time()
        for epoch in range(epochs):
            for iteration in range(data.iterations_per_epoch):
                mean, spread, horizon = self.command()
                for seed in episode_seeds("train", data.episodes_per_iteration, epoch, iteration):
                    played = self.episode(seed, np.random.uniform(mean, mean + spread), horizon)
                    self.replay.append(played)
                    steps += len(played["rewards"])
                self.replay.sort(key=lambda episode: sum(episode["rewards"]), reverse=True)
                del self.replay[data.replay_size :]
                for _ in range(data.updates_per_iteration):
                    self.update()
            mean, _, horizon = self.command()
            for seed in episode_seeds("val", data.eval_episodes):
                self.episode(seed, mean, horizon)
        return Measured(
            steps, time.perf_counter() - clock, time.process_time() - processor, self.inside
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--agent", default="udrl-lunarlander")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    agent = load(arguments.agent)
    data = prepare_data(experiment(1))[0]
    state = filled(data, agent)
    mean_length = state["env_steps"] / len(state["replay"]["lengths"])
    loops = {
        "`zoo train`": lambda: whole_loop(agent, state, arguments.epochs, "sync"),
        "`zoo train --data.backend envpool`": lambda: whole_loop(
            agent, state, arguments.epochs, "envpool"
        ),
        "straightforward loop": lambda: Straightforward(agent, state, data).run(arguments.epochs),
    }
    if find_spec("envpool") is None:
        del loops["`zoo train --data.backend envpool`"]
    found: dict[str, list[Measured]] = {name: [] for name in loops}
    for _ in range(arguments.repeats):
        for name, run in loops.items():
            found[name].append(run())
    rates = {
        name: statistics.median(each.steps / each.processor for each in measured)
        for name, measured in found.items()
    }
    slowest = rates["straightforward loop"]
    rows = []
    for name, measured in found.items():
        clock = statistics.median(each.steps / each.clock for each in measured)
        share = statistics.median(each.inside / each.clock for each in measured)
        rows.append(
            f"| {name} | {clock:,.0f} | {rates[name]:,.0f} | {share:.0%} | "
            f"{STEPS / rates[name] / 60:.0f} | {rates[name] / slowest:.1f} |"
        )
    options = f"--agent {Path(arguments.agent).name} --epochs {arguments.epochs} "
    options += f"--repeats {arguments.repeats} --threads {arguments.threads}"
    text = "\n".join(
        [
            "# Upside-Down RL: speed of the whole loop",
            "",
            f"- {machine.today()}, `python benchmarks/udrl.py {options}`",
            f"- {machine.describe()}",
            f"- {RECIPE}: an epoch of {data.iterations_per_epoch} iterations ("
            f"{data.episodes_per_iteration} episodes, {data.updates_per_iteration} batches of "
            f"{data.batch_size}) and {data.eval_episodes} episodes of validation, whose steps "
            f"are not counted; episodes of {mean_length:.0f} steps in the replay at the beginning",
            "",
            "| loop | steps a second (clock) | steps a second of processor | share inside the "
            "environments | 10 M steps, minutes of processor | times the straightforward loop "
            "(processor) |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
        ]
    )
    print(text)
    (RESULTS / "udrl.md").write_text(text)


if __name__ == "__main__":
    main()
