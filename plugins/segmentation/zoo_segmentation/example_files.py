"""A small file of the kind that a model reads, for the conformance kit's check ``predicts``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nibabel as nib
import numpy as np


def write_volume(
    folder: Path, size: Sequence[int], channels: int, spacing: Sequence[float]
) -> Path:
    """A NIfTI volume of noise.

    Args:
        folder: Where to.
        size: Of the grid (D, H, W).
        channels: On a fourth axis, where there are several.
        spacing: Voxel edges in mm, along D, H, W.
    """
    shape = (*reversed(size), *([channels] if channels > 1 else []))
    values = np.random.default_rng(0).normal(100, 20, shape).astype(np.float32)
    image = nib.Nifti1Image(values, np.diag([*reversed(spacing), 1.0]))
    image.header.set_xyzt_units("mm")
    path = folder / "volume.nii.gz"
    nib.save(image, path)
    return path
