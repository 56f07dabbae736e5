"""What was found under a root, in a line, and what is suspicious about it, in one each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from zoo_segmentation.data.volume import IGNORED, Volume

PARTS = ("training", "validation", "test")
NAMED = 5
"""Volumes that a sentence names."""
CLASSES = 12
"""Classes that the line counts one by one."""


@dataclass(frozen=True)
class Seen:
    """What is kept of a volume once it has been read.

    Attributes:
        name: The volume's.
        part: Index into `PARTS`.
        shape: Voxels along its axes.
        spacing: Edges of a voxel, mm.
        voxels: Number of voxels of each class, (classes,).
        constant: Whether all values of some channel are equal.
        digest: Of the image.
        notes: As of `Volume`.
    """

    name: str
    part: int
    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    voxels: np.ndarray
    constant: bool
    digest: bytes
    notes: tuple[str, ...]


def look_at(volume: Volume, part: int, classes: int) -> Seen:
    """What is kept of a volume, its image as the file has it."""
    flat = volume.image.reshape(len(volume.image), -1)
    return Seen(
        volume.name,
        part,
        volume.label.shape,
        tuple(volume.spacing),
        np.bincount(volume.label[volume.label != IGNORED], minlength=classes),
        bool((flat.min(axis=1) == flat.max(axis=1)).any()),
        hashlib.blake2b(np.ascontiguousarray(volume.image).data, digest_size=16).digest(),
        volume.notes,
    )


def summary(root: str, seen: Sequence[Seen], names: Sequence[str], what: str) -> str:
    """One line: how many volumes of what size, the parts, and the classes with their voxels.

    Args:
        root: Where they lie.
        seen: The volumes.
        names: The classes' names.
        what: What to call one of them.
    """
    counts = [sum(one.part == part for one in seen) for part in range(len(PARTS))]
    parts = ", ".join(f"{count} {name}" for name, count in zip(PARTS, counts, strict=True))
    voxels = np.sum([one.voxels for one in seen], axis=0)
    classes = ", ".join(
        f"{name}: {count:,} ({count / voxels.sum():.2%})"
        for name, count in list(zip(names, voxels.tolist(), strict=True))[:CLASSES]
    )
    more = f", and {len(names) - CLASSES} more" if len(names) > CLASSES else ""
    return (
        f"{root}: {len(seen)} {what}s ({parts}) of {_range([one.shape for one in seen])} voxels of "
        f"{_range([one.spacing for one in seen])} mm; voxels by class: {classes}{more}"
    )


def doubts(seen: Sequence[Seen], names: Sequence[str], what: str) -> Iterator[str]:
    """A sentence for everything that was assumed or looks like a mistake.

    Args:
        seen: The volumes.
        names: The classes' names.
        what: What to call one volume.
    """
    yield from _assumed(seen, what)
    yield from _lacking(seen, names)
    empty = [one.name for one in seen if not one.voxels[1:].any()]
    if empty:
        yield f"{len(empty)} of {len(seen)} label maps are {names[0]} alone: {_named(empty)}"
    constant = [one.name for one in seen if one.constant]
    if constant:
        yield (
            f"{len(constant)} of {len(seen)} images have a channel whose voxels are all alike, "
            f"from which nothing can be learned: {_named(constant)}"
        )
    yield from _twice(seen)


def _assumed(seen: Sequence[Seen], what: str) -> Iterator[str]:
    for note in dict.fromkeys(note for one in seen for note in one.notes):
        those = [one.name for one in seen if note in one.notes]
        if len(those) == len(seen):
            yield f"all {len(seen)} {what}s: {note}"
        else:
            yield f"{len(those)} of {len(seen)} {what}s ({_named(those)}): {note}"


def _lacking(seen: Sequence[Seen], names: Sequence[str]) -> Iterator[str]:
    """The classes that do not occur, or not in a part."""
    never = np.sum([one.voxels for one in seen], axis=0) == 0
    if never[1:].any():
        yield f"no label map has {_classes(names, never)}: a class that cannot be learned here"
    for part, name in enumerate(PARTS):
        those = [one.voxels for one in seen if one.part == part]
        lacks = (np.sum(those, axis=0) == 0) & ~never if those else never & False
        if lacks[1:].any():
            effect = (
                "it cannot be learned"
                if name == "training"
                else "the metrics of this part say nothing of it"
            )
            yield f"the {name} part lacks {_classes(names, lacks)}: {effect}"


def _twice(seen: Sequence[Seen]) -> Iterator[str]:
    """Images that are the same; across parts, the test measures what was trained on."""
    groups: dict[bytes, list[Seen]] = {}
    for one in seen:
        groups.setdefault(one.digest, []).append(one)
    same = [group for group in groups.values() if len(group) > 1]
    across = [group for group in same if len({one.part for one in group}) > 1]
    if chosen := across or same:
        first = ", ".join(f"{one.name} ({PARTS[one.part]})" for one in chosen[0][:NAMED])
        flatter = " and lie in several parts, so that the metrics flatter" if across else ""
        yield (
            f"{sum(map(len, chosen))} images are copies of one another{flatter}, such as {first}: "
            "keep one of each"
        )


def _classes(names: Sequence[str], chosen: np.ndarray) -> str:
    found = [f"{names[number]!r}" for number in np.flatnonzero(chosen).tolist() if number]
    return ("the classes " if len(found) > 1 else "the class ") + _named(found)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _range(sizes: Sequence[Sequence[float]]) -> str:
    """Smallest and largest of every axis: 30-40x50x1.2-3."""
    low, high = np.min(sizes, axis=0), np.max(sizes, axis=0)
    return "x".join(f"{a:g}" if a == b else f"{a:g}-{b:g}" for a, b in zip(low, high, strict=True))
