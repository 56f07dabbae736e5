"""The Medical Segmentation Decathlon: any of its task folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zoo.plugin import UsageError, within
from zoo_segmentation.data.dataset_json import is_nnunet, read_json
from zoo_segmentation.data.labels import read_mapping, values_of
from zoo_segmentation.data.nifti import read_image, read_labels, stem
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.data.volumes import Case, Listing, VolumeDataModule, parts_of

HOMEPAGE = "http://medicaldecathlon.com"


class Decathlon(VolumeDataModule):
    """A task of the Medical Segmentation Decathlon, read in place through its ``dataset.json``.

    The publisher's test images have no public labels, so the labelled ones are split: sorted by
    name, the last fifth is the test part, and of the others a fixed choice is for validation.

    Source: Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 2022.

    Args:
        root: The task's folder (with ``dataset.json``); or a folder that holds the folder
            ``task``; or one that lies beside the folder ``task``.
        batch_size: Sub-volumes in a training batch, on each device; 2 without, or as planned.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes; the split does
            not depend on it.
        split: ``standard``, or ``all`` to make every labelled volume test data.
        task: Name of the task's folder, such as ``Task04_Hippocampus``; needed unless ``root``
            is that folder.
        labels: The class of each value in the label maps, such as {0: 0, 255: 1}, where they are
            not the numbers of ``dataset.json``; -1 says that such voxels are not counted, in the
            loss nor in metrics.
        test_fraction: Share of the volumes, the last by name, that is test data.
        val_fraction: Share of the others held out for validation; 0 for none.
        patch_size: Length of every axis of a sub-volume (D, H, W: inferior to superior,
            posterior to anterior, left to right); 32 without, or as planned.
        patches_per_volume: Sub-volumes of each volume in an epoch.
        curriculum: Stages of training before that on ``patch_size``, [epochs, *size] each, such
            as [[3000, 8, 64, 64], [2000, 15, 128, 128]].
        crop_centers: Where sub-volumes are cut: ``balanced`` (around a voxel of each class equally
            often; so without), ``foreground`` (a third around foreground, the others anywhere; so
            planned) or ``uniform``.
        flips: Axes (0 to 2, of D, H, W) that are mirrored in half of the sub-volumes.
        rotate90: Random quarter turns in the plane of the last two axes.
        rotation: Largest random turn in that plane, in degrees, of half of the sub-volumes.
        intensity: Largest random change of contrast (relative) and of brightness (in standard
            deviations), each of half of the sub-volumes.
        noise: Largest standard deviation of random noise, in half of the sub-volumes.
        spacing: Voxel edges (D, H, W) in mm that all volumes are resampled to; without, the
            median of the training volumes.
        memory_mb: What is larger than this, once read, lies in temporary files.
        plan: ``auto`` chooses by the training volumes, as nnU-Net does, what is not given of
            batch_size, patch_size, spacing, intensities, crop_centers, flips and augment, and
            writes it into the recipe (``zoo train RECIPE --print-config`` shows it).
        intensities: Of each channel [low, high, mean, standard deviation] of gray values: it is
            clipped to the first two and normalized by the others; null, and all channels without,
            by each volume's own mean and standard deviation. Planned for channels called CT.
        augment: ``nnunet`` changes sub-volumes as nnU-Net does (turns, scaling, deformation, noise,
            blur, brightness, contrast, low resolution, gamma), besides the changes above; ``none``
            does not.
    """

    def __init__(
        self,
        root: str = "data/decathlon",
        batch_size: int | None = None,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        task: str | None = None,
        labels: dict[str, int] | None = None,
        test_fraction: float = 0.2,
        val_fraction: float = 0.1,
        patch_size: list[int] | None = None,
        patches_per_volume: int = 1,
        curriculum: list[list[int]] | None = None,
        crop_centers: str | None = None,
        flips: list[int] | None = None,
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        spacing: list[float] | None = None,
        memory_mb: int = 4000,
        plan: str | None = None,
        intensities: list[list[float] | None] | None = None,
        augment: str | None = None,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            patch_size=patch_size,
            patches_per_volume=patches_per_volume,
            curriculum=curriculum or [],
            crop_centers=crop_centers,
            flips=flips,
            rotate90=rotate90,
            rotation=rotation,
            intensity=intensity,
            noise=noise,
            spacing=spacing,
            memory_mb=memory_mb,
            plan=plan,
            intensities=intensities,
            augment=augment,
        )
        within("test_fraction", test_fraction, 0, 1, below=True)
        within("val_fraction", val_fraction, 0, 1, below=True)
        self.labels = labels
        self.task = task
        self.test_fraction = test_fraction
        self.val_fraction = val_fraction

    def _list(self) -> Listing:
        folder = self._folder()
        about = read_json(folder / "dataset.json")
        if is_nnunet(about):
            raise UsageError(
                f"{folder / 'dataset.json'} is nnU-Net's and not the Decathlon's: read it by "
                f"--data volume-folder --data.root {folder}"
            )
        channels = _names(about, ("modality", "channel_names"), folder)
        labels = _names(about, ("labels",), folder)
        training = about.get("training")
        if not isinstance(training, list) or not training:
            raise UsageError(
                f"{folder / 'dataset.json'} lists no volumes under 'training'; fetch the task "
                f"again from {HOMEPAGE}"
            )
        try:
            pairs = sorted((folder / pair["image"], folder / pair["label"]) for pair in training)
        except (KeyError, TypeError) as error:
            raise UsageError(
                f"{folder / 'dataset.json'}: every entry of 'training' has to name an 'image' and "
                "a 'label'"
            ) from error
        if len(set(pairs)) < len(pairs):
            twice = next(image for (image, _), n in Counter(pairs).items() if n > 1)
            raise UsageError(
                f"{folder / 'dataset.json'} lists {twice} twice under 'training'; remove one entry"
            )
        numbered = {number: number for number in range(len(labels))}
        classes = read_mapping(self.labels or numbered, len(labels))
        parts = parts_of(len(pairs), self.test_fraction, self.val_fraction)
        cases = [
            Case(stem(image), part, partial(_read, image, label, len(channels), classes))
            for (image, label), part in zip(pairs, parts, strict=True)
        ]
        return Listing(cases, labels, channels, values_of(classes, len(labels)))

    def _folder(self) -> Path:
        root = Path(self.root)
        places = [root]
        if self.task is not None:
            places += [root / self.task, root.parent / self.task]
            if root.name != self.task:
                places = places[1:]
        for place in places:
            if (place / "dataset.json").is_file():
                return place
        looked = " nor ".join(str(place / "dataset.json") for place in places)
        remedy = (
            "point --data.root at the folder that holds it"
            if self.task is not None
            else "point --data.root at a task's folder, or name it by --data.task"
        )
        raise UsageError(
            f"there is {'neither' if len(places) > 1 else 'no'} {looked}; fetch the task from "
            f"{HOMEPAGE} and {remedy}"
        )


def _read(image_path: Path, label_path: Path, channels: int, classes: Mapping[int, int]) -> Volume:
    image = read_image(image_path, channels)
    label = read_labels(label_path, image, image_path, classes)
    return Volume(stem(image_path), image.array, label, image.spacing, image.notes, image.oriented)


def _names(about: Mapping[str, Any], keys: tuple[str, ...], folder: Path) -> list[str]:
    """The names under one of the keys, numbered "0", "1", ... without a gap."""
    named: Mapping[Any, Any] = next(
        (about[key] for key in keys if isinstance(about.get(key), dict)), {}
    )
    numbers = {str(number): str(name) for number, name in named.items()}
    if not numbers or set(numbers) != {str(number) for number in range(len(numbers))}:
        raise UsageError(
            f"{folder / 'dataset.json'}: '{keys[0]}' has to name 0, 1, 2, ... without a gap, and "
            f"names {', '.join(numbers) or 'nothing'}"
        )
    return [numbers[str(number)] for number in range(len(numbers))]
