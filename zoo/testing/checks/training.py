"""Checks of a model in training: gradients, learning, logging, repeating, resuming."""

from __future__ import annotations

import math
import re
import signal
import threading
from collections.abc import Mapping
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from zoo.plugin.counters import counters_of
from zoo.plugin.protocols import HasMonitor
from zoo.testing.check import check
from zoo.testing.checks.model import tensors
from zoo.testing.fitting import CountBatches, Fitted, run_trainer
from zoo.testing.gradients import has_optimizer
from zoo.testing.results import CheckFailed, Skip
from zoo.testing.subjects import ModelSubject
from zoo.training.csv_logger import metrics_of

STEPS = 150
FALL = 0.3
SILENT_STEPS = 3
"""Steps without a loss after which none is waited for."""
_METRIC = re.compile(r"(train|val|test)/\S.*")
_FRACTIONS = ("accuracy", "error", "dice")


@check(
    "gradients",
    "model",
    why="a parameter that no gradient reaches is never trained, and DDP waits for it forever",
    remedy="use the parameter in training_step, take it out, or freeze it: requires_grad = False; "
    "where players take long turns, conformance_arguments may make them short",
)
def gradients(subject: ModelSubject) -> None:
    """In a short training every parameter gets a finite gradient, is set otherwise or frozen."""
    seen = subject.gradients
    try:
        model = subject.trained.model
    except Skip:
        if not seen.bad:  # otherwise what made it fail is known better here
            raise
    if seen.bad:
        raise CheckFailed(f"the gradient of {_some(sorted(seen.bad))} is not finite")
    if not seen.stepped and not seen.reached:
        raise Skip("it learns without gradients")
    if not seen.stepped and not seen.changed:
        raise CheckFailed(
            "gradients reach its parameters, and no optimizer holds them: configure_optimizers "
            "returns none"
        )
    wanted = {name for name, p in model.named_parameters() if p.requires_grad}
    if lost := sorted(wanted - seen.reached - seen.changed):
        raise CheckFailed(f"no gradient reaches {_some(lost)}")


@check(
    "overfits-one-batch",
    "model",
    why="a model that cannot learn one batch by heart has a wrong loss, step or label",
    remedy="look for labels that do not belong to their inputs, a detached loss, or a learning "
    "rate that is far off; conformance_arguments may set a larger one",
)
def overfits_one_batch(subject: ModelSubject) -> str:
    """The loss on one batch falls by a third or more within 150 steps."""
    data = subject.build_data()
    data.setup("fit")
    batch = next(iter(data.train_dataloader()))
    repeated = DataLoader(_Repeated(batch), batch_size=None)
    data.train_dataloader = lambda: repeated  # type: ignore[method-assign]
    losses = _Losses()
    model = subject.build()
    trainer = run_trainer(
        model, data, subject.folder("overfit"), [losses],
        max_epochs=1, limit_train_batches=STEPS, limit_val_batches=0,
    )  # fmt: skip
    if not losses.values:
        raise Skip("training_step returns no loss and logs no train/loss in its steps")
    first, last = losses.values[0], losses.recent()
    if not losses.fallen():
        if not has_optimizer(trainer, model):
            raise Skip("it has no optimizer, so that its loss need not fall step by step")
        steps = len(losses.values)
        raise CheckFailed(
            f"the loss on one batch went from {first:.4g} to {last:.4g} in {steps} steps"
        )
    return f"{first:.3g} to {last:.3g} in {len(losses.values)} steps"


@check(
    "fits",
    "model",
    why="everything trains through the Trainer, and runs are compared by what they log",
    remedy="log fractions as self.log('train/loss', ...), 'val/...' and 'test/...' in every stage "
    "that the data have; metric_names = {'loss': 'train/loss'} on the class renames others",
)
def fits(subject: ModelSubject) -> str:
    """Epochs and a test run through the Trainer and log finite metrics under stage/name."""
    fitted = subject.first_training
    if isinstance(fitted, BaseException):
        raise fitted
    metrics = {k: v for k, v in fitted.metrics.items() if k not in fitted.counters}
    for name, value in metrics.items():
        if not _METRIC.fullmatch(name):
            raise CheckFailed(f"it logs {name!r}, which is not of the form train/loss")
        if not math.isfinite(value):
            raise CheckFailed(f"it logs {name} = {value}")
        if name.rpartition("/")[2] in _FRACTIONS and not 0 <= value <= 1:
            raise CheckFailed(f"it logs {name} = {value:.4g}, which is not a fraction")
    for part in fitted.parts:
        if part == "train" and not subject.gradients.stepped:
            continue  # without steps there may be nothing to tell of them
        if not any(name.startswith(f"{part}/") for name in metrics):
            raise CheckFailed(f"it logs nothing under {part}/")
    if isinstance(fitted.model, HasMonitor) and "val" in fitted.parts:
        _require_monitored(fitted.model, metrics)
    return ", ".join(sorted(metrics))


def _require_monitored(model: HasMonitor, metrics: Mapping[str, float]) -> None:
    if model.monitor not in metrics:
        raise CheckFailed(f"its monitor is {model.monitor!r}, which it does not log")
    if model.monitor_mode not in ("min", "max"):
        raise CheckFailed(f"its monitor_mode is {model.monitor_mode!r}: it has to be min or max")


@check(
    "same-seed",
    "model",
    why="a result that its seed does not repeat cannot be checked by anybody",
    remedy="draw from torch's, numpy's or Python's global generators, or from one seeded by the "
    "dataset's seed; choose nothing by timing",
)
def same_seed(subject: ModelSubject) -> None:
    """Two trainings from one seed end with the same weights and metrics."""
    first = subject.trained
    if subject.unvalidated and not _gap(first, subject.unvalidated):
        return  # a second training, of which another check asks whether validation is apart
    if gap := _gap(first, subject.train()):
        raise CheckFailed(f"the second training {gap}")


@check(
    "validation-apart",
    "model",
    why="how often a run validates must not change what it learns, and without a validation part "
    "it learns too",
    remedy="in validation set nothing that training or the bundle needs (on_train_epoch_end can), "
    "and leave the training's environments alone; what it draws at random changes nothing",
)
def validation_apart(subject: ModelSubject) -> None:
    """A training without validation ends with the same weights and metrics."""
    first = subject.trained
    if "val" not in first.parts:
        raise Skip("its data have no validation part")
    without = subject.unvalidated
    if without is None:
        raise Skip("it does not train without validation")
    gap = _gap(first, without)
    if gap and _gap(first, subject.train()):
        raise Skip("its seed does not repeat it, see same-seed")
    if gap:
        raise CheckFailed(f"without validation the training {gap}")


def _gap(first: Fitted, again: Fitted) -> str:
    """How another training differs, but for the metrics of a validation that only one had."""
    if other := different(first.model.state_dict(), again.model.state_dict()):
        return f"ends with another {_some(other)}"
    for name, value in first.metrics.items():
        if value != again.metrics.get(name) and ("val" in again.parts or name[:4] != "val/"):
            return f"gives {name} = {again.metrics.get(name)!r} for {value!r}"
    return ""


@check(
    "resumes",
    "model",
    why="a run that was cut has to end where it would have ended",
    remedy="keep what changes while training in buffers or in on_save_checkpoint, and load data by "
    "zoo.plugin.ResumableLoader",
)
def resumes(subject: ModelSubject) -> str:
    """Ctrl-C within an epoch, then a resume, gives the weights of a run that was never cut."""
    if threading.current_thread() is not threading.main_thread():
        raise Skip("Ctrl-C reaches the main thread only")
    whole = subject.trained
    if whole.batches < 2:
        raise Skip("its training has one batch")
    folder = subject.folder("resume")
    cut = CountBatches(min(whole.batches // 2 + 1, whole.batches - 1))
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may ignore it
    try:
        run_trainer(subject.build(), subject.build_data(), folder, [cut])
    except (SystemExit, KeyboardInterrupt):  # what Lightning makes of Ctrl-C
        if not (folder / "last.ckpt").is_file():
            raise CheckFailed("it was cut and left no checkpoint") from None
    else:
        raise Skip("its training was over before it could be cut")
    finally:
        signal.signal(signal.SIGINT, handler)
    model, rest = subject.build(), CountBatches()
    trainer = run_trainer(model, subject.build_data(), folder, [rest], resume=True)
    if cut.count + rest.count != whole.batches:
        raise CheckFailed(
            f"it was cut after {cut.count} of {whole.batches} batches and then saw {rest.count}"
        )
    _require_same_end(whole, model, trainer)
    return f"cut after {cut.count} of {whole.batches} batches"


def _require_same_end(whole: Fitted, model: LightningModule, trainer: Trainer) -> None:
    """The same weights, counts and metrics as of the training that was never cut."""
    if other := different(whole.model.state_dict(), model.state_dict()):
        raise CheckFailed(f"the resumed training ends with another {_some(other)}")
    if counters_of(trainer) != whole.counters:
        raise CheckFailed(
            f"the resumed training ends with the counts {counters_of(trainer)}, not "
            f"{whole.counters}"
        )
    for name, value in metrics_of(trainer).items():
        if not math.isclose(value, whole.metrics.get(name, math.nan), rel_tol=1e-5, abs_tol=1e-6):
            raise CheckFailed(
                f"the resumed training ends with {name} = {value}, not {whole.metrics.get(name)}: "
                "gather metrics in a torchmetrics.Metric of the module, or by self.log"
            )


def different(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    """Names of the tensors that differ."""
    return [
        name
        for name in {**first, **second}
        if name not in first
        or name not in second
        or not torch.equal(first[name].nan_to_num(), second[name].nan_to_num())
    ]


class _Losses(Callback):
    """Notes the loss of every step, and stops as soon as it has fallen clearly, or none is told."""

    def __init__(self) -> None:
        self.values: list[float] = []
        self._steps = 0

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *args: Any
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            loss = trainer.callback_metrics.get("train/loss")
        for tensor in tensors(loss)[:1]:
            self.values.append(float(tensor))
        self._steps += 1
        silent = self._steps >= SILENT_STEPS and not self.values
        trainer.should_stop = trainer.should_stop or silent or self.fallen()

    def recent(self) -> float:
        """Mean over the last steps: dropout and deformation make single ones uncertain."""
        last = self.values[-5:]
        return sum(last) / len(last)

    def fallen(self) -> bool:
        """Whether the loss is clearly below the first."""
        if len(self.values) < 6:
            return False
        return self.recent() <= self.values[0] - FALL * abs(self.values[0])


class _Repeated(Dataset[Any]):
    """One batch, over and over."""

    def __init__(self, batch: Any) -> None:
        self.batch = batch

    def __len__(self) -> int:
        return STEPS

    def __getitem__(self, index: int) -> Any:
        return self.batch


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
