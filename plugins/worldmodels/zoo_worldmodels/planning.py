"""Swinging a pole up by planning: with a learnt model of it, and with its true dynamics.

    M = a trained world model, frozen
    for each step of an episode:
      plan = planner(M, state)              planners.py
      do the plan's first action; M sees what really comes
    the same with the true dynamics in M's place: the return there is what M's errors are counted by

Nothing is trained. Own protocol; the planners are described in ``planners``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import Reference, UsageError, at_least, one_of, trained_model
from zoo_rl.seeding import generator
from zoo_worldmodels import swingup
from zoo_worldmodels.dream import checked_world
from zoo_worldmodels.memories.base import State
from zoo_worldmodels.planners import PLANNERS, Evaluate, Planner
from zoo_worldmodels.world_model import WorldModel


def _with_gradients(method: Callable[..., Any]) -> Callable[..., Any]:
    """Without a graph unless it is asked for, and where one may be: in inference mode, in which
    tests and predictions run, there is none."""
    return torch.inference_mode(False)(torch.no_grad()(method))


class PlanningAgent(LightningModule):
    """Plans through a world model of the pole, by each of the planners.

    Args:
        world_model: The trained world model, of ``pole-swingup``.
        planners: Names out of ``gradient``, ``cem`` and ``mppi``.
        horizon: Steps of a plan, of 0.04 s.
        samples: Plans at once, of ``cem`` and ``mppi``; ``gradient`` has a sixteenth as many.
        rounds: How often they are made better, of ``cem`` and ``mppi``; ``gradient`` twice.
        steps: Of an episode.

    Raises:
        UsageError: an argument is out of its range, or the model named is not of this world.
    """

    trainer_defaults = {"num_sanity_val_steps": 0}  # noqa: RUF012  # read, never changed
    plot_captions = {  # noqa: RUF012
        "rewards": "Rewards along the episodes: 1 is a pole that stands in the middle. Dashed: by "
        "the true dynamics.",
    }
    conformance_arguments = {  # noqa: RUF012
        "world_model": "recipe:worldmodels/planning-pole-model",
        "horizon": 2,
        "samples": 16,
        "rounds": 1,
        "steps": 2,
    }
    not_exportable = "it plans by many steps of a world model"

    def __init__(
        self,
        world_model: Reference,
        planners: list[str] | None = None,
        horizon: int = 25,
        samples: int = 64,
        rounds: int = 3,
        steps: int = 100,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        names = list(PLANNERS) if planners is None else planners
        for each in names:
            one_of("planners", each, tuple(PLANNERS))
        for name in ("horizon", "rounds", "steps"):
            at_least(name, self.hparams[name], 1)
        at_least("samples", samples, 16)
        self.automatic_optimization = False
        self.world = checked_world(trained_model(world_model))
        if (self.world.memory.features, self.world.memory.actions) != (5, 1):
            raise UsageError(
                "planner swings a pole up, and this world model is of another world: name one that "
                "was trained on pole-swingup, such as recipe:worldmodels/planning-pole-model"
            )
        self._names = names
        self._rewards: dict[tuple[str, str], Tensor] = {}

    @property
    def example_input(self) -> Tensor:
        """Two sequences of the world model."""
        return self.world.example_input

    def forward(self, inputs: Tensor) -> Tensor:
        """What the world model expects; see there."""
        expected: Tensor = self.world(inputs)
        return expected

    def configure_optimizers(self) -> None:
        """Nothing is trained."""

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing is trained."""

    @_with_gradients
    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """What the first plan of an episode is expected to bring."""
        random = generator(0, 5)
        start = swingup.seen(swingup.hanging(1, random))
        evaluate = by_model(self.world, self.world.memory.begin(self.world.seen(start)))
        planner = self.planner(self._names[0])
        plan = planner.plan(evaluate, planner.first(1), random)
        self.log("val/planned_return", evaluate(plan[:, None]).mean(), batch_size=1)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        count = self.trainer.datamodule.test_episodes  # type: ignore[attr-defined]
        lowest = float("inf")
        for name in self._names:
            returns = {}
            for kind in ("model", "true"):
                planner = self.planner(name)
                rewards = self.episodes(planner, count, kind)[1]
                self._rewards[name, kind] = rewards
                returns[kind] = float(rewards.sum(1).mean())
                self.log(f"test/{name}_{kind}_return", returns[kind], batch_size=1)
            ratio = returns["model"] / max(returns["true"], 1e-9)
            lowest = min(lowest, ratio)
            self.log(f"test/{name}_ratio", ratio, batch_size=1)
            self.log(f"test/{name}_calls", float(planner.calls), batch_size=1)
        self.log("test/ratio", lowest, batch_size=1)

    def planner(self, name: str) -> Planner:
        """A planner by its name."""
        samples, rounds = self.hparams["samples"], self.hparams["rounds"]
        if name == "gradient":
            samples, rounds = samples // 16, 2 * rounds
        return PLANNERS[name](1, self.hparams["horizon"], samples, rounds)

    @_with_gradients
    def episodes(
        self, planner: Planner, count: int, kind: Literal["model", "true"], seed: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Swing up.

        Args:
            planner: What plans.
            count: Episodes.
            kind: What it plans by: the world model, or the true dynamics.
            seed: Of starts and plans.

        Returns:
            States (N, T + 1, 4) and rewards (N, T).
        """
        random = generator(seed, 4)
        state = swingup.hanging(count, random)
        known = self.world.memory.begin(self.world.seen(swingup.seen(state)))
        plan = planner.first(count)
        states, rewards = [state], []
        for _ in range(self.hparams["steps"]):
            evaluate = by_model(self.world, known) if kind == "model" else by_truth(state)
            plan = planner.plan(evaluate, plan, random)
            action = plan[:, 0]
            state = swingup.swing(state, action[:, 0])
            _, advanced = self.world.memory.expected(known, action)
            known = self.world.memory.observe(advanced, self.world.seen(swingup.seen(state)))
            plan = planner.moved_on(plan)
            states.append(state)
            rewards.append(swingup.reward(state))
        return torch.stack(states, 1), torch.stack(rewards, 1)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Rewards along the episodes of the test.

        Args:
            batch: As of the test loader.
        """
        if not self._rewards:  # nothing was tested
            first = self._names[0]
            self._rewards[first, "model"] = self.episodes(self.planner(first), 1, "model")[1]
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for (name, kind), rewards in self._rewards.items():
            color = f"C{self._names.index(name)}"
            style = "-" if kind == "model" else "--"
            label = name if kind == "model" else None
            axes.plot(rewards.mean(0).numpy(), style, color=color, label=label)
        axes.set(xlabel="steps of 0.04 s", ylabel="reward", ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        return {"rewards": figure}

    def play(
        self,
        folder: Path | None,
        *,
        episodes: int = 2,
        planner: str = "cem",
        record_video: bool = True,
        seed: int = 0,
    ) -> list[dict[str, Any]]:
        """Swing the pole up, and record it.

        Args:
            folder: Where a GIF of each episode goes; None for none.
            episodes: How many.
            planner: ``gradient``, ``cem`` or ``mppi``.
            record_video: Write the GIFs.
            seed: Another seed gives other starts.

        Returns:
            A row an episode: the return, of at most the number of steps.

        Raises:
            UsageError: there is no such planner, or a number is out of its range.
        """
        from zoo_worldmodels.pole_pictures import save_pole_gif

        at_least("--episodes", episodes, 1)
        one_of("--planner", planner, tuple(PLANNERS))
        states, rewards = self.episodes(self.planner(planner), episodes, "model", seed)
        if folder is not None and record_video:
            for number, path in enumerate(states):
                save_pole_gif(path, folder / f"episode-{number:02d}.gif", swingup.SUBSTEPS)
        return [
            {"episode": number, "return": round(float(each.sum()), 4)}
            for number, each in enumerate(rewards)
        ]


def _returns(plans: Tensor, step: Callable[[Tensor], Tensor]) -> Tensor:
    """Sums of the rewards that ``step`` gives for each action of plans (N, K, H, A): (N, K)."""
    flat = plans.flatten(0, 1)
    total = torch.stack([step(flat[:, index]) for index in range(flat.shape[1])]).sum(0)
    return total.view(plans.shape[:2])


def by_model(world: WorldModel, known: State) -> Evaluate:
    """Returns that a world model expects from a state."""

    def evaluate(plans: Tensor) -> Tensor:
        state = tuple(part.repeat_interleave(plans.shape[1], 0) for part in known)

        def step(action: Tensor) -> Tensor:
            nonlocal state
            features, advanced = world.memory.expected(state, action)
            state = world.memory.observe(advanced, features)
            rewards: Tensor = world.outcomes(world.memory.readout(state), action)[0]
            return rewards

        return _returns(plans, step)

    return evaluate


def by_truth(now: Tensor) -> Evaluate:
    """Returns that really come from a state (N, 4)."""

    def evaluate(plans: Tensor) -> Tensor:
        state = now.repeat_interleave(plans.shape[1], 0)

        def step(action: Tensor) -> Tensor:
            nonlocal state
            state = swingup.swing(state, action[:, 0])
            return swingup.reward(state)

        return _returns(plans, step)

    return evaluate
