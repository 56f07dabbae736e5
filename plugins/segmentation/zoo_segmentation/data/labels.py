"""Values of label maps, and the classes that they stand for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zoo.plugin import UsageError
from zoo_segmentation.data.volume import IGNORED

ROUNDING = 1e-3
"""A value this near to a whole number is that number: what scaling and resampling leave over."""
MOST_CLASSES = 255
"""A label map in memory is of bytes, one of which says that a voxel does not count."""
NOT_COUNTED = -1
"""What a user calls the class of voxels that neither losses nor metrics count."""
SHOWN = 10
"""Values that a message lists."""
_LARGEST = 2**31


def whole_numbers(values: np.ndarray, path: str | Path) -> np.ndarray:
    """The whole numbers that a label map's values are, up to `ROUNDING`.

    Args:
        values: Of any shape and type.
        path: Where they come from.

    Returns:
        Integers of the same shape.

    Raises:
        UsageError: some are no whole numbers; names them and how many voxels have them.
    """
    if values.dtype.kind in "iub":
        return values
    nearest = np.rint(values)
    strange = (np.abs(values - nearest) > ROUNDING) | (np.abs(nearest) > _LARGEST)
    if strange.any():
        raise UsageError(
            f"{path}: {_voxels_with(values, strange)}; labels are whole numbers: a map that was "
            "resampled has to be resampled by nearest neighbor"
        )
    whole: np.ndarray = nearest.astype(np.int64)
    return whole


def to_classes(
    values: np.ndarray, mapping: Mapping[int, int] | int, path: str | Path
) -> np.ndarray:
    """From a label map's values to classes.

    Args:
        values: Of any type.
        mapping: Value to class; or how many classes there are, which are then numbered from 0.
        path: Where they come from.

    Returns:
        uint8 of the same shape.

    Raises:
        UsageError: a value is no class; names the file, the values and how many voxels have them.
    """
    whole = whole_numbers(values, path)
    wanted = {n: n for n in range(mapping)} if isinstance(mapping, int) else mapping
    known = np.isin(whole, list(wanted))
    if not known.all():
        raise UsageError(f"{path}: {_voxels_with(whole, ~known)}; {_classes_in_words(mapping)}")
    classes = np.zeros(whole.shape, dtype=np.uint8)
    for value, number in wanted.items():
        if number:
            classes[whole == value] = IGNORED if number == NOT_COUNTED else number
    return classes


def count_values(values: np.ndarray) -> Counter[int]:
    """How many voxels have each of the whole numbers."""
    found, counts = np.unique(values, return_counts=True)
    return Counter(dict(zip(found.tolist(), counts.tolist(), strict=True)))


def read_mapping(given: Mapping[Any, int], classes: int | None) -> dict[int, int]:
    """A user's mapping, whose classes have to be 0, 1, 2, ... without a gap.

    Args:
        given: Value of the label maps to class; recipes and bundles make text of the values.
        classes: How many classes have names; None: as many as the mapping says.

    Raises:
        UsageError: as said.
    """
    try:
        mapping = {int(value): int(number) for value, number in given.items()}
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"labels is {dict(given)}; values and classes are whole numbers"
        ) from error
    numbers = set(mapping.values()) - {NOT_COUNTED}
    count = max(numbers, default=-1) + 1 if classes is None else classes
    if not (2 <= count <= MOST_CLASSES) or not numbers <= set(range(count)):
        named = "" if classes is None else f" (label_names has {classes})"
        raise UsageError(
            f"labels is {dict(mapping)}; it takes each value of the label maps to a class, 0 "
            f"(background), 1, 2, ...{named}, such as {{0: 0, 255: 1}}; or to {NOT_COUNTED}, which "
            "is not counted"
        )
    if classes is None and numbers != set(range(count)):
        raise UsageError(
            f"labels is {dict(mapping)}; of its classes 0 to {count - 1} no value is "
            f"{', '.join(str(n) for n in range(count) if n not in numbers)}: number them without "
            "a gap, or name all classes by label_names"
        )
    return mapping


def values_of(mapping: Mapping[int, int], classes: int) -> list[int] | None:
    """The value that stands for each class in the label maps; None where it is the class."""
    first: dict[int, int] = {}
    for value, number in mapping.items():
        if number != NOT_COUNTED:
            first.setdefault(number, value)
    values = [first.get(number, number) for number in range(classes)]
    return None if values == list(range(classes)) else values


def count_classes(files: Mapping[Path, Mapping[int, int]], root: str) -> int:
    """The number of classes of label maps that nobody has named.

    Args:
        files: Each label map's values with the number of their voxels.
        root: Where they lie.

    Raises:
        UsageError: the values are not 0, 1, 2, ... without a gap; lists them with their counts
            and the mapping to give.
    """
    voxels: Counter[int] = Counter()
    for counts in files.values():
        voxels.update(counts)
    values = sorted(voxels)
    if values == list(range(len(values))) and 2 <= len(values) <= MOST_CLASSES:
        return len(values)
    if values == [0]:
        raise UsageError(
            f"{root}: all {len(files)} label maps hold 0 (background) alone, so that there is "
            "nothing to learn; add labels, or name the classes that they lack by "
            "--data.label_names '[background, NAME]'"
        )
    listed = ", ".join(
        f"{value} ({voxels[value]:,} voxels in {sum(value in c for c in files.values())} files)"
        for value in values[:SHOWN]
    )
    more = f" and {len(values) - SHOWN} more" if len(values) > SHOWN else ""
    raise UsageError(
        f"{_largest(files)}the label maps in {root} hold the values {listed}{more}; classes are "
        f"numbered 0 (background), 1, 2, ... without a gap. {_remedy(values)}"
    )


def _largest(files: Mapping[Path, Mapping[int, int]]) -> str:
    """Where the largest value stands, if it is too large for a class."""
    path, counts = max(files.items(), key=lambda item: max(item[1]))
    top = max(counts)
    return f"{path} has labels up to {top}: " if top >= MOST_CLASSES else ""


def _remedy(values: Sequence[int]) -> str:
    if len(values) > 2 * SHOWN:
        return (
            "So many values look like an image and not like labels; if they are labels, say which "
            "class each is by --data.labels '{VALUE: CLASS, ...}'"
        )
    background = [value for value in values if value <= 0] or values[:1]
    others = [value for value in values if value not in background] or values[1:]
    pairs = [f"{value}: 0" for value in sorted(background, key=abs)]
    pairs += [f"{value}: {number}" for number, value in enumerate(others, 1)]
    text = f"Say what they are, value by value: --data.labels '{{{', '.join(pairs)}}}'"
    if values[0] < 0:
        text += f" counts {values[0]} as background; it can be a class of its own as well"
    elif values[-1] < 2 * SHOWN:
        names = ", ".join(f"NAME{number}" for number in range(1, values[-1] + 1))
        text += (
            "; or, if values that do not occur here are classes too, name all: "
            f"--data.label_names '[background, {names}]'"
        )
    return text


def _classes_in_words(mapping: Mapping[int, int] | int) -> str:
    if isinstance(mapping, int):
        return f"there are the classes 0 to {mapping - 1}"
    if all(value == number for value, number in mapping.items()):
        return (
            f"there are the classes 0 to {len(mapping) - 1}; say what other values are by "
            "--data.labels '{VALUE: CLASS, ...}'"
        )
    values = ", ".join(map(str, mapping))
    return f"--data.labels says what {values} are: add the others to it"


def _voxels_with(values: np.ndarray, strange: np.ndarray) -> str:
    """How many voxels have which values, in full precision."""
    found = np.unique(values[strange])
    shown = ", ".join(_exactly(value) for value in found[:5]) + (", ..." if len(found) > 5 else "")
    count = int(strange.sum())
    noun = "voxel" if count == 1 else "voxels"
    return f"{count} {noun} of {values.size} have labels that are no class ({shown})"


def _exactly(value: Any) -> str:
    """A number with as many digits as tell it from all others of its type."""
    if value.dtype.kind in "iub":
        return str(value)
    return np.format_float_positional(value, trim="-")
