"""MRBrainS13 and MRBrainS18: brain tissues in 3 T MR volumes of three contrasts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from skimage.exposure import equalize_adapthist

from zoo.plugin import UsageError, one_of, within
from zoo_segmentation.data.nifti import (
    TOLERANCE,
    Scan,
    grid_distance,
    on_grid_of,
    read_image,
    read_labels,
)
from zoo_segmentation.data.volume import Volume
from zoo_segmentation.data.volumes import (
    TEST,
    TRAIN,
    Case,
    Listing,
    VolumeDataModule,
    parts_of,
)
from zoo_segmentation.memory import format_shape

HOMEPAGES = "https://doi.org/10.34894/645ZIN (2013) or https://doi.org/10.34894/E0U32Q (2018)"
MODALITIES = ("T1", "IR", "FLAIR")
CHANNELS = ["T1", "FLAIR", "T1, equalized", "IR, equalized", "FLAIR, equalized"]
LABELS = [
    "background",
    "cerebrospinal fluid",
    "grey matter",
    "white matter",
    "cerebellum and brainstem",
]
# From the eight structures (and 9, infarction, 10, other) to the classes of the paper's net:
# cortical gray matter and basal ganglia are gray, white matter and its lesions white, fluid and
# ventricles fluid.
MERGED = np.array([0, 2, 2, 3, 3, 1, 1, 4, 4, 0, 0], dtype=np.uint8)
# Files of a subject in the two layouts: each modality, then the labels, the best first.
LAYOUTS = {
    "2013": (
        {"T1": "T1", "IR": "T1_IR", "FLAIR": "T2_FLAIR"},
        ("LabelsForTraining", "LabelsForTesting"),
    ),
    "2018": (
        {"T1": "pre/reg_T1", "IR": "pre/reg_IR", "FLAIR": "pre/FLAIR"},
        ("segm",),
    ),
}
GAUSSIAN_SIGMA, GAUSSIAN_RADIUS = 5.0, 15
TILES, CLIP = 16, 2.0
BORDER = 8


@dataclass(frozen=True)
class Subject:
    """One folder of images.

    Attributes:
        layout: ``2013`` or ``2018``.
        folder: Where.
        images: Each modality's file.
        labels: The label file, if there is one.
        training: Whether the folder lies in a training folder.
    """

    layout: str
    folder: Path
    images: dict[str, Path]
    labels: Path | None
    training: bool


def equalize(slices: np.ndarray) -> np.ndarray:
    """Flatten brightness and spread contrast, slice by slice, as the paper's authors do.

    Subtract a Gaussian-smoothed copy (31x31, sigma 5), standardize, equalize the histogram
    adaptively (CLAHE: 16x16 tiles, clip limit 2 times the mean of a 256-bin histogram), and set
    a border of 8 voxels to the slice's mean.

    Source: the preprocessing in the authors' released code (github.com/marijnfs/vlstm).

    Args:
        slices: (D, H, W), any values.

    Returns:
        float32 (D, H, W), values in [0, 1].
    """
    return np.stack([_equalize_slice(one) for one in slices.astype(np.float64)]).astype(np.float32)


def five_channels(three: np.ndarray) -> np.ndarray:
    """The channels of the paper's net: T1 and FLAIR as they are, and T1, IR, FLAIR equalized.

    Args:
        three: float32 (3, D, H, W), `MODALITIES`.

    Returns:
        float32 (5, D, H, W), `CHANNELS`.
    """
    return np.stack([three[0], three[2], *(equalize(channel) for channel in three)])


def find_subject(path: Path) -> Subject | None:
    """The subject whose folder, or one of whose files, ``path`` is; None if there is none.

    Raises:
        UsageError: the subject lacks a modality, or has a file under two suffixes.
    """
    for folder in (path, path.parent, path.parent.parent):
        for layout, (images, labels) in LAYOUTS.items():
            found = {name: _nifti(folder, file) for name, file in images.items()}
            if not any(found.values()):
                continue
            missing = [name for name, file in found.items() if file is None]
            if missing:
                wanted = ", ".join(f"{images[name]}.nii(.gz)" for name in missing)
                raise UsageError(
                    f"{folder} lacks {wanted}; the model takes {', '.join(MODALITIES)}"
                )
            known = {name: file for name, file in found.items() if file is not None}
            label = next(filter(None, (_nifti(folder, name) for name in labels)), None)
            training = any("train" in part.lower() for part in folder.parts)
            return Subject(layout, folder, known, label, training)
    return None


def read_subject(subject: Subject) -> Scan:
    """The three modalities of a subject: float32 (3, D, H, W), in the T1's space.

    Raises:
        UsageError: a file cannot be used, or the modalities do not lie on one grid.
    """
    scans = {name: read_image(path, 1) for name, path in subject.images.items()}
    first = scans["T1"]
    for name, scan in scans.items():
        path = subject.images[name]
        if scan.shape != first.shape:
            raise UsageError(
                f"{path} has {format_shape(scan.shape)} voxels and {subject.images['T1']} "
                f"{format_shape(first.shape)}; register the modalities onto one grid"
            )
        if (distance := grid_distance(scan, first)) > TOLERANCE * min(first.spacing):
            raise UsageError(
                f"{path} and {subject.images['T1']} have different affine matrices: their voxels "
                f"lie up to {distance:.3g} mm apart; register them onto one grid"
            )
    array = np.concatenate([on_grid_of(first, scans[name]) for name in MODALITIES])
    return replace(first, array=array)


class MRBrainS(VolumeDataModule):
    """Brains of MRBrainS13 or MRBrainS18 in five classes: background, cerebrospinal fluid, gray
    matter, white matter, and cerebellum with brainstem.

    Every folder under ``root`` with the images of a subject is taken, in either layout:
    ``T1.nii``, ``T1_IR.nii``, ``T2_FLAIR.nii``, ``LabelsForTraining.nii`` (2013), or
    ``pre/reg_T1.nii.gz``, ``pre/reg_IR.nii.gz``, ``pre/FLAIR.nii.gz``, ``segm.nii.gz`` (2018).
    Labelled subjects in a folder named for training (``TrainingData``, ``training``) are trained
    on, the other labelled ones tested on; without others, the last of the training subjects are
    tested on. Where a subject has only ``LabelsForTesting.nii``, cerebellum and brainstem are
    background in it.

    Source: Mendrik et al., MRBrainS Challenge, Computational Intelligence and Neuroscience,
    2015; Kuijf, Bennink, MRBrainS18.

    Args:
        root: A folder with the subjects' folders, at any depth.
        batch_size: Sub-volumes in a training batch, on each device.
        num_workers: Processes that prepare training batches.
        seed: Seed of the order, the places and the changes of the sub-volumes; the split does
            not depend on it.
        split: ``standard``, or ``all`` to make every labelled subject test data.
        layout: ``2013`` or ``2018``, where ``root`` has both; either without.
        channels: ``five`` as the paper's net has them (T1 and FLAIR, and T1, IR and FLAIR
            equalized), or ``three`` (T1, IR, FLAIR).
        test_fraction: Share of the subjects, the last by name, that is test data where no test
            subject has labels.
        val_fraction: Share of the training subjects held out for validation; 0 for none.
        patch_size: Length of every axis of a sub-volume (D, H, W; D across the slices).
        patches_per_volume: Sub-volumes of each subject in an epoch.
        curriculum: Stages of training before that on ``patch_size``, [epochs, *size] each, such
            as [[3000, 8, 64, 64], [2000, 15, 128, 128]].
        crop_centers: Where sub-volumes are cut: ``balanced`` (around a voxel of each class equally
            often) or ``uniform``.
        flips: Axes (0 to 2, of D, H, W) that are mirrored in half of the sub-volumes; the
            paper's authors mirror left and right: [2].
        rotate90: Random quarter turns in the plane of the last two axes.
        rotation: Largest random turn in that plane, in degrees, of half of the sub-volumes.
        intensity: Largest random change of contrast (relative) and of brightness (in standard
            deviations), each of half of the sub-volumes.
        noise: Largest standard deviation of random noise, in half of the sub-volumes.
        memory_mb: What is larger than this, once read, lies in temporary files.
    """

    def __init__(
        self,
        root: str = "data/mrbrains",
        batch_size: int = 1,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        layout: str | None = None,
        channels: str = "five",
        test_fraction: float = 0.2,
        val_fraction: float = 0.2,
        patch_size: list[int] | None = None,
        patches_per_volume: int = 8,
        curriculum: list[list[int]] | None = None,
        crop_centers: str = "uniform",
        flips: list[int] | None = None,
        rotate90: bool = False,
        rotation: float = 0.0,
        intensity: float = 0.0,
        noise: float = 0.0,
        memory_mb: int = 4000,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            patch_size=[8, 64, 64] if patch_size is None else patch_size,
            patches_per_volume=patches_per_volume,
            curriculum=curriculum or [],
            crop_centers=crop_centers,
            flips=[2] if flips is None else flips,
            rotate90=rotate90,
            rotation=rotation,
            intensity=intensity,
            noise=noise,
            memory_mb=memory_mb,
        )
        within("test_fraction", test_fraction, 0, 1, below=True)
        within("val_fraction", val_fraction, 0, 1, below=True)
        one_of("channels", channels, ("five", "three"))
        if layout is not None:
            one_of("layout", layout, LAYOUTS)
        self.layout = layout
        self.channels = channels
        self.test_fraction = test_fraction
        self.val_fraction = val_fraction

    def _describe_preprocessing(self) -> dict[str, Any]:
        return {**super()._describe_preprocessing(), "derived": f"mrbrains-{self.channels}"}

    def _list(self) -> Listing:
        subjects = [subject for subject in self._subjects() if subject.labels]
        if not subjects:
            raise UsageError(
                f"no subject under {self.root} has labels (LabelsForTraining.nii or "
                f"segm.nii.gz); fetch the data from {HOMEPAGES}"
            )
        training = [subject for subject in subjects if subject.training]
        testing = [subject for subject in subjects if not subject.training]
        if training and testing:
            parts = parts_of(len(training), 0, self.val_fraction) + [TEST] * len(testing)
        else:
            parts = parts_of(len(subjects), self.test_fraction, self.val_fraction)
        needed = {TRAIN, TEST} if self.test_fraction else {TRAIN}
        if self.split == "standard" and not needed <= set(parts):
            raise UsageError(
                f"{self.root} holds {len(subjects)} labelled subject(s), too few to split; add "
                "more, or test a trained model on it with split=all"
            )
        cases = [
            Case(_name(subject, self.root), part, partial(self._volume, subject))
            for subject, part in zip(training + testing, parts, strict=True)
        ]
        names = CHANNELS if self.channels == "five" else list(MODALITIES)
        return Listing(cases, LABELS, names)

    def _subjects(self) -> list[Subject]:
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"{root} is not a folder; fetch the data from {HOMEPAGES} and point --data.root "
                "at them"
            )
        folders: set[Path] = set()
        for images, _ in LAYOUTS.values():
            for file in images.values():
                for suffix in (".nii", ".nii.gz"):
                    depth = file.count("/") + 1
                    folders |= {found.parents[depth - 1] for found in root.rglob(f"{file}{suffix}")}
        subjects = [find_subject(folder) for folder in sorted(folders, key=_natural)]
        found = [subject for subject in subjects if subject is not None]
        chosen = [subject for subject in found if self.layout in (None, subject.layout)]
        if len({subject.layout for subject in chosen}) > 1:
            raise UsageError(
                f"{root} holds subjects of both challenges; choose one by --data.layout 2013 or "
                "2018, or point --data.root at one"
            )
        return chosen

    def _volume(self, subject: Subject) -> Volume:
        assert subject.labels is not None
        scan = read_subject(subject)
        image = five_channels(scan.array) if self.channels == "five" else scan.array
        label = self._labels(subject.labels, scan, subject.images["T1"])
        return Volume(
            _name(subject, self.root), image, label, scan.spacing, scan.notes, scan.oriented
        )

    def _labels(self, path: Path, image: Scan, image_path: Path) -> np.ndarray:
        if path.name.startswith("LabelsForTesting"):
            return read_labels(path, image, image_path, 4)
        merged: np.ndarray = MERGED[read_labels(path, image, image_path, len(MERGED))]
        return merged


def _equalize_slice(slice_: np.ndarray) -> np.ndarray:
    smooth = gaussian_filter(
        slice_, GAUSSIAN_SIGMA, mode="mirror", truncate=GAUSSIAN_RADIUS / GAUSSIAN_SIGMA
    )
    sharp = slice_ - smooth
    low, high = sharp.min(), sharp.max()
    if high - low <= 1e-9 * max(1.0, abs(slice_).max()):
        return np.zeros_like(slice_)
    tiles = [max(1, -(-length // TILES)) for length in slice_.shape]
    equal: np.ndarray = equalize_adapthist(
        (sharp - low) / (high - low), kernel_size=tiles, clip_limit=CLIP / 256, nbins=256
    )
    if min(slice_.shape) > 2 * BORDER:
        inside = np.zeros(slice_.shape, dtype=bool)
        inside[BORDER:-BORDER, BORDER:-BORDER] = True
        equal[~inside] = equal.mean()
    return equal


def _nifti(folder: Path, name: str) -> Path | None:
    paths = (folder / f"{name}{suffix}" for suffix in (".nii", ".nii.gz"))
    found = [path for path in paths if path.is_file()]
    if len(found) > 1:
        raise UsageError(f"{folder} holds both {name}.nii and {name}.nii.gz; keep one")
    return found[0] if found else None


def _name(subject: Subject, root: str) -> str:
    return subject.folder.relative_to(root).as_posix() if root else subject.folder.name


def _natural(folder: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorts 2 before 10."""
    return [(int(part) if part.isdigit() else 0, part) for part in folder.parts], str(folder)
