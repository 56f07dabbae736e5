"""The embedded digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from zoo.plugin import UsageError
from zoo_vision.data.digits import Digits


def labels_of(loader) -> list[int]:
    return [int(label) for _, labels in loader for label in labels]


def test_facts_are_those_of_the_digits():
    facts = Digits(val_fraction=0).facts
    assert facts["image_size"] == [8, 8]
    assert facts["in_channels"] == 1
    assert facts["label_names"] == list("0123456789")
    assert facts["train_size"] == 1438
    assert 0.25 < facts["mean"][0] < 0.35


def test_a_stratified_fifth_is_the_test_part_whatever_the_seed():
    first, second = Digits(seed=1), Digits(seed=2, val_fraction=0)
    labels = labels_of(first.test_dataloader())
    assert len(labels) == 359
    assert np.ptp(np.bincount(labels)) <= 3
    assert labels == labels_of(second.test_dataloader())
    assert len(labels_of(first.val_dataloader())) == 143
    assert second.val_dataloader() == []


@pytest.mark.parametrize("file", ["found", "elsewhere"])
def test_gray_values_fill_the_range_and_nothing_is_lost(file: str, monkeypatch: pytest.MonkeyPatch):
    if file == "elsewhere":  # a release of scikit-learn that keeps it in another place
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    data = Digits(split="all")
    images = np.concatenate([batch.numpy() for batch, _ in data.test_dataloader()])[:, 0]
    values = load_digits().images
    assert images.max() == 255
    assert np.array_equal(np.round(images * (16 / 255)), values)
    assert labels_of(data.test_dataloader()) == load_digits().target.tolist()


def test_train_per_class_limits_the_training_part_alone_and_follows_the_seed():
    whole, few, other = Digits(), Digits(train_per_class=10), Digits(train_per_class=10, seed=1)
    labels = few.samples("train").labels
    assert torch.bincount(labels).tolist() == [10] * 10
    assert len(few.samples("test")) == len(whole.samples("test"))
    assert few.facts["train_size"] == 100
    assert not torch.equal(
        few.samples("train").pixels(torch.arange(100)),
        other.samples("train").pixels(torch.arange(100)),
    )
    with pytest.raises(UsageError, match="train_per_class has to be 1 or more, not 0"):
        Digits(train_per_class=0)
