"""The digits that come with scikit-learn: one is normal, the others are not."""

from typing import Any

import torch
from sklearn.datasets import load_digits
from torch.utils.data import TensorDataset

from zoo.plugin import BaseDataModule, Part, one_of


class OddDigits(BaseDataModule[TensorDataset]):
    """Half of the normal digit is training data; its other half and all others are test data.

    A batch is ``(inputs, odd)``: pixels in [0, 1], (N, 64), and 1 for every other digit, (N,).

    Args:
        normal: The normal digit.
    """

    def __init__(self, normal: int = 0, **options: Any) -> None:
        super().__init__(root="the digits", **options)
        one_of("normal", normal, range(10))
        self.normal = normal

    @property
    def facts(self) -> dict[str, Any]:
        return {"features": 64}

    def samples(self, part: Part) -> TensorDataset:
        digits = load_digits()
        inputs = torch.from_numpy(digits.data).float() / 16
        odd = torch.from_numpy(digits.target != self.normal).long()
        train = (odd == 0) & (torch.arange(len(odd)) % 2 == 0) & (self.split == "standard")
        chosen = {"train": train, "val": torch.zeros_like(train), "test": ~train}[part]
        return TensorDataset(inputs[chosen], odd[chosen])
