"""Images divided into folds, classifiers averaged and seen in several views."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from zoo.plugin import EnsembleMember, Fold, OtherDataError, ProbabilityTester, UsageError
from zoo_vision.data.digits import Digits
from zoo_vision.data.gtsrb import GTSRB
from zoo_vision.data.image_folder import ImageFolder
from zoo_vision.mlp import MLP


def fold(data, val: list[int]) -> Fold:
    samples = data.fold_samples()
    return Fold(1, 2, len(samples), samples.fingerprint, tuple(val))


def pictures(root: Path, classes: int = 2, count: int = 10) -> Path:
    """Gray squares, each of another value; the last of each class is a copy of the first."""
    for label in range(classes):
        for number in range(count):
            folder = root / f"class{label}" / f"patient{number // 2}"
            folder.mkdir(parents=True, exist_ok=True)
            value = 20 * label + 2 * (number % (count - 1))
            pixels = np.full((6, 6), value, np.uint8)
            pixels[0] = 250
            Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


def image_folder(root: Path) -> ImageFolder:
    return ImageFolder(str(root), image_size=6, in_channels=1)


def test_a_fold_decides_what_is_validated_on_and_leaves_the_test_part(tmp_path):
    plain, divided = image_folder(pictures(tmp_path)), image_folder(tmp_path)
    samples = plain.fold_samples()
    assert all(name.startswith(("class0/patient", "class1/patient")) for name in samples.names)
    assert samples.classes == [name.partition("/")[0] for name in samples.names]
    val = [index for index, name in enumerate(samples.names) if "patient1/" in name]
    divided.use_fold(fold(plain, val))
    assert len(divided.samples("val")) == len(val)
    assert len(divided.samples("train")) == len(samples) - len(val)
    assert torch.equal(divided.samples("test").images, plain.samples("test").images)
    assert divided.fold_samples().fingerprint == samples.fingerprint
    assert divided.facts["mean"] != plain.facts["mean"]  # of what this fold is trained on
    (tmp_path / samples.names[0]).unlink()
    removed = image_folder(tmp_path)
    removed.use_fold(fold(plain, val))
    with pytest.raises(OtherDataError, match="put the data back as they were"):
        removed.setup()


def test_copies_of_a_picture_belong_together(tmp_path):
    samples = image_folder(pictures(tmp_path)).fold_samples()
    together = dict(zip(samples.names, samples.together, strict=True))
    names = [f"class0/patient{patient}/{number}.png" for patient, number in ((0, 0), (4, 9))]
    kept = [together[name] for name in names if name in together]
    assert len(set(kept)) <= 1


def test_tracks_of_traffic_signs_are_groups(tmp_path):
    for label in range(2):
        folder = tmp_path / "Final_Training" / "Images" / f"{label:05}"
        folder.mkdir(parents=True)
        for track in range(4):
            for frame in range(2):
                pixels = np.full((20, 20, 3), 40 * label + 9 * track, np.uint8)
                Image.fromarray(pixels).save(folder / f"{track:05}_{frame:05}.ppm")
    data = GTSRB(str(tmp_path), image_size=8, test_fraction=0.25, val_fraction=0.25)
    samples = data.fold_samples()
    assert samples.group_name == "track"
    below = [name.removeprefix("Final_Training/Images/") for name in samples.names]
    groups = [name.partition("_")[0] for name in below]
    assert samples.groups == groups
    data = GTSRB(str(tmp_path), image_size=8, test_fraction=0.25, val_fraction=0.25)
    first = [index for index, group in enumerate(groups) if group == groups[0]]
    data.use_fold(fold(data, first))
    data._loaded = None
    assert len(set(data.tracks["val"])) == 1
    assert not set(data.tracks["val"]) & set(data.tracks["train"])


def test_all_as_test_data_leaves_nothing_to_divide():
    assert not len(Digits(split="all").fold_samples())


def test_the_probabilities_of_others_are_measured_as_its_own():
    torch.manual_seed(0)
    model = MLP(hidden=[8], input_size=[8, 8], image_size=[8, 8], num_classes=3).eval()
    assert isinstance(model, EnsembleMember)
    assert isinstance(model, ProbabilityTester)
    batch = torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8), torch.arange(12) % 3
    with torch.no_grad():
        model.test_step(batch, 0)
        own = model.test_tally.compute()
        model.test_tally.reset()
        probs = model.predict_step(batch, 0)
        model.measure_probabilities(batch, probs)
    given = model.test_tally.compute()
    assert {name: float(value) for name, value in given.items()} == pytest.approx(
        {name: float(value) for name, value in own.items()}
    )
    rows = model.describe_batch(batch, probs)
    assert [row["truth"] for row in rows] == [str(index % 3) for index in range(12)]


def test_views_are_those_that_the_training_showed():
    torch.manual_seed(0)
    arguments = {"hidden": [8], "input_size": [9, 9], "image_size": [9, 9], "num_classes": 3}
    plain = MLP(**arguments).eval()
    with pytest.raises(UsageError, match="without flips, rotation, scaling or translation"):
        plain.use_tta()
    moved = MLP(**arguments, translation=2 / 9, border="zeros").eval()
    moved.load_state_dict(plain.state_dict())
    assert moved.use_tta()[0] == "as it is"
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 4, 4] = 1.0
    with torch.no_grad():
        shifts = [(0, 0), (0, 1), (0, -1), (1, 0), (-1, 0)]
        each = [plain(image.roll(shift, (2, 3))).softmax(1) for shift in shifts]
        mean = moved.predict_step(image, 0)
    assert torch.allclose(mean, torch.stack(each).mean(0), atol=1e-5)
