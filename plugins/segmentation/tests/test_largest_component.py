"""The largest component of a class alone: where validation says that it helps."""

from __future__ import annotations

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.utils.data import DataLoader

from zoo.plugin import UsageError
from zoo_segmentation.largest_component import largest_components
from zoo_segmentation.prediction import FilePrediction
from zoo_segmentation.pyramid_lstm import SmallPyramidLSTMSegmenter

NAMES = ["background", "organ", "lesions"]


class Given(SmallPyramidLSTMSegmenter):
    """Predicts what the image says: its values are classes."""

    def probabilities(self, images: Tensor) -> Tensor:
        return torch.cat([images == number for number in range(3)], dim=1).float()


class OneVolume(L.LightningDataModule):
    """A volume with a speck of the organ where there is none, and two lesions that are there.

    Args:
        validated: Whether there is a validation part.
    """

    def __init__(self, validated: bool = True) -> None:
        super().__init__()
        self.validated = validated

    def loader(self) -> DataLoader:
        truth = torch.zeros(1, 1, 6, 6, 6, dtype=torch.int64)
        truth[..., 1:4, 1:4, 1:4] = 1
        truth[..., 5, 0, 0] = truth[..., 5, 5, 2:4] = 2
        image = truth.float()
        image[..., 0, 5, 5] = 1
        return DataLoader([{"image": image, "label": truth}], batch_size=None)

    train_dataloader = test_dataloader = loader

    def val_dataloader(self) -> DataLoader | list:
        return self.loader() if self.validated else []


def model(**arguments) -> Given:
    given = {"hidden": [2, 2], "patch_size": [6, 6, 6], "num_classes": 3, "label_names": NAMES}
    return Given(**given, **arguments)


def quiet() -> Trainer:
    return Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def test_smaller_components_become_background():
    label = np.zeros((5, 5, 5), dtype=np.uint8)
    label[0, 0, :2] = label[1, 1, 2] = 1  # they touch at a corner
    label[4, 4, 4] = 1
    label[3, 0, 0] = label[0, 4, 0] = 2
    kept = largest_components(label, [1])
    assert (kept != label).nonzero()[0].tolist() == [4]
    assert largest_components(label, [1, 2]).tolist() != kept.tolist()
    assert largest_components(label, []).tolist() == label.tolist()


def test_validation_chooses_the_classes_that_gain_by_it(capsys):
    found = model(keep_largest="auto")
    trainer = quiet()
    trainer.test(found, datamodule=OneVolume(), verbose=False)
    assert found.hparams["keep_largest"] == ["organ"]
    assert "alone is kept of: organ\n" in capsys.readouterr().err
    assert trainer.callback_metrics["test/dice"] == 1
    assert Given(**found.hparams).largest == found.largest == [1]
    plain = quiet()
    plain.test(model(), datamodule=OneVolume(), verbose=False)
    assert plain.callback_metrics["test/dice/organ"] < 1


def test_predictions_on_files_keep_it_too():
    image = next(iter(OneVolume().loader()))["image"][0, 0]
    probabilities = torch.stack([image == number for number in range(3)]).float()
    output = FilePrediction(np.zeros((6, 6, 6), np.uint8), probabilities.numpy(), None)
    for chosen, speck in ((None, 1), (["organ"], 0)):
        label = model(keep_largest=chosen).with_probabilities(output, probabilities).label
        assert label[0, 5, 5] == speck
        assert (label == 2).sum() == 3


def test_what_cannot_be_chosen_is_refused():
    with pytest.raises(UsageError, match="keep_largest names liver; it takes classes of organ, le"):
        model(keep_largest=["liver"])
    with pytest.raises(UsageError, match="keep_largest takes volumes"):
        Given(spatial_dims=2, patch_size=[6, 6], hidden=[2, 2], keep_largest="auto")
    with pytest.raises(UsageError, match=r"no validation part.*--data\.val_fraction"):
        quiet().fit(model(keep_largest="auto"), datamodule=OneVolume(validated=False))
