"""Small generated volumes, and where the real ones lie."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

DATA = Path(os.environ.get("ZOO_DATA", "../shared/data"))

WriteNifti = Callable[..., Path]


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """An array along the file's own axes (X, Y, Z), 1 mm voxels unless an affine says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


@pytest.fixture
def nifti() -> WriteNifti:
    return save_nifti


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The folder of real data of that name; skips where it is missing."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"{folder} is not there; set ZOO_DATA to the folder that holds {name}/")
        return folder

    return find
