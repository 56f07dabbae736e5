"""The generated volumes."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.plugin import UsageError
from zoo_segmentation.data.phantom import LABELS, Phantom, make_phantom


def test_a_phantom_has_every_tissue_and_its_contrast():
    image, label = make_phantom(3, (24, 40, 32))
    assert image.shape == (2, 24, 40, 32)
    assert image.dtype == np.float32
    assert np.unique(label).tolist() == list(range(len(LABELS)))
    means = [image[0][label == tissue].mean() for tissue in range(4)]
    assert means == sorted(means)  # in T1, from background to white matter
    flair = [image[1][label == tissue].mean() for tissue in (1, 3, 2)]
    assert flair == sorted(flair)
    assert not label[:, 0].any()  # the head lies within


def test_phantoms_are_always_the_same_and_differ():
    assert np.array_equal(make_phantom(0, (16, 16, 16))[0], make_phantom(0, (16, 16, 16))[0])
    assert not np.array_equal(make_phantom(0, (16, 16, 16))[1], make_phantom(1, (16, 16, 16))[1])


def test_the_dataset():
    data = Phantom(channels=2, size=[16, 24, 20])
    data.setup()
    facts = data.facts
    assert (facts["num_classes"], facts["in_channels"], facts["train_volumes"]) == (5, 2, 16)
    assert facts["image_size"] == [16, 24, 20]
    assert len(data.val_dataloader()) == 2
    assert len(data.test_dataloader()) == 4
    batch = next(iter(data.train_dataloader()))
    assert batch["image"].shape == (2, 2, 16, 24, 24)  # padded in the last axis
    assert len(Phantom(split="all").test_dataloader()) == 22


@pytest.mark.parametrize("arguments", [{"size": [4, 8, 8]}, {"channels": 3}, {"noise": -1.0}])
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match=next(iter(arguments))):
        Phantom(**arguments)
