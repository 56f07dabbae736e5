"""Augmentation of a batch: each image by itself, in its range, and repeatable from a seed."""

from __future__ import annotations

import pytest
import torch

from zoo.plugin import UsageError
from zoo_vision.batch_augmentation import Augmentation, Mixing

ALL = {
    "hflip": 0.5,
    "vflip": 0.5,
    "color_jitter": 0.4,
    "auto_augment": "randaugment",
    "random_erasing": 0.5,
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("policy", ["randaugment", "trivialaugment"])
def test_each_image_is_changed_by_itself_and_from_the_seed(channels, policy):
    augmentation = Augmentation(**{**ALL, "auto_augment": policy}, crop_scale=[0.3, 0.8])
    images = torch.rand(1, channels, 16, 12).expand(6, -1, -1, -1)
    torch.manual_seed(1)
    changed = augmentation.change(augmentation.crop(images, (10, 8)))
    torch.manual_seed(1)
    again = augmentation.change(augmentation.crop(images, (10, 8)))
    assert changed.shape == (6, channels, 10, 8)
    assert torch.equal(changed, again)
    assert (changed >= 0).all()
    assert (changed <= 1).all()
    assert len({image.sum().item() for image in changed}) > 3


def test_flips():
    image = torch.arange(12.0).view(1, 1, 3, 4) / 12
    assert torch.equal(Augmentation(hflip=1.0).change(image), image.flip(3))
    assert torch.equal(Augmentation(vflip=1.0).change(image), image.flip(2))
    assert Augmentation().change(image) is image
    assert Augmentation().identity
    assert not Augmentation(hflip=0.1).identity


@pytest.mark.parametrize("way", [{"mixup": 1.0, "cutmix": 0.0}, {"mixup": 0.0, "cutmix": 1.0}])
def test_mixed_images_have_mixed_labels(way):
    """Images of one value each, so that the mean of a mixed one tells the shares."""
    torch.manual_seed(0)
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 32, 32)
    mixed, labels = Mixing(**way, classes=2)(images, torch.tensor([0, 1]))
    assert labels.sum(1).tolist() == pytest.approx([1, 1])
    assert mixed.mean((1, 2, 3)).tolist() == pytest.approx(labels[:, 1].tolist(), abs=1e-5)
    several = torch.tensor([[1, 1], [0, 0]], dtype=torch.uint8)
    assert Mixing(**way, classes=2)(images, several)[1].sum(0).tolist() == pytest.approx([1, 1])


def test_values_out_of_their_range_are_refused():
    for wrong in (
        {"hflip": 1.5},
        {"crop_scale": [0.5]},
        {"crop_scale": [0.5, 2.0]},
        {"auto_augment": "autoaugment"},
        {"magnitude": 40},
        {"color_jitter": -1},
    ):
        with pytest.raises(UsageError):
            Augmentation(**wrong)
    with pytest.raises(UsageError, match="mixup"):
        Mixing(-1, 0, 2)
