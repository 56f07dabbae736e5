"""Closed form: an echo state network (Jaeger, GMD report 148, 2001), whose readout is solved for
once the states of a series have been summed up."""

from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from zoo.plugin import BaseDataModule, Part


class Waves(BaseDataModule[Tensor]):
    """Pieces of a wave, (N, 51)."""

    def __init__(self, batch_size: int = 4, **options: Any) -> None:
        super().__init__(root="the wave", batch_size=batch_size, **options)

    def samples(self, part: Part) -> Tensor:
        time = torch.arange(0.0, 2000).unfold(0, 51, 50)
        wave = (0.2 * time).sin() * (0.0311 * time).cos()
        return wave[{"train": slice(0, 28), "val": slice(0, 0), "test": slice(28, None)}[part]]


class EchoState(LightningModule):
    """x[t] = tanh(W x[t-1] + v u[t]), y[t] = R x[t], with R the ridge regression of u[t+1].

    Args:
        states: Size of x.
        ridge: Weight of the regression's penalty.
    """

    automatic_optimization = False

    def __init__(self, states: int = 50, ridge: float = 1e-4) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.ridge = ridge
        inner = torch.randn(states, states)
        self.register_buffer("inner", 0.8 * inner / torch.linalg.eigvals(inner).abs().max())
        self.register_buffer("into", torch.randn(states))
        self.register_buffer("squares", torch.zeros(states, states))
        self.register_buffer("products", torch.zeros(states))
        self.register_buffer("readout", torch.zeros(states))

    @property
    def example_input(self) -> Tensor:
        return torch.linspace(-1, 1, 40).reshape(2, 20)

    def states(self, series: Tensor) -> Tensor:
        found = [series.new_zeros(series.shape[0], len(self.into))]
        for value in series.T:
            found.append((found[-1] @ self.inner.T + value[:, None] * self.into).tanh())
        return torch.stack(found[1:], 1)

    def forward(self, series: Tensor) -> Tensor:
        """The next value at each time, (N, T)."""
        return self.states(series) @ self.readout

    def training_step(self, batch: Tensor, batch_idx: int) -> None:
        states, wanted = self.states(batch[:, :-1])[:, 10:].flatten(0, 1), batch[:, 11:].flatten()
        self.squares += states.T @ states
        self.products += states.T @ wanted

    def on_train_epoch_end(self) -> None:
        penalty = self.ridge * torch.eye(len(self.into), device=self.device)
        self.readout = torch.linalg.solve(self.squares + penalty, self.products)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self.log("test/mse", (self(batch[:, :-1]) - batch[:, 1:])[:, 10:].square().mean())

    def configure_optimizers(self) -> None:
        return None

    row_name = "step"

    def produce(self, folder: Path | None, *, count: int = 4, seed: int = 0) -> list[Any]:
        """A continuation of the wave.

        Args:
            count: Its steps.
            seed: Nothing is drawn.
        """
        series = (0.2 * torch.arange(50.0, device=self.device)).sin()[None]
        for _ in range(count):
            series = torch.cat([series, self(series)[:, -1:]], 1)
        return [{"value": float(value)} for value in series[0, -count:]]
