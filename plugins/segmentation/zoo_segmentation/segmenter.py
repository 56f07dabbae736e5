"""What all segmenters share: their arguments and their training."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import prod
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from zoo.plugin import (
    DeviceMean,
    UsageError,
    ZooError,
    above,
    at_least,
    has_part,
    one_of,
    optim,
    rename_keys,
    require,
    within,
)
from zoo_segmentation import losses, optimizers
from zoo_segmentation.measuring import MeasuredModule
from zoo_segmentation.memory import (
    first_that_fits,
    format_shape,
    is_out_of_memory,
    require_trainable,
)
from zoo_segmentation.prediction import VolumePrediction


class Segmenter(MeasuredModule, VolumePrediction):
    """Base of all segmenters.

    Takes normalized volumes, float (N, in_channels, D, H, W), or images without D. A subclass
    sets ``self.network``, a module from these to logits (N, num_classes, ...) of the same size.

    Args:
        num_classes: Number of classes, background included. Filled in from the data; 2 without.
        in_channels: Channels of the volumes. Filled in from the data; 1 without.
        spatial_dims: 3 for volumes, 2 for images. Filled in from the data; 3 without.
        label_names: The classes' names, background first. Filled in from the data.
        label_values: The value of each class in the label maps, which predictions are written
            with. Filled in from the data; the classes' numbers without.
        spacing: Voxel edges in mm that volumes have in training. Filled in from the data.
        preprocessing: How the data prepares volumes. Filled in from the data; kept so that a
            user's files are prepared alike.
        patch_size: Size of the sub-volumes of training. Filled in from the data.
        window: Size of the windows by which whole volumes are predicted, 0 for the whole of an
            axis; ``patch_size`` without.
        overlap: Part of a window that the next one covers again.
        blending: Standard deviation of the Gaussian that weighs the voxels of overlapping windows,
            as a part of the window's lengths. The authors' program has exp(-sum (d / half a
            length)^2), which is 0.354 (``pyramid-lstm-mrbrains13``).
        flips: Spatial axes (0 to 2, of D, H, W) along which predictions are averaged over
            flipped volumes too, in all combinations.
        loss: ``dice-ce`` (soft Dice of the foreground + cross-entropy) or ``softmax-squared``
            (the squared error of Stollenga et al. 2015).
        loss_volume: Size of a volume whose voxels the loss of a sub-volume is divided by, as in
            the authors' program, instead of its own. It decides how much ``eps`` of
            ``normalized-momentum`` weighs, and nothing else of it.
        optimizer: ``adamw``, ``normalized-momentum`` (of Stollenga et al. 2015), or a class such as
            ``torch.optim.RAdam``.
        lr: Largest learning rate.
        lr_backbone: Largest learning rate of everything but the head; ``lr`` without.
        weight_decay: Decoupled weight decay of the weights, not of biases.
        schedule: Learning rate over training: ``constant``, ``onecycle`` (linear up, half a
            cosine down), ``cosine``, ``halving`` (the paper's), or a class such as
            ``torch.optim.lr_scheduler.PolynomialLR``.
        warmup: Part of the training in which ``onecycle`` goes up.
        half_life: Steps in which ``halving`` comes to a half.
        lr_floor: Learning rate that ``halving`` ends at.
        topology: ``strides`` and ``kernel_size`` of each level of a UNet. Filled in from the data
            where they make a plan.
        restarts: Epochs, ascending, at which the schedule starts over. Filled in from the data,
            whose curriculum's stages begin there; none without.
        distances: Measure the Hausdorff distance in tests; it takes longest.
        keep_largest: Classes, by name, of which the largest connected component alone is predicted;
            ``auto`` chooses, once it is trained, those whose Dice gains by it on the validation
            part. None without.

    Raises:
        UsageError: an argument is out of its range, or two do not fit together.
    """

    network: nn.Module
    fixed_shapes = True
    task_arguments: ClassVar[tuple[str, ...]] = (
        "num_classes",
        "in_channels",
        "label_names",
        "label_values",
        "spacing",
        "preprocessing",
        "topology",
        "restarts",
        "keep_largest",
    )

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        in_channels: int | None = None,
        spatial_dims: int | None = None,
        label_names: list[str] | None = None,
        label_values: list[int] | None = None,
        spacing: list[float] | None = None,
        preprocessing: dict[str, Any] | None = None,
        patch_size: list[int] | None = None,
        window: list[int] | None = None,
        overlap: float = 0.5,
        blending: float = 0.125,
        flips: list[int] | None = None,
        loss: Literal["dice-ce", "softmax-squared"] = "dice-ce",
        loss_volume: list[int] | None = None,
        optimizer: Literal["adamw", "normalized-momentum"] | str = "adamw",
        lr: float = 0.003,
        lr_backbone: float | None = None,
        weight_decay: float = 0.01,
        schedule: Literal["constant", "onecycle", "cosine", "halving"] | str = "onecycle",
        warmup: float = 0.1,
        half_life: float = 100.0,
        lr_floor: float = 1e-6,
        topology: dict[str, Any] | None = None,
        restarts: list[int] | None = None,
        distances: bool = True,
        keep_largest: list[str] | Literal["auto"] | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        num_classes = 2 if num_classes is None else num_classes
        in_channels = 1 if in_channels is None else in_channels
        spatial_dims = 3 if spatial_dims is None else spatial_dims
        patch_size = [16] * spatial_dims if patch_size is None else list(patch_size)
        self.hparams.update(
            num_classes=num_classes,
            in_channels=in_channels,
            spatial_dims=spatial_dims,
            patch_size=patch_size,
        )
        at_least("num_classes", num_classes, 2)  # background is one of them
        at_least("in_channels", in_channels, 1)
        one_of("spatial_dims", spatial_dims, (2, 3))
        one_of("loss", loss, losses.LOSSES)
        optim.require_optimizer(optimizer, optimizers.OPTIMIZERS)
        optim.require_schedule(schedule, optimizers.SCHEDULES)
        window = patch_size if window is None else list(window)
        _check_size("patch_size", patch_size, spatial_dims, 1)
        _check_size("window", window, spatial_dims, 0)
        above("lr", lr, 0)
        above("half_life", half_life, 0)
        at_least("lr_backbone", lr_backbone or 0.0, 0)
        at_least("lr_floor", lr_floor, 0)
        within("overlap", overlap, 0, 1, below=True)
        above("blending", blending, 0)
        if loss_volume is not None:
            _check_size("loss_volume", loss_volume, spatial_dims, 1)
        restarts, flips = restarts or [], flips or []
        require(
            restarts == sorted({epoch for epoch in restarts if epoch > 0}),
            f"restarts is {restarts}; it takes epochs above 0, ascending",
        )
        require(
            set(flips) <= set(range(spatial_dims)) and len(set(flips)) == len(flips),
            f"flips is {flips}; it takes axes of 0 to {spatial_dims - 1}, once",
        )
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.spatial_dims = spatial_dims
        self.patch_size = patch_size
        self.window = window
        self.overlap = overlap
        self.blending = blending
        self.loss_voxels = None if loss_volume is None else prod(loss_volume)
        self.flips = flips
        self.distances = distances
        self.restarts = restarts
        self.topology = topology
        numbered = ["background", *(f"label {index}" for index in range(1, num_classes))]
        self.label_names = label_names or numbered
        require(
            len(self.label_names) == num_classes,
            f"label_names has {len(self.label_names)} names for {num_classes} classes",
        )
        require(
            label_values is None or len(label_values) == num_classes,
            f"label_values has {len(label_values or [])} values for {num_classes} classes",
        )
        self.largest = self._numbers_of(keep_largest or [])
        self.loss = losses.loss(loss)
        self.train_loss = DeviceMean()
        self._start_measuring()
        self._training_shape: torch.Size | None = None

    def _numbers_of(self, keep_largest: list[str] | str) -> list[int]:
        require(
            not keep_largest or self.spatial_dims == 3,
            "keep_largest takes volumes, and this model takes slices; omit it",
        )
        if keep_largest == "auto":
            return []
        known = self.label_names[1:]
        unknown = [name for name in keep_largest if name not in known]
        require(
            not unknown,
            f"keep_largest names {', '.join(unknown)}; it takes classes of {', '.join(known)}",
        )
        return [self.label_names.index(name) for name in keep_largest]

    # What a model is

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        renamed = rename_keys(arguments, {"normalise_by": "normalize_by"})
        if renamed.get("optimizer") == "normalised-momentum":
            renamed["optimizer"] = "normalized-momentum"
        if renamed.get("strategy") == "measured":  # by timing; the rule of "auto" took its place
            renamed["strategy"] = "auto"
        return renamed

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules a new task replaces."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        """Two volumes of the training's sub-volume size."""
        shape = (2, self.in_channels, *self.patch_size)
        count = torch.Size(shape).numel()
        return (torch.arange(count) % 17 / 17).view(shape)

    def forward(self, image: Tensor) -> Tensor:
        """Segment.

        Args:
            image: (N, in_channels, D, H, W), normalized; without D for images.

        Returns:
            Logits (N, num_classes, ...).
        """
        # Under "bf16-true" the weights are bfloat16 and the volumes are not.
        logits: Tensor = self.network(image.to(next(self.network.parameters()).dtype))
        return logits

    def outputs(self, image: Tensor) -> list[Tensor]:
        """What a training step counts: the result of ``forward``, and of nets with deep
        supervision the others, from fine to coarse."""
        return [self(image)]

    # Training

    def on_fit_start(self) -> None:
        """Lightning's, before anything is trained.

        Raises:
            UsageError: the sub-volumes need more memory than this machine has, or there is no
                validation part to choose by.
        """
        data: Any = getattr(self.trainer, "datamodule", None)
        require(
            self.hparams["keep_largest"] != "auto" or (data is not None and has_part(data, "val")),
            "keep_largest is auto, and there is no validation part that could tell which classes "
            "gain: give --data.val_fraction, name the classes, or omit it",
        )
        batch = getattr(data, "batch_size", None)
        if batch and self.device.type == "cpu":
            halved = str(self.trainer.precision).startswith(("16", "bf16"))
            require_trainable(self.network, self.in_channels, batch, self.patch_size, halved)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        image, label = batch["image"], batch["label"]
        self._training_shape = image.shape
        loss = losses.supervised(self.loss, [each.float() for each in self.outputs(image)], label)
        self.train_loss.update(loss.detach(), len(image))
        if self.loss_voxels is not None:
            loss = loss * (label[0].numel() / self.loss_voxels)
        return loss

    def on_train_epoch_end(self) -> None:
        self.log("train/loss", self.train_loss.compute(), prog_bar=True, sync_dist=True)
        self.train_loss.reset()

    def optimizer_step(self, *arguments: Any, **named: Any) -> None:
        """Lightning's: forward, backward and the step itself.

        Raises:
            ZooError: memory ran out; names a batch size and a sub-volume that fit.
        """
        try:
            super().optimizer_step(*arguments, **named)
            return
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside of the handler, whose error holds on to what filled the memory.
        raise ZooError(self._what_fits_in_training())

    def _what_fits_in_training(self) -> str:
        assert self._training_shape is not None
        batch, _, *size = self._training_shape
        message = (
            f"memory ran out in training on sub-volumes of {format_shape(size)}, {batch} at a "
            "time; "
        )
        if self.trainer.world_size > 1:  # the other processes wait for this one's gradients
            return message + "one process alone tells what fits: --trainer.devices 1"
        self.zero_grad()
        fits = first_that_fits(self._try_training, batch, size)
        if self.hparams.get("checkpoint") is False:
            message += "--model.checkpoint true needs less, or "
        if fits is None:
            return message + "no smaller ones fit either: take a smaller network or another device"
        return message + (
            f"{format_shape(fits[1])}, {fits[0]} at a time, fit: --data.patch_size "
            f"'{fits[1]}' --data.batch_size {fits[0]}"
        )

    def _try_training(self, batch: int, size: list[int]) -> None:
        image = torch.zeros(batch, self.in_channels, *size, device=self.device)
        label = torch.zeros(batch, 1, *size, dtype=torch.int64, device=self.device)
        parameters = [parameter for parameter in self.parameters() if parameter.requires_grad]
        states = [torch.empty_like(p) for p in parameters for _ in range(2)]  # the optimizer's
        with self.trainer.precision_plugin.train_step_context():
            outputs = [each.float() for each in self.outputs(image)]
            loss = losses.supervised(self.loss, outputs, label)
        torch.autograd.grad(loss, parameters, allow_unused=True)
        del states

    def configure_optimizers(self) -> OptimizerLRScheduler:
        values = self.hparams
        optimizer = optimizers.optimizer(
            values["optimizer"],
            self.named_parameters(),
            values["lr"],
            values["weight_decay"],
            head=self.head,
            lr_backbone=values["lr_backbone"],
        )
        factor = optimizers.restarted(
            lambda steps: optimizers.schedule(
                values["schedule"],
                steps,
                warmup=values["warmup"],
                half_life=values["half_life"],
                floor=values["lr_floor"] / values["lr"],
            ),
            self._restart_steps(),
            optim.total_steps(self.trainer),
        )
        return optim.with_schedule(optimizer, factor)

    def _restart_steps(self) -> list[int]:
        if not self.restarts:
            return []
        steps = optim.EpochSteps(self.trainer)
        return [int(steps.before(epoch)) for epoch in self.restarts]

    # Whole volumes

    def to_probabilities(self, outputs: Tensor) -> Tensor:
        """Logits (N, num_classes, *spatial) as probabilities."""
        return outputs.float().softmax(dim=1)

    def use_tta(self) -> list[str]:
        """Average over mirrored volumes too, along the axes that the training mirrored at random,
        in all combinations.

        Raises:
            UsageError: it mirrored none.
        """
        mirrored = [int(axis) for axis in self._learned().get("mirrored", ())]
        if not mirrored:
            raise UsageError(
                "the data of the training were mirrored along no axis (data.flips), so nothing "
                "says that mirrored volumes are as good: omit --tta"
            )
        self.flips = sorted({*self.flips, *mirrored})
        names = "DHW"[-self.spatial_dims :]
        return [
            "mirrored along " + "".join(names[axis] for axis in axes) if axes else "as it is"
            for number in range(len(self.flips) + 1)
            for axes in combinations(self.flips, number)
        ]

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes, *spatial) of a batch of volumes, labelled or not."""
        return self.probabilities(batch if isinstance(batch, Tensor) else batch["image"])


def _check_size(name: str, size: Sequence[int], dims: int, least: int) -> None:
    require(
        len(size) == dims and min(size) >= least,
        f"{name} is {list(size)}; it takes {dims} lengths of {least} or more",
    )
