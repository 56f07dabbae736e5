"""Images in tar files, as webdataset has them."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from zoo.plugin import UsageError, require
from zoo_vision.data.folder_layout import Listing
from zoo_vision.data.image_folder import ImageFolder
from zoo_vision.data.images import TRAIN
from zoo_vision.data.label_names import label_of, sorted_names
from zoo_vision.data.opening import suffixes
from zoo_vision.data.part_names import named_part
from zoo_vision.data.sources import TarSources
from zoo_vision.data.visible import Walk, is_hidden

_LABELS = (".cls", ".json")
_LARGEST = 2**20
"""Bytes of a label, at most."""
_PACKED = {".gz", ".tgz", ".bz2", ".xz", ".zst"}


class WebDataset(ImageFolder):
    """Your own images in tar files, in the layout of webdataset.

    A tar file holds for each image ``<key>.<suffix of an image>`` and its label: ``<key>.cls``, a
    whole number or a name, or ``<key>.json`` with the key ``label_column``. The files' names, or
    those of the folders they lie in, say the parts, in any common spelling
    (``train-000000.tar``, ``imagenet-val-0001.tar``, ``test/00.tar``); a part without a file is
    split off the training images. The tar files are read in place and never unpacked: images are
    found by one pass over the headers, and read where they lie. Everything else is as in
    ``image-folder``.

    Args:
        root: The folder with the tar files, or one tar file.
        batch_size: Images in a batch, on each device.
        num_workers: Processes that prepare batches. 0 is quickest for what is kept in memory.
        seed: Seed of the order of the training images; the split does not depend on it.
        split: ``standard``, or ``all`` to make every image found test data.
        image_size: Height and width to which images are brought, in pixels.
        in_channels: 3 for color, 1 for gray.
        val_fraction: Share of each class held out for validation, fixed; 0 for none. Not used
            where there are tar files of that part.
        test_fraction: Share of each class held out as test part, fixed. Not used where there are
            tar files of that part.
        memory_mb: Largest size, in MB of decoded pixels, to keep in memory.
        check: ``decode`` decodes every image once at the start, ``open`` reads headers alone.
        train_per_class: Train on at most so many images of each class, chosen by ``seed``.
        range: The values that are black and white in images of more than 8 bits.
        label_column: The key of the label in ``<key>.json``.
    """

    def _list(self) -> Listing:
        self._require_no_columns()
        for name, given in (("labels", self.labels), ("lists of parts", self.lists)):
            require(not given, f"tar files say labels and parts themselves; omit the {name}")
        tars = self._tars()
        listing = Listing()
        labels: dict[str, str] = {}
        members: dict[str, tuple[int, int, int]] = {}
        parts: dict[str, int] = {}
        unlabelled = 0
        for index, (tar, part) in enumerate(tars):
            images, found = self._members(tar)
            for key, (name, start, size) in images.items():
                if key not in found:
                    unlabelled += 1
                    continue
                path = f"{tar}/{name}"
                members[path], parts[path] = (index, start, size), part
                labels[path] = found[key]
        self.sources = TarSources([str(tar) for tar, _ in tars], members)
        listing.paths, listing.parts = list(members), list(parts.values())
        listing.names = sorted_names(set(labels.values()))
        if len(listing.names) < 2:
            raise UsageError(
                f"{self.root}: the tar files hold {len(listing.names)} different label(s), as "
                f"<key>.cls or as {self.columns.label!r} in <key>.json; a classifier needs two"
            )
        position = {name: index for index, name in enumerate(listing.names)}
        listing.labels = [position[label] for label in labels.values()]
        if unlabelled:
            listing.notes.append(f"images without a label, which are left out: {unlabelled}")
        return listing

    def _tars(self) -> list[tuple[Path, int]]:
        root = Path(self.root)
        if not root.exists():
            raise UsageError(
                f"{root} is neither a tar file nor a folder; point --data.root at the folder with "
                "the tar files"
            )
        paths = [root] if root.is_file() else [Path(p) for p in Walk({".tar"}).files(root)]
        packed = [] if paths else Walk(_PACKED).files(root)
        if not paths:
            remedy = f"unpack {packed[0]} to a .tar" if packed else "put the tar files there"
            raise UsageError(f"{root} holds no file that ends in .tar; {remedy}")
        parts = [_part(path, root) for path in paths]
        if None in parts and set(parts) != {None}:
            strange = paths[parts.index(None)]
            raise UsageError(
                f"the name of {strange} says no part of the data and those of others do; put "
                "train, val or test into every name, or into none"
            )
        return [(path, part or TRAIN) for path, part in zip(paths, parts, strict=True)]

    def _members(self, tar: Path) -> tuple[dict[str, tuple[str, int, int]], dict[str, str]]:
        """Of each key the image's name, place and size; and the label."""
        images: dict[str, tuple[str, int, int]] = {}
        labels: dict[str, str] = {}
        known = suffixes()
        for member, archive in _entries(tar):
            folder, _, name = member.name.rpartition("/")
            stem, dot, rest = name.partition(".")
            key, suffix = f"{folder}/{stem}", f"{dot}{rest}".lower()
            if suffix in known:
                if key in images:
                    raise UsageError(
                        f"{tar}: {member.name} and {images[key][0]} are both images of one key; "
                        "keep one, or make them two keys"
                    )
                images[key] = (member.name, member.offset_data, member.size)
            elif suffix in _LABELS and (suffix == ".cls" or key not in labels):
                content = archive.extractfile(member)
                label = _label(content, member, f"{tar}: {member.name}", self.columns.label)
                if label is not None:
                    labels[key] = label
        return images, labels


def _entries(tar: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    try:
        with tarfile.open(tar, "r:") as archive:
            for member in archive:
                hidden = any(is_hidden(part) for part in member.name.split("/") if part != ".")
                if member.isreg() and not member.issparse() and not hidden:
                    yield member, archive
    except (tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise UsageError(
            f"{tar} is a damaged tar file, or packed ({error}); make it again"
        ) from error


def _label(
    content: IO[bytes] | None, member: tarfile.TarInfo, where: str, column: str
) -> str | None:
    if content is None or member.size > _LARGEST:
        raise UsageError(f"{where} has {member.size:,} bytes, too many for a label; replace it")
    try:
        text = content.read().decode("utf-8-sig").strip()
        values: Any = {column: text} if member.name.endswith(".cls") else json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not a label ({error}); replace it") from error
    if not isinstance(values, dict):
        raise UsageError(f"{where} is not a JSON object in braces; replace it")
    return label_of(values.get(column), f"{where}: {column!r}")


def _part(path: Path, root: Path) -> int | None:
    """By the file's name, otherwise by the folders it lies in."""
    names = [path.stem, *path.relative_to(root).parts[-2::-1]] if path != root else [path.stem]
    return next((part for name in names if (part := named_part(name)[0]) is not None), None)
