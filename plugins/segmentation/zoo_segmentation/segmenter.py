"""What all segmenters share: training, whole volumes by windows, measuring, metrics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import combinations
from math import isnan, prod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torchmetrics import MeanMetric

from zoo.plugin import (
    DeviceMean,
    UsageError,
    ZooError,
    above,
    at_least,
    has_part,
    one_of,
    optim,
    rank_zero_print,
    rename_keys,
    require,
    within,
)
from zoo_segmentation import losses, optimizers, plots
from zoo_segmentation.cases import Case, TestedCases
from zoo_segmentation.data.volume import IGNORED
from zoo_segmentation.em_metrics import MembraneScores
from zoo_segmentation.largest_component import Gains, of_batch
from zoo_segmentation.memory import (
    first_that_fits,
    format_shape,
    is_out_of_memory,
    require_trainable,
)
from zoo_segmentation.metrics import NAMES, Scores, describe_left_out, measure
from zoo_segmentation.prediction import VolumePrediction
from zoo_segmentation.slices import cut_slices, draw_slices

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MEMBRANE = "membrane"
"""A class of this name is measured as the ISBI 2012 challenge measures it."""

WINDOWS_AT_ONCE = 8
"""Windows that a GPU predicts at a time, as long as its memory lasts."""


class Segmenter(VolumePrediction, L.LightningModule):
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
    monitor = "val/dice"
    monitor_mode = "max"
    plot_captions: ClassVar[dict[str, str]] = {
        "worst_case": "The volume of the test with the lowest Dice: the image, the truth and the "
        "prediction, where most is labelled. L and R are the patient's left and right.",
        "median_case": "The volume in the middle, by Dice.",
        "membranes": "A slice, its membrane probability, and the truth.",
        "slices": "A volume of the test: the image, the truth and the prediction.",
    }
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
        self.train_loss, self.val_loss = DeviceMean(), MeanMetric()
        self.val_scores, self.test_scores = Scores(num_classes), Scores(num_classes)
        self.membrane_scores = MembraneScores()
        self._windows_at_once = WINDOWS_AT_ONCE
        self._training_shape: torch.Size | None = None
        self._cases: TestedCases | None = None

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

    def probabilities(self, images: Tensor) -> Tensor:
        """Predict whole volumes by overlapping windows, blended by Gaussian weights.

        Args:
            images: (N, in_channels, *spatial), of any size; padded where a window is larger.

        Returns:
            float32 (N, num_classes, *spatial).

        Raises:
            ZooError: memory ran out; names a window that fits.
        """
        total: Tensor | None = None
        count = 0
        for number in range(len(self.flips) + 1):
            for axes in combinations(self.flips, number):
                flipped = [axis + 2 for axis in axes]
                part = self._windows(images.flip(flipped)).flip(flipped)
                total = part if total is None else total + part
                count += 1
        assert total is not None
        return total / count

    def _windows(self, image: Tensor) -> Tensor:
        # A GPU takes several windows in the time of one; fewer where memory runs out.
        at_once = 1 if self.device.type == "cpu" else self._windows_at_once
        while at_once:
            try:
                return self._blended(image, self.window, at_once)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            at_once //= 2
            self._windows_at_once = max(at_once, 1)
        raise ZooError(self._what_fits_in_prediction(image))

    def _what_fits_in_prediction(self, image: Tensor) -> str:
        whole = image.shape[2:]
        window = [size or length for size, length in zip(self.window, whole, strict=True)]
        fits = first_that_fits(partial(self._try_window, whole), 1, window)
        message = (
            f"memory ran out in predicting {format_shape(whole)} voxels by windows of "
            f"{format_shape(window)}; "
        )
        if fits is None:
            return message + "no smaller ones fit either: take smaller volumes or another device"
        return message + (
            f"windows of {format_shape(fits[1])} fit: set model.window to {fits[1]}, in the recipe "
            "or on the model that zoo.load gives, or predict on another device"
        )

    def _try_window(self, whole: Sequence[int], batch: int, window: list[int]) -> None:
        # The blended result and its weights, of the whole volume.
        blended = torch.empty(self.num_classes + 1, *whole, device=self.device)
        part = torch.zeros(batch, self.in_channels, *window, device=self.device)
        with torch.no_grad():
            self(part).float().softmax(dim=1)
        del blended

    def _blended(self, image: Tensor, window: Sequence[int], at_once: int = 1) -> Tensor:
        sizes = zip(window, image.shape[2:], strict=True)
        if all(size in (0, length) for size, length in sizes):
            probs: Tensor = self(image).float().softmax(dim=1)
            return probs
        from monai.inferers import (
            sliding_window_inference,  # seconds, which a whole volume needs not
        )

        result = sliding_window_inference(
            image,
            window,
            sw_batch_size=at_once,
            predictor=lambda part: self(part).float().softmax(dim=1),
            overlap=self.overlap,
            mode="gaussian",
            sigma_scale=self.blending,
        )
        assert isinstance(result, Tensor)
        return result

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        probs = self.probabilities(batch["image"])
        self._measure(batch, probs, self.val_scores, distances=False)
        label = batch["label"]
        counted = label != IGNORED
        likelihood = probs.gather(1, label.where(counted, 0)).clamp(min=1e-12)
        self.val_loss.update(-likelihood.log()[counted].mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.measure_probabilities(batch, self.probabilities(batch["image"]))

    def measure_probabilities(self, batch: Any, probabilities: Tensor) -> None:
        """Add a batch of the test to its metrics, by its probabilities (N, num_classes, *spatial),
        whoever gave them."""
        self._measure(batch, probabilities, self.test_scores, self.distances, self._cases)
        if MEMBRANE in self.label_names:
            self._measure_membranes(probabilities, batch["label"])

    def describe_batch(self, batch: Any, probabilities: Tensor) -> list[dict[str, Any]]:
        """Dice of each volume: the mean of the classes but background, and each of them."""
        predicted, label = self.to_labels(probabilities), batch["label"]
        rows = []
        for index in range(len(label)):
            one = slice(index, index + 1)
            dice = measure(predicted[one], label[one], self.num_classes, distances=False)[0]
            named = zip(self.label_names[1:], dice.tolist(), strict=True)
            each = {name: None if isnan(value) else round(value, 6) for name, value in named}
            known = [value for value in each.values() if value is not None]
            mean = round(sum(known) / len(known), 6) if known else None
            rows.append({"dice": mean, **{f"dice/{name}": value for name, value in each.items()}})
        return rows

    def to_labels(self, probabilities: Tensor) -> Tensor:
        """The classes of probabilities (N, num_classes, *spatial): int64 (N, 1, *spatial)."""
        return of_batch(probabilities.argmax(dim=1, keepdim=True), self.largest)

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

    def _measure_membranes(self, probs: Tensor, label: Tensor) -> None:
        """Metrics of the ISBI 2012 challenge, of stacks (D, H, W) or single slices."""
        number = self.label_names.index(MEMBRANE)
        for prob, target in zip(probs[:, number].cpu(), label[:, 0].cpu(), strict=True):
            stack = (-1, *target.shape[-2:])
            self.membrane_scores.update(
                prob.reshape(stack).numpy(), (target.reshape(stack) == number).numpy()
            )

    def _measure(
        self,
        batch: Any,
        probs: Tensor,
        scores: Scores,
        distances: bool,
        cases: TestedCases | None = None,
    ) -> None:
        label = batch["label"]
        predicted = self.to_labels(probs)
        spacing = batch.get("spacing")
        for index in range(len(label)):
            pred, target = predicted[index : index + 1], label[index : index + 1]
            edges = None if spacing is None else spacing[index].tolist()[-self.spatial_dims :]
            result = measure(pred, target, self.num_classes, edges, distances)
            counted = target != IGNORED
            wrong = (pred != target) & counted
            scores.update(result, wrong.sum(), int(counted.sum()))
            if cases is not None:
                cases.add(self._case(batch, predicted, index, float(result[0].nanmean())))

    def _case(self, batch: Any, predicted: Tensor, index: int, dice: float) -> Case:
        """A volume of a batch, as it is drawn."""
        spacing = batch.get("spacing")
        edges = [1.0] * self.spatial_dims
        if spacing is not None:
            edges = spacing[index].tolist()[-self.spatial_dims :]
        maps = {"label": batch["label"], "prediction": predicted}
        cuts = cut_slices(
            batch["image"][index, 0].float().cpu().numpy(),
            {title: _shown(volumes[index, 0]) for title, volumes in maps.items()},
            edges,
        )
        names, oriented = batch.get("name") or [""], batch.get("oriented") or [False]
        return Case(str(names[index]), dice, cuts, bool(oriented[index]))

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Probabilities (N, num_classes, *spatial) of a batch of volumes, labelled or not."""
        return self.probabilities(batch if isinstance(batch, Tensor) else batch["image"])

    # Measuring

    def on_validation_epoch_end(self) -> None:
        values = self.val_scores.read()
        self.log("val/loss", self.val_loss.compute(), sync_dist=True)
        self.val_loss.reset()
        # A class that no volume has says nothing for or against the model.
        self.log("val/dice", values["dice"].nanmean(), prog_bar=True, sync_dist=True)
        self.log("val/error", values["error"], sync_dist=True)

    def on_test_start(self) -> None:
        """Choose, of the trained weights, the classes whose largest component alone is kept."""
        if self.hparams["keep_largest"] != "auto":
            return
        gains = Gains(self.num_classes)
        data: Any = self.trainer.datamodule  # type: ignore[attr-defined]
        for batch in data.val_dataloader():
            ready = self.transfer_batch_to_device(batch, self.device, 0)
            predicted = self.probabilities(ready["image"]).argmax(dim=1, keepdim=True)
            gains.add(predicted, ready["label"])
        self.largest = gains.chosen(self.all_gather)
        names = [self.label_names[number] for number in self.largest]
        self.hparams["keep_largest"] = names
        rank_zero_print(
            "by the validation part, the largest connected component alone is kept of: "
            f"{', '.join(names) or 'no class'}"
        )

    def on_test_epoch_start(self) -> None:
        self._cases = TestedCases()

    def on_test_epoch_end(self) -> None:
        values = self.test_scores.read()
        names = NAMES if self.distances else tuple(name for name in NAMES if name != "hd95")
        for name in names:
            self._log_metric(f"test/{name}", values[name].nanmean())
            for label, value in zip(self.label_names[1:], values[name], strict=True):
                self._log_metric(f"test/{name}/{label}", value)
        self.log("test/error", values["error"], sync_dist=True)
        if MEMBRANE in self.label_names:
            for name, value in self.membrane_scores.compute().items():
                self.log(f"test/{name}", value, sync_dist=True)
            self.membrane_scores.reset()
        left_out = {name: values["left_out"][NAMES.index(name)].tolist() for name in names}
        for sentence in describe_left_out(left_out, self.label_names[1:]):
            rank_zero_print(sentence)

    def _log_metric(self, name: str, value: Tensor) -> None:
        if value.isfinite():  # no metric rather than "nan" where no volume has the class
            self.log(name, value, prog_bar=name == "test/dice", sync_dist=True)

    # Plots

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The worst and the median volume of the test; without one, the batch's first volume.

        Args:
            batch: As of the test loader.
        """
        drawn: dict[str, Figure] = {}
        if self._cases is not None:
            drawn |= self._cases.draw(self.label_names)
        if drawn and MEMBRANE not in self.label_names:
            return drawn
        image, label = batch["image"][:1], batch["label"][:1]
        probs = self.probabilities(image)
        if not drawn:
            case = self._case(batch, self.to_labels(probs), 0, 0.0)
            drawn["slices"] = draw_slices(case.cuts, self.label_names, case.name, case.sides)
        if MEMBRANE in self.label_names:
            name = str((batch.get("name") or [""])[0])
            drawn["membranes"] = self._draw_membranes(image, probs, label, name)
        return drawn

    def _draw_membranes(self, image: Tensor, probs: Tensor, label: Tensor, name: str) -> Figure:
        number = self.label_names.index(MEMBRANE)
        gray, prob, target = (
            _middle(stack) for stack in (image[0, 0], probs[0, number], label[0, 0] == number)
        )
        return plots.membrane_map(gray, prob, target, heading=name)


def _shown(label: Tensor) -> np.ndarray:
    """The classes, background where none counts."""
    return label.where(label != IGNORED, 0).cpu().numpy()


def _middle(stack: Tensor) -> np.ndarray:
    slices = stack.reshape(-1, *stack.shape[-2:])
    return slices[len(slices) // 2].float().cpu().numpy()


def _check_size(name: str, size: Sequence[int], dims: int, least: int) -> None:
    require(
        len(size) == dims and min(size) >= least,
        f"{name} is {list(size)}; it takes {dims} lengths of {least} or more",
    )
