"""What the volume datasets share: sub-volumes, exact resume, resampling, parts, checks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.transforms import (
    Compose,
    NormalizeIntensity,
    RandFlipd,
    RandGaussianNoised,
    RandRotate90d,
    RandRotated,
    RandScaleIntensityd,
    RandShiftIntensityd,
)

from zoo.plugin import UsageError
from zoo_segmentation.data.preprocessing import (
    normalize,
    resample,
    resample_labels,
    resampled_size,
)
from zoo_segmentation.data.quick_changes import plain
from zoo_segmentation.data.sampling import Patches, PatchLoader, augmentation, collate
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.data.volumes import (
    TEST,
    TRAIN,
    VAL,
    Case,
    Listing,
    VolumeDataModule,
    parts_of,
)

ALL_CHANGES = {
    "flips": [0, 1, 2],
    "rotate90": True,
    "rotation": 30.0,
    "intensity": 0.2,
    "noise": 0.1,
}


def volume(number: int, shape=(10, 12, 14), channels: int = 1, spacing=(1.0, 1.0, 1.0)) -> Volume:
    """Voxel values that tell where they come from; label 1 is a small cube, 2 a plane."""
    image = np.arange(channels * np.prod(shape), dtype=np.float32).reshape(channels, *shape)
    label = np.zeros(shape, dtype=np.uint8)
    label[2:4, 2:4, 2:4] = 1
    label[-1] = 2
    return Volume(f"volume {number}", image + 10_000 * number, label, spacing)


class Volumes(VolumeDataModule):
    """Volumes of a list."""

    def __init__(self, volumes, parts=None, batch_size=2, **arguments) -> None:
        super().__init__("the list", batch_size, **{"patch_size": (6, 6, 6), **arguments})
        self.volumes = volumes
        self.parts = parts or [TRAIN] * len(volumes)

    def _list(self) -> Listing:
        cases = [
            Case(one.name, part, lambda one=one: one)
            for one, part in zip(self.volumes, self.parts, strict=True)
        ]
        return Listing(cases, ["background", "cube", "plane"], ["values"])


def batches(loader) -> list[dict]:
    return list(loader)


def same(first: list[dict], second: list[dict]) -> bool:
    return len(first) == len(second) and all(
        torch.equal(one[key], other[key])
        for one, other in zip(first, second, strict=True)
        for key in ("image", "label")
    )


def test_batches_are_what_models_expect():
    data = Volumes([volume(0), volume(1), volume(2), volume(3)], [TRAIN, TRAIN, VAL, TEST])
    data.setup()
    (train,) = batches(data.train_dataloader())
    assert train["image"].shape == (2, 1, 6, 6, 6)
    assert train["image"].dtype == torch.float32
    assert train["label"].shape == (2, 1, 6, 6, 6)
    assert train["label"].dtype == torch.int64
    assert type(train["image"]) is torch.Tensor
    for loader, name in ((data.val_dataloader(), "volume 2"), (data.test_dataloader(), "volume 3")):
        (whole,) = batches(loader)
        assert whole["image"].shape == (1, 1, 10, 12, 14)
        assert whole["label"].shape == (1, 1, 10, 12, 14)
        assert whole["spacing"].tolist() == [[1, 1, 1]]
        assert whole["name"] == [name]
    assert data.facts == {
        "num_classes": 3,
        "in_channels": 1,
        "spatial_dims": 3,
        "label_names": ["background", "cube", "plane"],
        "channel_names": ["values"],
        "spacing": [1.0, 1.0, 1.0],
        "image_size": [10, 12, 14],
        "patch_size": [6, 6, 6],
        "train_size": 2,
        "train_volumes": 2,
        "preprocessing": {"normalize_by": "volume"},
        "restarts": [],
    }


def test_sub_volumes_are_parts_of_their_volume_with_their_labels():
    source = [volume(0), volume(1)]
    for sample in Patches(source, (4, 5, 6), 20):
        corner = int(sample["image"][0, 0, 0, 0])
        parent = source[corner // 10_000]
        d, h, w = np.unravel_index(corner % 10_000, (10, 12, 14))
        place = (slice(d, d + 4), slice(h, h + 5), slice(w, w + 6))
        assert np.array_equal(sample["image"][0], parent.image[0][place])
        assert np.array_equal(sample["label"][0], parent.label[place])


def test_balanced_centers_find_the_rare_class_and_uniform_ones_go_anywhere():
    source = [volume(0, (20, 20, 20))]

    def hits(crop_centers: str) -> list[float]:
        data = Patches(source, (3, 3, 3), 300, crop_centers)
        labels = [data[index]["label"] for index in range(300)]
        return [float(np.mean([(label == c).any() for label in labels])) for c in (1, 2)]

    balanced, uniform = hits("balanced"), hits("uniform")
    assert min(balanced) > 0.3
    # The plane is in reach of 3 of 18 places, the cube of 4^3 of 18^3.
    assert 0.0 < uniform[1] < 0.15
    assert uniform[0] < 0.05


def test_all_of_a_volume_can_be_sampled():
    seen = np.zeros((5, 5, 5), dtype=bool)
    data = Patches([volume(0, (5, 5, 5))], (2, 2, 2), 400, "uniform")
    for sample in data:
        seen.ravel()[sample["image"].numpy().astype(int).ravel()] = True
    assert seen.all()


@pytest.mark.parametrize("crop_centers", ["balanced", "uniform"])
def test_a_volume_smaller_than_the_window_is_padded(crop_centers):
    one = volume(0, (4, 12, 5))
    (sample,) = Patches([one], (8, 6, 8), 1, crop_centers)
    assert sample["image"].shape == (1, 8, 6, 8)
    assert sample["label"].shape == (1, 8, 6, 8)
    inside = sample["image"][0, 2:6, :, 1:6]
    start = int(inside[0, 0, 0]) // 5
    assert np.array_equal(inside, one.image[0, :, start : start + 6])
    rest = sample["image"].clone()
    rest[0, 2:6, :, 1:6] = 0
    assert not rest.any()


def test_an_epoch_is_the_same_however_it_is_loaded():
    source = [volume(number) for number in range(4)]

    def load(epoch: int = 0, seed: int = 0, **options) -> list[dict]:
        data = Patches(
            source, (6, 6, 6), 3, "balanced", augmentation(**ALL_CHANGES, spatial_dims=3), seed
        )
        loader = PatchLoader(data, 2, seed=seed, collate_fn=collate, **options)
        loader.sampler.set_epoch(epoch)
        return batches(loader)

    torch.manual_seed(1)
    np.random.seed(1)
    first = load()
    torch.rand(5)
    np.random.rand(5)
    assert same(first, load())
    assert same(first, load(num_workers=2))
    assert not same(first, load(epoch=1))
    assert not same(first, load(seed=1))


def test_an_epoch_taken_up_again_goes_on_the_same():
    data = Volumes([volume(number) for number in range(4)], **ALL_CHANGES, patches_per_volume=3)
    whole = data.train_dataloader()
    whole.sampler.set_epoch(5)
    expected = batches(whole)
    part = data.train_dataloader()
    part.sampler.set_epoch(5)
    iterator = iter(part)
    next(iterator), next(iterator)
    state = part.state_dict()
    again = data.train_dataloader()
    again.sampler.set_epoch(5)
    again.load_state_dict(state)
    assert same(batches(again), expected[2:])
    assert len(expected) == 6


def test_a_curriculum_grows_by_epochs():
    stages = [[2, 3, 4, 4], [1, 4, 5, 5]]
    data = Volumes([volume(0), volume(1)], curriculum=stages, rotate90=True)
    assert data.facts["patch_size"] == [6, 6, 6]
    loader = data.train_dataloader()
    sizes = []
    for epoch in range(5):
        loader.sampler.set_epoch(epoch)
        sizes += [tuple(batch["image"].shape[2:]) for batch in loader]
    assert sizes == [(3, 4, 4), (3, 4, 4), (4, 5, 5), (6, 6, 6), (6, 6, 6)]


def test_loading_draws_no_global_random_numbers():
    data = Volumes([volume(number) for number in range(4)], **ALL_CHANGES)
    torch.manual_seed(0)
    np.random.seed(0)
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    batches(data.train_dataloader())
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])


def test_persistent_workers_learn_the_epoch():
    data = Volumes([volume(number) for number in range(4)], num_workers=2, flips=[0, 1, 2])
    loader = data.train_dataloader()
    alone = Volumes([volume(number) for number in range(4)], flips=[0, 1, 2]).train_dataloader()
    for epoch in (0, 1, 2):
        loader.sampler.set_epoch(epoch)
        alone.sampler.set_epoch(epoch)
        assert same(batches(loader), batches(alone))


@pytest.mark.parametrize("change", list(ALL_CHANGES))
def test_changes_move_image_and_label_together_or_the_image_alone(change):
    nothing = {"flips": [], "rotate90": False, "rotation": 0.0, "intensity": 0.0, "noise": 0.0}
    assert augmentation(**nothing, spatial_dims=3) is None
    changes = augmentation(**{**nothing, change: ALL_CHANGES[change]}, spatial_dims=3)
    label = np.random.default_rng(0).integers(0, 3, (8, 8, 8)).astype(np.uint8)
    source = Volume("same", label[None].astype(np.float32), label, (1.0, 1.0, 1.0))
    moved = changed = 0
    for sample in Patches([source], (8, 8, 8), 200, "uniform", changes):
        assert sample["label"].dtype == torch.int64
        moved += not np.array_equal(sample["label"][0], label)
        if change in ("intensity", "noise"):
            changed += not torch.equal(sample["image"], sample["label"].float())
        else:
            assert torch.equal(sample["image"], sample["label"].float())
    if change in ("intensity", "noise"):
        assert moved == 0
        assert 60 < changed < 200
    else:
        assert 40 < moved < 200


def test_turns_stay_within_the_last_two_axes():
    planes = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None, None], (8, 8, 8)).copy()
    source = Volume("planes", planes[None].astype(np.float32), planes, (1.0, 1.0, 1.0))
    changes = augmentation([], True, 40.0, 0.0, 0.0, 3)
    for sample in Patches([source], (8, 8, 8), 20, "uniform", changes):
        assert np.array_equal(sample["label"][0], planes)


def test_pictures_are_cut_and_changed_too():
    label = np.random.default_rng(0).integers(0, 2, (12, 12)).astype(np.uint8)
    source = Volume("slice", label[None].astype(np.float32), label, (1.0, 1.0))
    changes = augmentation([0, 1], True, 30.0, 0.0, 0.0, 2)
    for sample in Patches([source], (8, 8), 20, "balanced", changes):
        assert sample["image"].shape == (1, 8, 8)
        assert torch.equal(sample["image"], sample["label"].float())


def test_each_channel_is_normalized_by_itself():
    data = Volumes([volume(0, channels=2)], split="all")
    (whole,) = batches(data.test_dataloader())
    for channel in whole["image"][0]:
        assert channel.mean().abs() < 1e-5
        assert (channel.std(correction=0) - 1).abs() < 1e-5
    constant = np.full((1, 4, 4, 4), 7.0, dtype=np.float32)
    assert not normalize(constant).any()
    slices = np.stack([np.arange(9.0).reshape(3, 3) * scale for scale in (1, 50)])[None]
    by_slice = normalize(slices.astype(np.float32), "slice")
    assert np.allclose(by_slice[0, 0], by_slice[0, 1])
    assert not np.allclose(*normalize(slices.astype(np.float32))[0])


@pytest.mark.parametrize("by", ["volume", "nonzero"])
def test_normalization_is_monais_to_the_last_bit(by):
    image = np.random.default_rng(0).normal(100, 300, (4, 9, 8, 7)).astype(np.float32)
    image[image < 0] = 0
    image[1], image[2] = 7, 0
    theirs = NormalizeIntensity(channel_wise=True, nonzero=by == "nonzero")(image.copy())
    assert np.array_equal(normalize(image, by), np.asarray(theirs))


def test_large_values_keep_their_contrast():
    values = np.random.default_rng(0).normal(1e6, 1e3, (1, 30, 30, 30)).astype(np.float32)
    done = normalize(values)
    assert abs(done.mean()) < 1e-2
    assert abs(done.std() - 1) < 1e-2


def test_volumes_are_resampled_to_the_median_spacing():
    source = [volume(0), volume(1), volume(2, (5, 12, 14), spacing=(2.0, 1.0, 1.0))]
    data = Volumes(source, [TRAIN, TRAIN, TEST])
    assert data.facts["spacing"] == [1.0, 1.0, 1.0]
    (whole,) = batches(data.test_dataloader())
    assert whole["image"].shape == (1, 1, 10, 12, 14)
    assert whole["label"].unique().tolist() == [0, 1, 2]
    assert whole["spacing"].tolist() == [[1, 1, 1]]
    given = Volumes(source, [TRAIN, TRAIN, TEST], spacing=[2.0, 1.0, 0.5])
    assert given.facts["image_size"] == [5, 12, 28]
    assert batches(given.test_dataloader())[0]["image"].shape == (1, 1, 5, 12, 28)


def test_resampling_keeps_places_and_extent():
    assert resampled_size((10, 10), (1.0, 1.001), (1.0, 1.0)) == (10, 10)
    assert resampled_size((10, 3), (1.0, 2.0), (2.0, 0.5)) == (5, 12)
    assert resampled_size((1, 10), (1.0, 1.0), (9.0, 1.0)) == (1, 10)
    ramp = np.broadcast_to(np.arange(16, dtype=np.float32), (1, 4, 4, 16)).copy()
    fine = resample(ramp, (4, 4, 32))
    # Voxel centers of the fine grid lie a quarter of a voxel beside the coarse ones.
    assert np.allclose(fine[0, 0, 0, 2:-2], np.arange(32)[2:-2] / 2 - 0.25)
    coarse = resample(fine, (4, 4, 16))
    assert np.allclose(coarse[0, 0, 0, 3:-3], ramp[0, 0, 0, 3:-3], atol=0.05)
    label = np.repeat(np.array([0, 2, 1, 2], dtype=np.uint8), 3).reshape(1, 1, 12)
    assert resample_labels(label, (1, 1, 4)).ravel().tolist() == [0, 2, 1, 2]
    assert resample_labels(label, (2, 1, 24)).dtype == np.uint8


def test_what_exceeds_the_memory_lies_in_files_and_is_the_same():
    source = [volume(number) for number in range(3)]
    parts = [TRAIN, TRAIN, TEST]
    kept, mapped = Volumes(source, parts), Volumes(source, parts, memory_mb=0)
    assert isinstance(mapped.samples("train")[0].image, np.memmap)
    assert not isinstance(kept.samples("train")[0].image, np.memmap)
    assert kept.facts == mapped.facts
    assert same(batches(kept.train_dataloader()), batches(mapped.train_dataloader()))
    assert same(batches(kept.test_dataloader()), batches(mapped.test_dataloader()))


def test_all_makes_everything_test_data():
    data = Volumes([volume(0), volume(1)], [TRAIN, VAL], split="all")
    assert data.facts["train_volumes"] == 0
    assert len(batches(data.test_dataloader())) == 2
    assert data.val_dataloader() == []
    with pytest.raises(UsageError, match="no volume is in the training part"):
        data.train_dataloader()


def test_parts_are_the_last_by_name_and_a_fixed_choice():
    parts = parts_of(200, 0.2, 0.1)
    assert parts[160:] == [TEST] * 40
    assert parts[:160].count(VAL) == 16
    assert TEST not in parts[:160]
    assert parts == parts_of(200, 0.2, 0.1)
    assert parts_of(200, 0.2, 0.0)[:160] == [TRAIN] * 160
    assert sorted(parts_of(3, 0.2, 0.01)) == [TRAIN, VAL, TEST]
    assert parts_of(1, 0.2, 0.5) == [TRAIN]


def test_the_first_case_that_is_wrong_is_told_and_the_others_named():
    class Wrong(Volumes):
        def _list(self) -> Listing:
            listing = super()._list()

            def fail(name: str) -> Volume:
                raise UsageError(f"{name} is broken")

            cases = [
                Case(case.name, case.part, lambda case=case: fail(case.name))
                for case in listing.cases[1:]
            ]
            return Listing(listing.cases[:1] + cases, listing.label_names, ["values"])

    with pytest.raises(UsageError, match=r"volume 1 is broken \(and 2 more .*: volume 2, volume 3"):
        Wrong([volume(number) for number in range(4)]).setup()


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_size": 0},
        {"num_workers": -1},
        {"split": "some"},
        {"patch_size": (4, 4)},
        {"patch_size": (4, 0, 4)},
        {"patches_per_volume": 0},
        {"crop_centers": "none"},
        {"flips": [3]},
        {"rotate90": True, "patch_size": (4, 6, 4)},
        {"rotate90": True, "curriculum": [[5, 2, 2, 3]]},
        {"curriculum": [[5, 2, 2]]},
        {"curriculum": [[0, 2, 2, 2]]},
        {"rotation": -1.0},
        {"intensity": -0.1},
        {"noise": -0.1},
        {"spacing": [1.0, 1.0]},
        {"spacing": [1.0, 0.0, 1.0]},
        {"normalize_by": "nothing"},
    ],
)
def test_arguments_out_of_range_are_refused(arguments):
    with pytest.raises(UsageError, match=next(iter(arguments))):
        Volumes([volume(0)], **arguments)


@pytest.mark.parametrize("dims", [3, 2])
def test_quick_changes_are_monais(dims):
    both, image, plane = ["image", "label"], ["image"], (dims - 2, dims - 1)
    theirs = Compose(
        [
            *(RandFlipd(both, prob=0.5, spatial_axis=axis) for axis in range(dims)),
            RandRotate90d(both, prob=0.75, max_k=3, spatial_axes=plane),
            RandRotated(
                both,
                range_x=np.deg2rad(30),
                prob=0.5,
                mode="nearest",
                padding_mode="reflection",
            ),
            RandScaleIntensityd(image, factors=0.2, prob=0.5),
            RandShiftIntensityd(image, offsets=0.2, prob=0.5),
            RandGaussianNoised(image, prob=0.5, std=0.1),
        ]
    )
    ours = augmentation(range(dims), True, 30.0, 0.2, 0.1, dims)
    size = (5, 12, 12)[-dims:]
    for seed in range(20):
        given = {
            "image": torch.randn(2, *size, generator=torch.Generator().manual_seed(seed)),
            "label": torch.arange(12).expand(1, *size).to(torch.uint8),
        }
        results = []
        for changes in (theirs, ours):
            changes.set_random_state(state=np.random.RandomState(seed))
            results.append(changes({key: value.clone() for key, value in given.items()}))
        for key in both:
            wanted, found = (plain(result[key]).float() for result in results)
            assert torch.equal(wanted, found)
