"""MNIST, from the publisher's four idx files."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from zoo.plugin import UsageError, fractions
from zoo_vision.data.images import (
    TEST,
    TRAIN,
    VAL,
    ImageDataModule,
    LoadedImages,
    TensorImages,
    hold_out,
)
from zoo_vision.data.opening import DEFLATE

HOMEPAGE = "https://yann.lecun.org/exdb/mnist/"
FILES = {
    TRAIN: ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    TEST: ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
_UNSIGNED_BYTE = 0x08
_CHUNK = 2**24


def read_idx(path: str | Path, axes: int) -> np.ndarray:
    """Read one idx file of unsigned bytes, packed by gzip if its name ends in ``.gz``.

    The format: two zero bytes, the type of the values (0x08: unsigned byte), the number of
    axes, the length of each axis as a big-endian 32-bit integer, the values in C order.

    Args:
        path: The file.
        axes: How many axes it must have.

    Returns:
        uint8 array with that many axes.

    Raises:
        UsageError: the file cannot be read, is no such idx file, is cut short, or continues
            after its last value.
    """
    path = Path(path)
    again = f"fetch it again from {HOMEPAGE}"
    packed = _is_packed(path)
    start = 4 + 4 * axes
    try:
        with gzip.open(path) if packed else path.open("rb") as stream:
            header = stream.read(start)
            if len(header) < start or header[:4] != bytes([0, 0, _UNSIGNED_BYTE, axes]):
                raise UsageError(
                    f"{path} is not an idx file of unsigned bytes with {axes} "
                    f"{'axis' if axes == 1 else 'axes'} (it starts with "
                    f"{header[:4].hex() or 'nothing'}); {again}"
                )
            shape = struct.unpack(f">{axes}I", header[4:])
            wanted, size = prod(shape), path.stat().st_size
            # What the file cannot hold is not asked for: the header may lie.
            most = DEFLATE * size if packed else size - start
            content = b"".join(_chunks(stream, min(wanted, most) + 1))
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise UsageError(f"{path} is a damaged gzip file ({error}); {again}") from error
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except MemoryError as error:
        raise UsageError(
            f"{path} announces {_times(shape)} values: more memory than there is"
        ) from error
    if len(content) != wanted:
        what = "is cut short" if len(content) < wanted else "continues after its last value"
        there = f"{len(content)}" if len(content) < wanted else f"more than {wanted}"
        raise UsageError(
            f"{path} {what}: {_times(shape)} values are announced and {there} bytes follow "
            f"instead of {wanted}; {again}"
        )
    return np.frombuffer(content, np.uint8).reshape(shape)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _chunks(stream: _Readable, count: int) -> Iterator[bytes]:
    """``count`` bytes, or as many as there are: memory is taken for what comes."""
    while count > 0 and (chunk := stream.read(min(count, _CHUNK))):
        count -= len(chunk)
        yield chunk


def _times(shape: Sequence[int]) -> str:
    return "x".join(map(str, shape))


class MNIST(ImageDataModule):
    """70,000 handwritten digits of 28x28 gray pixels; the publisher's test part of 10,000.

    Source: LeCun, Cortes, Burges: The MNIST database of handwritten digits. The four idx files
    (``train-images-idx3-ubyte`` and so on; a dot for the second dash, capitals and ``.gz`` are
    taken as well) lie in ``root``, in ``root/MNIST/raw`` as torchvision puts them, or each in a
    folder of its name. Files of the same names with other images of ten classes, such as
    Fashion-MNIST and KMNIST, are read likewise; the classes are then called 0 to 9.

    Args:
        root: The folder with the idx files.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches; the data lies in memory, 0 is quickest.
        seed: Seed of the order of the training images; the split does not depend on it.
        split: ``standard``, or ``all`` to make every image found test data.
        val_fraction: Share of the 60,000 training images held out for validation, fixed and
            stratified. A sixth makes the papers' 50,000 and 10,000, give or take one image;
            0 trains on all.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``; on
            all without.
    """

    def __init__(
        self,
        root: str = "data/mnist",
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        val_fraction: float = 1 / 6,
        train_per_class: int | None = None,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split, train_per_class)
        fractions(val_fraction=val_fraction)
        self.val_fraction = val_fraction

    def _load(self) -> LoadedImages:
        folder = self._folder()
        found = _find(folder)
        images, labels, parts = [], [], []
        missing = []
        for part, names in FILES.items():
            paths = [found.get(name) for name in names]
            if not all(paths):
                missing += [name for name, path in zip(names, paths, strict=True) if not path]
                continue
            pixels, classes = _read_pair(*paths)  # type: ignore[arg-type]
            code = np.full(len(classes), part, dtype=np.uint8)
            if part == TRAIN:
                code[hold_out(classes, self.val_fraction)] = VAL
            images.append(pixels)
            labels.append(classes)
            parts.append(code)
        # Trained elsewhere and tested on what is here: then one pair of files is enough.
        if missing and not (self.split == "all" and images):
            raise UsageError(
                f"{folder} lacks {', '.join(missing)} (with or without .gz); "
                f"fetch the four files from {HOMEPAGE} or point --data.root at them"
                + _emnist_note(folder)
            )
        if len({pixels.shape[1:] for pixels in images}) > 1:
            raise UsageError(
                f"{folder}: the training images are {_by(images[0])} pixels and the test images "
                f"{_by(images[1])}; the files belong to different data sets"
            )
        return LoadedImages(
            TensorImages(
                torch.from_numpy(np.concatenate(images)[:, None]),
                torch.from_numpy(np.concatenate(labels).astype(np.int64)),
            ),
            np.concatenate(parts),
            [str(digit) for digit in range(10)],
        )

    def _folder(self) -> Path:
        root = Path(self.root)
        if not root.is_dir():
            raise UsageError(
                f"{root} is not a folder; fetch the four MNIST files from {HOMEPAGE} into it "
                "or point --data.root at them"
            )
        nested = root / "MNIST" / "raw"
        if nested.is_dir():
            return nested
        raw = [path for path in sorted(root.glob("*/raw")) if _find(path)]
        if _find(root) or not raw:
            return root
        if len(raw) > 1:
            raise UsageError(
                f"{root} holds {' and '.join(map(str, raw))}; point --data.root at one of them"
            )
        return raw[0]


def _find(folder: Path) -> dict[str, Path]:
    """The idx files in a folder, or in folders of their names, by the publisher's names."""
    wanted = {name for names in FILES.values() for name in names}
    found: dict[str, Path] = {}
    # Packed files come last: what is unpacked beside them is quicker to read.
    for path in sorted(folder.iterdir(), key=lambda path: (_is_packed(path), path.name)):
        name = _publishers_name(path)
        if name not in wanted:
            continue
        if path.is_dir():
            inside = [file for file in sorted(path.iterdir()) if _publishers_name(file) == name]
            path = next((file for file in inside if file.is_file()), path)
        if path.is_file():
            found.setdefault(name, path)
    return found


def _emnist_note(folder: Path) -> str:
    names = [path.name for path in folder.iterdir() if path.name.lower().startswith("emnist-")]
    if not names:
        return ""
    return f"; EMNIST's files, such as {min(names)}, hold turned images of other classes: not read"


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"


def _publishers_name(path: Path) -> str:
    """``Train-Images.idx3-ubyte.gz`` is called ``train-images-idx3-ubyte``."""
    return path.name.lower().removesuffix(".gz").replace(".idx", "-idx")


def _read_pair(image_path: Path, label_path: Path) -> tuple[np.ndarray, np.ndarray]:
    pixels, labels = read_idx(image_path, axes=3), read_idx(label_path, axes=1)
    if len(pixels) != len(labels):
        raise UsageError(
            f"{image_path} holds {len(pixels)} images and {label_path} {len(labels)} labels; "
            f"they do not belong together: fetch both again from {HOMEPAGE}"
        )
    if not pixels.size:
        raise UsageError(f"{image_path} holds no pixels; fetch it again from {HOMEPAGE}")
    if labels.max() > 9:
        first = int(np.flatnonzero(labels > 9)[0])
        raise UsageError(
            f"{label_path}: {int((labels > 9).sum())} labels lie outside the digits 0 to 9, the "
            f"first is {labels[first]} at position {first}; fetch it again from {HOMEPAGE}"
        )
    return pixels, labels


def _by(pixels: np.ndarray) -> str:
    return f"{pixels.shape[1]}x{pixels.shape[2]}"
