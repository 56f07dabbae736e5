"""A policy trained by policy gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn

from zoo.plugin import plots

from .environment import COLUMNS, ROWS, play, starts


class Policy(nn.Module):
    """A net of one hidden layer; usable without Lightning.

    Takes observations (N, observation_size), gives logits (N, num_actions).

    Args:
        observation_size: Numbers in an observation.
        num_actions: Number of actions.
        hidden: Units of the hidden layer.
    """

    def __init__(self, observation_size: int, num_actions: int, hidden: int) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(observation_size, hidden), nn.Tanh())
        self.head = nn.Linear(hidden, num_actions)

    def forward(self, observations: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(observations))
        return logits


class PolicyGradient(LightningModule):
    """The policy, its loss and its metrics. The constructor arguments alone rebuild it.

    The steps of an epoch are used in several batches, while the policy already changes; the
    clipped objective keeps it near the one that played them (Schulman, Wolski, Dhariwal,
    Radford, Klimov: Proximal Policy Optimization Algorithms, arXiv:1707.06347, equation 7),
    here without a learned value: an episode is compared with the others of its epoch.

    Args:
        observation_size: Numbers in an observation. Filled in from the data.
        num_actions: Number of actions. Filled in from the data.
        action_names: The actions' names. Filled in from the data.
        hidden: Units of the hidden layer.
        lr: Learning rate of Adam.
        clip: How far the probability of an action may move from that which played it, as a
            fraction of it.
        entropy: Weight of the policy's entropy, which keeps it exploring.
    """

    task_arguments = ("num_actions", "action_names")
    """Constructor arguments that come from the data of a new task."""

    highest: Tensor

    def __init__(
        self,
        observation_size: int,
        num_actions: int,
        action_names: list[str],
        hidden: int = 32,
        lr: float = 0.01,
        clip: float = 0.2,
        entropy: float = 0.01,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.observation_size, self.action_names = observation_size, action_names
        self.lr, self.clip, self.entropy = lr, clip, entropy
        self.network = Policy(observation_size, num_actions, hidden)
        # Rows and columns as numbers from -1 to 1: a buffer, so that a bundle carries it.
        highest = torch.tensor([ROWS - 1.0, COLUMNS - 1.0, COLUMNS - 1.0])
        self.register_buffer("highest", highest)

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules that `zoo finetune` replaces for a new task."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.observation_size)

    def forward(self, observations: Tensor) -> Tensor:
        """Logits (N, num_actions) of the environment's observations (N, observation_size)."""
        logits: Tensor = self.network(2 * observations / self.highest - 1)
        return logits

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        observations, actions, before, advantages = batch
        scores = self(observations).log_softmax(1)
        ratio = (scores.gather(1, actions[:, None])[:, 0] - before).exp()
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip)
        entropy = -(scores.exp() * scores).sum(1).mean()
        gain = torch.minimum(ratio * advantages, clipped * advantages).mean()
        loss: Tensor = -gain - self.entropy * entropy
        values = {"train/loss": loss, "train/entropy": entropy}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(actions))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test")

    def _measure(self, batch: Any, stage: str) -> None:
        """The mean return of episodes in which the likeliest action is always taken."""
        _, _, returns = play(batch[0], self.best_action)
        size = len(returns)
        self.log(f"{stage}/return", returns.mean(), batch_size=size, sync_dist=True, prog_bar=True)

    def best_action(self, observations: Tensor) -> Tensor:
        """The likeliest actions (N,) for observations (N, observation_size)."""
        logits: Tensor = self(observations)
        return logits.argmax(1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Episodes from a batch of test data: where the ball and the paddle are, row by row."""
        seen, _, returns = play(batch[0][:8], self.best_action)
        return {"episodes": _draw(seen, returns)}

    def play(
        self, folder: Path | None, *, episodes: int = 10, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Play episodes, always by the likeliest action: what `zoo predict REF` does.

        Args:
            folder: Where a picture of the first ones is written; None: nothing is.
            episodes: How many.
            seed: Seed of their first observations.
        """
        first = starts(episodes, torch.Generator().manual_seed(seed)).to(self.device)
        seen, _, returns = play(first, self.best_action)
        if folder is not None:
            plots.save(_draw(seen[:8], returns), folder / "episodes.png")
        return [{"return": value} for value in returns.tolist()]


def _draw(seen: Tensor, returns: Tensor) -> Figure:
    figure = Figure(figsize=(12, 6), layout="constrained")
    for index, episode in enumerate(seen.cpu()):
        row, ball, paddle = episode.T.numpy()
        axes = figure.add_subplot(2, 4, index + 1)
        axes.plot(ball, row, "o-", label="ball")
        axes.plot(paddle, row, "s--", label="paddle")
        axes.set(xlim=(-0.5, COLUMNS - 0.5), ylim=(ROWS - 0.5, -0.5), xlabel="column")
        axes.set_title("caught" if returns[index] else "missed")
    figure.axes[0].legend()
    return figure
