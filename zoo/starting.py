"""Start a training from somebody's weights: load, put on a new head, freeze, thaw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning
from torch import Tensor, nn
from torch.optim import Optimizer

from zoo.arguments import read_arguments, together
from zoo.bundles import WEIGHTS, read_bundle
from zoo.errors import UsageError
from zoo.weights import Match, load_weights, read_tensors

_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Start:
    """The section ``start`` of a recipe.

    Args:
        reference: Where the weights come from, as for ``zoo.load``, or a weights file
            (``.safetensors``, or a PyTorch file without code).
        freeze: ``backbone`` trains the head alone, ``none`` everything.
        thaw_at_epoch: The epoch, counted from 0, from which a frozen backbone is trained too.

    Raises:
        UsageError: the values contradict each other.
    """

    reference: str
    freeze: str = "none"
    thaw_at_epoch: int | None = None

    def __post_init__(self) -> None:
        if self.freeze not in ("none", "backbone"):
            raise UsageError(f"'start.freeze' has to be none or backbone, not {self.freeze!r}")
        if self.thaw_at_epoch is not None and self.freeze == "none":
            raise UsageError("'start.thaw_at_epoch' needs 'start.freeze: backbone'")
        if self.thaw_at_epoch is not None and self.thaw_at_epoch < 0:
            raise UsageError("'start.thaw_at_epoch' counts epochs from 0")


def read_start(section: Mapping[str, Any]) -> Start | None:
    """The section of a recipe, checked; None if it is empty.

    Raises:
        UsageError: unknown keys or wrong values, all at once.
    """
    if not section:
        return None
    named = {("reference" if key == "from" else key): value for key, value in section.items()}
    values, problems = read_arguments(Start, "start", named)
    if "reference" not in named:
        problems.append("'start.from' is missing: a run, a bundle, a checkpoint or a weights file")
    if problems:
        raise UsageError(together("the section 'start'", problems))
    return Start(**values)


def load_start(model: LightningModule, start: Start) -> tuple[Match, dict[str, Any]]:
    """Copy the weights into ``model``; its head stays fresh where the task is another.

    Args:
        model: Built for the new data.
        start: Where from.

    Returns:
        What matched, and where the weights came from, for the new bundle.

    Raises:
        UsageError: the weights are missing or do not fit outside the head.
    """
    head = tuple(getattr(model, "head", ()))
    if start.reference.endswith(_FILES):
        tensors, origin = read_tensors(start.reference), {"reference": Path(start.reference).name}
    else:
        bundle = read_bundle(start.reference)
        tensors = read_tensors(bundle.path / WEIGHTS)
        origin = {
            "reference": _name(start.reference),
            "recipe": bundle.recipe["name"],
            "sha256": bundle.content["files"][WEIGHTS]["sha256"],
        }
        if _labels(bundle.content["model"]["arguments"]) != _labels(dict(model.hparams)):
            # Other classes: their number may agree, their meaning does not.
            tensors = {name: t for name, t in tensors.items() if not in_head(name, head)}
    return load_weights(model, tensors, head, start.reference), origin


class Freeze(BaseFinetuning):
    """Trains the head alone, and everything from ``thaw_at_epoch`` on.

    The optimizer holds all parameters from the start, as the module's
    ``configure_optimizers`` made it; what is frozen gets no gradient and is left as it is.

    Args:
        head: The submodules that are trained from the start.
        thaw_at_epoch: Counted from 0; None never thaws.
    """

    def __init__(self, head: tuple[str, ...], thaw_at_epoch: int | None = None) -> None:
        super().__init__()
        self._head = head
        self._thaw_at_epoch = thaw_at_epoch

    def freeze_before_training(self, pl_module: LightningModule) -> None:
        """Freeze all but the head, batch normalisation included."""
        for module in self._backbone(pl_module):
            self.freeze_module(module)

    def finetune_function(
        self, pl_module: LightningModule, epoch: int, optimizer: Optimizer
    ) -> None:
        """Thaw when it is time; Lightning calls this before every epoch."""
        if self._thaw_at_epoch is not None and epoch >= self._thaw_at_epoch:
            self.make_trainable(self._backbone(pl_module))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run resumed in the middle of an epoch has its epoch's start behind it."""
        for optimizer in trainer.optimizers:
            self.finetune_function(pl_module, trainer.current_epoch, optimizer)

    def _backbone(self, module: nn.Module) -> list[nn.Module]:
        """Every module outside the head; also one with children may own parameters, such as the
        position embeddings of a vision transformer."""
        return [part for name, part in module.named_modules() if not in_head(name, self._head)]


def in_head(name: str, head: tuple[str, ...]) -> bool:
    """Whether a parameter or module lies in one of the head's submodules."""
    return any(name == part or name.startswith(f"{part}.") for part in head)


def _labels(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    return arguments.get("num_classes"), arguments.get("label_names")


def _name(reference: str) -> str:
    """The reference as it can be told to others: of a folder, its name."""
    return Path(reference).name if Path(reference).exists() else reference


def trainable(model: nn.Module) -> dict[str, Tensor]:
    """Parameters that a gradient step changes now."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}
