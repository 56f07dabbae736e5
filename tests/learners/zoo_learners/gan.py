"""Two players in turns: a generative adversarial net (Goodfellow et al., NeurIPS 2014) on points
around a circle."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import BaseDataModule, GeneratedSamples, Part
from zoo_learners.turns import take_turns


def point(random: torch.Generator) -> Tensor:
    """Near the circle of radius 1."""
    angle = 6.2832 * torch.rand((), generator=random)
    return torch.stack([angle.cos(), angle.sin()]) + 0.05 * torch.randn(2, generator=random)


class Circle(BaseDataModule[GeneratedSamples]):
    """Points near a circle, new in every epoch."""

    def __init__(self, batch_size: int = 64, **options: Any) -> None:
        super().__init__(root="the circle", batch_size=batch_size, **options)

    def samples(self, part: Part) -> GeneratedSamples:
        return GeneratedSamples(point, 1024, self.seed, part)


class Gan(LightningModule):
    """Generator and discriminator.

    Args:
        noise: Size of the generator's input.
        lr: Learning rate of both.
    """

    automatic_optimization = False
    metric_names: ClassVar = {"distance": "{stage}/distance"}

    def __init__(self, noise: int = 4, lr: float = 0.002) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.noise, self.lr = noise, lr
        self.generator = nn.Sequential(nn.Linear(noise, 32), nn.ReLU(), nn.Linear(32, 2))
        self.discriminator = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))

    @property
    def example_input(self) -> Tensor:
        return torch.ones(2, self.noise)

    def forward(self, noise: Tensor) -> Tensor:
        """Points (N, 2)."""
        return self.generator(noise)

    def training_step(self, real: Tensor, batch_idx: int) -> None:
        made = self(torch.randn(len(real), self.noise, device=self.device))
        players = {
            "discriminator": lambda: (
                F.softplus(-self.discriminator(real)).mean()
                + F.softplus(self.discriminator(made.detach())).mean()
            ),
            "generator": lambda: F.softplus(-self.discriminator(made)).mean(),
        }
        take_turns(self, players)

    def validation_step(self, real: Tensor, batch_idx: int) -> None:
        made = self(torch.randn(len(real), self.noise, device=self.device))
        self.log("distance", (made.norm(dim=1) - real.norm(dim=1)).abs().mean())

    test_step = validation_step

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        players = (self.discriminator, self.generator)
        return [torch.optim.Adam(each.parameters(), self.lr, (0.5, 0.99)) for each in players]

    def produce(self, folder: Path | None, *, count: int = 4, seed: int = 0) -> list[Any]:
        """Points.

        Args:
            count: How many.
            seed: Of the noise.
        """
        noise = torch.randn(count, self.noise, generator=torch.Generator().manual_seed(seed))
        return [{"x": float(x), "y": float(y)} for x, y in self(noise.to(self.device))]
