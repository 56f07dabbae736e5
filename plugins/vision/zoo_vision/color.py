"""sRGB to CIE L*a*b* (D65, 2 degrees) and back, for batches of images."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

# IEC 61966-2-1: linear sRGB to XYZ.
_XYZ = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
_WHITE = (0.95047, 1.0, 1.08883)
_EDGE = 6 / 29


@lru_cache(maxsize=8)  # a device has one for each dtype: a copy to a GPU makes the host wait
def _constants(dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The matrix to XYZ, its inverse, and the white point (1, 3, 1, 1)."""
    matrix = torch.tensor(_XYZ, dtype=torch.float64)
    white = torch.tensor(_WHITE, dtype=torch.float64).view(1, 3, 1, 1)
    made = (matrix, torch.linalg.inv(matrix), white)
    first, second, third = (each.to(dtype).to(device) for each in made)
    return first, second, third


def rgb_to_lab(images: Tensor) -> Tensor:
    """Convert (N, 3, H, W) from sRGB in [0, 1] to L* in [0, 100], a* and b*."""
    linear = torch.where(
        images > 0.04045, ((images.clamp(min=0) + 0.055) / 1.055) ** 2.4, images / 12.92
    )
    matrix, _, white = _constants(images.dtype, images.device)
    xyz = torch.einsum("ij,njhw->nihw", matrix, linear) / white
    f = torch.where(
        xyz > _EDGE**3, xyz.clamp(min=_EDGE**3) ** (1 / 3), xyz / (3 * _EDGE**2) + 4 / 29
    )
    x, y, z = f.unbind(dim=1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], dim=1)


def lab_to_rgb(images: Tensor) -> Tensor:
    """Convert (N, 3, H, W) from L*a*b* to sRGB; colors outside sRGB leave [0, 1]."""
    lightness, a, b = images.unbind(dim=1)
    y = (lightness + 16) / 116
    f = torch.stack([y + a / 500, y, y - b / 200], dim=1)
    xyz = torch.where(f > _EDGE, f**3, 3 * _EDGE**2 * (f - 4 / 29))
    _, inverse, white = _constants(images.dtype, images.device)
    linear = torch.einsum("ij,njhw->nihw", inverse, xyz * white)
    return torch.where(
        linear > 0.0031308,
        1.055 * linear.clamp(min=0.0031308) ** (1 / 2.4) - 0.055,
        12.92 * linear,
    )
