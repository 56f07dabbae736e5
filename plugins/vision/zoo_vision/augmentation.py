"""Random deformation of a batch of images: elastic and affine, in one ``grid_sample``."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from zoo.plugin import above, at_least, one_of, require, within

BORDERS = ("zeros", "border", "reflection")


class Deformation(nn.Module):
    """Deforms every image of a batch by its own random elastic and affine map.

    The elastic part is that of Simard, Steinkraus and Platt 2003 and of Ciresan et al.
    2010-2012: for every pixel and direction a number from U[-1, 1], smoothed by a Gaussian of
    standard deviation ``elastic_sigma`` whose weights sum to 1, times ``elastic_alpha``. The papers
    smooth by a filter of 21x21 pixels (unverified), which ``elastic_filter`` 21 does. Without it
    the Gaussian reaches to 4 standard deviations, and the displacements' standard deviation is
    about ``0.163 * alpha / sigma`` pixels in each direction; at sigma 6 the filter of 21 pixels
    makes it a seventh larger, and the field rougher. A smoothed number is a weighted sum of
    hundreds of independent ones, that is, as good as normal; so the fields are drawn as normal
    fields of exactly that covariance, from the few leading components of the smoothing matrix, by
    two small matrix products. They are equally strong at the border, as if the noise went on
    beyond it.

    Everything happens on the images' device. Random numbers come from torch's generator of that
    device. In evaluation too it deforms: call it only where deformation is wanted.

    Args:
        rotation: Largest rotation, degrees, either way.
        scaling: Largest relative change of height and of width (independent), such as 0.15.
        translation: Largest shift, as a fraction of height and of width.
        elastic_sigma: Standard deviation of the smoothing, pixels.
        elastic_alpha: Strength of the elastic displacement, pixels; 0 turns it off.
        elastic_filter: Side of the smoothing filter, pixels, odd; 4 ``elastic_sigma`` either way
            without.
        border: What lies beyond the image: ``zeros``, ``border`` (its outermost pixels) or
            ``reflection``.

    Raises:
        UsageError: an argument is out of its range.
    """

    def __init__(
        self,
        rotation: float = 0.0,
        scaling: float = 0.0,
        translation: float = 0.0,
        elastic_sigma: float = 6.0,
        elastic_alpha: float = 0.0,
        border: str = "border",
        elastic_filter: int | None = None,
    ) -> None:
        super().__init__()
        for name, value, low, high in (
            ("rotation", rotation, 0, 180),
            ("scaling", scaling, 0, 0.99),
            ("translation", translation, 0, 1),
        ):
            within(name, value, low, high)
        above("elastic_sigma", elastic_sigma, 0)
        at_least("elastic_alpha", elastic_alpha, 0)
        one_of("border", border, BORDERS)
        require(
            elastic_filter is None or (elastic_filter >= 3 and elastic_filter % 2 == 1),
            f"elastic_filter is {elastic_filter}; it takes an odd number of pixels, 3 or more",
        )
        self.rotation = rotation
        self.scaling = scaling
        self.translation = translation
        self.elastic_sigma = elastic_sigma
        self.elastic_alpha = elastic_alpha
        self.elastic_filter = elastic_filter
        self.border = border
        self._constants: dict[tuple[object, ...], tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def identity(self) -> bool:
        """True if nothing is to be deformed."""
        return not (self.rotation or self.scaling or self.translation or self.elastic_alpha)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Deform floating-point (N, C, H, W) images; same shape, dtype and device."""
        if self.identity or not len(images):
            return images
        size = (images.shape[-2], images.shape[-1])
        grid = self._grid(self._draw_affine(len(images), size, images.device), size)
        # Positions need more digits than half precision has.
        dtype = torch.promote_types(images.dtype, grid.dtype)
        deformed = F.grid_sample(
            images.to(dtype), grid.to(dtype), padding_mode=self.border, align_corners=False
        )
        return deformed.to(images.dtype)

    def field(self, count: int, size: tuple[int, int], device: torch.device | str) -> Tensor:
        """Draw elastic displacements: (count, 2, H, W), x then y, in pixels."""
        _, rows, columns = self._prepared(size, torch.device(device))
        shape = count, 2, rows.shape[1], columns.shape[1]
        noise = torch.randn(shape, device=device, dtype=rows.dtype)
        return self.elastic_alpha * (rows @ noise @ columns.T)

    def _draw_affine(self, count: int, size: tuple[int, int], device: torch.device) -> Tensor:
        """(count, 2, 3) maps from output pixel (x, y, 1), origin in the center, to source."""
        height, width = size
        draws = 2 * torch.rand(5, count, device=device, dtype=torch.float32) - 1
        angle = math.radians(self.rotation) * draws[0]
        # The map leads from output to source, hence the inverse of the scaling.
        scale_x = 1 / (1 + self.scaling * draws[1])
        scale_y = 1 / (1 + self.scaling * draws[2])
        cosine, sine = torch.cos(angle), torch.sin(angle)
        entries = (
            scale_x * cosine,
            -scale_x * sine,
            -self.translation * width * draws[3],
            scale_y * sine,
            scale_y * cosine,
            -self.translation * height * draws[4],
        )
        return torch.stack(entries, dim=1).view(count, 2, 3)

    def _grid(self, affine: Tensor, size: tuple[int, int]) -> Tensor:
        """The sampling grid (N, H, W, 2) in ``grid_sample``'s units, elastic part included."""
        height, width = size
        count = len(affine)
        pixels, _, _ = self._prepared(size, affine.device)
        # One product for the whole batch, x and y apart: several times faster than per image.
        grid = (affine.view(2 * count, 3) @ pixels).view(count, 2, height, width)
        if self.elastic_alpha:
            grid += self.field(count, size, affine.device)
        # One pixel is 2 / width of grid_sample's units.
        grid[:, 0] *= 2 / width
        grid[:, 1] *= 2 / height
        return grid.permute(0, 2, 3, 1)

    def _prepared(
        self, size: tuple[int, int], device: torch.device
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Pixel coordinates (3, H*W) and the rows' and columns' smoothing factors."""
        key = (size, device)
        if key not in self._constants:
            height, width = size
            # Positions are float32 whatever the precision of the training.
            y = torch.arange(height, dtype=torch.float32) - (height - 1) / 2
            x = torch.arange(width, dtype=torch.float32) - (width - 1) / 2
            grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
            pixels = torch.stack([grid_x, grid_y, torch.ones_like(grid_x)]).flatten(1)
            # A uniform number from [-1, 1] has variance 1/3.
            rows = smoothing_factor(height, self.elastic_sigma, self.elastic_filter) / 3**0.5
            columns = smoothing_factor(width, self.elastic_sigma, self.elastic_filter)
            self._constants[key] = (pixels.to(device), rows.to(device), columns.to(device))
        return self._constants[key]


def smoothing_factor(length: int, sigma: float, taps: int | None = None) -> Tensor:
    """A (length, r) matrix L: L z has the covariance of smoothed white noise, for normal z.

    The noise has variance 1 and continues beyond both ends; the Gaussian has ``taps`` weights, or
    is cut at 4 ``sigma``, and sums to 1. Components with less than 1e-5 of the largest one's
    variance are left out.
    """
    reach = max(1, math.ceil(4 * sigma)) if taps is None else taps // 2
    offsets = torch.arange(-reach, reach + 1, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel /= kernel.sum()
    smoothing = torch.zeros(length, length + 2 * reach, dtype=torch.float64)
    for row in range(length):
        smoothing[row, row : row + 2 * reach + 1] = kernel
    left, values, _ = torch.linalg.svd(smoothing, full_matrices=False)
    kept = values**2 > 1e-5 * values[0] ** 2
    components: Tensor = (left[:, kept] * values[kept]).float()
    return components
