"""What datamodules share: the checks of their arguments, their parts and their loaders."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence, Sized
from typing import Any, ClassVar, Generic, TypeVar

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from zoo.plugin.arguments import at_least, one_of
from zoo.plugin.folds import Fold
from zoo.plugin.loaders import ResumableLoader
from zoo.plugin.parts import EmptyPartError, Part
from zoo.plugin.protocols import Facts

Samples = TypeVar("Samples", bound=Sized)

PART_NAMES: dict[Part, str] = {"train": "training", "val": "validation", "test": "test"}
"""What messages call the parts."""


class BaseDataModule(LightningDataModule, ABC, Generic[Samples]):
    """Base of datasets with a training, a validation and a test part.

    A subclass has ``samples``, and ``facts`` where a model needs any; where the samples of a part
    are not a ``torch.utils.data.Dataset``, or need another loader, it overrides ``train_loader``
    and ``eval_loader``. One that writes ``fold_samples`` and heeds ``self.fold`` is ``Foldable``.

    Args:
        root: Where the data are: a path, or what messages are to call them.
        batch_size: Samples in a batch, on each device.
        num_workers: Processes that prepare batches.
        seed: Seed of everything random in the training batches.
        split: One of ``splits``; of ``all`` everything found is the test part.

    Raises:
        UsageError: an argument is out of its range.
    """

    splits: ClassVar[Sequence[str] | None] = ("standard", "all")
    """The values of ``split``; None where the subclass checks it against the data."""
    sample_name: ClassVar[str] = "sample"
    """What messages call one sample."""

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
    ) -> None:
        super().__init__()
        if self.splits is not None:
            one_of("split", split, self.splits)
        at_least("batch_size", batch_size, 1)
        at_least("num_workers", num_workers, 0)
        self.root = root
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.split = split
        self.fold: Fold | None = None
        """How training and validation part are divided; as the dataset itself does, without."""

    @property
    def facts(self) -> Facts:
        """What the data know: JSON values by the names of model arguments; nothing, unless written.

        Raises:
            UsageError: something is missing, unreadable or inconsistent.
        """
        return {}

    @abstractmethod
    def samples(self, part: Part) -> Samples:
        """The samples of a part, none where it is empty."""

    def use_fold(self, fold: Fold, /) -> None:
        """Divide the training and the validation part as a fold says, once they are read."""
        self.fold = fold

    def setup(self, stage: str | None = None) -> None:
        """Read and check everything, unless that has been done."""
        _ = self.facts

    def describe_found(self) -> list[str]:
        """How many samples there are, of how many classes, in which parts."""
        counts = {part: len(self.samples(part)) for part in PART_NAMES}
        total, classes = sum(counts.values()), self.facts.get("num_classes")
        found = [f"{total} {self.sample_name}{'s' * (total != 1)}"]
        if isinstance(classes, int):
            found.append(f"{classes} classes")
        sizes = "/".join(str(count) for count in counts.values())
        return [*found, f"{sizes} {'/'.join(counts)}"]

    def train_dataloader(self) -> DataLoader[Any]:
        """The training part, shuffled.

        Raises:
            EmptyPartError: it is empty.
        """
        return self.train_loader(self.require("train"))

    def val_dataloader(self) -> DataLoader[Any] | list[DataLoader[Any]]:
        """The validation part in order; an empty list where it is empty, so that Lightning skips
        validation."""
        samples = self.samples("val")
        if len(samples):
            return self.eval_loader(samples)
        # Lightning warns of an empty list, in case it came about by accident.
        warnings.filterwarnings("ignore", "Total length of `list` across ranks is zero")
        return []

    def test_dataloader(self) -> DataLoader[Any]:
        """The test part in order.

        Raises:
            EmptyPartError: it is empty; a run then ends without a test.
        """
        return self.eval_loader(self.require("test"))

    def predict_dataloader(self) -> DataLoader[Any]:
        """The test part, as ``test_dataloader`` gives it."""
        return self.test_dataloader()

    def train_loader(self, samples: Samples) -> DataLoader[Any]:
        """The loader of training samples."""
        return self.loader(samples, shuffle=True)

    def eval_loader(self, samples: Samples) -> DataLoader[Any]:
        """The loader of validation or test samples."""
        return self.loader(samples)

    def loader(
        self,
        dataset: Any,
        batch_size: int | None = None,
        *,
        kind: type[ResumableLoader] = ResumableLoader,
        num_workers: int | None = None,
        **options: Any,
    ) -> ResumableLoader:
        """A loader with this datamodule's seed and workers; memory is pinned for a GPU.

        Args:
            dataset: A map-style dataset.
            batch_size: ``self.batch_size`` if None.
            kind: Its class.
            num_workers: ``self.num_workers`` if None.
            options: Further arguments of ``kind``; ``shuffle`` is False without.
        """
        workers = self.num_workers if num_workers is None else num_workers
        return kind(
            dataset,
            self.batch_size if batch_size is None else batch_size,
            seed=self.seed,
            num_workers=workers,
            persistent_workers=workers > 0,
            **{"shuffle": False, "pin_memory": self.gpu is not None, **options},
        )

    def require(self, part: Part) -> Samples:
        """The samples of a part that may not be empty.

        Raises:
            EmptyPartError: it is.
        """
        samples = self.samples(part)
        if not len(samples):
            raise self.empty_part(PART_NAMES[part])
        return samples

    def empty_part(self, name: str, note: str = "") -> EmptyPartError:
        """The error to raise where a part has no samples.

        Args:
            name: What to call the part.
            note: More to say at the end.
        """
        return EmptyPartError(
            f"{self.root}: with split={self.split!r} no {self.sample_name} is in the {name} "
            f"part{note}"
        )

    @property
    def gpu(self) -> torch.device | None:
        """The GPU that the batches go to; None without one."""
        trainer = self.trainer
        device = torch.device("cpu") if trainer is None else trainer.strategy.root_device
        return device if device.type == "cuda" else None
