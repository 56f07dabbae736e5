"""MedMNIST: medical images in one npz file a set."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import BinaryIO
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
import torch

from zoo.plugin import UsageError
from zoo_vision.data.images import TEST, TRAIN, VAL, ImageDataModule, LoadedImages, TensorImages
from zoo_vision.data.opening import DEFLATE, LyingHeaderError
from zoo_vision.data.visible import visible_files

HOMEPAGE = "https://medmnist.com"
_PARTS = {"train": TRAIN, "val": VAL, "test": TEST}
_NAMES = [f"{part}_{what}" for part in _PARTS for what in ("images", "labels")]


class MedMNIST(ImageDataModule):
    """A set of MedMNIST: small medical images of 2 to 14 classes in the publisher's three parts.

    Source: Yang, Shi, Wei et al.: MedMNIST v2: A large-scale lightweight benchmark for 2D and 3D
    biomedical image classification, Scientific Data 10, 2023. Read in place from the npz file,
    gray or RGB, of any size (28, 64, 128 or 224 pixels). An image of ``chestmnist`` may have
    several classes, or none. Sets of volumes (``organmnist3d`` and so on) are refused. The classes
    are called by their numbers, since the file has no names.

    Args:
        root: The npz file, such as ``pathmnist.npz``, or the folder with it alone.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches; the data lies in memory, 0 is quickest.
        seed: Seed of the order of the training images.
        split: ``standard``, or ``all`` to make every image found test data.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``; on
            all without.
    """

    keep_best = True
    counts_classes = True

    def __init__(
        self,
        root: str = "data/medmnist",
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        train_per_class: int | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split, train_per_class)

    def _load(self) -> LoadedImages:
        path = self._file()
        try:
            with ZipFile(path) as archive:
                arrays = {name: _array(archive, name, path) for name in _NAMES}
        except (BadZipFile, OSError, ValueError, zlib.error, EOFError) as error:
            raise UsageError(
                f"{path} is damaged or not an npz file ({error}); fetch it again from {HOMEPAGE}"
            ) from error
        images, labels, parts = [], [], []
        for part, code in _PARTS.items():
            pixels = _pixels(arrays[f"{part}_images"], part, path)
            images.append(pixels)
            labels.append(_labels(arrays[f"{part}_labels"], len(pixels), part, path))
            parts.append(np.full(len(pixels), code, dtype=np.uint8))
        shapes = {pixels.shape[1:] for pixels in images}
        if len(shapes) > 1:
            raise UsageError(f"{path}: the parts have images of different shapes; fetch it again")
        _require_alike(labels, path)
        joined = np.concatenate(labels)
        classes = joined.shape[1] if joined.ndim == 2 else int(joined.max()) + 1
        return LoadedImages(
            TensorImages(torch.from_numpy(np.concatenate(images)), torch.from_numpy(joined)),
            np.concatenate(parts),
            [str(number) for number in range(classes)],
        )

    def _file(self) -> Path:
        root = Path(self.root)
        if root.is_file():
            return root
        if not root.is_dir():
            raise UsageError(
                f"{root} is neither an npz file nor a folder with one; fetch a set from "
                f"{HOMEPAGE} or point --data.root at it"
            )
        files = visible_files(root, {".npz"})
        if len(files) != 1:
            names = ", ".join(path.name for path in files) or "no npz file"
            raise UsageError(
                f"{root} holds {names}; point --data.root at the npz file of one set ({HOMEPAGE})"
            )
        return files[0]


def _array(archive: ZipFile, name: str, path: Path) -> np.ndarray:
    """One array of an npz file, once its header agrees with its size."""
    try:
        member = archive.getinfo(f"{name}.npy")
    except KeyError:
        raise UsageError(
            f"{path} holds no {name}: it is not a set of MedMNIST; fetch one from {HOMEPAGE}"
        ) from None
    with archive.open(member) as stream:
        _check_header(stream, member, name)  # type: ignore[arg-type]
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def _check_header(stream: BinaryIO, member: ZipInfo, name: str) -> None:
    version = np.lib.format.read_magic(stream)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"{name} is of the unknown version {version}")
    shape, _, dtype = read(stream)
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are not read")
    values = 1
    for length in shape:
        values *= int(length)
    announced = values * dtype.itemsize
    follow = member.file_size - stream.tell()
    if announced != follow or announced > DEFLATE * member.compress_size:
        raise LyingHeaderError(
            f"{name} announces {announced:,} bytes, which its {member.compress_size:,} bytes in "
            "the file cannot hold"
        )


def _pixels(images: np.ndarray, part: str, path: Path) -> np.ndarray:
    """uint8 (N, C, H, W)."""
    if images.ndim == 4 and images.shape[-1] != 3:
        size = "x".join(map(str, images.shape[1:]))
        raise UsageError(
            f"{path} holds volumes of {size} voxels, and image classifiers take pictures of two "
            "dimensions; take a set without 3D in its name"
        )
    if images.ndim not in (3, 4) or images.dtype != np.uint8 or not images.size:
        raise UsageError(
            f"{path}: {part}_images are {images.dtype} {images.shape}, and not uint8 (N, H, W) or "
            f"(N, H, W, 3); fetch it again from {HOMEPAGE}"
        )
    if images.ndim == 3:
        return images[:, None]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2))


def _labels(labels: np.ndarray, count: int, part: str, path: Path) -> np.ndarray:
    """int64 (N,); of several labels an image uint8 (N, classes) of 0 and 1."""
    several = labels.ndim == 2 and labels.shape[1] > 1
    if labels.ndim < 1 or len(labels) != count or labels.dtype.kind not in "iu" or labels.ndim > 2:
        raise UsageError(
            f"{path}: {part}_labels are {labels.dtype} {labels.shape} for {count} images; fetch it "
            f"again from {HOMEPAGE}"
        )
    if not several:
        return labels.reshape(-1).astype(np.int64)
    if not np.isin(labels, (0, 1)).all():
        raise UsageError(
            f"{path}: {part}_labels have {labels.shape[1]} columns with values other than 0 and 1; "
            f"fetch it again from {HOMEPAGE}"
        )
    return labels.astype(np.uint8)


def _require_alike(labels: list[np.ndarray], path: Path) -> None:
    if len({part.shape[1:] for part in labels}) > 1:
        raise UsageError(f"{path}: the parts have labels of different shapes; fetch it again")
