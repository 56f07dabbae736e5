"""The convolutional VAE of World Models, a net without Lightning.

    picture 64 x 64 -> conv 32, 64, 128, 256 (4 x 4, stride 2, ReLU) -> mu, log sigma^2
    z = mu + sigma * noise
    z -> linear 1024 -> deconv 128 (5 x 5), 64 (5 x 5), 32 (6 x 6), channels (6 x 6), stride 2

Ha, Schmidhuber: World Models, arXiv:1803.10122, section A.1: 4,348,547 weights with 32 latents and
three channels, 4,446,915 with 64.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

SIZE = 64
"""Side of the pictures, in pixels."""


class ConvVAE(nn.Module):
    """Args:
    channels: Of a picture.
    latents: Numbers in a code.
    width: Channels of the first convolution; all others go with it, 32 as published.
    """

    def __init__(self, channels: int = 3, latents: int = 32, width: int = 32) -> None:
        super().__init__()
        self.latents, self._last = latents, 8 * width
        sizes = [channels, width, 2 * width, 4 * width, 8 * width]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Conv2d(before, after, 4, stride=2), nn.ReLU()]
        self.encoder = nn.Sequential(*layers, nn.Flatten())
        self.mean = nn.Linear(4 * self._last, latents)
        self.log_variance = nn.Linear(4 * self._last, latents)
        self.start = nn.Linear(latents, 4 * self._last)
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(4 * self._last, 4 * width, 5, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * width, 2 * width, 5, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * width, width, 6, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(width, channels, 6, stride=2),
        )

    def encode(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the code, (N, latents) each, of pictures (N, C, 64, 64) from 0
        to 1."""
        seen = self.encoder(pictures)
        return self.mean(seen), self.log_variance(seen)

    def decode(self, codes: Tensor) -> Tensor:
        """Pictures (N, C, 64, 64) from 0 to 1 of codes (N, latents)."""
        pictures: Tensor = self.decoder(self.start(codes)[..., None, None])
        return pictures.sigmoid()

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The pictures of drawn codes, and the codes' means and log variances."""
        mean, log_variance = self.encode(pictures)
        codes = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decode(codes), mean, log_variance


def vae_loss(
    pictures: Tensor, decoded: Tensor, mean: Tensor, log_variance: Tensor, free: float = 0.5
) -> tuple[Tensor, Tensor]:
    """Squared error, summed over a picture, and the divergence from N(0, 1), summed over a code,
    of which ``free * latents`` cost nothing (arXiv:1803.10122, as the authors' program has it: the
    sum is cut, not each number). Each is a mean over N.

    Args:
        pictures: (N, C, H, W) from 0 to 1.
        decoded: The same.
        mean: (N, latents).
        log_variance: (N, latents).
        free: Nats for each latent.
    """
    error = (decoded - pictures).square().flatten(1).sum(1).mean()
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)
    return error, divergence.clamp(min=free * mean.shape[1]).mean()
