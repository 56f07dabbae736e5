"""The encoder of pictures of World Models: a convolutional VAE, trained on frames of episodes.

Ha, Schmidhuber: World Models, arXiv:1803.10122, section A.1; see ``vae_net``. What `zoo predict`
does with it: encode the frames of an episode's file and decode them again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule
from matplotlib.figure import Figure
from PIL import Image, ImageOps
from torch import Tensor

from zoo.plugin import UsageError, above, at_least
from zoo_worldmodels.vae_net import SIZE, ConvVAE, vae_loss

_AT_ONCE = 256  # frames


class Vision(LightningModule):
    """A VAE of 64 x 64 pictures, and its loss.

    Args:
        observation_shape: Channels, height and width of a picture. Filled in from the data.
        latents: Numbers in a code.
        width: Channels of the first convolution, 32 as published.
        free_nats: Divergence for each latent that costs nothing, counted over the whole code.
        lr: Learning rate of Adam.

    Raises:
        UsageError: pictures are not 64 x 64, or an argument is out of its range.
    """

    monitor, monitor_mode = "val/loss", "min"
    plot_captions = {  # noqa: RUF012  # read, never changed
        "reconstructions": "Frames of the test, and below each what its code keeps of it.",
    }
    conformance_arguments = {"latents": 4, "width": 2}  # noqa: RUF012
    conformance_exempt = {  # noqa: RUF012
        "builds": "its data are frames of an environment, which are kept in a folder of the user's",
    }

    def __init__(
        self,
        observation_shape: list[int],
        latents: int = 32,
        width: int = 32,
        free_nats: float = 0.5,
        lr: float = 0.0001,
    ) -> None:
        super().__init__()
        self.save_hyperparameters()
        if len(observation_shape) != 3 or observation_shape[1:] != [SIZE, SIZE]:
            raise UsageError(
                f"observations are of shape {observation_shape}; conv-vae takes pictures of "
                f"{SIZE} x {SIZE}: vectors need no encoder"
            )
        at_least("latents", latents, 1)
        at_least("width", width, 1)
        at_least("free_nats", free_nats, 0)
        above("lr", lr, 0)
        self.latents = latents
        self.network = ConvVAE(observation_shape[0], latents, width)

    @property
    def example_input(self) -> Tensor:
        """Two pictures."""
        shape = (2, *self.hparams["observation_shape"])
        return (torch.arange(torch.Size(shape).numel()).view(shape) % 251).to(torch.uint8)

    def forward(self, pictures: Tensor) -> Tensor:
        """Means of the codes, (N, latents), of pictures uint8 (N, C, 64, 64)."""
        return self.encode(pictures)[0]

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Means and standard deviations of the codes, (N, latents) each.

        Args:
            pictures: uint8 (N, C, 64, 64).
        """
        mean, log_variance = self.network.encode(self._scaled(pictures))
        return mean, (0.5 * log_variance).exp()

    @torch.no_grad()
    def encode_all(self, pictures: np.ndarray) -> tuple[Tensor, Tensor]:
        """The same of many, on the CPU.

        Args:
            pictures: uint8 (N, C, 64, 64).
        """
        parts = [
            self.encode(torch.from_numpy(pictures[start : start + _AT_ONCE]).to(self.device))
            for start in range(0, len(pictures), _AT_ONCE)
        ]
        return (
            torch.cat([mean for mean, _ in parts]).cpu(),
            torch.cat([scale for _, scale in parts]).cpu(),
        )

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures uint8 (N, C, 64, 64) of codes (N, latents)."""
        return (self.network.decode(codes) * 255).round().to(torch.uint8)

    input_suffixes = (".png", ".jpg", ".jpeg", ".bmp")

    def read_file(self, path: Path) -> Tensor:
        """A picture, cut to a square in the middle and made 64 x 64: uint8 (C, 64, 64).

        Raises:
            UsageError: it cannot be read.
        """
        channels = self.hparams["observation_shape"][0]
        try:
            with Image.open(path) as file:
                picture = ImageOps.fit(file.convert("L" if channels == 1 else "RGB"), (SIZE, SIZE))
        except OSError as error:
            raise UsageError(f"{path} cannot be read as a picture: {error}") from error
        return torch.from_numpy(np.array(picture).reshape(SIZE, SIZE, channels)).permute(2, 0, 1)

    def predict_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        """Means of the codes, (N, latents)."""
        codes: Tensor = self(batch)
        return codes

    def describe_prediction(self, output: Tensor) -> dict[str, Any]:
        """A code, a column a number."""
        return {f"z{index}": round(value, 5) for index, value in enumerate(output.tolist())}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.hparams["lr"])

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self._loss(batch, "train")

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self._loss(batch, "val")

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self._loss(batch, "test")

    def _loss(self, batch: Any, stage: str) -> Tensor:
        pictures = self._scaled(batch[0])
        decoded, mean, log_variance = self.network(pictures)
        free = self.hparams["free_nats"]
        error, divergence = vae_loss(pictures, decoded, mean, log_variance, free)
        values = {"loss": error + divergence, "error": error, "divergence": divergence}
        for name, value in values.items():
            self.log(
                f"{stage}/{name}",
                value.detach(),
                on_step=False,
                on_epoch=True,
                batch_size=len(pictures),
            )
        return values["loss"]

    def _scaled(self, pictures: Tensor) -> Tensor:
        return pictures.to(self.dtype) / 255

    @torch.no_grad()
    def draw_plots(self, batch: Any) -> dict[str, Figure]:
        """Frames and their reconstructions.

        Args:
            batch: As of the test loader.
        """
        return {"reconstructions": drawn_pairs(batch[0][:8], self.decode(self(batch[0][:8])))}


def drawn_pairs(real: Tensor, made: Tensor) -> Figure:
    """Pictures above others, uint8 (N, C, H, W) each."""
    figure = Figure(figsize=(1.2 * len(real), 2.6), layout="constrained")
    rows = figure.subplots(2, len(real), squeeze=False)
    for axes, pictures, name in zip(rows, (real, made), ("real", "decoded"), strict=True):
        for place, picture in zip(axes, pictures.cpu(), strict=True):
            place.imshow(
                picture.permute(1, 2, 0).squeeze(-1).numpy(), cmap="gray", vmin=0, vmax=255
            )
            place.set_xticks([])
            place.set_yticks([])
        axes[0].set_ylabel(name)
    return figure
