"""Evolution: separable natural evolution strategies (Schaul, Glasmachers, Schmidhuber, GECCO 2011)
search the weights of a net that computes XOR."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from zoo.plugin import NumberedSteps


class Generations(NumberedSteps):
    """One step a generation."""


class Snes(LightningModule):
    """A net of two inputs and one output, and the distribution that its weights are drawn from.

    Args:
        hidden: Hidden units.
        population: Evaluations in a generation.
    """

    automatic_optimization = False
    metric_names: ClassVar = {"mse": "{stage}/mse"}
    inputs: Tensor
    center: Tensor
    sigma: Tensor

    def __init__(self, hidden: int = 3, population: int = 20) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.hidden, self.population = hidden, population
        self.register_buffer("inputs", torch.cartesian_prod(*2 * [torch.tensor([-1.0, 1.0])]))
        self.register_buffer("center", torch.zeros(4 * hidden + 1))
        self.register_buffer("sigma", torch.ones(4 * hidden + 1))
        self.counters = {"evaluations": 0}

    @property
    def example_input(self) -> Tensor:
        return self.inputs

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (N,) of the mean net for inputs (N, 2)."""
        return self.nets(self.center[None], inputs)[0]

    def nets(self, weights: Tensor, inputs: Tensor) -> Tensor:
        """Outputs (nets, N) of the nets with these weights, (nets, weights)."""
        split = 3 * self.hidden
        into, out = weights[:, :split].unflatten(1, (3, -1)), weights[:, split:]
        hidden = (torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1) @ into).tanh()
        return (hidden @ out[:, :-1, None])[..., 0] + out[:, -1:]

    def error(self, weights: Tensor) -> Tensor:
        wanted = -self.inputs.prod(1)
        return (self.nets(weights, self.inputs) - wanted).square().mean(1)

    def training_step(self, number: Tensor, batch_idx: int) -> None:
        draw = torch.Generator().manual_seed(int(number))
        noise = torch.randn(self.population, len(self.center), generator=draw).to(self.device)
        errors = self.error(self.center + self.sigma * noise)
        noise = noise[errors.argsort()]
        ranks = torch.arange(1, self.population + 1, device=self.device)
        utility = (torch.tensor(self.population / 2 + 1).log() - ranks.log()).clamp(min=0)
        utility = utility / utility.sum() - 1 / self.population
        self.center += self.sigma * (utility @ noise)
        self.sigma *= (0.1 * (utility @ (noise.square() - 1))).exp()
        self.counters["evaluations"] += self.population
        self.log("train/mse", errors.mean(), on_step=True, on_epoch=True)

    def validation_step(self, number: Tensor, batch_idx: int) -> None:
        self.log("mse", self.error(self.center[None])[0])

    test_step = validation_step

    def configure_optimizers(self) -> None:
        return None

    def produce(self, folder: Path | None, *, count: int = 4, seed: int = 0) -> list[Any]:
        """Inputs and what the net makes of them.

        Args:
            count: How many.
            seed: Of the inputs.
        """
        inputs = torch.randn(count, 2, generator=torch.Generator().manual_seed(seed))
        return [{"xor": float(out)} for out in self(inputs.to(self.device))]
