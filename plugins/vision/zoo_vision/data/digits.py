"""The optical digits that scikit-learn carries."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import torch

from zoo.plugin import fractions
from zoo_vision.data.images import (
    TEST,
    VAL,
    ImageDataModule,
    LoadedImages,
    TensorImages,
    hold_out,
)

TEST_FRACTION = 0.2


class Digits(ImageDataModule):
    """1,797 handwritten digits, scanned and reduced to 8x8 gray values; needs no files.

    A fixed, stratified fifth is the test part. Source: Alpaydin and Kaynak, Optical Recognition
    of Handwritten Digits, UCI Machine Learning Repository, as bundled with scikit-learn.

    Args:
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches; the data lies in memory, 0 is quickest.
        seed: Seed of the order of the training images; the split does not depend on it.
        split: ``standard``, or ``all`` to make every image test data.
        val_fraction: Share of the training images held out for validation, fixed and
            stratified; 0 for none.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``; on
            all without.
    """

    def __init__(
        self,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        val_fraction: float = 0.1,
        train_per_class: int | None = None,
    ) -> None:
        super().__init__(
            "scikit-learn's digits", batch_size, num_workers, seed, split, train_per_class
        )
        fractions(val_fraction=val_fraction)
        self.val_fraction = val_fraction

    def _load(self) -> LoadedImages:
        values, labels = _read_digits()
        # 16 gray levels and white: 0..16.
        pixels = np.round(values.reshape(-1, 1, 8, 8) * (255 / 16)).astype(np.uint8)
        parts = np.zeros(len(labels), dtype=np.uint8)
        parts[hold_out(labels, TEST_FRACTION)] = TEST
        rest = np.flatnonzero(parts != TEST)
        parts[rest[hold_out(labels[rest], self.val_fraction)]] = VAL
        images = TensorImages(torch.from_numpy(pixels), torch.from_numpy(labels.astype(np.int64)))
        return LoadedImages(images, parts, [str(digit) for digit in range(10)])


def _read_digits() -> tuple[np.ndarray, np.ndarray]:
    """What ``sklearn.datasets.load_digits`` returns: values 0..16 (N, 64) and labels (N,).

    Read from scikit-learn's own file where it has one: importing the package for it takes longer
    than all else between the imports of torch and the first step of training.
    """
    spec = importlib.util.find_spec("sklearn")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        file = Path(folder) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            table = np.loadtxt(file, delimiter=",")
            return table[:, :-1], table[:, -1]
    from sklearn.datasets import load_digits

    values, labels = load_digits(return_X_y=True)
    return values, labels
