"""Metrics of the classes agree with torchmetrics; several labels; weights of classes."""

from __future__ import annotations

import lightning as L
import pytest
import torch
import torch.nn.functional as F
import torchmetrics.functional.classification as reference
from torch.utils.data import DataLoader, TensorDataset

from zoo.plugin import UsageError
from zoo_vision.labels import OneLabel, SeveralLabels
from zoo_vision.mcdnn import MCDNN
from zoo_vision.metrics import ClassCounts, Outputs, by_class
from zoo_vision.mlp import MLP

SMALL = {"hidden": [8], "input_size": [4, 4], "image_size": [4, 4], "num_classes": 3}


def test_one_label():
    torch.manual_seed(0)
    logits, labels = torch.randn(200, 4), torch.randint(0, 3, (200,))  # nothing is of the last
    counts, outputs = ClassCounts(4), Outputs()
    for part in range(0, 200, 50):
        chosen = slice(part, part + 50)
        counts.update(logits[chosen], labels[chosen])
        outputs.update(logits[chosen].softmax(1), labels[chosen])
    found = counts.summary() | outputs.compute()
    probs = logits.softmax(1)
    recall = reference.multiclass_recall(logits, labels, 4, average="none")
    assert found["balanced_accuracy"] == pytest.approx(recall[:3].mean().item())
    f1 = reference.multiclass_f1_score(logits, labels, 4, average="macro")
    assert found["f1"] == pytest.approx(f1.item())
    auroc = reference.multiclass_auroc(probs, labels, 4, average="none")[:3].mean()
    assert found["auroc"] == pytest.approx(auroc.item())
    ece = reference.multiclass_calibration_error(probs, labels, 4, n_bins=15)
    assert found["calibration_error"] == pytest.approx(ece.item())
    named = by_class(counts.compute(), list("abcd"))
    assert named["recall/a"] == pytest.approx(recall[0].item())
    assert "recall/d" not in named
    assert "precision/d" in named


def test_several_labels():
    torch.manual_seed(0)
    logits, labels = torch.randn(100, 3), torch.randint(0, 2, (100, 3), dtype=torch.uint8)
    counts, outputs = ClassCounts(3, True), Outputs(True)
    counts.update(logits, labels)
    outputs.update(logits.sigmoid(), labels)
    found = counts.summary() | outputs.compute()
    probs, truth = logits.sigmoid(), labels.long()
    f1 = reference.multilabel_f1_score(probs, truth, 3, average="macro")
    assert found["f1"] == pytest.approx(f1.item())
    precision = reference.multilabel_average_precision(probs, truth, 3, average="macro")
    assert found["average_precision"] == pytest.approx(precision.item())
    recall = reference.multilabel_recall(probs, truth, 3, average="macro")
    specificity = reference.multilabel_specificity(probs, truth, 3, average="macro")
    assert found["balanced_accuracy"] == pytest.approx((recall + specificity).item() / 2)
    assert "calibration_error" not in found


def test_a_model_of_several_labels_trains_and_tells_them():
    torch.manual_seed(0)
    model = MLP(**SMALL, multilabel=True, class_weights="balanced", class_shares=[0.5, 0.25, 0.1])
    assert model.class_weights.tolist() == pytest.approx([1, 3, 9])
    images = torch.randint(0, 255, (10, 1, 4, 4), dtype=torch.uint8)
    labels = torch.randint(0, 2, (10, 3), dtype=torch.uint8)
    assert model.training_step((images, labels), 0).requires_grad
    row = model.describe_prediction(torch.tensor([0.9, 0.2, 0.6]))
    assert (row["label"], row["confidence"]) == ("0, 2", pytest.approx(0.6))
    assert [each["label"] for each in row["top"]] == ["0", "2", "1"]
    assert model.describe_prediction(torch.tensor([0.1, 0.2, 0.3]))["label"] == "none"
    drawn = model.eval().draw_plots((images, labels))
    assert set(drawn) >= {"classes"}


def test_weights_of_classes_weigh_the_loss_of_training_alone():
    logits, labels = torch.randn(6, 3), torch.tensor([0, 0, 0, 0, 1, 2])
    weights = OneLabel().balanced([4 / 6, 1 / 6, 1 / 6])
    assert weights.tolist() == pytest.approx([0.5, 2, 2])
    model = MLP(**SMALL, class_weights=[0.5, 2, 2])
    assert model.loss(logits, labels) == F.cross_entropy(logits, labels, weight=weights)
    assert SeveralLabels().losses(logits, F.one_hot(labels, 3)).shape == (6,)
    for wrong in ([1.0, 2.0], [1.0, -1.0, 1.0]):
        with pytest.raises(UsageError, match="one for each class"):
            MLP(**SMALL, class_weights=wrong)
    with pytest.raises(UsageError, match="state a number for each class"):
        MLP(**SMALL, class_weights="balanced")
    with pytest.raises(UsageError, match="columns of mcdnn do not take class_weights"):
        MCDNN("1x8x8-4C3-MP2-N", num_classes=3, class_weights=[1.0, 1.0, 1.0])


def test_metrics_of_each_class_are_logged_where_asked_for():
    model = MLP(**SMALL, class_metrics=True, label_names=["a", "b", "c"])
    images = torch.randint(0, 255, (12, 1, 4, 4), dtype=torch.uint8)
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    data = DataLoader(TensorDataset(images, torch.arange(12) % 3), 5)
    (found,) = trainer.test(model, data, verbose=False)
    assert {"test/recall/a", "test/f1", "test/auroc", "test/calibration_error"} <= set(found)
    again = trainer.test(model, data, verbose=False)
    assert again == [found]
