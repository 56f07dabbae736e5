"""Images of patterns, generated."""

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from zoo.plugin import BaseDataModule, Facts, FoldSamples, Part

SIZES = {"val": 24, "test": 36}
MEAN, STD = 0.39, 0.226


class Images(BaseDataModule[TensorDataset]):
    """Noisy gray images of 8x8 pixels: rows, columns or a checkerboard.

    Args:
        batch_size: Images in a batch.
        num_workers: Processes that prepare batches.
        seed: Seed of the order.
        split: ``all``: every image is test data.
        names: What the patterns are called; two names or three.
        size: Images of the training part.
    """

    def __init__(
        self,
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        names: list[str] | None = None,
        size: int = 96,
    ) -> None:
        super().__init__("toy-images", batch_size, num_workers, seed, split)
        self.names = ["rows", "columns", "checks"] if names is None else names
        self.size = size

    fixed_test_batches = True

    @property
    def facts(self) -> Facts:
        if self.fold is not None and self.split != "all":
            self.fold.is_val(self.fold_samples(), self.root)
        return {
            "num_classes": len(self.names),
            "label_names": self.names,
            "in_channels": 1,
            "image_size": [8, 8],
            "mean": [MEAN],
            "std": [STD],
        }

    def fold_samples(self) -> FoldSamples:
        """Six images of a patient each, of every pattern."""
        count = 0 if self.split == "all" else self.size + SIZES["val"]
        names = [f"patient{index // 6}/image{index}.npy" for index in range(count)]
        of_part = [torch.arange(size) % len(self.names) for size in (self.size, SIZES["val"])]
        labels = torch.cat(of_part).tolist()[:count]
        return FoldSamples(names, [self.names[label] for label in labels])

    def samples(self, part: Part) -> TensorDataset:
        if self.fold is None or self.split == "all" or part == "test":
            return self._drawn(part)
        chosen = torch.tensor(self.fold.is_val(self.fold_samples(), self.root))
        pool = zip(self._drawn("train").tensors, self._drawn("val").tensors, strict=True)
        wanted = chosen if part == "val" else ~chosen
        return TensorDataset(*(torch.cat(both)[wanted] for both in pool))

    def _drawn(self, part: Part) -> TensorDataset:
        size = SIZES.get(part, self.size)
        if self.split == "all":
            size = self.size + sum(SIZES.values()) if part == "test" else 0
        draw = torch.Generator().manual_seed(["train", "val", "test"].index(part))
        labels = torch.arange(size) % len(self.names)
        noise = torch.randint(0, 100, (size, 1, 8, 8), dtype=torch.uint8, generator=draw)
        return TensorDataset(100 * patterns()[labels] + noise, labels)


def patterns() -> Tensor:
    """The patterns without noise, uint8 (3, 1, 8, 8) of 0 and 1."""
    row, column = torch.arange(8)[:, None].expand(8, 8), torch.arange(8)[None].expand(8, 8)
    return torch.stack([row % 2, column % 2, (row + column) % 2])[:, None].to(torch.uint8)
