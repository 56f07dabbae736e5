"""Settings chosen by the data, and what follows from them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zoo.plugin import UsageError
from zoo_segmentation import memory
from zoo_segmentation.data.overview import Seen
from zoo_segmentation.data.plan import choose_patch, choose_spacing, levels
from zoo_segmentation.data.preprocessing import normalize
from zoo_segmentation.data.sampling import Patches, augmentation
from zoo_segmentation.data.volume import IGNORED, Volume
from zoo_segmentation.data.volume_folder import VolumeFolder
from zoo_segmentation.losses import loss, supervised
from zoo_segmentation.memory import kept_for_backward, require_trainable
from zoo_segmentation.metrics import measure
from zoo_segmentation.monai_nets import MonaiSegmenter


def seen(shape, spacing) -> Seen:
    return Seen("one", 0, shape, spacing, np.ones(2), False, b"", ())


def test_the_spacing_is_the_median_and_finer_along_a_coarse_axis():
    even = [seen((40, 50, 60), (1.0, 1.0, edge)) for edge in (0.8, 1.0, 1.5)]
    assert choose_spacing(even) == [1, 1, 1]
    flat = [seen((12, 200, 200), (edge, 0.5, 0.5)) for edge in (3.0, 5.0, 5.0, 6.0)]
    assert choose_spacing(flat) == pytest.approx([3.6, 0.5, 0.5])


@pytest.mark.parametrize(
    ("median", "spacing", "patch", "strides"),
    [
        ((35, 51, 35), (1, 1, 1), [40, 56, 40], [[2, 2, 2]] * 3),
        ((160, 160, 160), (1, 1, 1), [64, 64, 64], [[2, 2, 2]] * 4),
        ((12, 240, 240), (5, 0.5, 0.5), None, [[1, 2, 2]] * 3),
    ],
)
def test_sub_volumes_fit_the_budget_and_the_net(median, spacing, patch, strides):
    found, topology = choose_patch(median, spacing, 64**3)
    assert patch is None or found == patch
    assert np.prod(found) <= 64**3
    assert topology["strides"][: len(strides)] == strides
    divisors = np.prod(topology["strides"], axis=0)
    assert not any(np.array(found) % divisors)


def test_windows_are_flat_along_a_coarse_axis_until_the_others_catch_up():
    topology = levels((16, 128, 128), (4, 1, 1))
    assert topology["kernel_size"][:3] == [[1, 3, 3], [1, 3, 3], [3, 3, 3]]
    assert topology["strides"][:3] == [[1, 2, 2], [1, 2, 2], [2, 2, 2]]


@pytest.fixture
def folder(tmp_path, nifti):
    for number in range(4):
        random = np.random.default_rng(number)
        label = np.zeros((12, 10, 9), dtype=np.uint8)
        label[3:8, 3:8, 3:6] = 1
        image = random.normal(40 + 100 * label, 5).astype(np.float32)
        nifti(tmp_path / "imagesTr" / f"case_{number}_0000.nii.gz", image)
        nifti(tmp_path / "labelsTr" / f"case_{number}.nii.gz", label)
    names = '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "left part": 1}, '
    (tmp_path / "dataset.json").write_text(names + '"numTraining": 4, "file_ending": ".nii.gz"}')
    return tmp_path


def test_a_plan_is_explicit_and_repeats_itself(folder):
    data = VolumeFolder(str(folder), plan="auto")
    chosen = data.planned_arguments
    assert chosen["patch_size"] == data.facts["patch_size"]
    assert chosen["batch_size"] == 2
    assert chosen["spacing"] == [1, 1, 1]
    assert chosen["flips"] == [0, 1]  # a class names a side
    assert chosen["augment"] == "nnunet"
    low, high, mean, std = chosen["intensities"][0]  # of CT
    assert low < mean < high
    assert mean == pytest.approx(140, abs=2)
    assert std == pytest.approx(5, abs=1)
    assert data.facts["preprocessing"]["intensities"] == chosen["intensities"]
    assert VolumeFolder(str(folder), plan="auto", **chosen).planned_arguments == chosen
    assert VolumeFolder(str(folder / "missing")).planned_arguments == {}
    given = VolumeFolder(str(folder), plan="auto", patch_size=[8, 8, 8], rotation=5.0)
    assert given.planned_arguments["patch_size"] == [8, 8, 8]
    assert given.planned_arguments["augment"] == "none"
    batch = next(iter(data.train_dataloader()))
    assert list(batch["image"].shape) == [2, 1, *chosen["patch_size"]]


@pytest.mark.parametrize("four", [[1, 0, 0, 1], [0, 1, 0, 0], [0, 1]])
def test_intensities_are_checked(folder, four):
    with pytest.raises(UsageError, match="intensities has"):
        VolumeFolder(str(folder), intensities=[four])


def test_a_channel_with_fixed_statistics_is_clipped():
    image = np.array([[0.0, 5.0, 50.0], [1.0, 2.0, 3.0]], dtype=np.float32)[:, None, None]
    found = normalize(image, intensities=[[1, 9, 5, 2], None])
    assert found[0].ravel().tolist() == [-2, 0, 2]
    assert found[1].mean() == pytest.approx(0, abs=1e-6)


def test_changes_of_nnunets_kinds_depend_on_seed_epoch_and_index_alone():
    label = np.zeros((12, 14, 13), dtype=np.uint8)
    label[4:8, 4:8, 4:8] = 1
    label[0] = IGNORED
    image = np.random.default_rng(0).normal(size=(1, 12, 14, 13)).astype(np.float32)
    volume = Volume("one", image, label, (1.0, 1.0, 1.0))
    size = (10, 12, 12)

    def patches() -> Patches:
        changes = augmentation([0, 1, 2], False, 0.0, 0.0, 0.0, 3, size)
        return Patches([volume], size, 8, "foreground", changes, seed=3)

    first, again = patches(), patches()
    for index in reversed(range(8)):
        one, other = first[index], again[index]
        _ = again[(index + 3) % 8]  # whatever was cut before
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["label"], other["label"])
        assert one["image"].shape == (1, *size)
        assert set(one["label"].unique().tolist()) <= {0, 1, IGNORED}
    assert not torch.equal(first[0]["image"], first[1]["image"])


@pytest.mark.parametrize("name", ["dice-ce", "softmax-squared"])
def test_ignored_voxels_say_nothing(name):
    function = loss(name)
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, 6, requires_grad=True)
    label = torch.randint(0, 3, (2, 1, 4, 5, 6))
    label[:, :, 2:] = IGNORED
    value = function(logits, label)
    value.backward()
    assert logits.grad[:, :, 2:].abs().max() == 0
    kept = logits.detach()[:, :, :2], label[:, :, :2]
    assert value.item() == pytest.approx(function(*kept).item(), rel=1e-4)
    assert torch.isfinite(function(logits, torch.full_like(label, IGNORED)))


def test_a_planned_dynunet_has_the_levels_of_the_plan_and_counts_all_its_outputs():
    topology = {
        "strides": [[1, 2, 2], [2, 2, 2], [2, 2, 2]],
        "kernel_size": [[1, 3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3]],
    }
    net = MonaiSegmenter(
        "DynUNet",
        {"filters": [2, 2, 2, 2]},
        patch_size=[8, 16, 16],
        topology=topology,
    )
    image = torch.randn(1, 1, 8, 16, 16)
    outputs = net.train().outputs(image)
    assert len(outputs) == 2
    assert {each.shape for each in outputs} == {(1, 2, 8, 16, 16)}
    assert len(net.eval().outputs(image)) == 1
    label = torch.randint(0, 2, (1, 1, 8, 16, 16))
    parts = [net.loss(each, label).item() for each in outputs]
    total = supervised(net.loss, outputs, label).item()
    assert total == pytest.approx((2 * parts[0] + parts[1]) / 3)


def test_what_cannot_fit_is_refused_before_it_is_tried(monkeypatch):
    net = MonaiSegmenter("UNet", patch_size=[64, 64, 64])
    kept = kept_for_backward(net.network, (2, 1, 64, 64, 64))
    assert 50e6 < kept < 1e9
    assert require_trainable(net.network, 1, 2, [64, 64, 64]) is None
    monkeypatch.setattr(memory, "physical_memory", lambda: int(kept * 0.7))
    message = (
        r"sub-volumes of 64x64x64, 2 at a time, would keep .* MB .* has .* MB of memory; "
        r"64x64x64, 1 at a time, fit: --data\.patch_size '\[64, 64, 64\]' --data\.batch_size 1"
    )
    with pytest.raises(UsageError, match=message):
        require_trainable(net.network, 1, 2, [64, 64, 64])


def test_ignored_voxels_are_in_no_metric():
    label = torch.randint(0, 3, (1, 1, 6, 6, 6), generator=torch.Generator().manual_seed(0))
    predicted = label.clone()
    label[:, :, 3:] = IGNORED
    predicted[:, :, 3:] = 2 - predicted[:, :, 3:]
    assert measure(predicted, label, 3, distances=False)[0].tolist() == [1, 1]
