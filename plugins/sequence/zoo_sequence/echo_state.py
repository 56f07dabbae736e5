"""Echo state networks: fitted in one pass, in closed form, as a stream.

for each batch:                     S the states of the reservoirs, Y what they should tell
    squares  += S' S,  products += S' Y
readout = (squares + penalty I)^-1 products
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor
from torchmetrics import MeanMetric, SumMetric

from zoo.plugin import UsageError, above, at_least, one_of, plots, within
from zoo_sequence.csv_files import read_steps
from zoo_sequence.reservoir import Reservoirs, at_support, ridge


class EchoState(LightningModule):
    """Reservoirs that are not trained and readouts that are solved for.

    Of data with classes a readout sees the states at some points of each series, and the members
    of an ensemble vote by the sum of their outputs; of one series each step's state tells the next
    value, and the members' mean counts.

    Source: see ``zoo_sequence.reservoir``.

    Args:
        channels: Numbers of a step. Filled in from the data.
        mean: Of each channel. Filled in from the data.
        std: Deviation of each channel. Filled in from the data.
        num_classes: Classes of the series. Filled in from the data; None tells the next step.
        label_names: The classes. Filled in from the data.
        units: Of each reservoir.
        members: Reservoirs of the ensemble.
        spectral_radius: Of each.
        leak: How much of a unit's state is new at each step, from above 0 to 1.
        input_scale: Of the weights of inputs and bias.
        density: Share of the recurrent weights that are not 0.
        penalty: Of the ridge regression; it has to grow with ``units`` (and with the data).
        support: Points of each series whose states the readout of a class sees.
        readout: ``linear``: of states, inputs and 1; ``squares``: of the squared states too.
        washout: First steps of a series that do not count, of data without classes.
        standardize: Bring each channel to mean 0 and deviation 1 first.

    Raises:
        UsageError: an argument is out of its range.
    """

    automatic_optimization = False
    trainer_defaults: ClassVar[dict[str, Any]] = {"max_epochs": 1, "num_sanity_val_steps": 0}
    row_name = "step"
    not_exportable = "its states are a loop over time; take the model from Python by zoo.load"
    plot_captions: ClassVar[dict[str, str]] = {
        "confusion": "True classes from top to bottom, what was told from left to right.",
        "forecast": "A piece of the test: the series, and each value told one step before.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {"units": 12, "penalty": 1e-3}
    conformance_exempt: ClassVar[dict[str, str]] = {
        "overfits-one-batch": "it is solved for in one pass: there is no loss that falls",
        "plots": "the confusions of its plot are those of a test, which the check does not make",
        "produces": "of data with classes it names them, and goes on with one series alone",
    }
    readout: Tensor
    last_state: Tensor
    last_step: Tensor
    mean: Tensor
    std: Tensor
    squares: Tensor
    products: Tensor

    def __init__(
        self,
        channels: int,
        mean: list[float] | None = None,
        std: list[float] | None = None,
        num_classes: int | None = None,
        label_names: list[str] | None = None,
        units: int = 100,
        members: int = 1,
        spectral_radius: float = 0.9,
        leak: float = 0.9,
        input_scale: float = 0.5,
        density: float = 1.0,
        penalty: float = 1e-6,
        support: int = 3,
        readout: Literal["linear", "squares"] = "linear",
        washout: int = 100,
        standardize: bool = True,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        for name, value in (("units", units), ("members", members), ("support", support)):
            at_least(name, value, 1)
        for name, number in (("spectral_radius", spectral_radius), ("penalty", penalty)):
            above(name, number, 0)
        above("leak", leak, 0)
        within("leak", leak, 0, 1)
        above("density", density, 0)
        within("density", density, 0, 1)
        at_least("washout", washout, 0)
        one_of("readout", readout, ("linear", "squares"))
        self.channels, self.num_classes, self.label_names = channels, num_classes, label_names
        self.penalty, self.support, self.kind, self.washout = penalty, support, readout, washout
        self.register_buffer("mean", torch.tensor(mean or [0.0] * channels), persistent=False)
        self.register_buffer("std", torch.tensor(std or [1.0] * channels), persistent=False)
        self.standardize = standardize
        self.reservoirs = Reservoirs(
            channels, units, members, spectral_radius, leak, input_scale, density
        )
        width = units * (2 if readout == "squares" else 1) + channels
        features = width * (support if num_classes else 1) + 1
        outputs = num_classes or channels
        self.register_buffer("readout", torch.zeros(members, features, outputs))
        self.register_buffer("last_state", torch.zeros(members, 1, units))
        self.register_buffer("last_step", torch.zeros(1, channels))
        sums = {"squares": (features, features), "products": (features, outputs)}
        for name, shape in sums.items():
            zeros = torch.zeros(members, *shape, dtype=torch.float64)
            self.register_buffer(name, zeros, persistent=False)
        self.steps = 0
        self._state: Tensor | None = None
        self._passed = 0
        self._kept: tuple[Tensor | None, int] = (None, 0)
        self._told: list[tuple[Tensor, Tensor]] = []
        for stage in ("val", "test"):
            setattr(self, f"{stage}_error", MeanMetric())
            setattr(self, f"{stage}_wrong", SumMetric())
        self._confusion: Tensor | None = None

    @property
    def counters(self) -> dict[str, int]:
        """Steps of series that were summed up."""
        return {"steps": self.steps}

    @property
    def example_input(self) -> Tensor:
        return torch.linspace(-1, 1, 2 * 9 * self.channels).reshape(2, 9, self.channels)

    def features(self, series: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What a readout sees at each step, without the 1, and the last states.

        Args:
            series: float (N, T, channels), as they were measured.
            state: (members, N, units) before the first step.

        Returns:
            (members, N, T, D) and (members, N, units).
        """
        series = series.to(self.reservoirs.inner.dtype)
        if self.standardize:
            series = (series - self.mean) / self.std
        states = self.reservoirs(series, state)
        inputs = series.expand(len(states), *series.shape)
        seen = [states, states.square()] if self.kind == "squares" else [states]
        return torch.cat([*seen, inputs], 3), states[:, :, -1]

    def forward(self, series: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Votes (N, num_classes), or the next step at each step (N, T, channels).

        Args:
            series: (N, T, channels).
            lengths: int64 (N,) of series with classes; None where all are T long.
        """
        seen, _ = self.features(series)
        if not self.num_classes:
            return self._tell(seen)
        if lengths is None:
            lengths = torch.full((len(series),), series.shape[1], device=series.device)
        return self._vote(at_support(seen, lengths, self.support))

    def _vote(self, seen: Tensor) -> Tensor:
        return torch.einsum("mnd,mdk->nk", _with_one(seen), self.readout) / len(seen)

    def _tell(self, seen: Tensor) -> Tensor:
        told = torch.einsum("mntd,mdk->ntk", _with_one(seen), self.readout) / len(seen)
        return told * self.std + self.mean if self.standardize else told

    # Fitting

    def on_train_epoch_start(self) -> None:
        """A pass sums up from nothing."""
        self.squares.zero_()
        self.products.zero_()
        self._state, self._passed = None, 0

    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        if self.num_classes:
            seen, _ = self.features(batch["series"])
            rows = at_support(seen, batch["lengths"], self.support)
            wanted = F.one_hot(batch["labels"], self.num_classes)
            self.add(rows, wanted)
            self.steps += int(batch["lengths"].sum())
        else:
            self.add_series(batch["series"], batch["targets"])

    @torch.no_grad()
    def add(self, rows: Tensor, wanted: Tensor) -> None:
        """Add rows (members, N, D), and what the readout should make of them, (N, K)."""
        rows, wanted = _with_one(rows).double(), wanted.double()
        self.squares += rows.transpose(1, 2) @ rows
        self.products += rows.transpose(1, 2) @ wanted

    @torch.no_grad()
    def add_series(self, series: Tensor, targets: Tensor) -> None:
        """Add the next piece (1, T, channels) of a series and the steps after to the sums: the
        sums of pieces are those of the whole."""
        seen, self._state = self.features(series, self._state)
        left = max(0, self.washout - self._passed)
        self._passed += series.shape[1]
        self.steps += series.shape[1]
        wanted = (targets - self.mean) / self.std if self.standardize else targets
        self.add(seen[:, 0, left:], wanted[0, left:])
        self.last_state.copy_(self._state)
        self.last_step.copy_(targets[0, -1:])

    def solve(self) -> None:
        """Set the readout by the sums so far."""
        self.readout.copy_(ridge(self.squares, self.products, self.penalty))

    def on_train_epoch_end(self) -> None:
        self.solve()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The sums, which no bundle needs."""
        state = None if self._state is None else self._state.clone()
        checkpoint["sums"] = {
            "squares": self.squares.clone(),
            "products": self.products.clone(),
            "state": state,
            "passed": self._passed,
            "steps": self.steps,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue with the sums."""
        sums = checkpoint["sums"]
        self.squares.copy_(sums["squares"])
        self.products.copy_(sums["products"])
        self._state, self._passed, self.steps = sums["state"], sums["passed"], sums["steps"]

    def configure_optimizers(self) -> None:
        return None

    # Measuring

    def on_validation_epoch_start(self) -> None:
        # In training a validation comes before the end of its epoch, and after all of its batches.
        if self.trainer.state.fn == "fit" and not self.trainer.sanity_checking:
            self.solve()
        self._begin()

    def on_test_epoch_start(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._kept = (self._state, self._passed)
        self._state, self._passed, self._told = None, 0, []
        classes = self.num_classes or 0
        self._confusion = torch.zeros(classes, classes, dtype=torch.int64)

    def validation_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        self._measure("test", batch)

    def _measure(self, stage: str, batch: dict[str, Tensor]) -> None:
        if self.num_classes:
            told = self(batch["series"], batch["lengths"]).argmax(1)
            wrong = (told != batch["labels"]).float()
            getattr(self, f"{stage}_error").update(wrong)
            getattr(self, f"{stage}_wrong").update(wrong)
            pairs = batch["labels"] * self.num_classes + told
            counts = pairs.cpu().bincount(minlength=self.num_classes**2)
            assert self._confusion is not None
            self._confusion += counts.reshape(self._confusion.shape)
            return
        told, self._state = self.follow(batch["series"], self._state)
        left = max(0, self.washout - self._passed)
        self._passed += told.shape[1]
        self._told.append((told[0, left:].cpu(), batch["targets"][0, left:].cpu()))

    def follow(self, series: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The next steps told (1, T, channels) along a piece of a series, and the state after."""
        seen, state = self.features(series, state)
        return self._tell(seen), state

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def on_test_epoch_end(self) -> None:
        self._log("test")

    def _log(self, stage: str) -> None:
        self._state, self._passed = self._kept
        if not self.num_classes:
            self.log(f"{stage}/nmse", self._nmse(), prog_bar=True)
            return
        for name in ("error", "wrong"):
            metric = getattr(self, f"{stage}_{name}")
            self.log(f"{stage}/{name}", metric.compute(), prog_bar=name == "error")
            metric.reset()

    def _nmse(self) -> Tensor:
        """Squared error over the variance of what was to be told, behind the washout."""
        told, targets = (torch.cat(each).double() for each in zip(*self._told, strict=True))
        if len(targets) < 2:
            raise UsageError(
                f"no step of this part is behind the washout of {self.washout} steps: take more "
                "steps, or a smaller model.washout"
            )
        variance = targets.var(0, correction=0).mean()
        return ((told - targets).square().mean() / variance).float()

    def draw_plots(self, batch: dict[str, Tensor]) -> dict[str, Figure]:
        """Confusions of the test, or a piece of it."""
        if self.num_classes:
            if self._confusion is None:
                return {}
            names = self.label_names or [str(index) for index in range(self.num_classes)]
            return {"confusion": plots.confusion_matrix(self._confusion.numpy(), names)}
        told, _ = self.follow(batch["series"])
        if self.washout < told.shape[1]:
            told[:, : self.washout] = torch.nan  # nothing is measured there either
        figure = Figure(figsize=(9, 3), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(batch["targets"][0, :, 0].cpu(), color="0.2", label="series")
        axes.plot(told[0, :, 0].cpu(), "--", color="tab:red", label="told one step before")
        axes.set_xlabel("step")
        axes.legend()
        return {"forecast": figure}

    # What `zoo predict` asks for

    input_suffixes = (".csv",)

    def read_file(self, path: Path) -> Tensor:
        """A series, a step a line: float32 (T, channels).

        Raises:
            UsageError: it is not one.
        """
        return read_steps(path, self.channels)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """What ``forward`` tells of series (N, T, channels) or of a batch of the data."""
        series, lengths = (
            (batch, None) if isinstance(batch, Tensor) else (batch["series"], batch.get("lengths"))
        )
        told: Tensor = self(series, lengths)
        return told

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """The class and its vote, or the step after the last."""
        if not self.num_classes:
            return {"next": [round(float(value), 6) for value in output[-1]]}
        best = int(output.argmax())
        names = self.label_names or [str(index) for index in range(self.num_classes)]
        return {"label": names[best], "vote": round(float(output[best]), 4)}

    def produce(
        self, folder: Path | None, *, steps: int = 100, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Go on where the training's series ended, each step told becoming the next input.

        Args:
            folder: Where to draw the continuation; None: it is not drawn.
            steps: How many.
            seed: Nothing is drawn.
        """
        if self.num_classes:
            raise UsageError("this model names classes of series: give it files, a step a line")
        at_least("steps", steps, 1)
        state, step = self.last_state, self.last_step[None]
        told = []
        for _ in range(steps):
            step, state = self.follow(step, state)
            told.append(step[0, 0])
        rows = torch.stack(told).cpu()
        if folder is not None:
            figure = Figure(figsize=(9, 3), layout="constrained")
            figure.add_subplot().plot(rows)
            plots.save(figure, folder / "continuation.png")
        if self.channels == 1:
            return [{"value": float(row[0])} for row in rows]
        return [{"values": row.tolist()} for row in rows]


def _with_one(rows: Tensor) -> Tensor:
    return torch.cat([rows, rows.new_ones(*rows.shape[:-1], 1)], -1)
