"""The LightningModule of ``lit.py`` as a model of the zoo."""

from pathlib import Path
from typing import Any, ClassVar

import segmentation_models_pytorch as smp
from matplotlib.figure import Figure
from torch import Tensor

from zoo.plugin import AdaptedModule, plots
from zoo_smp.data import load
from zoo_smp.lit import MaskModel


class SmpModel(AdaptedModule, MaskModel):
    """A net of segmentation_models_pytorch, without pretrained weights.

    Args:
        arch: Its architecture, such as ``unet`` or ``fpn``.
        encoder: Its encoder, such as ``mobilenet_v2`` or ``resnet34``.
        size: Pixels of a side, a multiple of 32. Filled in from the data.
        lr: Learning rate of Adam.
    """

    head = ("net.segmentation_head",)
    batch_keys = ("image", "mask")
    metric_names: ClassVar = {
        f"{theirs}_{name}": f"{ours}/{name}"
        for theirs, ours in {"train": "train", "valid": "val", "test": "test"}.items()
        for name in ("loss", "iou")
    }
    trainer_defaults: ClassVar = {"num_sanity_val_steps": 0}
    input_suffixes = (".png",)

    def __init__(
        self,
        arch: str = "unet",
        encoder: str = "mobilenet_v2",
        size: int = 64,
        lr: float = 0.003,
    ) -> None:
        super().__init__(smp.create_model(arch, encoder, encoder_weights=None), lr)
        self.size = size

    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """The first image of a test batch under its true and its found mask."""
        image, mask = batch[0][:1], batch[1][0, 0]
        masks = {"truth": mask.cpu().numpy(), "found": (self(image)[0, 0] > 0).cpu().numpy()}
        return {"masks": plots.overlay(image[0, 1].cpu().numpy(), masks, ["none", "object"])}

    def read_file(self, path: Path) -> Tensor:
        """An image as the dataset gives it."""
        return load(path, self.size, "RGB")

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Masks (N, 1, H, W), 0 or 1."""
        return (self(batch) > 0).float()

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """The share of the image that is object."""
        return {"object": round(float(output.mean()), 4)}
