"""Where in a user's folder the classes and the parts are.

Folders whose names mean parts (``part_names``), in any spelling, are read as these, in the layouts
``<part>/<class>/*``, ``<class>/<part>/*``, the same below one folder that wraps all, and with
parts that are wrapped once more (``test/test/<class>/*``). What might be parts and cannot be read
in this way is refused: a part never becomes a class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError
from zoo_vision.data.images import TEST, TRAIN, VAL
from zoo_vision.data.part_names import is_unclear, named_part, part_of
from zoo_vision.data.visible import Walk, visible_files, visible_folders

PART_NAMES = {TRAIN: "train", VAL: "val", TEST: "test"}


@dataclass
class Listing:
    """The image files of a dataset.

    Args:
        paths: The files.
        labels: Of each the class, a position in ``names``, or its classes, one in ``sets``.
        parts: Of each `TRAIN`, `VAL` or `TEST`.
        names: The classes.
        notes: What a user has to know of how they were found, in sentences.
        in_parts: Whether there are folders of parts.
        sets: Where images have several classes, or none: which, as positions in ``names``.
        groups: Of each what it belongs to, empty for nothing; no list where there are none.
    """

    paths: list[str] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    parts: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    in_parts: bool = False
    sets: list[tuple[int, ...]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def held(self, labels: np.ndarray) -> np.ndarray:
        """Boolean (N, classes): which classes images have.

        Args:
            labels: As ``labels``.
        """
        table = np.eye(len(self.names), dtype=bool)
        if self.sets:
            table = np.array([table[list(each)].any(axis=0) for each in self.sets])
        held: np.ndarray = table[labels]
        return held


@dataclass(frozen=True)
class PartFolder:
    """A folder of one part.

    Args:
        path: The folder.
        part: `TRAIN`, `VAL` or `TEST`.
    """

    path: Path
    part: int


def unwrapped(root: Path, walk: Walk) -> Path:
    """The folder that holds the parts or the classes.

    It is ``root``, or, where that holds nothing but one folder of images, the first folder below
    that holds parts; without parts, a folder that is called no more than "images" or "data".
    """
    place, found = root, root
    while True:
        full = [folder for folder in visible_folders(place) if walk.any(folder)]
        if len(full) != 1 or visible_files(place, walk.suffixes):
            return found
        part, rest = named_part(full[0].name)
        inside = [folder for folder in visible_folders(full[0]) if walk.any(folder)]
        if part is not None or not inside:
            return found
        if _are_parts(inside, walk):
            return full[0]
        if not rest and found == place:
            found = full[0]
        place = full[0]


def _are_parts(folders: list[Path], walk: Walk) -> bool:
    named = {folder: named_part(folder.name) for folder in folders}
    sure = [folder for folder in folders if part_of(folder.name) is not None]
    several = len({part_of(folder.name) for folder in sure}) > 1
    return several or any(_has_classes(folder, walk) for folder in sure or _alike(folders, named))


def part_folders(root: Path, walk: Walk, labelled: bool = False) -> list[PartFolder]:
    """The folders of parts in ``root``, the training part first; empty where there are none.

    Args:
        root: The folder.
        walk: Knows what an image file is.
        labelled: Whether the labels come from a table, so that parts need no class folders.

    Raises:
        UsageError: there are folders that look like parts and cannot be read so.
    """
    folders = [folder for folder in visible_folders(root) if walk.any(folder)]
    named = {folder: named_part(folder.name) for folder in folders}
    sure = [folder for folder in folders if named[folder][0] is not None and not named[folder][1]]
    chosen = sure or _alike(folders, named)
    if not chosen:
        return []
    parts = {named[folder][0] for folder in chosen}
    if not labelled and not any(_has_classes(folder, walk) for folder in chosen):
        if len(parts) < 2:
            return []  # a class may be called train
        raise UsageError(
            f"{root} holds {_list(chosen)}, which look like parts of the data but hold no folders "
            "of classes; put the images of each class into a folder of its own there, list the "
            "labels in a metadata.csv (columns file_name and label), or rename the folders if "
            "they are classes"
        )
    _check_others(root, chosen, [folder for folder in folders if folder not in chosen])
    found = [
        PartFolder(_rewrapped(folder, walk), part)
        for folder in chosen
        if (part := named[folder][0]) is not None
    ]
    for part, name in ((TRAIN, "training"), (VAL, "validation"), (TEST, "test")):
        same = [folder.path.name for folder in found if folder.part == part]
        if len(same) > 1:
            raise UsageError(
                f"{root} holds more than one {name} folder; keep one of {', '.join(same)}"
            )
    return sorted(found, key=lambda folder: folder.part)


def _alike(folders: list[Path], named: dict[Path, tuple[int | None, str]]) -> list[Path]:
    """Folders such as seg_train and seg_test: of several parts, and otherwise of one name."""
    for rest in {rest for part, rest in named.values() if part is not None}:
        same = [folder for folder in folders if named[folder][1] == rest]
        same = [folder for folder in same if named[folder][0] is not None]
        if TRAIN in (parts := {named[folder][0] for folder in same}) and len(parts) > 1:
            return same
    return []


def _check_others(root: Path, chosen: list[Path], others: list[Path]) -> None:
    if not others:
        return
    unclear = is_unclear(others[0].name)
    which = "of which it is not clear which part it is" if unclear else "which is not a part"
    raise UsageError(
        f"{root} holds the part {chosen[0].name}/ and also {others[0].name}/, {which}; put every "
        "class into train/, val/ and test/, or all classes beside each other"
    )


def _has_classes(folder: Path, walk: Walk) -> bool:
    return any(walk.any(inside) for inside in visible_folders(folder))


def _rewrapped(folder: Path, walk: Walk) -> Path:
    """What is packed as test/test/<class>, as some archives are."""
    inside = [each for each in visible_folders(folder) if walk.any(each)]
    if len(inside) == 1 and inside[0].name == folder.name and _has_classes(inside[0], walk):
        return inside[0]
    return folder


def list_parts(folders: list[PartFolder], walk: Walk) -> Listing:
    """The images of ``<part>/<class>/*``.

    Raises:
        UsageError: the classes of the parts do not agree, or one has no training images.
    """
    listing = Listing(in_parts=True)
    first = folders[0].path
    listing.names = _class_names(first)
    known = set(listing.names)
    if any(folder.path.name not in PART_NAMES.values() for folder in folders):
        read_as = [f"{folder.path.name} is {PART_NAMES[folder.part]}" for folder in folders]
        listing.notes.append(f"folders read as parts: {', '.join(read_as)}")
    for folder in folders:
        classes = visible_folders(folder.path)
        beside = visible_files(folder.path, walk.suffixes)
        if beside:
            listing.notes.append(_beside(folder.path, beside))
        for source in classes:
            if source.name not in known:
                raise UsageError(
                    f"{source} is a class that {first} lacks; rename it or add it there"
                )
            _add(listing, walk, source, folder.part)
    return listing


def list_classes(root: Path, walk: Walk) -> Listing:
    """The images of ``<class>/*``, or of ``<class>/<part>/*``.

    Raises:
        UsageError: there are fewer than two classes, one has no images, or some classes are
            divided into parts and others are not.
    """
    listing = Listing(names=_class_names(root))
    folders = visible_folders(root)
    divided = _divided(root, folders, walk)
    for source in folders:
        if divided:
            _add_divided(listing, walk, source)
        else:
            _add(listing, walk, source, TRAIN)
    if beside := visible_files(root, walk.suffixes):
        listing.notes.append(_beside(root, beside))
    return listing


def _divided(root: Path, folders: list[Path], walk: Walk) -> bool:
    """Whether the parts lie in the classes."""
    strange: list[Path] = []
    divided: list[Path] = []
    for folder in folders:
        inside = [each for each in visible_folders(folder) if walk.any(each)]
        parts = {part_of(each.name) for each in inside}
        if None in parts or not parts or visible_files(folder, walk.suffixes):
            strange.append(folder)
        elif len(parts) > 1:
            divided.append(folder)
    if divided and strange:
        raise UsageError(
            f"{divided[0]} holds parts of the data ({_list(visible_folders(divided[0]))}) and "
            f"{strange[0]} does not; divide every class into parts, or none"
        )
    return bool(divided)


def _add_divided(listing: Listing, walk: Walk, source: Path) -> None:
    seen: set[int] = set()
    for folder in visible_folders(source):
        part = part_of(folder.name)
        if part is None:
            continue  # without images: _divided has looked
        if part in seen:
            raise UsageError(
                f"{source} holds more than one folder of the part {PART_NAMES[part]}; keep one"
            )
        seen.add(part)
        _add(listing, walk, folder, part, source.name)


def _add(listing: Listing, walk: Walk, source: Path, part: int, name: str | None = None) -> None:
    images = walk.files(source)
    if not images and part == TRAIN:
        raise UsageError(
            f"{source} holds no image files; add images of that class or remove the folder"
        )
    listing.paths += images
    listing.labels += [listing.names.index(name or source.name)] * len(images)
    listing.parts += [part] * len(images)


def _class_names(folder: Path) -> list[str]:
    folders = visible_folders(folder)
    if len(folders) < 2:
        found = f"only the folder {folders[0].name}/" if folders else "no folders"
        inside = bool(folders) and len(visible_folders(folders[0])) > 1
        raise UsageError(
            f"{folder} holds {found}; a classifier needs two classes or more, each in "
            "a folder of its own, or labels in a metadata.csv (columns file_name and label)"
            + (f"; if the classes lie in {folders[0]}, point --data.root at it" if inside else "")
        )
    return [inside.name for inside in folders]


def _beside(folder: Path, files: list[Path]) -> str:
    return (
        f"images in {folder} beside the folders of the classes, which are in none and left out: "
        f"{len(files)}"
    )


def _list(folders: list[Path]) -> str:
    names = [f"{folder.name}/" for folder in folders]
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
