"""The fast weight programmer of 1991 on the flip-flop task, learning on-line.

At every event the fast net answers; the slow net's weights follow the exact gradient of the present
squared error through the whole history of writings, by one step of Adam; then it writes the fast
weights. Nothing is ever reset. It is solved once the error has stayed within 0.05 for 100 events.

Source: Schmidhuber: Learning to Control Fast-Weight Memories, Neural Computation 4(1), 1992,
section 4.1; see ``layers.programmer_1992``. Adam stands for the paper's gradient descent with its
rate.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import above, at_least, one_of, rank_zero_print
from zoo_fastweights.data.flip_flop import EVENTS
from zoo_fastweights.layers.programmer_1992 import FastProgrammer, Interface
from zoo_fastweights.plots import line_picture

TOLERANCE = 0.05


class FlipFlop1992(LightningModule):
    """S, F, the stream of events and when it is solved.

    ``test/steps`` is the event with which the task was solved, or all that were seen where
    ``test/solved`` is 0; ``test/accuracy`` is the share of answers within 0.05 in another stream,
    with the slow weights as they are.

    Args:
        events: Numbers of an event. Filled in from the data.
        interface: ``direct``, an output for each fast weight, or ``from-to``, outer products.
        slope: Of the sigmoid that bounds the fast weights.
        in_a_row: Events within 0.05 with which the task counts as solved.
        lr: Learning rate of Adam.

    Raises:
        UsageError: an argument is out of its range.
    """

    head: tuple[str, ...] = ()
    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    not_exportable = "it is a stream with weights that its own answers change"
    conformance_exempt: ClassVar[dict[str, Any]] = {
        "overfits-one-batch": "a batch is a piece of a stream, which has no meaning by itself",
    }
    plot_captions: ClassVar[dict[str, Any]] = {
        "stream": "Answers and fast weights over 60 events of the test's stream."
    }

    fast: Tensor
    sensitivity: Tensor
    right_in_a_row: Tensor
    seen: Tensor
    solved_at: Tensor

    def __init__(
        self,
        events: int = 3,
        interface: Interface = "direct",
        slope: float = 10.0,
        in_a_row: int = 100,
        lr: float = 0.05,
    ) -> None:
        super().__init__()
        one_of("interface", interface, ("direct", "from-to"))
        above("slope", slope, 0)
        above("lr", lr, 0)
        at_least("in_a_row", in_a_row, 1)
        self.save_hyperparameters()
        self.automatic_optimization = False
        self.lr, self.in_a_row, self.events = lr, in_a_row, events
        self.programmer = FastProgrammer(events, 1, interface, slope)
        self.register_buffer("seen", torch.zeros((), dtype=torch.long))
        self.register_buffer("fast", self.programmer.start())
        self.register_buffer("sensitivity", self.programmer.start_sensitivity())
        self.register_buffer("right_in_a_row", torch.zeros((), dtype=torch.long))
        self.register_buffer("solved_at", torch.zeros((), dtype=torch.long))

    @property
    def counters(self) -> dict[str, int]:
        """Events that were learned from."""
        return {"events": int(self.seen)}

    @property
    def example_input(self) -> Tensor:
        return torch.eye(self.events)[:2]

    def forward(self, events: Tensor) -> Tensor:
        """Answers (N,) of the present fast weights to events (N, 3); they stay as they are."""
        return (events @ self.fast.T)[:, 0]

    def answers(self, events: Tensor) -> tuple[Tensor, Tensor]:
        """Answers (T,) to a stream (T, 3) from its beginning, and the fast weights (T, 3) that gave
        them; the slow weights stay as they are."""
        fast, answers, held = self.programmer.start().to(events), [], []
        for x in events:
            answers.append(self.programmer.read(x, fast)[0])
            held.append(fast[0])
            fast = self.programmer(x, fast)
        return torch.stack(answers), torch.stack(held)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        losses = []
        for x, target in zip(*batch, strict=True):
            if self.solved_at:
                break
            losses.append(self.learn(x, target, self.optimizers()))
        if losses:
            self.log("train/loss", torch.stack(losses).mean(), on_step=True, on_epoch=False)
        if self.solved_at and not self.trainer.should_stop:
            rank_zero_print(f"solved at event {int(self.solved_at)}")
            self.trainer.should_stop = True

    def learn(self, x: Tensor, target: Tensor, optimizer: Any) -> Tensor:
        """Answer an event, learn from it, write; half the squared error ().

        Args:
            x: The event (3,), one-hot.
            target: What the answer should have been, ().
            optimizer: Of the slow weights.
        """
        error = self.programmer.read(x, self.fast) - target
        within = bool(error.abs().max() <= TOLERANCE)
        self.right_in_a_row.copy_((self.right_in_a_row + 1) * within)
        self.seen += 1
        if self.right_in_a_row >= self.in_a_row:
            self.solved_at.copy_(self.seen)
        weight = self.programmer.slow.weight
        weight.grad = self.programmer.error_gradient(error, x, self.sensitivity)
        optimizer.step()
        fast, sensitivity = self.programmer.write(x, self.fast, self.sensitivity)
        self.fast.copy_(fast)
        self.sensitivity.copy_(sensitivity)
        return 0.5 * error.square().sum()

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._test = [*getattr(self, "_test", []), batch] if batch_idx else [batch]

    def on_test_epoch_end(self) -> None:
        events, targets = (torch.cat(parts) for parts in zip(*self._test, strict=True))
        answers, _ = self.answers(events)
        errors = (answers - targets).abs()
        self.log("test/accuracy", (errors <= TOLERANCE).float().mean())
        self.log("test/error", errors.mean())
        self.log("test/solved", (self.solved_at > 0).float())
        steps = self.solved_at if self.solved_at else self.seen
        self.log("test/steps", steps.float())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Answers and fast weights over the first events of a stream."""
        events, targets = (part[:60] for part in batch)
        answers, held = self.answers(events)
        lines = {"answer": answers.cpu(), "right": targets.cpu()}
        lines |= {
            f"fast weight of {name}": held[:, place].cpu() for place, name in enumerate(EVENTS)
        }
        return {"stream": line_picture(lines, "event", "value")}
