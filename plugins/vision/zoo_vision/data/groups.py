"""Images that belong together: of one patient, track or video. No group is divided into parts.

Frames of one video are nearly alike: a model that was trained on some knows the others, and a test
on these says nothing.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np

from zoo.plugin import UsageError
from zoo_vision.data.folder_layout import PART_NAMES, Listing
from zoo_vision.data.images import SPLIT_SEED, UNUSED

_SHOWN = 3
_PASSES = 5


def relative(path: str, root: Path) -> str:
    """A file's path below a folder, with ``/`` between folders; as it is where it is not there.

    Paths are made by joining names to ``root``; to take each apart again costs more than to read a
    small image.
    """
    start = os.path.join(root, "")
    below = path[len(start) :] if path.startswith(start) else path
    return below if os.sep == "/" else below.replace(os.sep, "/")


def by_pattern(paths: list[str], root: Path, pattern: str) -> list[str]:
    """The group of each file: what a regular expression finds in its path.

    Args:
        paths: The files.
        root: What they are taken relative to, with ``/`` between folders.
        pattern: Its groups in parentheses are the name, joined; all that it finds without any.

    Raises:
        UsageError: it finds nothing in some paths.
    """
    expression = re.compile(pattern)
    groups, strange = [], []
    for path in paths:
        shown = relative(path, root)
        match = expression.search(shown)
        if match is None:
            strange.append(shown)
            continue
        parts = match.groups(default="") or (match.group(),)
        groups.append("/".join(parts))
    if strange:
        raise UsageError(
            f"group_pattern {pattern!r} finds nothing in {len(strange)} of {len(paths)} paths, "
            f"such as {', '.join(strange[:_SHOWN])}; correct it, or remove these files"
        )
    return groups


def units(copies: np.ndarray, groups: list[str]) -> np.ndarray:
    """What may not be divided: images of one group, and copies of one picture.

    Args:
        copies: int64 (N,): for each the first image that shows the same.
        groups: The group of each; of an empty one an image is alone. Empty where there are none.

    Returns:
        int64 (N,): for each the first image of its unit.
    """
    if not groups:
        return copies
    first: dict[str, int] = {}
    root = np.arange(len(copies))

    def find(index: int) -> int:
        while root[index] != index:
            root[index] = root[root[index]]
            index = int(root[index])
        return index

    for index, (copy, group) in enumerate(zip(copies.tolist(), groups, strict=True)):
        others = [copy, first.setdefault(group, index)] if group else [copy]
        for other in others:
            low, high = sorted((find(index), find(other)))
            root[high] = low
    return np.array([find(index) for index in range(len(copies))], dtype=np.int64)


def require_whole(listing: Listing, parts: np.ndarray) -> None:
    """Refuse groups that lie in several of the given parts.

    Raises:
        UsageError: there are some.
    """
    seen: dict[str, set[int]] = {}
    for group, part in zip(listing.groups, parts.tolist(), strict=True):
        if group and part != UNUSED:
            seen.setdefault(group, set()).add(part)
    torn = [group for group, found in seen.items() if len(found) > 1]
    if torn:
        shown = "; ".join(
            f"{group!r} in {' and '.join(PART_NAMES[part] for part in sorted(seen[group]))}"
            for group in torn[:_SHOWN]
        )
        more = f"; and {len(torn) - _SHOWN} more" if len(torn) > _SHOWN else ""
        raise UsageError(
            f"{len(torn)} of {len(seen)} groups lie in several parts of the data: {shown}{more}; "
            "move each into one part, or omit the groups"
        )


def sentence(groups: list[str]) -> str:
    """What is told of the groups."""
    names, counts = np.unique([group for group in groups if group], return_counts=True)
    text = f"images that stay together: {len(names)} groups"
    if len(names):
        text += f" of {counts.min()} to {counts.max()} images"
    if alone := groups.count(""):
        text += f", and {alone} images without a group, each alone"
    return text


def hold_out_spread(held: np.ndarray, fraction: float, units: np.ndarray) -> np.ndarray:
    """Choose whole units so that each class is held out about as often as asked for.

    For units of several classes, such as patients with several findings. In an order drawn from a
    constant seed a unit is chosen, or given back, where that brings the chosen number of the
    classes' images nearer to ``fraction`` of all, each class weighted alike; several times over.

    Args:
        held: Boolean (N, classes): the classes of each image.
        fraction: Share to choose, from 0 (none) to below 1.
        units: (N,) what is chosen as one.

    Returns:
        Boolean (N,): True where chosen; never all units, and at least one where there are two.
    """
    names, inverse = np.unique(units, return_inverse=True)
    if fraction == 0 or len(names) < 2:
        return np.zeros(len(units), dtype=bool)
    # A further column of ones: the number of images counts as a class of its own.
    columns = np.concatenate([held, np.ones((len(held), 1))], axis=1)
    counts = np.zeros((len(names), columns.shape[1]))
    np.add.at(counts, inverse, columns)
    totals = np.maximum(counts.sum(axis=0), 1)
    shares = counts / totals
    order = np.random.default_rng(SPLIT_SEED).permutation(len(names))
    chosen = np.zeros(len(names), dtype=bool)
    missing = np.full(columns.shape[1], fraction)
    for _ in range(_PASSES):
        for index in order:
            after = missing + shares[index] if chosen[index] else missing - shares[index]
            if (after**2).sum() < (missing**2).sum():
                chosen[index], missing = not chosen[index], after
    if not chosen.any():
        chosen[order[0]] = True
    return chosen[inverse]
