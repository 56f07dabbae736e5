"""Which folder names mean a part of the data: train, Training, 01_train_set, val2017, seg_test."""

from __future__ import annotations

import re

from zoo_vision.data.images import TEST, TRAIN, VAL

_WORDS = {
    "train": TRAIN,
    "training": TRAIN,
    "trn": TRAIN,
    "trainval": TRAIN,
    "val": VAL,
    "valid": VAL,
    "validate": VAL,
    "validation": VAL,
    "dev": VAL,
    "development": VAL,
    "test": TEST,
    "testing": TEST,
    "tst": TEST,
}
_FILLERS = {
    "set", "sets", "data", "dataset", "datasets", "image", "images", "img", "imgs", "pictures",
    "photos", "part", "split", "samples", "files", "folder", "final",
}  # fmt: skip
_UNCLEAR = {"eval", "evaluation", "holdout", "heldout", "unlabeled", "unlabelled", "predict"}


def part_of(name: str) -> int | None:
    """The part that a folder's name means and nothing else; None where it means none."""
    part, rest = named_part(name)
    return part if not rest else None


def named_part(name: str) -> tuple[int | None, str]:
    """The part that a word of the name means, and the other words, without numbers and words
    such as "set" or "images"; (None, ...) where there is no such word, or more than one."""
    words = [_stripped(word) for word in re.findall(r"[^\W\d_]+", name.lower())]
    parts = [word for word in words if word in _WORDS]
    rest = " ".join(word for word in words if word and word not in _WORDS)
    return (_WORDS[parts[0]] if len(parts) == 1 else None), rest


def is_unclear(name: str) -> bool:
    """Whether a name may mean a part, of which kind is not sure."""
    return any(word in _UNCLEAR for word in re.findall(r"[^\W\d_]+", name.lower()))


def _stripped(word: str) -> str:
    """Without fillers: "trainset" is "train", "images" nothing."""
    if word in _FILLERS:
        return ""
    for filler in sorted(_FILLERS, key=len, reverse=True):
        for bare in (word.removesuffix(filler), word.removeprefix(filler)):
            if bare in _WORDS:
                return bare
    return word
