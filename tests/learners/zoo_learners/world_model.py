"""Stages in turns: a world model learns what a cart does, then a controller learns inside it
(Schmidhuber, FKI-126-90, 1990)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn

from zoo.plugin import NumberedSteps, plots

STEPS = 20


def move(state: Tensor, force: Tensor) -> Tensor:
    """The next place and speed of carts, (N, 2), under forces, (N, 1)."""
    speed = 0.95 * state[:, 1:] + 0.2 * force.clamp(-1, 1)
    return torch.cat([state[:, :1] + 0.2 * speed, speed], 1)


class Turns(NumberedSteps):
    """Turns of the two."""


class WorldModel(LightningModule):
    """A controller that brings a cart to 0, and the model of the cart that it learns in.

    Args:
        hidden: Hidden units of both nets.
        lr: Learning rate of both.
    """

    automatic_optimization = False

    def __init__(self, hidden: int = 16, lr: float = 0.02) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.lr = lr
        self.world = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.controller = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        self.counters = {"env_steps": 0}
        self.replay: list[Tensor] = []  # (state, force, next state), (episodes * STEPS, 5)

    @property
    def example_input(self) -> Tensor:
        return torch.eye(2)

    def forward(self, state: Tensor) -> Tensor:
        """Forces (N, 1) in states (N, 2)."""
        return self.controller(state).tanh()

    def episode(self, world: Any, random: torch.Generator, noise: float = 0) -> list[Tensor]:
        state = torch.randn(8, 2, generator=random).to(self.device)
        seen = []
        for _ in range(STEPS):
            force = self(state) + noise * torch.randn(8, 1, generator=random).to(self.device)
            after = world(state, force)
            seen.append(torch.cat([state, force, after], 1))
            state = after
        return seen

    def training_step(self, number: Tensor, batch_idx: int) -> None:
        random, (world, controller) = torch.Generator().manual_seed(int(number)), self.optimizers()
        with torch.no_grad():
            self.replay = [*self.replay, torch.cat(self.episode(move, random, 0.5))][-20:]
        self.counters["env_steps"] += 8 * STEPS
        seen = torch.cat(self.replay)
        loss = (self.world(seen[:, :3]) - (seen[:, 3:] - seen[:, :2])).square().mean()
        self._step(world, loss)
        dreamt = self.episode(lambda s, a: s + self.world(torch.cat([s, a], 1)), random)
        cost = torch.stack(dreamt)[..., 0].square().mean()
        self._step(controller, cost)
        self.log_dict(
            {"train/world_loss": loss, "train/dream_cost": cost}, on_step=True, on_epoch=True
        )

    def _step(self, optimizer: Any, loss: Tensor) -> None:
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["replay"] = self.replay

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.replay = [each.to(self.device) for each in checkpoint["replay"]]

    def cost(self, seed: int) -> Tensor:
        seen = torch.stack(self.episode(move, torch.Generator().manual_seed(seed)))
        return seen[..., 0].square().mean()

    def validation_step(self, number: Tensor, batch_idx: int) -> None:
        self.log("val/cost", self.cost(1 << 40))

    def test_step(self, number: Tensor, batch_idx: int) -> None:
        self.log("test/cost", self.cost(1 << 41))

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(n.parameters(), self.lr) for n in (self.world, self.controller)]

    def play(
        self, folder: Path | None, *, episodes: int = 2, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Bring carts to 0.

        Args:
            episodes: How often, 8 carts each.
            seed: Of the first.
        """
        return [{"episode": i, "cost": float(self.cost(seed + i))} for i in range(episodes)]

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        seen = self.episode(move, torch.Generator().manual_seed(0))
        return {"cart": plots.curves({"place": [(t, float(s[0, 0])) for t, s in enumerate(seen)]})}
