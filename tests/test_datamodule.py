"""The base of datamodules, and the checks of arguments."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.utils.data import TensorDataset

from zoo.plugin import (
    BaseDataModule,
    Facts,
    Part,
    ResumableLoader,
    UsageError,
    fractions,
    has_part,
    require,
)


class Points(BaseDataModule[TensorDataset]):
    sample_name = "point"

    def __init__(self, sizes: tuple[int, int, int] = (10, 4, 6), **options: Any) -> None:
        super().__init__("the points", **{"batch_size": 4, **options})
        self.sizes = dict(zip(("train", "val", "test"), sizes, strict=True))

    @property
    def facts(self) -> Facts:
        return {"train_size": self.sizes["train"]}

    def samples(self, part: Part) -> TensorDataset:
        return TensorDataset(torch.arange(self.sizes[part]))


def order(loader: Any) -> list[int]:
    return [int(value) for (batch,) in loader for value in batch]


def test_the_training_part_is_shuffled_by_the_seed_and_the_others_are_in_order():
    data = Points(seed=3)
    first, again, other = (order(Points(seed=s).train_dataloader()) for s in (3, 3, 4))
    assert first == again != other
    assert sorted(first) == list(range(10)) != first
    assert order(data.val_dataloader()) == list(range(4))
    assert order(data.test_dataloader()) == order(data.predict_dataloader()) == list(range(6))
    assert isinstance(data.train_dataloader(), ResumableLoader)


def test_an_empty_validation_part_is_no_part_and_another_empty_one_is_refused():
    data = Points((10, 0, 6))
    assert data.val_dataloader() == []
    assert not has_part(data, "val")
    assert has_part(data, "test")
    message = "the points: with split='all' no point is in the training part"
    with pytest.raises(UsageError, match=message):
        Points((0, 0, 6), split="all").train_dataloader()
    with pytest.raises(UsageError, match="no point is in the test part"):
        Points((10, 0, 0)).predict_dataloader()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "most"}, "split has to be one of standard, all, not 'most'"),
        ({"batch_size": 0}, "batch_size has to be 1 or more, not 0"),
        ({"num_workers": -1}, "num_workers has to be 0 or more, not -1"),
    ],
)
def test_arguments_out_of_range_are_refused(options: dict[str, Any], message: str):
    with pytest.raises(UsageError, match=message):
        Points(**options)


def test_a_dataset_may_have_splits_of_its_own():
    class Parsed(Points):
        splits = None

    class Named(Points):
        splits = ("standard", "all", "small")

    assert Parsed(split="leave-out:me").split == "leave-out:me"
    assert Named(split="small").split == "small"


def test_workers_persist_and_memory_is_pinned_for_a_gpu_alone():
    data = Points(num_workers=2)
    for device in ("cpu", "cuda"):
        strategy = SimpleNamespace(root_device=torch.device(device))
        data.trainer = SimpleNamespace(strategy=strategy)  # type: ignore[assignment]
        loader = data.train_dataloader()
        assert loader.pin_memory is (device == "cuda")
        assert loader.persistent_workers
        assert loader.num_workers == 2
    assert not Points().train_dataloader().persistent_workers
    assert not Points().train_dataloader().pin_memory


def test_a_loader_may_have_a_size_and_workers_of_its_own():
    data = Points(num_workers=2)
    loader = data.loader(data.samples("val"), 1, num_workers=0, drop_last=True)
    assert (loader.batch_size, loader.num_workers, loader.drop_last) == (1, 0, True)


def test_fractions_leave_something():
    fractions(val=0, test=0.9)
    for wrong in ({"val": -0.1, "test": 0.5}, {"val": 0.5, "test": 0.5}, {"val": math.nan}):
        with pytest.raises(UsageError, match=r"val=.* together"):
            fractions(**wrong)


def test_require():
    require(True, "all is well")
    with pytest.raises(UsageError, match=r"^the net has no layers; give one$"):
        require(False, "the net has no layers; give one")
