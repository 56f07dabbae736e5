"""Two nets that play against each other: one makes points, the other tells them from real ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from zoo.plugin import plots

TEST_SEED = 2026


def network(inputs: int, outputs: int, hidden: int) -> nn.Sequential:
    """A net of two hidden layers, (N, inputs) to (N, outputs); usable without Lightning."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden),
        nn.LeakyReLU(0.2),
        nn.Linear(hidden, outputs),
    )


def energy_distance(first: Tensor, second: Tensor) -> Tensor:
    """How far two sets of points, (N, D) and (M, D), are from having one distribution; 0 if they
    have (Szekely, Rizzo: Energy statistics, 2013, equation 5)."""
    return (
        2 * torch.cdist(first, second).mean()
        - torch.cdist(first, first).mean()
        - torch.cdist(second, second).mean()
    )


class AdversarialNets(LightningModule):
    """The two nets, their losses and the metric. The constructor arguments alone rebuild it.

    Two optimizers take turns in every batch, so that optimization is manual (Goodfellow and
    others: Generative Adversarial Nets, NIPS 2014, algorithm 1).

    Args:
        dimensions: Numbers of a point. Filled in from the data.
        latents: Random numbers that a point is made of.
        hidden: Units of each hidden layer.
        lr: Learning rate of both optimizers.
    """

    head: tuple[str, ...] = ()
    """No submodule is to be replaced for another task: `zoo finetune` does not apply."""

    def __init__(
        self, dimensions: int, latents: int = 4, hidden: int = 64, lr: float = 0.001
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.latents, self.lr = latents, lr
        self.automatic_optimization = False
        self.generator = network(latents, dimensions, hidden)
        self.discriminator = network(dimensions, 1, hidden)

    @property
    def example_input(self) -> Tensor:
        return torch.zeros(2, self.latents)

    def real_inputs(self) -> Tensor:
        """What `zoo export` compares on: batches of the data are no inputs of ``forward``."""
        return self.noise(16, torch.Generator().manual_seed(TEST_SEED))

    def forward(self, noise: Tensor) -> Tensor:
        """Points (N, dimensions) of random numbers (N, latents)."""
        points: Tensor = self.generator(noise)
        return points

    def noise(self, count: int, random: torch.Generator | None = None) -> Tensor:
        """Random numbers (count, latents), drawn on the CPU and so the same on every device."""
        return torch.randn(count, self.latents, generator=random).to(self.device)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        of_generator, of_discriminator = self.optimizers()  # type: ignore[attr-defined]
        found = self(self.noise(len(batch)))

        is_real, is_made = self.discriminator(batch), self.discriminator(found.detach())
        told_apart = F.softplus(-is_real).mean() + F.softplus(is_made).mean()
        of_discriminator.zero_grad()
        self.manual_backward(told_apart)
        of_discriminator.step()

        taken_for_real = F.softplus(-self.discriminator(found)).mean()
        of_generator.zero_grad()
        self.manual_backward(taken_for_real)
        of_generator.step()

        values = {"train/generator_loss": taken_for_real, "train/discriminator_loss": told_apart}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(batch))

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._measure(batch, "test")

    def _measure(self, batch: Any, stage: str) -> None:
        """The same random numbers every time, so that the metric can be measured again."""
        found = self(self.noise(len(batch), torch.Generator().manual_seed(TEST_SEED)))
        distance = energy_distance(found, batch)
        self.log(f"{stage}/energy_distance", distance, batch_size=len(batch), sync_dist=True)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [
            torch.optim.Adam(part.parameters(), self.lr, betas=(0.5, 0.9))
            for part in (self.generator, self.discriminator)
        ]

    def produce(
        self, folder: Path | None, *, count: int = 16, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Points, one a row: what `zoo predict REF --count 100 --seed 3` does.

        Args:
            folder: Where a picture of them is written; None: nothing is.
            count: How many.
            seed: The same seed makes the same points.
        """
        found = self(self.noise(count, torch.Generator().manual_seed(seed))).cpu()
        if folder is not None:
            plots.save(_scatter({"made": found}), folder / "points.png")
        return [
            {f"x{axis}": value for axis, value in enumerate(point, 1)} for point in found.tolist()
        ]

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Points of a batch of test data and as many made ones, in their first two dimensions."""
        found = self(self.noise(len(batch), torch.Generator().manual_seed(TEST_SEED)))
        return {"points": _scatter({"real": batch.cpu(), "made": found.cpu()})}


def _scatter(sets: dict[str, Tensor]) -> Figure:
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot(aspect="equal")
    for name, points in sets.items():
        axes.scatter(points[:, 0].numpy(), points[:, 1].numpy(), s=4, label=name)
    axes.legend()
    return figure
