"""An LSTM whose state learns: gradient descent finds a net that learns a function from examples.

At each step it sees a point and the value of the point before, never its own, and tells the
point's value. Its weights are frozen in tests: what learns there is its state.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn

from zoo.plugin import above, at_least, optim
from zoo_sequence.online_learners import online_mlp, online_ridge


class MetaNet(nn.Module):
    """An LSTM and a linear output; usable without Lightning.

    Args:
        features: Numbers of a point.
        hidden: Units.
        layers: LSTM layers.
    """

    def __init__(self, features: int, hidden: int, layers: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(features + 1, hidden, layers, batch_first=True)
        self.output = nn.Linear(hidden, 1)

    def forward(self, examples: Tensor) -> Tensor:
        """(N, T, features + 1), points and the values before, to values (N, T)."""
        told: Tensor = self.output(self.lstm(examples)[0])[..., 0]
        return told


class MetaLSTM(LightningModule):
    """Learning to learn functions.

    Source: Hochreiter, Younger, Conwell: Learning to Learn Using Gradient Descent, ICANN 2001. The
    test compares it, after the same examples, with ridge regression on the functions' own basis
    (``oracle``, which knows what no learner does), a net of 10 hidden tanh units that learns online
    at the best of five rates (``mlp``), and the mean of the values so far (``mean``).

    Args:
        features: Numbers of a point. Filled in from the data.
        hidden: Units.
        layers: LSTM layers.
        lr: Learning rate.
        optimizer: ``adamw``, ``sgd``, ``nesterov``, or the path of a class.
        schedule: Of the learning rate: ``constant``, ``onecycle``, ``cosine``, or another.

    Raises:
        UsageError: an argument is out of its range.
    """

    plot_captions: ClassVar[dict[str, str]] = {
        "learning": "The mean squared error after so many examples of a function that was never "
        "seen before, of the LSTM's state and of other learners.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {"hidden": 16, "lr": 0.02}
    sequences: Tensor

    def __init__(
        self,
        features: int = 2,
        hidden: int = 64,
        layers: int = 1,
        lr: float = 0.003,
        optimizer: str = "adamw",
        schedule: str = "cosine",
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        at_least("hidden", hidden, 1)
        at_least("layers", layers, 1)
        above("lr", lr, 0)
        optim.require_optimizer(optimizer)
        optim.require_schedule(schedule)
        self.features, self.lr, self.optimizer, self.schedule = features, lr, optimizer, schedule
        self.network = MetaNet(features, hidden, layers)
        self.register_buffer("sequences", torch.zeros((), dtype=torch.int64))
        self._batches: list[tuple[Tensor, dict[str, Tensor]]] = []
        self._curves: dict[str, Tensor] = {}

    @property
    def counters(self) -> dict[str, int]:
        """Functions learnt from."""
        return {"sequences": int(self.sequences)}

    @property
    def example_input(self) -> Tensor:
        return torch.linspace(-1, 1, 2 * 7 * (self.features + 1)).reshape(2, 7, -1)

    def forward(self, examples: Tensor) -> Tensor:
        """Values (N, T) of points with the values of the points before, (N, T, features + 1)."""
        told: Tensor = self.network(examples.to(self.network.output.weight.dtype))
        return told

    def tell(self, batch: dict[str, Tensor]) -> Tensor:
        """Values (N, T) of a batch's points."""
        values = batch["values"]
        before = torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], 1)
        told: Tensor = self(torch.cat([batch["points"], before[..., None]], 2))
        return told

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        error = (self.tell(batch) - batch["values"]).square()
        self.sequences += len(error)
        self.log("train/loss", error.detach().mean(), on_step=False, on_epoch=True)
        return error.mean() * 100  # values differ by tenths: Adam's epsilon stays out of it

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        error = (self.tell(batch) - batch["values"]).square().mean()
        self.log("val/mse", error, batch_size=len(batch["values"]), prog_bar=True)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._batches.append((self.tell(batch).cpu(), {k: v.cpu() for k, v in batch.items()}))

    def on_test_epoch_end(self) -> None:
        told = torch.cat([each for each, _ in self._batches])
        points, values = (
            torch.cat([batch[key] for _, batch in self._batches]) for key in ("points", "values")
        )
        self._batches = []
        counts = torch.arange(1, values.shape[1])
        means = torch.cat([values[:, :1] * 0 + 0.5, values.cumsum(1)[:, :-1] / counts], 1)
        others = {
            "lstm": told,
            "mean": means,
            "oracle": online_ridge(points, values),
            "mlp": online_mlp(points, values),
        }
        self._curves = {name: (x - values).square().mean(0) for name, x in others.items()}
        for name, curve in self._curves.items():
            kind = "mse" if name == "lstm" else f"{name}_mse"
            for count in (10, 35, 100):
                if count < len(curve):
                    self.log(f"test/{kind}_{count}", curve[count])
        self.log("test/sequences", self.sequences.float())

    def configure_optimizers(self) -> OptimizerLRScheduler:
        built = optim.optimizer(
            self.optimizer, self.named_parameters(), self.lr, fused=optim.may_fuse(self)
        )
        factor = optim.schedule(self.schedule, optim.total_steps(self.trainer))
        return optim.with_schedule(built, factor)

    def draw_plots(self, batch: dict[str, Tensor]) -> dict[str, Figure]:
        """The learning curves of the test."""
        figure = Figure(figsize=(6, 4), layout="constrained")
        axes = figure.add_subplot(xlabel="examples", ylabel="mean squared error", yscale="log")
        for name, curve in self._curves.items():
            axes.plot(curve.clamp_min(1e-12), label=name)
        axes.legend()
        return {"learning": figure}
