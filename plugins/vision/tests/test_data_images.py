"""What all image datasets share: parts, loaders, facts."""

from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn

from zoo.plugin import UsageError
from zoo_vision.data.images import (
    TEST,
    TRAIN,
    VAL,
    ImageDataModule,
    LoadedImages,
    TensorImages,
    hold_out,
    pixel_statistics,
)


def generated(count: int = 40, channels: int = 3) -> TensorImages:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (count, channels, 5, 4), dtype=torch.uint8, generator=generator)
    pixels[:, 0, 0, 0] = torch.arange(count)  # tells the images apart
    return TensorImages(pixels, torch.arange(count) % 4)


class Generated(ImageDataModule):
    """40 images of 4 classes: 20 for training, 10 and 10."""

    def __init__(
        self, images: TensorImages | None = None, parts: tuple[int, ...] = (), **arguments
    ):
        super().__init__("generated", **{"batch_size": 8, **arguments})
        self.images = generated() if images is None else images
        self.chosen = parts or (TRAIN,) * 20 + (VAL,) * 10 + (TEST,) * 10
        self.loads = 0

    def _load(self) -> LoadedImages:
        self.loads += 1
        return LoadedImages(self.images, np.array(self.chosen), ["a", "b", "c", "d"])


def seen(loader) -> list[int]:
    return [int(index) for images, _ in loader for index in images[:, 0, 0, 0]]


class Probe(L.LightningModule):
    """Notes which images it is given in which step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(60, 4)
        self.steps: dict[str, list[int]] = {"train": [], "val": [], "test": []}

    def _note(self, stage: str, batch) -> torch.Tensor:
        images, labels = batch
        assert images.dtype == torch.uint8
        assert labels.dtype == torch.int64
        self.steps[stage] += images[:, 0, 0, 0].tolist()
        return nn.functional.cross_entropy(self.layer(images.flatten(1) / 255), labels)

    def training_step(self, batch, batch_idx):
        return self._note("train", batch)

    def validation_step(self, batch, batch_idx):
        self._note("val", batch)

    def test_step(self, batch, batch_idx):
        self._note("test", batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**settings) -> L.Trainer:
    return L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **settings,
    )


def test_a_batch_is_collated_images_and_labels():
    data = generated()
    images, labels = data.__getitems__([3, 1])
    assert torch.equal(images, data.images[[3, 1]])
    assert labels.tolist() == [3, 1]
    image, label = data[7]
    assert torch.equal(image, data.images[7])
    assert label == 3


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 4, 4, dtype=torch.uint8), torch.zeros(2, dtype=torch.int64)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64)),
        (torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(2)),
    ],
)
def test_tensors_of_another_kind_are_refused(images, labels):
    with pytest.raises(ValueError, match="must be"):
        TensorImages(images, labels)


def test_what_is_held_out_is_stratified_and_fixed():
    labels = np.repeat([0, 1, 2], [100, 50, 4])
    chosen = hold_out(labels, 0.2)
    assert np.bincount(labels[chosen]).tolist() == [20, 10, 1]
    assert np.array_equal(chosen, hold_out(labels, 0.2))
    # More images of one class do not move those of another.
    more = np.concatenate([labels, [2] * 30])
    assert np.array_equal(hold_out(more, 0.2)[:150], chosen[:150])


def test_at_least_one_is_held_out_and_never_all():
    labels = np.array([0, 0, 1, 1])
    for fraction in (0.01, 0.99):
        assert np.bincount(labels[hold_out(labels, fraction)]).tolist() == [1, 1]
    assert not hold_out(labels, 0.0).any()


def test_groups_are_held_out_as_one():
    groups = np.repeat(np.arange(30), 7)
    labels = np.repeat([0, 1], [140, 70])
    chosen = hold_out(labels, 0.25, groups)
    assert not set(groups[chosen]) & set(groups[~chosen])
    assert len(set(groups[chosen])) == 5 + 2


def test_statistics_are_those_of_the_training_pixels():
    data = Generated()
    pixels = data.images.images[:20].double() / 255
    facts = data.facts
    assert facts["mean"] == pytest.approx(pixels.mean(dim=(0, 2, 3)).tolist(), abs=1e-6)
    assert facts["std"] == pytest.approx(pixels.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-6)
    assert (facts["num_classes"], facts["in_channels"]) == (4, 3)
    assert facts["image_size"] == [5, 4]
    assert facts["label_names"] == ["a", "b", "c", "d"]
    assert facts["train_size"] == 20


def test_a_constant_channel_has_a_spread_to_divide_by():
    black = TensorImages(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), torch.zeros(3).long())
    assert pixel_statistics(black, 100) == ([0.0], [pytest.approx(1 / 255, abs=1e-6)])


def test_data_is_loaded_once():
    data = Generated()
    data.setup("fit")
    data.setup("test")
    assert data.facts
    assert data.loads == 1


def test_every_part_is_served_and_none_twice():
    data = Generated()
    parts = [
        seen(data.train_dataloader()),
        seen(data.val_dataloader()),
        seen(data.test_dataloader()),
    ]
    assert [len(part) for part in parts] == [20, 10, 10]
    assert sorted(parts[0] + parts[1] + parts[2]) == list(range(40))
    assert parts[1] == list(range(20, 30))
    assert seen(data.predict_dataloader()) == parts[2]


def test_the_order_depends_on_seed_and_epoch():
    def order(seed: int, epoch: int) -> list[int]:
        loader = Generated(seed=seed).train_dataloader()
        loader.sampler.set_epoch(epoch)
        return seen(loader)

    assert order(1, 0) == order(1, 0)
    assert len({tuple(order(seed, epoch)) for seed in (1, 5) for epoch in (0, 1)}) == 4


def test_split_all_makes_everything_test_data():
    data = Generated(split="all")
    assert seen(data.test_dataloader()) == list(range(40))
    assert data.facts["train_size"] == 0
    with pytest.raises(UsageError, match="no image is in the training part"):
        data.train_dataloader()


def test_a_last_batch_of_one_is_not_trained_on():
    data = Generated(batch_size=19)
    assert [len(labels) for _, labels in data.train_dataloader()] == [19]
    assert [len(labels) for _, labels in Generated(batch_size=18).train_dataloader()] == [18, 2]
    # Nothing is left out where there is nothing else, and nothing of what is measured.
    single = (TRAIN,) + (TEST,) * 39
    assert len(seen(Generated(parts=single).train_dataloader())) == 1
    assert len(seen(Generated(batch_size=9).test_dataloader())) == 10


def test_worker_processes_serve_the_same_batches():
    assert seen(Generated(num_workers=2).train_dataloader()) == seen(Generated().train_dataloader())


def test_lightning_trains_validates_and_tests():
    model, data = Probe(), Generated()
    run = trainer(max_epochs=2)
    run.fit(model, data)
    run.test(model, data, verbose=False)
    first, second = model.steps["train"][:20], model.steps["train"][20:]
    assert sorted(first) == sorted(second) == list(range(20))
    assert first != second
    assert model.steps["val"] == 2 * list(range(20, 30))
    assert model.steps["test"] == list(range(30, 40))


def test_lightning_trains_without_a_validation_part(recwarn):
    model = Probe()
    trainer(max_epochs=1).fit(model, Generated(parts=(TRAIN,) * 30 + (TEST,) * 10))
    assert len(model.steps["train"]) == 30
    assert not model.steps["val"]
    assert not [warning for warning in recwarn if "length of `list`" in str(warning.message)]


@pytest.mark.parametrize("label", [-1, 4])
def test_labels_outside_the_classes_are_refused(label):
    images = generated()
    images.labels[13] = label
    with pytest.raises(UsageError, match=f"4 classes, the first is label {label} of image 13"):
        Generated(images).setup()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "most"}, "split has to be one of standard, all"),
        ({"batch_size": 0}, "batch_size has to be 1 or more"),
        ({"num_workers": -1}, "num_workers has to be 0 or more"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    with pytest.raises(UsageError, match=message):
        Generated(**arguments)


def test_parts_share_the_memory_of_the_whole():
    """Selecting copies no pixels, and a selection of a selection gives the right ones."""
    images = generated()
    some = images.select(torch.tensor([7, 3, 12])).select(torch.tensor([2, 0]))
    assert some._images.data_ptr() == images.images.data_ptr()
    assert torch.equal(some.images, images.images[[12, 7]])
    assert torch.equal(some.pixels(torch.tensor([1])), images.images[[7]])
    assert some.labels.tolist() == images.labels[[12, 7]].tolist()
