"""Stages in turns: a world model learns what a cart does, then a controller learns inside it
(Schmidhuber, FKI-126-90, 1990)."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from zoo_learners.cart import STEPS, move
from zoo_learners.turns import take_turns


class WorldModel(LightningModule):
    """A controller that brings a cart to 0, and the model of the cart that it learns in.

    Args:
        hidden: Hidden units of both nets.
        lr: Learning rate of both.
    """

    automatic_optimization = False
    metric_names: ClassVar = {"cost": "{stage}/cost"}

    def __init__(self, hidden: int = 16, lr: float = 0.02) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.world = nn.Sequential(nn.Linear(3, hidden), nn.Tanh(), nn.Linear(hidden, 2))
        self.controller = nn.Sequential(nn.Linear(2, hidden), nn.Tanh(), nn.Linear(hidden, 1))
        # Of the replay: states, forces and the states after them, (8 * STEPS, 5) a turn.
        self.counters, self.replay = {"env_steps": 0}, []

    @property
    def example_input(self) -> Tensor:
        return torch.eye(2)

    def forward(self, state: Tensor) -> Tensor:
        """Forces (N, 1) in states (N, 2)."""
        return self.controller(state).tanh()

    def imagine(self, state: Tensor, force: Tensor) -> Tensor:
        """As ``move``, by the world model."""
        return state + self.world(torch.cat([state, force], 1))

    def episode(self, world: Any, random: torch.Generator, noise: float = 0) -> Tensor:
        """States, forces and the states after them, (STEPS, 8, 5)."""
        seen = [torch.randn(8, 5, generator=random).to(self.device)]
        for _ in range(STEPS):
            state = seen[-1][:, 3:]
            force = self(state) + noise * torch.randn(8, 1, generator=random).to(self.device)
            seen.append(torch.cat([state, force, world(state, force)], 1))
        return torch.stack(seen[1:])

    def training_step(self, number: Tensor, batch_idx: int) -> None:
        random = torch.Generator().manual_seed(int(number))
        with torch.no_grad():
            self.replay = [*self.replay, self.episode(move, random, 0.5).flatten(0, 1)][-20:]
        self.counters["env_steps"] += 8 * STEPS
        state, force, after = torch.cat(self.replay).split([2, 1, 2], 1)
        losses = {
            "world": lambda: (self.imagine(state, force) - after).square().mean(),
            "dream": lambda: self.cost(self.imagine, random),
        }
        take_turns(self, losses)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["replay"] = self.replay

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.replay = [each.to(self.device) for each in checkpoint["replay"]]

    def cost(self, world: Any, random: torch.Generator) -> Tensor:
        """Mean square of the place in episodes."""
        return self.episode(world, random)[..., 3].square().mean()

    def validation_step(self, number: Tensor, batch_idx: int) -> None:
        self.log("cost", self.cost(move, torch.Generator().manual_seed(1 << 40)))

    test_step = validation_step

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(each.parameters(), self.hparams.lr) for each in self.children()]

    def play(self, folder: Path | None, *, episodes: int = 2, seed: int = 0) -> list[Any]:
        """Bring carts to 0.

        Args:
            episodes: How often, 8 carts each.
            seed: Of the carts.
        """
        draws = [torch.Generator().manual_seed(seed + each) for each in range(episodes)]
        return [{"cost": float(self.cost(move, random))} for random in draws]
