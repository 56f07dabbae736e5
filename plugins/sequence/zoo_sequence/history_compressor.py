"""Neural history compression: a net that predicts, one that learns of its failures, and back.

    for each sequence:
        the automatizer A tells each next symbol; what it did not expect is an event
        the chunker C sees the events alone, with their times, and tells the next one
        A is also taught to tell the state of C at every step: what C found out moves into A

Gradients go back three steps (``depth``) of each net: A alone could not learn a longer lag, and to
C the lag is one event long once A tells all that is local.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MeanMetric

from zoo.plugin import above, at_least, optim, within


class Predictor(nn.Module):
    """A simple recurrent net that tells the next symbol.

    Args:
        inputs: Numbers of a step.
        hidden: Units, tanh.
        symbols: How many there are to tell.
        extra: Linear outputs beside, for distillation.
    """

    def __init__(self, inputs: int, hidden: int, symbols: int, extra: int = 0) -> None:
        super().__init__()
        self.cell = nn.RNNCell(inputs, hidden)
        self.output = nn.Linear(hidden, symbols)
        self.extra = nn.Linear(hidden, extra) if extra else None

    def states(self, inputs: Tensor, depth: int) -> Tensor:
        """States (N, T, hidden) whose gradients go back ``depth`` steps, the own included."""
        count, steps, _ = inputs.shape
        with torch.no_grad():
            state = inputs.new_zeros(count, self.cell.hidden_size)
            past = [state] * depth
            for step in inputs.unbind(1):
                past.append(state := self.cell(step, state))
        padded = F.pad(inputs, (0, 0, depth - 1, 0))
        # For all steps at once: from the state `depth` steps ago.
        state = torch.stack(past[:steps], 1).flatten(0, 1)
        inside = torch.arange(steps, device=inputs.device)
        for offset in range(depth):
            new = self.cell(padded[:, offset : offset + steps].flatten(0, 1), state)
            exists = (inside >= depth - 1 - offset).repeat(count)[:, None]
            state = torch.where(exists, new, state)
        found: Tensor = state.unflatten(0, (count, steps))
        return found


class HistoryCompressor(LightningModule):
    """An automatizer and a chunker on sequences of symbols.

    Source: Schmidhuber: Learning complex, extended sequences using the principle of history
    compression, Neural Computation 4(2), 1992. The paper leaves the threshold of surprise and the
    code of the time open: both are arguments.

    Args:
        symbols: How many there are. Filled in from the data.
        hidden: Units of the automatizer.
        chunker_hidden: Units of the chunker; 0: there is none, and A is a conventional net.
        surprise: What is told with less than this probability is an event.
        time_scale: An event's time goes to the chunker divided by this; 0: it does not.
        distill: Weight of the chunker's state among what the automatizer is taught; 0: not taught.
        depth: Steps that gradients go back.
        lr: Learning rate of Adam.

    Raises:
        UsageError: an argument is out of its range.
    """

    not_exportable = "which steps the chunker sees depends on what the automatizer expects"
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    plot_captions: ClassVar[dict[str, str]] = {
        "events": "Sequences of the test: the probability given to each symbol, by the automatizer "
        "(line) and at events (dots) by the chunker.",
    }
    conformance_arguments: ClassVar[dict[str, Any]] = {"lr": 0.02}
    sequences: Tensor
    automatizer: Predictor
    chunker: Predictor | None

    def __init__(
        self,
        symbols: int,
        hidden: int = 8,
        chunker_hidden: int = 8,
        surprise: float = 0.5,
        time_scale: float = 20.0,
        distill: float = 1.0,
        depth: int = 3,
        lr: float = 0.005,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        at_least("symbols", symbols, 2)
        at_least("hidden", hidden, 1)
        at_least("chunker_hidden", chunker_hidden, 0)
        at_least("depth", depth, 1)
        at_least("distill", distill, 0)
        at_least("time_scale", time_scale, 0)
        within("surprise", surprise, 0, 1)
        above("lr", lr, 0)
        self.symbols, self.surprise, self.time_scale = symbols, surprise, time_scale
        self.distill, self.depth, self.lr = distill, depth, lr
        teach = chunker_hidden if distill else 0
        self.automatizer = Predictor(symbols, hidden, symbols, teach)
        self.chunker = Predictor(symbols + 1, chunker_hidden, symbols) if chunker_hidden else None
        self.register_buffer("sequences", torch.zeros((), dtype=torch.int64))
        self.means = nn.ModuleDict(
            {f"{stage}_{name}": MeanMetric() for stage in ("val", "test") for name in _MEASURED}
        )

    @property
    def counters(self) -> dict[str, int]:
        """Sequences learnt from."""
        return {"sequences": int(self.sequences)}

    @property
    def example_input(self) -> Tensor:
        return torch.arange(2 * 6).reshape(2, 6) % self.symbols

    def forward(self, sequences: Tensor) -> Tensor:
        """Log-probabilities (N, T - 1, symbols) of the second symbol to the last, told by the
        automatizer, and by the chunker where that was surprised.

        Args:
            sequences: int64 (N, T).
        """
        return self.tell(sequences)[0]

    def tell(self, sequences: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """What both tell together, (N, T - 1, symbols); what the automatizer tells, likewise; the
        loss of each sequence (N,); and which symbols were events (N, T)."""
        coded = F.one_hot(sequences, self.symbols).to(self.automatizer.output.weight.dtype)
        states = self.automatizer.states(coded[:, :-1], self.depth)
        own = self.automatizer.output(states).log_softmax(2)
        truth = sequences[:, 1:, None]
        given = own.gather(2, truth)[..., 0]
        expected = given.detach().exp() >= self.surprise
        # The beginning of a sequence is always an event.
        events = torch.cat([torch.ones_like(expected[:, :1]), ~expected], 1)
        loss = -given.sum(1)
        if self.chunker is None:
            return own, own, loss, events
        told, held, chunker_loss = self._chunk(coded, sequences, events)
        if self.automatizer.extra is not None:
            error = self.automatizer.extra(states) - held[:, :-1].detach()
            loss = loss + self.distill * error.square().sum((1, 2))
        together = torch.where(events[:, 1:, None], told[:, :-1], own)
        return together, own, loss + chunker_loss, events

    def _chunk(
        self, coded: Tensor, sequences: Tensor, events: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """At every step: the chunker's next event (N, T, symbols) in logarithms and its state
        (N, T, hidden), as of the last event; and its loss (N,)."""
        assert self.chunker is not None
        count, steps = sequences.shape
        place = events.long().cumsum(1) - 1  # which event a step is in
        # The most there could be, where the host would wait to learn how many there are.
        most = int(place[:, -1].max()) + 1 if coded.device.type == "cpu" else steps
        times = torch.arange(steps, device=coded.device, dtype=coded.dtype).expand(count, -1)
        stamp = times / self.time_scale if self.time_scale else torch.zeros_like(times)
        fed = torch.cat([coded, stamp[..., None]], 2) * events[..., None]
        dense = coded.new_zeros(count, most, self.symbols + 1)
        dense = dense.scatter_add(1, place[..., None].expand_as(fed), fed)
        states = self.chunker.states(dense, self.depth)
        logs = self.chunker.output(states).log_softmax(2)
        wide = place[..., None]
        told = logs.gather(1, wide.expand(-1, -1, self.symbols))
        held = states.gather(1, wide.expand(-1, -1, states.shape[2]))
        # An event is told by the state of the event before it.
        given = told[:, :-1].gather(2, sequences[:, 1:, None])[..., 0]
        return told, held, -(given * events[:, 1:]).sum(1)

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        together, own, loss, events = self.tell(batch)
        self.sequences += len(batch)
        for name, value in _measured(together, own, events, batch).items():
            self.log(f"train/{name}", value.mean(), on_step=True, on_epoch=False)
        self.log("train/loss", loss.detach().mean(), on_step=False, on_epoch=True)
        return loss.mean()

    def validation_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("val", batch)

    def test_step(self, batch: Tensor, batch_idx: int) -> None:
        self._measure("test", batch)

    def _measure(self, stage: str, batch: Tensor) -> None:
        together, own, _, events = self.tell(batch)
        for name, value in _measured(together, own, events, batch).items():
            metric = self.means[f"{stage}_{name}"]
            assert isinstance(metric, MeanMetric)
            metric.update(value)

    def on_validation_epoch_end(self) -> None:
        self._log("val")

    def on_test_epoch_end(self) -> None:
        self._log("test")
        self.log("test/sequences", self.sequences.float())

    def _log(self, stage: str) -> None:
        for name in _MEASURED:
            metric = self.means[f"{stage}_{name}"]
            assert isinstance(metric, MeanMetric)
            self.log(f"{stage}/{name}", metric.compute())
            metric.reset()

    def configure_optimizers(self) -> Any:
        return optim.optimizer(
            "adamw", self.named_parameters(), self.lr, fused=optim.may_fuse(self)
        )

    def draw_plots(self, batch: Tensor) -> dict[str, Figure]:
        """Up to four sequences."""
        together, own, _, events = self.tell(batch[:4])
        truth = batch[:4, 1:, None]
        figure = Figure(figsize=(8, 1.6 * len(truth)), layout="constrained")
        for index in range(len(truth)):
            axes = figure.add_subplot(len(truth), 1, index + 1, ylim=(-0.05, 1.05))
            both = [
                each[index].gather(1, truth[index])[:, 0].exp().cpu() for each in (own, together)
            ]
            axes.plot(range(1, len(both[0]) + 1), both[0], color="0.3")
            places = events[index, 1:].nonzero()[:, 0].cpu()
            axes.plot(places + 1, both[1][places], "o", color="tab:red")
        axes.set_xlabel("step")
        return {"events": figure}


_MEASURED = ("right", "automatizer_right", "events")


def _measured(together: Tensor, own: Tensor, events: Tensor, batch: Tensor) -> dict[str, Tensor]:
    """Of each sequence (N,): whether its last symbol is told, by both nets together and by the
    automatizer alone, and how many events there are behind the first symbol."""
    last = batch[:, -1]
    return {
        "right": (together[:, -1].argmax(1) == last).float(),
        "automatizer_right": (own[:, -1].argmax(1) == last).float(),
        "events": events[:, 1:].float().sum(1),
    }
