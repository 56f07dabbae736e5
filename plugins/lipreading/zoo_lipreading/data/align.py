"""GRID's alignments and file names: which word is spoken when."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from zoo.plugin import UsageError

UNITS_PER_FRAME = 1000
"""Times are in units of 1/25000 s, and a video has 25 frames a second."""
SILENCES = ("sil", "sp")
_DIGITS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
GRAMMAR = [
    ["bin", "lay", "place", "set"],
    ["blue", "green", "red", "white"],
    ["at", "by", "in", "with"],
    [letter for letter in "abcdefghijklmnopqrstuvxyz"],  # noqa: C416  no w
    _DIGITS,
    ["again", "now", "please", "soon"],
]
"""Words possible at each place of a sentence."""
WORDS = [word for place in GRAMMAR for word in place]
"""All 51 of them."""
_KNOWN = frozenset((*WORDS, *SILENCES))
_CODES = [
    *({word[0]: word for word in GRAMMAR[place]} for place in range(3)),
    {letter: letter for letter in GRAMMAR[3]},
    {"z": "zero", **{str(number): word for number, word in enumerate(_DIGITS) if number}},
    {word[0]: word for word in GRAMMAR[5]},
]


@dataclass(frozen=True)
class Segment:
    """A word and when it is spoken.

    Attributes:
        word: The word.
        first: Its first frame.
        last: Its last frame, which belongs to it.
    """

    word: str
    first: int
    last: int


def transcript(code: str) -> list[str] | None:
    """What a file name says: ``bbaf2n`` is bin blue at f two now; None if it is no such name."""
    if len(code) != len(_CODES):
        return None
    words = [place.get(letter) for place, letter in zip(_CODES, code.lower(), strict=True)]
    known = [word for word in words if word is not None]
    return known if len(known) == len(words) else None


def read_align(path: Path) -> list[tuple[int, int, int, str]]:
    """The words of an alignment, without silences.

    Returns:
        Line number, start and end in units of 1/25000 s, and word.

    Raises:
        UsageError: it is not UTF-8, or a line is not ``start end word`` or is out of order, with
            file and line.
    """
    lines = _read_lines(path)
    words = []
    before = 0
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        fields = line.split()
        if len(fields) != 3 or not fields[0].isdecimal() or not fields[1].isdecimal():
            raise UsageError(f"{path}:{number}: {line.strip()!r} is not 'start end word'")
        start, end = int(fields[0]), int(fields[1])
        if end <= start:
            raise UsageError(f"{path}:{number}: {fields[2]!r} ends at {end} and starts at {start}")
        if start < before:
            raise UsageError(
                f"{path}:{number}: {fields[2]!r} starts at {start}, before the end of the line "
                f"above at {before}"
            )
        before = end
        word = _as_spelled(fields[2])
        if word not in SILENCES:
            words.append((number, start, end, word))
    return words


def _read_lines(path: Path) -> list[str]:
    """Lines of UTF-8 text, with or without a byte order mark."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error})") from error
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
        raise UsageError(f"{path}:1: this is UTF-16 text; save the file as UTF-8")
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        number = content[: error.start].count(b"\n") + 1
        raise UsageError(
            f"{path}:{number}: byte {content[error.start]:#04x} is not UTF-8 text; save the file "
            "as UTF-8"
        ) from error


def _as_spelled(word: str) -> str:
    """GRID's spelling of its own words, where a file has them in capitals."""
    lower = word.lower()
    return lower if lower in _KNOWN else word


def segments(
    path: Path, frames: int, expected: Sequence[str] | None = None, *, any_word: bool = False
) -> list[Segment]:
    """The words of an alignment in frames.

    Args:
        path: The alignment.
        frames: Length of its clip.
        expected: The words that it has to hold; None leaves that unchecked.
        any_word: Allow words that are none of GRID's.

    Raises:
        UsageError: it is malformed, lasts longer than the clip, has a word that is none of
            GRID's, or other words than expected; with file and line.
    """
    found: list[Segment] = []
    for number, start, end, word in read_align(path):
        where = f"{path}:{number}"
        if word not in WORDS and not any_word:
            raise UsageError(f"{where}: {word!r} is none of the {len(WORDS)} words of GRID")
        if expected is not None and (len(found) >= len(expected) or word != expected[len(found)]):
            raise UsageError(
                f"{where}: the word is {word!r}, and the clip's name says {' '.join(expected)!r}"
            )
        if end > frames * UNITS_PER_FRAME:
            raise UsageError(
                f"{where}: {word!r} ends at {end}, and the clip of {frames} frames ends at "
                f"{frames * UNITS_PER_FRAME}"
            )
        last = min(end // UNITS_PER_FRAME, frames - 1)
        found.append(Segment(word, start // UNITS_PER_FRAME, last))
    if expected is not None and len(found) < len(expected):
        raise UsageError(
            f"{path} has {len(found)} words, and the clip's name says {' '.join(expected)!r}"
        )
    if not found:
        raise UsageError(f"{path} has no word")
    return found
