"""Start a training from existing weights: load them, replace the head, freeze, unfreeze."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import BaseFinetuning
from torch import nn
from torch.optim import Optimizer

from zoo.bundles.bundle import WEIGHTS, read_bundle
from zoo.errors import UsageError, format_problems
from zoo.io.weights import Match, in_head, load_weights, read_tensors
from zoo.plugin.declarations import constructor_arguments, head_of
from zoo.plugin.protocols import HeadStarter
from zoo.recipes.signatures import read_arguments
from zoo.training.input_channels import adapt_input_channels

if TYPE_CHECKING:
    from zoo.plugin.protocols import ZooLightningModule

_FILES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class InitFrom:
    """The section ``init_from`` of a recipe.

    Args:
        reference: Where the weights come from, as for ``zoo.load`` (``recipe:NAME`` is the newest
            finished run of another recipe), or a weights file (``.safetensors``, or a PyTorch file
            without code).
        freeze: ``backbone`` trains the head alone, ``none`` everything.
        unfreeze_at_epoch: The epoch, counted from 0, from which a frozen backbone is trained too.

    Raises:
        UsageError: the values contradict each other.
    """

    reference: str
    freeze: str = "none"
    unfreeze_at_epoch: int | None = None

    def __post_init__(self) -> None:
        if self.freeze not in ("none", "backbone"):
            raise UsageError(f"'init_from.freeze' has to be none or backbone, not {self.freeze!r}")
        if self.unfreeze_at_epoch is not None and self.freeze == "none":
            raise UsageError("'init_from.unfreeze_at_epoch' needs 'init_from.freeze: backbone'")
        if self.unfreeze_at_epoch is not None and self.unfreeze_at_epoch < 0:
            raise UsageError("'init_from.unfreeze_at_epoch' counts epochs from 0")


def read_init_from(section: Mapping[str, Any]) -> InitFrom | None:
    """The section of a recipe, checked; None if it is empty.

    Raises:
        UsageError: unknown keys or wrong values, all at once.
    """
    if not section:
        return None
    values, problems = read_arguments(InitFrom, "init_from", section)
    if "reference" not in section:
        problems.append(
            "'init_from.reference' is missing: a run, a bundle, a checkpoint or a weights file"
        )
    if problems:
        raise UsageError(format_problems("the section 'init_from'", problems))
    return InitFrom(**values)


def load_initial_weights(
    model: ZooLightningModule, init_from: InitFrom
) -> tuple[Match, dict[str, Any]]:
    """Copy the weights into ``model``; its head stays fresh where the task is another, and its
    first layer is adapted where the number of input channels is.

    Args:
        model: Built for the new data.
        init_from: Where from.

    Returns:
        What matched, and where the weights came from, for the new bundle.

    Raises:
        UsageError: the weights are missing or do not fit outside the head.
    """
    head = head_of(model)
    channels = None
    if init_from.reference.endswith(_FILES):
        tensors, origin = (
            read_tensors(init_from.reference),
            {"reference": Path(init_from.reference).name},
        )
    else:
        bundle = read_bundle(init_from.reference)
        tensors = read_tensors(bundle.path / WEIGHTS)
        channels = bundle.content["model"]["arguments"].get("in_channels")
        origin = {
            "reference": _name(init_from.reference),
            "recipe": bundle.recipe["name"],
            "sha256": bundle.content["files"][WEIGHTS]["sha256"],
        }
        if _labels(bundle.content["model"]["arguments"]) != _labels(constructor_arguments(model)):
            # Other classes: their number may agree, their meaning does not.
            tensors = {name: t for name, t in tensors.items() if not in_head(name, head)}
    tensors = adapt_input_channels(model, tensors, channels, init_from.reference)
    match = load_weights(model, tensors, head, init_from.reference)
    new = any(in_head(name, head) for name in (*match.missing, *match.reshaped))
    if new and isinstance(model, HeadStarter):
        model.start_head()
    return match, origin


class Freeze(BaseFinetuning):
    """Trains the head alone, and everything from ``unfreeze_at_epoch`` on.

    The optimizer holds all parameters from the start, as the module's
    ``configure_optimizers`` made it; what is frozen gets no gradient and is left as it is.

    Args:
        head: The submodules that are trained from the start.
        unfreeze_at_epoch: Counted from 0; None never unfreezes.

    Raises:
        UsageError: there is no head.
    """

    def __init__(self, head: tuple[str, ...], unfreeze_at_epoch: int | None = None) -> None:
        if not head:
            raise UsageError(
                "'init_from.freeze: backbone' trains the head alone, and the model has none: omit "
                "it, or name its head (docs/plugin-api.md)"
            )
        super().__init__()
        self._head = head
        self._unfreeze_at_epoch = unfreeze_at_epoch

    def freeze_before_training(self, pl_module: LightningModule) -> None:
        """Freeze all but the head, batch normalization included."""
        for module in self._backbone(pl_module):
            self.freeze_module(module)

    def finetune_function(
        self, pl_module: LightningModule, epoch: int, optimizer: Optimizer
    ) -> None:
        """Unfreeze when it is time; Lightning calls this before every epoch."""
        if self._unfreeze_at_epoch is not None and epoch >= self._unfreeze_at_epoch:
            self.make_trainable(self._backbone(pl_module))

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """A run resumed in the middle of an epoch has its epoch's start behind it."""
        for optimizer in trainer.optimizers:
            self.finetune_function(pl_module, trainer.current_epoch, optimizer)

    def _backbone(self, module: nn.Module) -> list[nn.Module]:
        """Every module outside the head; also one with children may own parameters, such as the
        position embeddings of a vision transformer."""
        return [part for name, part in module.named_modules() if not in_head(name, self._head)]


def _labels(arguments: Mapping[str, Any]) -> tuple[Any, Any]:
    return arguments.get("num_classes"), arguments.get("label_names")


def _name(reference: str) -> str:
    """The reference as it can be told to others: of a folder, its name."""
    return Path(reference).name if Path(reference).exists() else reference
