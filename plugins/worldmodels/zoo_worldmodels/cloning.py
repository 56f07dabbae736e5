"""A clone of behavior: what was done in a log where much the same was observed. What a controller
that trains in dreams has to beat.

    loss = -log p(a_t | x_t), or (a_t - predicted)^2 of continuous actions

Pomerleau: ALVINN: an autonomous land vehicle in a neural network, NIPS 1988.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import UsageError, above, at_least, plots
from zoo_rl.rollout import Policy
from zoo_rl.seeding import generator
from zoo_worldmodels.acting import real_metrics, real_returns


class BehaviorClone(LightningModule):
    """A net of two hidden layers that does what the log did.

    Args:
        environment: gymnasium's id, or empty. Filled in from the data.
        observation_shape: Lengths of an observation. Filled in from the data.
        actions: ``discrete`` or ``continuous``. Filled in from the data.
        num_actions: Actions to choose from, or numbers in one. Filled in from the data.
        action_low: Bounds of continuous actions. Filled in from the data.
        action_high: Bounds of continuous actions. Filled in from the data.
        max_episode_steps: Where episodes are cut, 0 for nowhere. Filled in from the data.
        observation_mean: What observations are standardized by. Filled in from the data.
        observation_std: What observations are standardized by. Filled in from the data.
        hidden: Units of each hidden layer.
        greedy: Always do what is likeliest, where actions are discrete; drawn without, as the log's
            own were.
        test_episodes: Real episodes of the test.
        lr: Learning rate of Adam.

    Raises:
        UsageError: observations are pictures, or an argument is out of its range.
    """

    monitor, monitor_mode = "val/loss", "min"
    conformance_arguments = {"hidden": 16, "test_episodes": 2}  # noqa: RUF012  # read, never changed

    mean: Tensor
    std: Tensor
    bounds: Tensor

    def __init__(
        self,
        environment: str,
        observation_shape: list[int],
        actions: str,
        num_actions: int,
        action_low: list[float],
        action_high: list[float],
        max_episode_steps: int = 0,
        observation_mean: list[float] | None = None,
        observation_std: list[float] | None = None,
        hidden: int = 64,
        greedy: bool = False,
        test_episodes: int = 100,
        lr: float = 0.001,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if len(observation_shape) != 1:
            raise UsageError("behavior-clone reads vectors; the observations here are pictures")
        at_least("hidden", hidden, 1)
        at_least("test_episodes", test_episodes, 1)
        above("lr", lr, 0)
        count = observation_shape[0]
        mean, std = observation_mean or [0.0] * count, observation_std or [1.0] * count
        self.register_buffer("mean", torch.tensor(mean), persistent=False)
        self.register_buffer("std", torch.tensor(std), persistent=False)
        bounds = torch.tensor([action_low, action_high], dtype=torch.float32)
        self.register_buffer("bounds", bounds, persistent=False)
        self.network = nn.Sequential(
            nn.Linear(count, hidden),
            nn.SiLU(),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Linear(hidden, num_actions),
        )

    @property
    def example_input(self) -> Tensor:
        """Two observations."""
        return torch.linspace(-1, 1, 2 * len(self.mean)).view(2, -1)

    def outputs(self, observations: Tensor) -> Tensor:
        """Logits of discrete actions, or numbers whose tanh is the action: (N, A), for observations
        (N, O)."""
        found: Tensor = self.network((observations - self.mean) / self.std)
        return found

    def forward(self, observations: Tensor) -> Tensor:
        """Logits of discrete actions, or numbers from -1 to 1: (N, A), for observations (N, O)."""
        outputs = self.outputs(observations)
        return outputs if self.hparams["actions"] == "discrete" else outputs.tanh()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.hparams["lr"])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._loss(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._loss(batch, "test")

    def on_test_epoch_end(self) -> None:
        if self.hparams["environment"]:
            returns = real_returns(
                self.hparams, self.acting(), self.hparams["test_episodes"], "test"
            )
            for name, value in real_metrics(returns, "test").items():
                self.log(name, value)

    def play(
        self, folder: Path | None, *, episodes: int = 10, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Act in the world of the log.

        Args:
            folder: Nothing is written.
            episodes: How many.
            seed: Another seed gives other episodes.

        Returns:
            A row an episode: its return.

        Raises:
            UsageError: the log names no environment.
        """
        at_least("--episodes", episodes, 1)
        returns = real_returns(self.hparams, self.acting(), episodes, "test", seed)
        return [
            {"episode": number, "return": round(value, 4)}
            for number, value in enumerate(returns.tolist())
        ]

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The clone's actions beside those of the log, in a batch of the test."""
        observations, actions = batch
        outputs = self(observations).cpu()
        if self.hparams["actions"] == "discrete":
            kinds = self.hparams["num_actions"]
            pairs = actions.cpu() * kinds + outputs.argmax(-1)
            counts = pairs.bincount(minlength=kinds**2).view(kinds, kinds)
            names = [str(action) for action in range(kinds)]
            return {"actions": plots.confusion_matrix(counts.numpy(), names)}
        figure = Figure(figsize=(4, 4), layout="constrained")
        axes = figure.subplots()
        for number, (log, clone) in enumerate(zip(self._coded(actions).T, outputs.T, strict=True)):
            axes.plot(log.cpu(), clone, ".", alpha=0.5, label=f"number {number} of an action")
        axes.set(xlabel="the log, from -1 to 1", ylabel="the clone", xlim=(-1, 1), ylim=(-1, 1))
        axes.legend()
        return {"actions": figure}

    def _loss(self, batch: Any, stage: str) -> Tensor:
        observations, actions = batch
        outputs = self(observations)
        if self.hparams["actions"] == "discrete":
            loss = F.cross_entropy(outputs, actions)
        else:
            loss = F.mse_loss(outputs, self._coded(actions))
        self.log(
            f"{stage}/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(outputs)
        )
        return loss

    def _coded(self, actions: Tensor) -> Tensor:
        low, high = self.bounds.to(actions.dtype)
        coded: Tensor = 2 * (actions - low) / (high - low) - 1
        return coded

    def acting(self) -> Policy:
        """It, as a policy of ``zoo_rl.rollout`` that draws the same every time."""
        random = generator(0, 7)
        low, high = self.bounds.cpu()

        @torch.no_grad()
        def act(observations: np.ndarray, numbers: np.ndarray, rewards: np.ndarray) -> np.ndarray:
            outputs: Tensor = self(torch.from_numpy(observations).to(self.device)).float().cpu()
            if self.hparams["actions"] == "continuous":
                return np.asarray(low + (high - low) * (outputs + 1) / 2)
            if self.hparams["greedy"]:
                return np.asarray(outputs.argmax(-1))
            drawn = torch.multinomial(outputs.softmax(-1), 1, generator=random)
            return np.asarray(drawn[:, 0])

        return act
