"""Of a class that lies in one piece, as an organ does, the largest connected component alone.

Whether that helps is asked of the validation part, class by class, as nnU-Net does.

Source: Isensee et al., nnU-Net, Nature Methods 18, 2021, Methods ("Empirical parameters").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from zoo_segmentation.metrics import measure


def largest_components(labels: np.ndarray, classes: Iterable[int]) -> np.ndarray:
    """A label map whose voxels outside of the largest component of their class are background.

    Voxels touch at faces, edges and corners.

    Args:
        labels: Integers (*spatial).
        classes: Of which classes; others stay as they are.
    """
    changed = labels.copy()
    for number in classes:
        components, count = ndimage.label(labels == number, np.ones((3,) * labels.ndim))
        if count > 1:
            sizes = np.bincount(components.ravel())
            sizes[0] = 0
            changed[(components > 0) & (components != sizes.argmax())] = 0
    return changed


def of_batch(labels: Tensor, classes: Sequence[int]) -> Tensor:
    """``largest_components`` of each of (N, 1, *spatial)."""
    if not classes:
        return labels
    maps = [largest_components(each[0].cpu().numpy(), classes) for each in labels]
    return torch.from_numpy(np.stack(maps))[:, None].to(labels.device)


class Gains:
    """How much Dice each class gains by it, over volumes.

    Args:
        classes: Number of classes, background included.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.total = torch.zeros(classes - 1, dtype=torch.float64)

    def add(self, predicted: Tensor, labels: Tensor) -> None:
        """Volumes, int64 (N, 1, *spatial) both."""
        alone = of_batch(predicted, range(1, self.classes))
        for index in range(len(labels)):
            one = slice(index, index + 1)
            with_, without = (
                measure(some[one], labels[one], self.classes, distances=False)[0].cpu()
                for some in (alone, predicted)
            )
            self.total += (with_ - without).nan_to_num(0.0)

    def chosen(self, gathered: Any) -> list[int]:
        """The classes that gain.

        Args:
            gathered: Brings a tensor of each process together: (*processes, classes - 1).
        """
        total = gathered(self.total).reshape(-1, self.classes - 1).sum(0)
        return [number for number, gain in enumerate(total.tolist(), 1) if gain > 1e-9]
