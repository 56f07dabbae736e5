"""What all lipreaders share: arguments of the encoder, augmentation, optimizer, metrics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MeanMetric

from zoo.plugin import UsageError, at_least, one_of, optim, rename_keys, require, within
from zoo_lipreading.augmentation import Augmentation
from zoo_lipreading.layers.frames import ACTIVATIONS
from zoo_lipreading.presets import PRESETS
from zoo_lipreading.video.face import require_trusted


class Reader(L.LightningModule):
    """Base of the lipreaders: clips of mouth images in, words or sentences out.

    Args:
        num_classes: Number of words or symbols. Filled in from the data; 2 without.
        label_names: Their names. Filled in from the data.
        image_size: Height and width of a frame. Filled in from the data; [40, 80] without.
        frame_rate: Frames a second. Filled in from the data; 25 without.
        speakers: Names of the speakers in the data. Filled in from the data; kept so that a
            bundle says whom it knows.
        preprocessing: How the data prepares clips. Filled in from the data; kept so that a
            user's files are prepared alike.
        preset: Sizes of the net where the arguments below leave them out: ``small`` (of this
            project), ``2016`` and ``2017`` (of the papers, unverified), ``lab`` and
            ``lab-baseline`` (of the lab's later program).
        deltas: Order of the frame differences given beside the images: 0, 1 or 2.
        channels: Output channels of convolutions over each frame, every one halving it; none
            for the plain feed-forward net.
        feedforward: Units of the feed-forward layers on each frame.
        lstm: Units of the LSTM layers.
        bidirectional: Read clips backwards too.
        activation: Of the feed-forward layers: ``tanh`` or ``relu``.
        dropout: Rate after each layer.
        lstm_dropout: Rate after the last LSTM layer; the preset's, or ``dropout``, without.
        init_std: Draw weights and biases from a cut normal distribution of this deviation, those
            of LSTMs as TensorFlow does; 0 keeps torch's own initialization.
        shift: Augmentation: largest move, as a fraction of height and of width.
        scaling: Augmentation: largest change of size, as a fraction.
        rotation: Augmentation: largest rotation, degrees.
        flip: Augmentation: probability of a mirror image.
        intensity: Augmentation: deviation of a random offset, and of the logarithm of a random
            gain, of normalized gray values.
        tempo: Augmentation: largest change of speed, as a fraction.
        frame_mask: Augmentation: longest run of frames that is blanked.
        optimizer: ``adamw``, ``sgd``, ``nesterov``, or a class such as ``torch.optim.RAdam``.
        lr: Largest learning rate.
        lr_backbone: Largest learning rate of everything but the head; ``lr`` without.
        momentum: Of ``sgd`` and ``nesterov``.
        weight_decay: Weight decay of the weights, not of biases.
        schedule: Learning rate over training: ``constant``, ``onecycle``, ``cosine``, or a class
            such as ``torch.optim.lr_scheduler.PolynomialLR``.
        warmup: Part of the training in which ``onecycle`` goes up.

    Raises:
        UsageError: an argument is out of its range, or two do not fit together.
    """

    def __init__(
        self,
        *,
        num_classes: int | None = None,
        label_names: list[str] | None = None,
        image_size: list[int] | None = None,
        frame_rate: float | None = None,
        speakers: list[str] | None = None,
        preprocessing: dict[str, Any] | None = None,
        preset: Literal["small", "2016", "2017", "lab", "lab-baseline"] = "small",
        deltas: int = 0,
        channels: list[int] | None = None,
        feedforward: list[int] | None = None,
        lstm: list[int] | None = None,
        bidirectional: bool = False,
        activation: Literal["tanh", "relu"] | None = None,
        dropout: float | None = None,
        lstm_dropout: float | None = None,
        init_std: float | None = None,
        shift: float = 0.0,
        scaling: float = 0.0,
        rotation: float = 0.0,
        flip: float = 0.0,
        intensity: float = 0.0,
        tempo: float = 0.0,
        frame_mask: int = 0,
        optimizer: Literal["adamw", "sgd", "nesterov"] | str = "adamw",
        lr: float = 0.002,
        lr_backbone: float | None = None,
        momentum: float = 0.9,
        weight_decay: float = 0.01,
        schedule: Literal["constant", "onecycle", "cosine"] | str = "onecycle",
        warmup: float = 0.2,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        num_classes = 2 if num_classes is None else num_classes
        image_size = [40, 80] if image_size is None else list(image_size)
        self.hparams.update(num_classes=num_classes, image_size=image_size)
        at_least("num_classes", num_classes, 2)
        require(
            len(image_size) == 2 and min(image_size) >= 1,
            f"image_size is {image_size}; it takes a height and a width in pixels",
        )
        one_of("preset", preset, PRESETS)
        optim.require_optimizer(optimizer)
        optim.require_schedule(schedule)
        one_of("deltas", deltas, (0, 1, 2))
        self.sizes = with_defaults(
            preset,
            feedforward=feedforward,
            lstm=lstm,
            activation=activation,
            dropout=dropout,
            lstm_dropout=lstm_dropout,
            init_std=init_std,
        )
        one_of("activation", self.sizes["activation"], ACTIVATIONS)
        for name in ("dropout", "lstm_dropout"):
            within(name, self.sizes[name] or 0, 0, 1, below=True)
        within("tempo", tempo, 0, 1, below=True)
        check_units("channels", channels or [])
        check_units("feedforward", self.sizes["feedforward"])
        check_units("lstm", self.sizes["lstm"])
        require(bool(self.sizes["lstm"]), "lstm is empty; one layer is needed")
        self.num_classes = num_classes
        self.image_size = image_size
        self.frame_rate = 25.0 if frame_rate is None else frame_rate
        self.label_names = label_names or [str(index) for index in range(num_classes)]
        require(
            len(self.label_names) == num_classes,
            f"label_names has {len(self.label_names)} names for {num_classes} classes",
        )
        self.speakers = speakers or []
        self.preprocessing = preprocessing or {}
        if finder := (self.preprocessing.get("crop") or {}).get("finder"):
            require_trusted(str(finder))
        self._mirrors = False
        self.augmentation = Augmentation(
            shift, scaling, rotation, flip, intensity, tempo, frame_mask
        )

    @classmethod
    def upgrade_arguments(cls, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments that zoo 0.1.0 saved, under today's names."""
        return rename_keys(arguments, {"normalisation": "normalization"})

    @property
    def encoder_arguments(self) -> dict[str, Any]:
        """Arguments of ``zoo_lipreading.networks.Encoder``, but for ``pooling``."""
        values = self.hparams
        return {
            "image_size": self.image_size,
            "deltas": values["deltas"],
            "channels": values["channels"] or (),
            "bidirectional": values["bidirectional"],
            **{
                key: self.sizes[key]
                for key in ("feedforward", "lstm", "activation", "dropout", "lstm_dropout")
            },
        }

    @property
    def head(self) -> tuple[str, ...]:
        """The submodules a new task replaces."""
        return ("network.head",)

    @property
    def example_input(self) -> Tensor:
        """Two clips of twelve frames in which something moves, float32 (2, 12, H, W)."""
        height, width = self.image_size
        count = 2 * 12 * height * width
        return (torch.arange(count) * 7 % 41 / 20 - 1).view(2, 12, height, width)

    def use_tta(self) -> list[str]:
        """Average over mirror images too, if the training showed such.

        Raises:
            UsageError: it did not.
        """
        if not self.augmentation.flip:
            raise UsageError(
                "the model was trained without mirror images (model.flip), so nothing says that "
                "they are as good: omit --tta"
            )
        self._mirrors = True
        return ["as it is", "mirrored"]

    def over_views(self, clips: Tensor, probabilities: Callable[[Tensor], Tensor]) -> Tensor:
        """Probabilities of clips (N, T, H, W), averaged with those of their mirror images where
        ``use_tta`` says so."""
        own = probabilities(clips)
        return (own + probabilities(clips.flip(-1))) / 2 if self._mirrors else own

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        """Lightning's, but for the lengths, which stay on the CPU (``layers.masking``)."""
        moved = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return keep_lengths(moved, batch)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        values = self.hparams
        optimizer = optim.optimizer(
            values["optimizer"],
            self.named_parameters(),
            values["lr"],
            values["momentum"],
            values["weight_decay"],
            head=self.head,
            lr_backbone=values["lr_backbone"],
            fused=optim.may_fuse(self),
        )
        total = optim.total_steps(self.trainer)
        factor = optim.schedule(values["schedule"], total, values["warmup"])
        return optim.with_schedule(optimizer, factor)

    def log_means(self, stage: str, **means: MeanMetric) -> None:
        """Log the means gathered over an epoch as ``stage/name``, and start over."""
        for name, mean in means.items():
            self.log(f"{stage}/{name}", mean.compute(), prog_bar=True, sync_dist=True)
            mean.reset()


LENGTHS = ("lengths", "audio_lengths", "target_lengths")


def keep_lengths(moved: Any, batch: Any) -> Any:
    """A batch that was moved to a device, with the lengths, also of a ``target``, of the one that
    was not."""
    if not isinstance(batch, dict):
        return moved
    kept = {key: batch[key] for key in LENGTHS if key in batch}
    if "target" in batch:
        kept["target"] = keep_lengths(moved["target"], batch["target"])
    return {**moved, **kept}


def check_units(name: str, units: Sequence[int]) -> None:
    """Refuse layers without units.

    Raises:
        UsageError: a number is below 1.
    """
    require(min(units, default=1) >= 1, f"{name} is {list(units)}; every layer needs 1 or more")


def with_defaults(preset: str, **given: Any) -> dict[str, Any]:
    """The given values, and the preset's where one is None."""
    return {**PRESETS[preset], **{key: value for key, value in given.items() if value is not None}}
