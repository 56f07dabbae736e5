"""Evolino: recurrent weights by evolution, the linear readout by the pseudo-inverse.

    for each generation:                          a batch is the number of a generation
      nets = ESP: a cell's weights from each population of cells       zoo_evolution.optimizers
      for each net, all at once:
        run it along the known series; readout = pinv(states) targets    solved_readouts
        go on alone, each step told the next input, over steps not fitted   EvolinoNet.go_on
        fitness = - log10 of the error there
      ESP breeds from the best cells of each population
    the best net's readout is solved for once more, on all known steps

Source: Schmidhuber, Wierstra, Gagliolo, Gomez: Training Recurrent Networks by Evolino, Neural
Computation 19(3), 2007; enforced sub-populations: Gomez, Miikkulainen, IJCAI 1999.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn

from zoo.plugin import (
    MissingDependencyError,
    UsageError,
    above,
    at_least,
    install_hint,
    one_of,
    plots,
    require,
)
from zoo_sequence.csv_files import read_steps

if TYPE_CHECKING:
    from zoo_evolution.optimizers import Optimizer

State = tuple[Tensor, Tensor]
"""Outputs and inner states of the cells, each (nets, cells)."""
_SEARCHES = ("esp", "random")


class EvolinoNet:
    """Nets of LSTM cells, run side by side in float64.

        i, f, o = s(net_i), s(net_f), s(net_o);  c(t) = f c(t-1) + i tanh(net_c);  h = o tanh(c(t))
        net(t) = W [b x(t); 1; h(t-1)]

    Args:
        weights: (nets, 4, cells, channels + 1 + cells): of input, forget and output gates and of
            the cells' inputs, in that order.
        channels: Numbers of a step.
        input_scale: b: of what is seen.
    """

    def __init__(self, weights: Tensor, channels: int, input_scale: float = 1.0) -> None:
        nets, _, self.cells, width = weights.shape
        rows = weights.reshape(nets, 4 * self.cells, width)
        self._into = input_scale * rows[..., :channels].transpose(1, 2)
        self._bias = rows[..., channels][:, None]
        self._inner = rows[..., channels + 1 :].transpose(1, 2)
        self.nets = nets

    def start(self) -> State:
        """The state before a series: zeros."""
        zeros = self._bias.new_zeros(self.nets, self.cells)
        return zeros, zeros

    def step(self, inputs: Tensor, state: State) -> State:
        """The state after a step (nets, channels)."""
        outputs, inner = state
        drive = self._bias + inputs[:, None] @ self._into
        nets = torch.baddbmm(drive, outputs[:, None], self._inner)[:, 0]
        gates, told = nets[:, : 3 * self.cells].sigmoid(), nets[:, 3 * self.cells :].tanh()
        enter, keep, leave = gates.chunk(3, 1)
        inner = keep * inner + enter * told
        return leave * inner.tanh(), inner

    def follow(self, series: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """States along a series that is seen.

        Args:
            series: (T, channels), which all nets see.
            state: Before its first step; zeros if None.

        Returns:
            The cells' outputs after each step, (nets, T, cells), and the state after the last.
        """
        state = self.start() if state is None else state
        found = []
        for step in series:
            state = self.step(step.expand(self.nets, -1), state)
            found.append(state[0])
        return torch.stack(found, 1), state

    def go_on(self, readouts: Tensor, state: State, steps: int) -> tuple[Tensor, State]:
        """What the nets tell without seeing more: (nets, steps, channels), and the state that the
        step after the last is told from.

        Args:
            readouts: (nets, cells + 1, channels).
            state: After the last step that is known.
            steps: How many.
        """
        found = []
        for _ in range(steps):
            told = (with_one(state[0])[:, None] @ readouts)[:, 0]
            found.append(told)
            state = self.step(told, state)
        return torch.stack(found, 1), state


def with_one(states: Tensor) -> Tensor:
    """States and a 1, which the readout sees."""
    return torch.cat([states, states.new_ones(*states.shape[:-1], 1)], -1)


def solved_readouts(states: Tensor, targets: Tensor, penalty: float = 0.0) -> Tensor:
    """The readouts of least squared error, those of least weights among several: pinv(S) Y.

    Args:
        states: S, with its column of ones, float64 (nets, T, D).
        targets: Y, float64 (T, channels).
        penalty: Of the squared weights, as further rows; 0 is the pseudo-inverse itself.

    Returns:
        (nets, D, channels). NaN for a net whose states are not finite.
    """
    nets, _, width = states.shape
    wanted = targets.expand(nets, -1, -1)
    if penalty:
        rows = penalty**0.5 * torch.eye(width, dtype=states.dtype, device=states.device)
        states = torch.cat([states, rows.expand(nets, -1, -1)], 1)
        wanted = torch.cat([wanted, wanted.new_zeros(nets, width, wanted.shape[2])], 1)
    finite = states.isfinite().all(2).all(1)[:, None, None]
    # By singular values: the states of small weights nearly depend on each other.
    found: Tensor = torch.linalg.pinv(states.where(finite, 0.0)) @ wanted
    return found.where(finite, torch.nan)


def nmse(told: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over the variance of the truth, of each net.

    Args:
        told: (nets, T, channels).
        truth: (T, channels).
    """
    error: Tensor = (told - truth).square().mean((1, 2)) / truth.var(0, correction=0).mean()
    return error


class Evolino(LightningModule):
    """Evolution of recurrent LSTMs with optimal linear outputs: goes on with a series alone.

    Experimental: it needs ``zoo-evolution`` for its training. ``random`` is its control: the best
    of as many nets that are drawn, where nothing is bred. Source: see ``zoo_sequence.evolino``.

    Args:
        channels: Numbers of a step. Filled in from the data.
        cells: LSTM cells, each with a population of its own.
        search: ``esp`` or ``random``.
        population: Cells in each population (of ``random``: nets of a generation, by trials).
        trials: Nets that each cell is in, a generation.
        input_scale: Factor on what the cells see of the series, seen or told. With 0.001 cells are
            all but linear, and nets as they are drawn go on with a few sines; with 1 few do.
        spread: Weights begin evenly from minus to plus this.
        mutation_rate: The share of a child's weights that get noise.
        mutation_scale: Of the Cauchy noise on weights.
        patience: Generations without a better net before populations are drawn anew around it.
        washout: First steps, on which no readout is fitted.
        alone: Last steps of the training, which are not fitted: the fitness is the error there of a
            net that goes on alone. 0 takes the error of the fit itself, as in 2005.
        penalty: Of the readout's squared weights; 0 is the pseudo-inverse.

    Raises:
        UsageError: an argument is out of its range.
    """

    automatic_optimization = False
    row_name = "step"
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    not_exportable = "its states are a loop over time; take the model from Python by zoo.load"
    plot_captions: ClassVar[dict[str, str]] = {
        "continuation": "The series behind the training, and what the net tells of it alone.",
        "search": "The error of the best net so far over the nets that were evaluated.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {
        "cells": 3, "population": 4, "trials": 1, "washout": 5, "alone": 5,
    }  # fmt: skip
    conformance_exempt: ClassVar[dict[str, str]] = {
        "overfits-one-batch": "a batch is a generation of a search: no loss falls with each",
    }
    readout: Tensor
    evaluations: Tensor
    last_outputs: Tensor
    last_inner: Tensor

    def __init__(
        self,
        channels: int,
        cells: int = 10,
        search: Literal["esp", "random"] = "esp",
        population: int = 20,
        trials: int = 4,
        input_scale: float = 0.1,
        spread: float = 1.0,
        mutation_rate: float = 0.4,
        mutation_scale: float = 0.1,
        patience: int = 20,
        washout: int = 100,
        alone: int = 100,
        penalty: float = 0.0,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        one_of("search", search, _SEARCHES)
        for name, value in (("cells", cells), ("trials", trials), ("patience", patience)):
            at_least(name, value, 1)
        at_least("population", population, 4)
        above("input_scale", input_scale, 0)
        above("spread", spread, 0)
        above("mutation_scale", mutation_scale, 0)
        for name, number in (("washout", washout), ("alone", alone), ("penalty", penalty)):
            at_least(name, number, 0)
        self.channels, self.washout, self.alone, self.penalty = channels, washout, alone, penalty
        self.shape = (4, cells, channels + 1 + cells)
        first = spread * (2 * torch.rand(self.shape, dtype=torch.float64) - 1)
        self.weights = nn.Parameter(first, requires_grad=False)
        for name, size in (("last_outputs", (1, cells)), ("last_inner", (1, cells))):
            self.register_buffer(name, torch.zeros(size, dtype=torch.float64))
        self.register_buffer("readout", torch.zeros(cells + 1, channels, dtype=torch.float64))
        self.register_buffer("evaluations", torch.zeros((), dtype=torch.int64))
        self._search: Optimizer | None = None
        self._resumed: dict[str, Any] | None = None
        self._history: list[tuple[int, float]] = []

    @property
    def counters(self) -> Mapping[str, int]:
        """Nets evaluated."""
        return {"evaluations": int(self.evaluations)}

    @property
    def example_input(self) -> Tensor:
        return torch.linspace(-1, 1, 2 * 7 * self.channels).reshape(2, 7, self.channels)

    @property
    def net(self) -> EvolinoNet:
        """The net of the weights, alone."""
        return self._nets(self.weights.double()[None])

    def _nets(self, weights: Tensor) -> EvolinoNet:
        return EvolinoNet(weights, self.channels, self.hparams["input_scale"])

    def forward(self, series: Tensor) -> Tensor:
        """The next step at each step (N, T, channels) of series (N, T, channels)."""
        found = [self._tell(self.net.follow(each.double())[0]) for each in series]
        return torch.cat(found).to(series.dtype)

    def _tell(self, states: Tensor) -> Tensor:
        return with_one(states) @ self.readout.double()

    # The search

    def make_search(self, seed: int) -> Optimizer:
        """The optimizer of the genomes, which are all weights of a net.

        Raises:
            MissingDependencyError: zoo-evolution is not installed.
        """
        try:
            from zoo_evolution.optimizers import Esp, RandomSearch
        except ModuleNotFoundError as error:
            raise MissingDependencyError(
                f"evolino is trained by zoo-evolution, and {error.name} is not installed: "
                + install_hint("zoo-sequence[evolution]")
            ) from error
        given, start = self.hparams, torch.zeros(self.weights.numel(), dtype=torch.float64)
        if given["search"] == "random":
            return RandomSearch(start, given["population"] * given["trials"], seed, given["spread"])
        # A cell's weights are those of its three gates and of its own input.
        places = torch.arange(len(start)).reshape(self.shape).transpose(0, 1).flatten(1)
        return Esp(
            start,
            places,
            population=given["population"],
            trials=given["trials"],
            seed=seed,
            spread=given["spread"],
            mutation_rate=given["mutation_rate"],
            mutation_scale=given["mutation_scale"],
            patience=given["patience"],
        )

    def setup(self, stage: str) -> None:
        """Refuse a training that could fit nothing, and begin the search.

        Raises:
            UsageError: washout and steps alone leave too few steps.
            MissingDependencyError: zoo-evolution is not installed.
        """
        if stage != "fit":
            return
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        steps, fitted = data.train_steps, data.train_steps - self.washout - self.alone - 1
        require(
            fitted >= 2,
            f"the training has {steps} steps, washout takes {self.washout} and alone {self.alone} "
            "of them: lower them, so that a readout can be fitted on the rest",
        )
        self._search = self.make_search(int(data.seed))

    def on_fit_start(self) -> None:
        """Continue the search of a resumed run."""
        if self._resumed is not None:
            assert self._search is not None
            self._search.load_state_dict(self._resumed)
            self._resumed = None

    def configure_optimizers(self) -> None:
        return None

    @torch.no_grad()
    def training_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        search = self._search
        assert search is not None
        genomes = search.ask()
        errors = self.errors(genomes.reshape(-1, *self.shape).to(self.device), batch["series"][0])
        before = search.best_fitness
        search.tell(-errors.log10())
        self.evaluations += len(genomes)
        best = 10**-search.best_fitness
        if search.best_fitness > before:
            self.weights.copy_(search.best.reshape(self.shape))
            self._settle(batch["series"][0])
        self._history.append((int(self.evaluations), best))
        self.log("train/nmse", errors.nan_to_num(1e9).median(), batch_size=1)
        self.log("train/best_nmse", best, on_step=True, batch_size=1, prog_bar=True)

    def errors(self, weights: Tensor, series: Tensor) -> Tensor:
        """What each net is judged by, (nets,): the NMSE of the steps that it tells alone, or of the
        fit where ``alone`` is 0.

        Args:
            weights: (nets, 4, cells, channels + 1 + cells).
            series: The known series, (T, channels).
        """
        nets = self._nets(weights)
        end = len(series) - self.alone
        states, state = nets.follow(series[:end])
        seen, wanted = with_one(states[:, self.washout : -1]), series[self.washout + 1 : end]
        readouts = solved_readouts(seen, wanted, self.penalty)
        if not self.alone:
            return nmse(seen @ readouts, wanted).clamp_min(1e-30)
        told, _ = nets.go_on(readouts, state, self.alone)
        return nmse(told, series[end:]).clamp_min(1e-30)

    @torch.no_grad()
    def _settle(self, series: Tensor) -> None:
        """Solve for the readout on all known steps, and keep the state behind them."""
        states, last = self.net.follow(series.double())
        seen = with_one(states[:, self.washout : -1])
        wanted = series[self.washout + 1 :].double()
        self.readout.copy_(solved_readouts(seen, wanted, self.penalty)[0])
        self.last_outputs.copy_(last[0])
        self.last_inner.copy_(last[1])

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """The search."""
        if self._search is not None:
            state = self._resumed or self._search.state_dict()
            checkpoint["search"], checkpoint["history"] = state, list(self._history)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the search."""
        self._resumed = checkpoint.get("search")
        self._history = list(checkpoint.get("history", []))

    # Measuring

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> None:
        known = int(batch["known"][0])
        told = self.continuation(batch["series"][0, :known], batch["series"].shape[1] - known)
        error = nmse(told[None], batch["series"][0, known:].double())[0]
        self.log("test/nmse", error.float(), batch_size=1)
        self.log("test/evaluations", self.evaluations.float(), batch_size=1)

    @torch.no_grad()
    def continuation(self, series: Tensor, steps: int) -> Tensor:
        """What the net tells alone behind a series (T, channels): float64 (steps, channels)."""
        _, state = self.net.follow(series.double())
        return self.net.go_on(self.readout.double()[None], state, steps)[0][0]

    def draw_plots(self, batch: dict[str, Tensor]) -> dict[str, Figure]:
        """The continuation of the test, and the search, if it was made here."""
        known = int(batch["known"][0])
        truth = batch["series"][0, known:].cpu()
        told = self.continuation(batch["series"][0, :known], len(truth)).cpu()
        figure = Figure(figsize=(9, 3), layout="constrained")
        axes = figure.add_subplot(xlabel="steps behind the training")
        axes.plot(truth[:, 0], color="0.2", label="series")
        axes.plot(told[:, 0], "--", color="tab:red", label="told alone")
        axes.legend()
        return {"continuation": figure, **self._search_plot()}

    def _search_plot(self) -> dict[str, Figure]:
        if not self._history:
            return {}
        figure = Figure(figsize=(6, 3), layout="constrained")
        axes = figure.add_subplot(xlabel="nets evaluated", ylabel="error", yscale="log")
        axes.plot(*zip(*self._history, strict=True))
        return {"search": figure}

    # What `zoo predict` asks for

    input_suffixes = (".csv",)

    def read_file(self, path: Path) -> Tensor:
        """A series, a step a line: float32 (T, channels).

        Raises:
            UsageError: it is not one.
        """
        return read_steps(path, self.channels)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The next step at each step (N, T, channels)."""
        told: Tensor = self(batch if isinstance(batch, Tensor) else batch["series"])
        return told

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """The step after the last."""
        return {"next": [round(float(value), 6) for value in output[-1]]}

    @torch.no_grad()
    def produce(
        self, folder: Path | None, *, steps: int = 100, seed: int = 0
    ) -> list[dict[str, Any]]:
        """Go on where the training's series ended, each step told becoming the next input.

        Args:
            folder: Where to draw the continuation; None: it is not drawn.
            steps: How many.
            seed: Nothing is drawn.
        """
        at_least("steps", steps, 1)
        if not bool(self.readout.any()):
            raise UsageError("this model is not trained: its readout is 0; train it first")
        state = (self.last_outputs.double(), self.last_inner.double())
        rows = self.net.go_on(self.readout.double()[None], state, steps)[0][0].cpu()
        if folder is not None:
            figure = Figure(figsize=(9, 3), layout="constrained")
            figure.add_subplot(xlabel="step").plot(rows)
            plots.save(figure, folder / "continuation.png")
        if self.channels == 1:
            return [{"value": float(row[0])} for row in rows]
        return [{"values": row.tolist()} for row in rows]
