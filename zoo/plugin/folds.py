"""Folds: which samples of the training and validation parts are validated on, and which trained on.

A dataset that can be divided (``Foldable``) lists these samples; a fold is one division of them.
The fold of a run is part of its recipe, so that the run repeats and resumes by itself.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zoo.errors import UsageError

_MOST = 1 << 26
"""Samples, at most: what a recipe claims is not believed without bounds."""
KEYS = ("number", "of", "samples", "names", "val")


class OtherDataError(UsageError):
    """The data are not those that a fold was made of."""


@dataclass(frozen=True)
class FoldSamples:
    """The samples of the training and the validation part together, in a fixed order.

    Attributes:
        names: What to call each: its file, relative to the data's root, where it has one.
        classes: The class of each by name; None where samples have none.
        groups: What the publisher's layout says that each belongs to, such as a track, a speaker
            or a subject; None where it says nothing.
        group_name: What such a group is called, such as ``speaker``.
        together: What may never be divided, whatever it is grouped by, such as copies of a picture
            or words of one recording: one value for each set of samples. None for nothing.
        ordered: Neighbors are alike, such as slices of a stack, so that a fold is a run of them.
    """

    names: Sequence[str]
    classes: Sequence[str] | None = None
    groups: Sequence[str] | None = None
    group_name: str = "group"
    together: Sequence[Any] | None = None
    ordered: bool = False

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def fingerprint(self) -> str:
        """Tells these samples from others, or from others in number or order."""
        hashed = hashlib.sha256()
        for name in self.names:
            hashed.update(name.encode("utf-8", "backslashreplace") + b"\0")
        return hashed.hexdigest()[:16]


@dataclass(frozen=True)
class Fold:
    """One division of the samples of the training and the validation part.

    Attributes:
        number: From 1.
        of: How many there are.
        samples: How many samples there are in all.
        names: Fingerprint of the samples that were divided.
        val: Indices of those that are validated on, ascending; the others are trained on.
    """

    number: int
    of: int
    samples: int
    names: str
    val: tuple[int, ...]

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Fold:
        """The fold that a recipe's section ``fold`` tells.

        Raises:
            UsageError: the section is not one that ``zoo crossval`` wrote.
        """
        problem = _problem(values)
        bits = b"" if problem else _unpack(str(values["val"]), int(values["samples"]))
        if problem or not bits:
            raise UsageError(
                f"'fold' of the recipe {problem or 'has a damaged list of samples (val)'}; `zoo "
                "crossval` writes this section: copy it as it is, or remove it"
            )
        count = int(values["samples"])
        val = tuple(index for index in range(count) if bits[index // 8] >> index % 8 & 1)
        return cls(int(values["number"]), int(values["of"]), count, str(values["names"]), val)

    def as_dict(self) -> dict[str, Any]:
        """What a recipe's section ``fold`` holds; ``val`` is a compressed bit for each sample."""
        bits = bytearray(-(-self.samples // 8))
        for index in self.val:
            bits[index // 8] |= 1 << index % 8
        packed = base64.b64encode(zlib.compress(bytes(bits), 9)).decode()
        values = (self.number, self.of, self.samples, self.names, packed)
        return dict(zip(KEYS, values, strict=True))

    def is_val(self, samples: FoldSamples, where: object) -> list[bool]:
        """Of each sample, in order, whether it is validated on.

        Args:
            samples: Those of the data.
            where: What messages call the data.

        Raises:
            OtherDataError: they are not those that were divided.
        """
        if len(samples) != self.samples or samples.fingerprint != self.names:
            raise OtherDataError(
                f"{where}: fold {self.number} of {self.of} was made of {self.samples} samples, and "
                f"the training and validation parts hold {_other(len(samples), self.samples)}: put "
                "the data back as they were, or begin again with `zoo crossval`"
            )
        chosen = [False] * self.samples
        for index in self.val:
            chosen[index] = True
        return chosen


def make_folds(samples: FoldSamples, fold_of: Iterable[int], count: int) -> list[Fold]:
    """The folds in which each sample is validated on once.

    Args:
        samples: Those to divide.
        fold_of: For each the fold that validates on it, from 0.
        count: How many folds there are.
    """
    val: list[list[int]] = [[] for _ in range(count)]
    for index, fold in enumerate(fold_of):
        val[fold].append(index)
    return [
        Fold(number, count, len(samples), samples.fingerprint, tuple(indices))
        for number, indices in enumerate(val, 1)
    ]


def _other(found: int, made_of: int) -> str:
    return "others of that number" if found == made_of else str(found)


def _problem(values: Mapping[str, Any]) -> str:
    if unknown := sorted(set(map(str, values)) - set(KEYS)):
        return f"has the key {unknown[0]!r}, and takes {', '.join(KEYS)}"
    for key in ("number", "of", "samples"):
        value = values.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST:
            return f"needs a whole number above 0 as '{key}'"
    if values["number"] > values["of"]:
        return f"is number {values['number']} of {values['of']}"
    for key in ("names", "val"):
        if not isinstance(values.get(key), str):
            return f"needs a text as '{key}'"
    return ""


def _unpack(text: str, samples: int) -> bytes:
    """The bits; empty if they are not those of so many samples."""
    wanted = -(-samples // 8)
    try:
        unpacker = zlib.decompressobj()
        bits = unpacker.decompress(base64.b64decode(text, validate=True), wanted + 1)
    except (ValueError, binascii.Error, zlib.error):
        return b""
    return bits if len(bits) == wanted and unpacker.eof else b""
