"""The same picture twice: byte for byte, or under one name with two suffixes.

A picture in the training part and again in the test part makes the test too good, and one in two
classes has at least one wrong label. Copies are kept in one part; contradictions are left out.
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError
from zoo_vision.data.decoding import decode
from zoo_vision.data.folder_layout import Listing
from zoo_vision.data.images import UNUSED
from zoo_vision.data.opening import UNDECODABLE
from zoo_vision.data.sources import Sources

_FIRST = 65536
"""Bytes that are compared before whole files are."""
_THUMBNAIL = (16, 16)
_ALIKE = 4.0
"""Mean difference of gray thumbnails up to which they show one picture, levels of 255."""


def find_copies(paths: Sequence[str], sources: Sources) -> np.ndarray:
    """Group files that hold the same picture.

    Args:
        paths: The files; those that cannot be read are copies of nothing.
        sources: Opens them.

    Returns:
        int64 (N,): for each the index of the first file with its picture.
    """
    first = list(range(len(paths)))
    for group in [*_equal_files(paths, sources), *_same_names(paths, sources)]:
        for index in group[1:]:
            one, other = sorted((_root(first, group[0]), _root(first, index)))
            first[other] = one
    return np.array([_root(first, index) for index in first], dtype=np.int64)


def _root(first: list[int], index: int) -> int:
    while first[index] != index:
        index = first[index]
    return index


def _equal_files(paths: Sequence[str], sources: Sources) -> list[list[int]]:
    groups: list[list[int]] = [list(range(len(paths)))]
    keys: list[Callable[[str], Hashable]] = [
        sources.size,
        lambda path: _digest(path, sources, _FIRST),
        lambda path: _digest(path, sources),
    ]
    for key in keys:
        groups = [part for group in groups for part in _divided(group, paths, key)]
    return groups


def _divided(
    group: Iterable[int], paths: Sequence[str], key: Callable[[str], Hashable]
) -> list[list[int]]:
    found: dict[Hashable, list[int]] = defaultdict(list)
    for index in group:
        try:
            found[key(paths[index])].append(index)
        except OSError:
            continue  # named when it is decoded
    return [part for part in found.values() if len(part) > 1]


def _digest(path: str, sources: Sources, most: int | None = None) -> bytes:
    with sources.open(path) as stream:
        return hashlib.blake2b(stream.read(-1 if most is None else most)).digest()


def _same_names(paths: Sequence[str], sources: Sources) -> list[list[int]]:
    """Files such as a.png and a.jpg that show the same."""
    named: dict[str, list[int]] = defaultdict(list)
    for index, path in enumerate(paths):
        named[os.path.splitext(path)[0].lower()].append(index)
    groups = []
    for candidates in named.values():
        if len(candidates) < 2:
            continue
        shown = {index: _thumbnail(paths[index], sources) for index in candidates}
        reference = shown[candidates[0]]
        same = [index for index in candidates if _are_alike(reference, shown[index])]
        if len(same) > 1:
            groups.append(same)
    return groups


def _thumbnail(path: str, sources: Sources) -> np.ndarray | None:
    try:
        with sources.open(path) as stream:
            return decode(stream, 1, _THUMBNAIL).astype(np.float64)
    except UNDECODABLE:
        return None  # named when it is decoded at its size


def _are_alike(first: np.ndarray | None, second: np.ndarray | None) -> bool:
    return first is not None and second is not None and np.abs(first - second).mean() <= _ALIKE


def settle(listing: Listing, first: np.ndarray, *, all_parts: bool) -> None:
    """Take copies out of the parts where they do harm, and note it.

    Pictures in several classes get the part `UNUSED`. Where folders of parts are given, a copy
    stays in the test part, otherwise in the validation part.

    Args:
        listing: The images; its parts and notes are changed.
        first: As `find_copies` returned it.
        all_parts: Everything is one part: only contradictions matter.

    Raises:
        UsageError: a class has no picture of its own.
    """
    labels, parts = np.array(listing.labels), np.array(listing.parts)
    contradictions, across, rest = [], [], []
    for group in _groups(first):
        if len(set(labels[group].tolist())) > 1:
            contradictions.append(group)
        elif len(set(parts[group].tolist())) > 1 and not all_parts:
            across.append(group)
        else:
            rest.append(group)
    if contradictions:
        parts[np.concatenate(contradictions)] = UNUSED
        _check_classes(listing, labels, parts, contradictions[0])
        listing.notes.append(
            f"images that are the same picture in several classes: "
            f"{sum(map(len, contradictions))} ({_shown(listing, contradictions)}); they are left "
            "out, since one of their labels is wrong"
        )
    if across:
        dropped = []
        for group in across:
            kept = parts[group].max()  # the order of the codes: training, validation, test
            dropped += [index for index in group if parts[index] != kept]
        parts[dropped] = UNUSED
        listing.notes.append(
            f"images that lie in another part again: {len(dropped)} ({_shown(listing, across)}); "
            "they stay in test, otherwise in val, and are left out of the other part"
        )
    if rest:
        listing.notes.append(
            f"images that are copies of others in their class: {sum(map(len, rest)) - len(rest)} "
            f"({_shown(listing, rest)}); copies stay together in one part"
        )
    listing.parts = parts.tolist()


def _groups(first: np.ndarray) -> list[list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for index in np.flatnonzero(np.bincount(first, minlength=len(first))[first] > 1):
        found[int(first[index])].append(int(index))
    return list(found.values())


def _check_classes(
    listing: Listing, labels: np.ndarray, parts: np.ndarray, example: list[int]
) -> None:
    for label, name in enumerate([] if listing.sets else listing.names):
        if (labels == label).any() and not (parts[labels == label] != UNUSED).any():
            raise UsageError(
                f"every image of class {name!r} is the same picture as one of another class, such "
                f"as {listing.paths[example[0]]} and {listing.paths[example[1]]}; keep each "
                "picture in the class it belongs to"
            )


def _shown(listing: Listing, groups: list[list[int]]) -> str:
    shown = ", ".join(
        " = ".join(_short(listing, index) for index in group[:3]) for group in groups[:3]
    )
    return shown + (f" and {len(groups) - 3} more" if len(groups) > 3 else "")


def _short(listing: Listing, index: int) -> str:
    """The last folders and the name, which tell class and part."""
    return "/".join(Path(listing.paths[index]).parts[-3:])
