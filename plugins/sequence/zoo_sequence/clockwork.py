"""A clockwork RNN: groups of units that run at their own clocks.

At step t the groups whose period divides t compute

    h_i(t) = tanh(W_i h(t-1) + V_i x(t)),     all others keep h_i(t) = h_i(t-1)

and a group hears itself and slower ones alone: W is upper triangular in blocks, fast groups first.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn

from zoo.plugin import UsageError, above, at_least, one_of, optim
from zoo_sequence.encoders import gate_biases


class ClockworkRNN(nn.Module):
    """The recurrent layer; usable without Lightning.

    Source: Koutnik, Greff, Gomez, Schmidhuber: A Clockwork RNN, ICML 2014 (arXiv:1402.3511),
    section 3.

    Args:
        features: Numbers of a step.
        units: All units. They are divided evenly among the groups, spare ones to the fastest.
        periods: Of the groups, ascending.
        init_std: Deviation of the Gaussian that weights are drawn from.

    Raises:
        UsageError: there are fewer units than groups, or periods that do not ascend.
    """

    mask: Tensor

    def __init__(
        self, features: int, units: int, periods: list[int], init_std: float = 0.1
    ) -> None:
        super().__init__()
        if not periods or periods[0] < 1 or sorted(set(periods)) != periods:
            raise UsageError(f"periods are {periods}: they have to ascend, from 1 or more")
        if units < len(periods):
            raise UsageError(f"there are {units} units for {len(periods)} groups: take more")
        each, spare = divmod(units, len(periods))
        self.periods = list(periods)
        self.sizes = [each + (index < spare) for index in range(len(periods))]
        clocks = torch.repeat_interleave(torch.tensor(periods), torch.tensor(self.sizes))
        mask = (clocks[:, None] <= clocks[None]).float()
        self.register_buffer("mask", mask, persistent=False)
        self.recurrent = nn.Parameter(torch.randn(units, units) * init_std * mask)
        self.input = nn.Parameter(torch.randn(units, features) * init_std)

    def active(self, step: int) -> list[int]:
        """The groups that run at a step, counted from 0: all at the first."""
        return [index for index, period in enumerate(self.periods) if step % period == 0]

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, T, features) to (N, T, units), begun with zeros."""
        weight = (self.recurrent * self.mask).T
        driven = (inputs @ self.input.T).unbind(1)
        ends = torch.tensor(self.sizes).cumsum(0).tolist()
        starts = [0, *ends[:-1]]
        state = driven[0].new_zeros(driven[0].shape)
        outputs = []
        for step, drive in enumerate(driven):
            running = self.active(step)
            last = ends[running[-1]]
            new = torch.addmm(drive[:, :last], state, weight[:, :last]).tanh()
            if len(running) < running[-1] + 1:  # a group below the slowest that runs rests
                rests = torch.ones(last, dtype=torch.bool, device=new.device)
                for group in running:
                    rests[starts[group] : ends[group]] = False
                new = torch.where(rests, state[:, :last], new)
            state = torch.cat([new, state[:, last:]], 1)
            outputs.append(state)
        return torch.stack(outputs, 1)


class WaveNet(nn.Module):
    """A recurrent layer and a linear output; usable without Lightning.

    Args:
        layer: (N, T, features) to (N, T, units), or a pair that begins with it.
        units: Of the layer.
        outputs: Numbers told of a step.
    """

    def __init__(self, layer: nn.Module, units: int, outputs: int) -> None:
        super().__init__()
        self.layer, self.output = layer, nn.Linear(units, outputs)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, T, features) to (N, T, outputs)."""
        found = self.layer(inputs.to(self.output.weight.dtype))
        told: Tensor = self.output(found[0] if isinstance(found, tuple) else found)
        return told


class ClockworkLearner(LightningModule):
    """A clockwork RNN, a simple RNN or an LSTM that learns to tell sequences step by step.

    The loss is half the squared error, summed over the steps and averaged over sequences: with a
    mean over steps the published learning rate does nothing.

    Args:
        features: Numbers of a step. Filled in from the data.
        outputs: Numbers told of a step. Filled in from the data.
        units: Of the hidden layer.
        cell: ``clockwork``, ``rnn`` (tanh) or ``lstm``.
        periods: Of the groups of ``clockwork``; powers of 2 up to 256 if None.
        init_std: Deviation of the Gaussian that all weights are drawn from.
        forget_bias: Initial bias of the forget gates of an ``lstm``.
        lr: Learning rate.
        optimizer: ``nesterov`` (the paper's), ``sgd``, ``adamw``, or the path of a class.
        momentum: Of ``nesterov`` and ``sgd``.

    Raises:
        UsageError: an argument is out of its range.
    """

    not_exportable = "which groups run depends on the step: its loop over time has no fixed length"
    plot_captions: ClassVar[dict[str, str]] = {
        "waves": "The wave, and what the net makes of it.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "units": 9, "periods": [1, 2, 4], "optimizer": "adamw", "lr": 0.02, "init_std": 0.5,
    }  # fmt: skip

    def __init__(
        self,
        features: int = 1,
        outputs: int = 1,
        units: int = 40,
        cell: Literal["clockwork", "rnn", "lstm"] = "clockwork",
        periods: list[int] | None = None,
        init_std: float = 0.1,
        forget_bias: float = 5.0,
        lr: float = 3e-4,
        optimizer: Literal["adamw", "sgd", "nesterov"] | str = "nesterov",
        momentum: float = 0.95,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        at_least("units", units, 1)
        one_of("cell", cell, ("clockwork", "rnn", "lstm"))
        above("lr", lr, 0)
        above("init_std", init_std, 0)
        optim.require_optimizer(optimizer)
        self.features, self.outputs = features, outputs
        self.lr, self.optimizer, self.momentum = lr, optimizer, momentum
        layer: nn.Module
        if cell == "clockwork":
            clocks = [2**power for power in range(9)] if periods is None else periods
            layer = ClockworkRNN(features, units, clocks, init_std)
        else:
            layer = {"rnn": nn.RNN, "lstm": nn.LSTM}[cell](features, units, batch_first=True)
        self.network = WaveNet(layer, units, outputs)
        self._initialize(layer, init_std, forget_bias)
        self._told: list[Tensor] = []
        self._wanted: list[Tensor] = []

    @torch.no_grad()
    def _initialize(self, layer: nn.Module, std: float, forget_bias: float) -> None:
        if not isinstance(layer, ClockworkRNN):
            for parameter in layer.parameters():
                parameter.normal_(0, std)
        if isinstance(layer, nn.LSTM):
            gates = slice(layer.hidden_size, 2 * layer.hidden_size)
            bias, other = gate_biases(layer)
            bias[gates], other[gates] = forget_bias, 0
        self.network.output.weight.normal_(0, std)
        self.network.output.bias.zero_()

    @property
    def example_input(self) -> Tensor:
        return torch.ones(2, 10, self.features)

    def forward(self, inputs: Tensor) -> Tensor:
        """(N, T, features) to (N, T, outputs)."""
        told: Tensor = self.network(inputs)
        return told

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> Tensor:
        error = self(batch["inputs"]) - batch["targets"]
        loss: Tensor = error.square().sum((1, 2)).mean() / 2
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(error))
        return loss

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._keep(batch)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._keep(batch)

    def _keep(self, batch: dict[str, Tensor]) -> None:
        self._told.append(self(batch["inputs"]).flatten())
        self._wanted.append(batch["targets"].flatten())

    def on_validation_epoch_end(self) -> None:
        self.log("val/nmse", self._nmse(), prog_bar=True)

    def on_test_epoch_end(self) -> None:
        self.log("test/nmse", self._nmse())
        self.log("test/weights", float(sum(p.numel() for p in self.parameters())))

    def _nmse(self) -> Tensor:
        """Squared error over the variance of what should come out."""
        told, wanted = torch.cat(self._told), torch.cat(self._wanted)
        self._told, self._wanted = [], []
        error: Tensor = (told - wanted).square().mean() / wanted.var(correction=0)
        return error

    def configure_optimizers(self) -> Any:
        return optim.optimizer(
            self.optimizer,
            self.named_parameters(),
            self.lr,
            momentum=self.momentum,
            fused=optim.may_fuse(self),
        )

    def draw_plots(self, batch: dict[str, Tensor]) -> dict[str, Figure]:
        """The first sequence of a batch."""
        told = self(batch["inputs"])[0].cpu()
        figure = Figure(figsize=(8, 3), layout="constrained")
        axes = figure.add_subplot(xlabel="step")
        axes.plot(batch["targets"][0].cpu(), color="0.3", label="wave")
        axes.plot(told, "--", color="tab:red", label="net")
        axes.legend()
        return {"waves": figure}
