"""From a user's file to a label map in the file's own space."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from zoo.plugin import UsageError, rank_zero_print
from zoo_segmentation import plots
from zoo_segmentation.data import dicom, nifti, stacks
from zoo_segmentation.data.channel_files import channel_files, image_name, read_channels
from zoo_segmentation.data.nifti import Scan, write_nifti
from zoo_segmentation.data.preprocessing import (
    Normalize,
    normalize,
    require_resampled,
    resample,
    resampled_size,
)
from zoo_segmentation.data.stacks import read_channel_stack, write_stack
from zoo_segmentation.example_files import write_volume
from zoo_segmentation.largest_component import largest_components
from zoo_segmentation.memory import format_shape
from zoo_segmentation.slices import orthogonal_slices

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SLICES_AT_ONCE = 4
MOST_UINT8 = 255
MRBRAINS_CHANNELS = 3
STACK_SPACING = "a stack does not say how large its voxels are; taken for those of the training"


@dataclass(frozen=True)
class FileSample:
    """An image read from a user's file.

    Attributes:
        name: What to call it: the file's name without suffix, and without the number of a channel
            that has a file of its own.
        image: float32 (C, D, H, W), ready for the model.
        shape: The file's own grid (D, H, W), before any resampling.
        spacing: Its voxel edges in mm, along D, H, W.
        preview: (D, H, W) on that grid, the first channel, to look at.
        scan: The NIfTI file's space; None for a stack of images.
    """

    name: str
    image: Tensor
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    preview: np.ndarray
    scan: Scan | None


@dataclass(frozen=True)
class FilePrediction:
    """What a model made of a `FileSample`, on the file's own grid.

    Attributes:
        label: uint8 (D, H, W), a class for each voxel.
        probabilities: float32 (classes, D, H, W).
        voxel_ml: Volume of a voxel in millilitres; None for a stack of images.
    """

    label: np.ndarray
    probabilities: np.ndarray
    voxel_ml: float | None


class VolumePrediction(ABC):
    """Mixin of a segmenting LightningModule: what ``zoo.inference.predict`` asks for.

    The module has ``in_channels``, ``num_classes``, ``label_names`` (background first),
    ``spatial_dims`` (2 or 3) and ``probabilities``, and among its saved hyperparameters the
    facts ``spacing`` and ``preprocessing`` of the data it was trained on.
    """

    in_channels: int
    num_classes: int
    label_names: list[str]
    spatial_dims: int
    hparams: Any
    device: Any
    largest: Sequence[int] = ()
    """Classes of which the largest connected component alone is predicted."""

    @abstractmethod
    def probabilities(self, images: Tensor) -> Tensor:
        """Class probabilities of whole images; the model's part.

        Args:
            images: float32 (N, in_channels, *spatial), of any size.

        Returns:
            (N, num_classes, *spatial).
        """

    @property
    def preprocessing(self) -> dict[str, Any]:
        """What happens to a volume before the network, for the bundle's readers."""
        return {
            "input": "float32 (N, C, D, H, W), D inferior to superior, H posterior to anterior, "
            "W left to right"
            if self.spatial_dims == 3
            else "float32 (N, C, H, W)",
            "channels": self.in_channels,
            "spacing_mm": self.hparams.get("spacing"),
            **self._learned(),
        }

    @property
    def input_suffixes(self) -> tuple[str, ...]:
        """NIfTI volumes, TIFF stacks and slices of DICOM series."""
        return (*nifti.SUFFIXES, *stacks.SUFFIXES, dicom.SUFFIX)

    def write_example_files(self, folder: Path) -> list[Path]:
        """A small volume with the model's channels, of the voxels of its training."""
        size = [min(int(each), 12) for each in self.hparams["patch_size"]]
        channels = MRBRAINS_CHANNELS if self._of_mrbrains() else self.in_channels
        spacing = self._training_spacing() or (1.0, 1.0, 1.0)
        return [write_volume(folder, [2] * (3 - len(size)) + size, channels, spacing)]

    def group_files(self, files: Sequence[Path]) -> list[Path]:
        """Of files that are the channels of one image, or slices of one series, the first."""
        first: dict[tuple[Path, str], Path] = {}
        for path in sorted(files):
            first.setdefault(self._image_of(path), path)
        chosen = set(first.values())
        return [path for path in files if path in chosen]

    def _image_of(self, path: Path) -> tuple[Path, str]:
        if self._of_mrbrains():
            from zoo_segmentation.data.mrbrains import find_subject  # MONAI and scikit-image

            try:
                subject = find_subject(path)
            except UsageError:  # said by read_file, with the others' predictions
                return path.parent, ""
            if subject:
                return subject.folder, ""
        if path.name.lower().endswith(dicom.SUFFIX):
            return path.parent, dicom.series_of(path)
        name = image_name(path) if self.in_channels > 1 else None
        return path.parent, name or path.name

    def _of_mrbrains(self) -> bool:
        return str(self._learned().get("derived", "")).startswith("mrbrains")

    def read_file(self, path: Path) -> FileSample:
        """Read a NIfTI volume, a TIFF stack or the DICOM series of a slice, and prepare it as the
        training data were.

        Channels are a NIfTI file's fourth axis, or files beside it (``NAME_0000.nii.gz``,
        ``NAME_0001.nii.gz``, ...; of MRBrainS, T1, IR and FLAIR in their folder).

        Raises:
            UsageError: the file cannot be used, or has not the model's channels.
        """
        path = Path(path)
        scan: Scan | None = None
        if path.name.lower().endswith(stacks.SUFFIXES):
            image = self._read_stack(path)
            spacing = self._training_spacing() or (1.0, 1.0, 1.0)
            self._say(path, [STACK_SPACING])
        else:
            scan = self._read_nifti(path)
            image, spacing = scan.array, scan.spacing
            self._say(path, scan.notes)
        shape = image.shape[1:]
        target = self._training_spacing()
        if target is not None and self.spatial_dims == 2:
            target = (spacing[0], *target[1:])
        size = shape
        if target is not None:
            size = resampled_size(shape, spacing, target)
            maps = self.in_channels + self.num_classes
            require_resampled(str(path), size, spacing, target, maps)
        by: Normalize = (
            "slice" if self.spatial_dims == 2 else self._learned().get("normalize_by", "volume")
        )
        ready = normalize(resample(image, size), by, self._learned().get("intensities"))
        name = self._name_of(path)
        return FileSample(name, torch.from_numpy(ready), shape, spacing, image[0], scan)

    def predict_sample(self, sample: FileSample) -> FilePrediction:
        """Predict on one file, and bring the result back to its own grid."""
        if self.spatial_dims == 2:
            slices = sample.image.transpose(0, 1).split(SLICES_AT_ONCE)
            parts = [self.probabilities(some.to(self.device)).float().cpu() for some in slices]
            probs = torch.cat(parts).transpose(0, 1).unsqueeze(0)
        else:
            probs = self.probabilities(sample.image.unsqueeze(0).to(self.device)).float().cpu()
        if probs.shape[2:] != sample.shape:
            probs = F.interpolate(probs, sample.shape, mode="trilinear", align_corners=False)
        values = probs[0].numpy()
        millilitres = float(np.prod(sample.spacing)) / 1000 if sample.scan else None
        return FilePrediction(self._classes_of(values), values, millilitres)

    def probabilities_of(self, output: FilePrediction) -> Tensor:
        """The probabilities (classes, D, H, W) on the file's own grid."""
        return torch.from_numpy(output.probabilities)

    def with_probabilities(self, output: FilePrediction, probabilities: Tensor) -> FilePrediction:
        """The label map of other probabilities."""
        values = probabilities.numpy()
        return replace(output, label=self._classes_of(values), probabilities=values)

    def _classes_of(self, probabilities: np.ndarray) -> np.ndarray:
        label = probabilities.argmax(axis=0).astype(np.uint8)
        return largest_components(label, self.largest)

    def write_disagreement(
        self, name: str, sample: FileSample, disagreement: Tensor, folder: Path
    ) -> dict[str, str]:
        """Write ``disagreement/NAME``, float32 in the file's own format, axes and space."""
        suffix = ".nii.gz" if sample.scan is not None else ".tif"
        path = folder / "disagreement" / f"{name}{suffix}"
        values = disagreement.numpy().astype(np.float32)
        if sample.scan is not None:
            write_nifti(path, values, sample.scan)
        else:
            write_stack(path, values)
        return {"disagreement": path.relative_to(folder).as_posix()}

    def describe_prediction(self, output: FilePrediction) -> dict[str, Any]:
        """For every class but background its share of the voxels, and its volume in ml."""
        counts = np.bincount(output.label.ravel(), minlength=self.num_classes)
        row: dict[str, Any] = {}
        for name, count in list(zip(self.label_names, counts.tolist(), strict=True))[1:]:
            row[name] = round(count / output.label.size, 6)
            volume = output.voxel_ml
            row[f"{name} (ml)"] = None if volume is None else float(f"{count * volume:.6g}")
        return row

    def write_prediction(
        self,
        name: str,
        sample: FileSample,
        output: FilePrediction,
        folder: Path,
        probabilities: bool = False,
    ) -> dict[str, str]:
        """Write the label map, ``labels/NAME``, in the file's own format, axes and space.

        It holds the values that the label maps of the training have, which may be other numbers
        than the classes.

        Args:
            name: Of the files, without suffix.
            sample: What was read.
            output: What was predicted.
            folder: Where to write.
            probabilities: Write ``probabilities/NAME`` too: NIfTI with a fourth axis of classes,
                TIFF with the classes as channels of every slice.

        Returns:
            The files written, relative to ``folder``.
        """
        suffix = ".nii.gz" if sample.scan is not None else ".tif"
        # As nnU-Net's tools expect it, NAME and not NAME_0000, unless another file has that name.
        if not (folder / "labels" / f"{sample.name}{suffix}").exists():
            name = sample.name
        maps = {"labels": self._values(output.label)}
        if probabilities:
            maps["probabilities"] = output.probabilities.astype(np.float32)
        written = {}
        for kind, values in maps.items():
            path = folder / kind / f"{name}{suffix}"
            if sample.scan is not None:
                last = values if values.ndim == 3 else values.transpose(1, 2, 3, 0)
                write_nifti(path, last, sample.scan)
            else:
                write_stack(path, values if values.ndim == 3 else values.transpose(1, 0, 2, 3))
            written[kind] = path.relative_to(folder).as_posix()
        return written

    def draw_predictions(
        self,
        names: Sequence[str],
        samples: Sequence[FileSample],
        outputs: Sequence[FilePrediction],
    ) -> Figure:
        """The first file's slices with the prediction over them; of a stack of one membrane
        class, the slice beside its membrane map."""
        sample, output = samples[0], outputs[0]
        if sample.scan is None and self.num_classes == 2:
            middle = len(sample.preview) // 2
            heading = f"{names[0]}, slice {middle}"
            membrane = output.probabilities[1, middle]
            return plots.membrane_map(sample.preview[middle], membrane, heading=heading)
        return orthogonal_slices(
            sample.preview,
            {"prediction": output.label},
            self.label_names,
            sample.spacing,
            heading=names[0],
            sides=sample.scan is not None and sample.scan.oriented,
        )

    def _read_stack(self, path: Path) -> np.ndarray:
        """(C, D, H, W), float32."""
        stack = read_channel_stack(path)
        if len(stack) == 1 < self.in_channels:
            raise UsageError(
                f"{path} has one channel and the model takes {self.in_channels}; give it a stack "
                "or a NIfTI file with all of them"
            )
        if len(stack) != self.in_channels:
            raise UsageError(
                f"{path} has the axes channels {len(stack)} x slices {stack.shape[1]} x "
                f"{format_shape(stack.shape[2:])}, and the model takes {self.in_channels} "
                "channel(s); save a stack, or a NIfTI file, of just these"
            )
        return stack.astype(np.float32)

    def _say(self, path: Path, notes: Sequence[str]) -> None:
        """Tell what was assumed of a file, of the first one alone."""
        said: set[str] = self.__dict__.setdefault("_said", set())
        for note in (note for note in notes if note not in said):
            rank_zero_print(f"{path}: {note} (said of the first such file alone)")
            said.add(note)

    def _name_of(self, path: Path) -> str:
        """What to call the prediction on a file."""
        if dicom.is_dicom(path):
            return path.absolute().parent.name
        own = nifti.stem(path)
        name = image_name(path) if path.name.lower().endswith(nifti.SUFFIXES) else None
        if name is None or self.in_channels > 1:
            return name or own
        # Of a model of one channel NAME_0000 alone is a channel; with NAME_0001, both are images.
        return name if own.endswith("_0000") and channel_files(path) == [path] else own

    def _values(self, label: np.ndarray) -> np.ndarray:
        """From classes to the values of the label maps that the model was trained on."""
        values = self.hparams.get("label_values")
        if not values:
            return label
        table = np.array(values)
        kind = np.uint8 if table.min() >= 0 and table.max() <= MOST_UINT8 else np.int32
        mapped: np.ndarray = table.astype(kind)[label]
        return mapped

    def _learned(self) -> dict[str, Any]:
        """How the training data were prepared."""
        return dict(self.hparams.get("preprocessing") or {})

    def _training_spacing(self) -> tuple[float, float, float] | None:
        if not self.hparams.get("spacing"):
            return None
        edges = [float(edge) for edge in self.hparams["spacing"]]
        first = edges[0] if len(edges) == 3 else 1.0
        return (first, edges[-2], edges[-1])

    def _read_nifti(self, path: Path) -> Scan:
        if dicom.is_dicom(path):
            scan = dicom.read_series(path)
            if self.in_channels != 1:
                raise UsageError(
                    f"{path}: a DICOM series has 1 channel, not {self.in_channels}; convert the "
                    "series to NIfTI files NAME_0000.nii.gz, NAME_0001.nii.gz, ..."
                )
            return scan
        if not self._of_mrbrains():
            files = channel_files(path) if self.in_channels > 1 else [path]
            return read_channels(files, self.in_channels)
        from zoo_segmentation.data.mrbrains import find_subject, five_channels, read_subject

        subject = find_subject(path)
        scan = (
            read_subject(subject)
            if subject
            else read_channels(channel_files(path), MRBRAINS_CHANNELS)
        )
        if self._learned()["derived"] == "mrbrains-five":
            scan = replace(scan, array=five_channels(scan.array))
        return scan
