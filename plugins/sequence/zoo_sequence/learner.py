"""What the nets share that are trained on the tests of 1997: squared error, sequences counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from matplotlib.figure import Figure
from torch import Tensor, nn
from torchmetrics import MeanMetric, SumMetric

from zoo.plugin import above, at_least, optim, require, within

if TYPE_CHECKING:
    from zoo_sequence.data.battery import Sample

BETA2 = 0.999
"""What Adam is published with."""
WRONG = 1000.0
"""What a wrong sequence adds to ``train/criterion``."""


class SequenceLearner(LightningModule):
    """Base: half the squared error at the masked steps, mean over the sequences of a batch.

    A sequence is wrong if an error of it is above the tolerance; of data with the legal
    successors of each step if these are not its largest outputs. ``train/criterion`` is the mean
    error plus 1,000 for each wrong sequence: below 0.01 over the last 2,000 sequences it says what
    the paper asks for, a mean error below 0.01 and all of them right.

    Args:
        features: Numbers of a step.
        outputs: Numbers told of a step, from 0 to 1.
        tolerance: The largest error of a right sequence.
        lr: Learning rate.
        optimizer: ``adamw`` (without weight decay it is Adam), ``sgd`` (the paper's, with
            ``momentum`` 0), ``nesterov``, or the path of a class.
        momentum: Of ``sgd`` and ``nesterov``.
        schedule: Of the learning rate, by sequences: ``constant``, ``cosine``, or another.
        beta2: How much of the mean square of each gradient ``adamw`` keeps at a step.
        weight_decay: Of the weights; biases have none.
    """

    trainer_defaults: ClassVar[dict[str, Any]] = {"num_sanity_val_steps": 0}
    plot_captions: ClassVar[dict[str, str]] = {
        "sequences": "Sequences of the test: what goes in, what comes out, and what should.",
    }
    network: nn.Module
    sequences: Tensor

    def __init__(
        self,
        features: int,
        outputs: int,
        tolerance: float,
        lr: float,
        optimizer: str,
        momentum: float,
        schedule: str,
        beta2: float,
        weight_decay: float,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        above("lr", lr, 0)
        optim.require_optimizer(optimizer)
        optim.require_schedule(schedule)
        within("beta2", beta2, 0, 1, below=True)
        at_least("weight_decay", weight_decay, 0)
        require(
            optimizer == "adamw" or beta2 == BETA2,
            f"beta2 is {beta2}, and {optimizer} has none: omit it, or take the optimizer adamw",
        )
        self.features, self.outputs, self.tolerance = features, outputs, tolerance
        self.lr, self.optimizer, self.momentum, self.schedule = lr, optimizer, momentum, schedule
        self.beta2, self.weight_decay = beta2, weight_decay
        self.register_buffer("sequences", torch.zeros((), dtype=torch.int64))
        self.test_error, self.val_error = MeanMetric(), MeanMetric()
        self.test_wrong, self.val_wrong = SumMetric(), SumMetric()
        self.val_loss = MeanMetric()

    @property
    def counters(self) -> Mapping[str, int]:
        """Sequences learnt from."""
        return {"sequences": int(self.sequences)}

    @property
    def example_input(self) -> Tensor:
        return torch.linspace(-1, 1, 2 * 5 * self.features).reshape(2, 5, self.features)

    def forward(self, inputs: Tensor) -> Tensor:
        """Outputs (N, T, outputs), from 0 to 1, of inputs (N, T, features)."""
        outputs: Tensor = self.network(inputs)
        return outputs

    def errors(self, outputs: Tensor, batch: Sample) -> tuple[Tensor, Tensor, Tensor]:
        """Half the squared error (N,), mean absolute error (N,) and wrong or not (N,)."""
        mask = batch["mask"][..., None]
        error = (outputs - batch["targets"]) * mask
        steps = mask.sum((1, 2)) * outputs.shape[2]
        largest = error.abs().amax((1, 2))
        wrong = largest > self.tolerance
        if "legal" in batch:
            wrong = (not_largest(outputs, batch["legal"]) & batch["mask"]).any(1)
        return error.square().sum((1, 2)) / 2, error.abs().sum((1, 2)) / steps, wrong

    def respond(self, batch: Sample, stage: str) -> Tensor:
        """Outputs for a batch; ``stage`` is ``train`` or ``eval``."""
        outputs: Tensor = self(batch["inputs"])
        return outputs

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        outputs = self.respond(batch, "train")
        if "noise" in batch:  # targets are noisy, and measured without
            noisy = (outputs - batch["targets"] - batch["noise"]) * batch["mask"][..., None]
            loss = noisy.square().sum((1, 2)) / 2
            _, error, wrong = self.errors(outputs.detach(), batch)
        else:
            loss, error, wrong = self.errors(outputs, batch)
        self.sequences += len(outputs)
        criterion = error.detach().mean() + WRONG * wrong.float().mean()
        self.log("train/criterion", criterion, on_step=True, on_epoch=False)
        self.log("train/loss", loss.detach().mean(), on_step=False, on_epoch=True)
        return loss.mean()

    def validation_step(self, batch: Sample, batch_idx: int) -> None:
        loss, error, wrong = self.errors(self.respond(batch, "eval"), batch)
        self.val_loss.update(loss)
        self.val_error.update(error)
        self.val_wrong.update(wrong.float())

    def on_validation_epoch_end(self) -> None:
        self._log_all("val", loss=self.val_loss, error=self.val_error, wrong=self.val_wrong)

    def test_step(self, batch: Sample, batch_idx: int) -> None:
        _, error, wrong = self.errors(self.respond(batch, "eval"), batch)
        self.test_error.update(error)
        self.test_wrong.update(wrong.float())

    def on_test_epoch_end(self) -> None:
        right = self.test_wrong.compute() == 0
        self._log_all("test", error=self.test_error, wrong=self.test_wrong)
        self.log("test/sequences", self.sequences.float())
        self.log("test/perfect", right.float())

    def _log_all(self, stage: str, **metrics: Any) -> None:
        for name, metric in metrics.items():
            self.log(f"{stage}/{name}", metric.compute())
            metric.reset()

    def configure_optimizers(self) -> OptimizerLRScheduler:
        built = optim.optimizer(
            self.optimizer,
            self.named_parameters(),
            self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
            fused=optim.may_fuse(self),
        )
        if self.optimizer == "adamw":
            for group in built.param_groups:
                group["betas"] = (group["betas"][0], self.beta2)
        if self.schedule == "constant":
            return built
        return optim.with_schedule(built, optim.schedule_by_count(self.schedule, self, "sequences"))

    def draw_plots(self, batch: Sample) -> dict[str, Figure]:
        """Up to three sequences with outputs and targets."""
        return {"sequences": draw_sequences(batch, self(batch["inputs"]))}

    # `zoo predict REF FILES`: a sequence of one's own, a step a line.

    input_suffixes = (".csv",)

    def read_file(self, path: Path) -> Tensor:
        """A sequence, a step a line: float32 (T, features).

        Raises:
            UsageError: it is not one.
        """
        from zoo_sequence.csv_files import read_steps

        return read_steps(path, self.features)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Outputs (N, T, outputs)."""
        outputs: Tensor = self(batch if isinstance(batch, Tensor) else batch["inputs"])
        return outputs

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """What is told at the last step."""
        return {"outputs": [round(float(value), 6) for value in output[-1]], "steps": len(output)}


def not_largest(outputs: Tensor, legal: Tensor) -> Tensor:
    """Steps (N, T) at which an output that is not legal is as large as one that is."""
    lowest = outputs.masked_fill(~legal, torch.inf).amin(2)
    highest = outputs.masked_fill(legal, -torch.inf).amax(2)
    return lowest <= highest


def draw_sequences(batch: Sample, outputs: Tensor) -> Figure:
    """Inputs above, outputs (lines) and targets (dots) below, of up to three sequences."""
    count = min(3, len(outputs))
    figure = Figure(figsize=(3.2 * count + 1, 4), layout="constrained")
    axes = figure.subplots(2, count, squeeze=False)
    for column in range(count):
        used = int(batch["mask"][column].nonzero()[-1]) + 1
        axes[0, column].plot(batch["inputs"][column, :used].cpu(), linewidth=0.7)
        axes[0, column].set_title(f"sequence {column + 1}")
        axes[1, column].plot(outputs[column, :used].detach().cpu(), linewidth=0.7)
        steps = batch["mask"][column].nonzero()[:, 0].cpu()
        axes[1, column].set_prop_cycle(None)
        axes[1, column].plot(steps, batch["targets"][column].cpu()[steps], "o", markersize=3)
        axes[1, column].set_ylim(-0.05, 1.05)
        axes[1, column].set_xlabel("step")
    axes[0, 0].set_ylabel("inputs")
    axes[1, 0].set_ylabel("outputs, targets dotted")
    return figure
