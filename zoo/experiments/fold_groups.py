"""What samples belong together, so that a fold holds all of it out: by the publisher's layout, a
regular expression over the files' names, or a column of a CSV file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from zoo.errors import UsageError, nearest
from zoo.io.bounds import read_bytes
from zoo.io.failures import system_failure
from zoo.plugin.folds import FoldSamples

_MOST_BYTES = 256 << 20
_FORMS = "none, layout, regex:PATTERN or csv:FILE:COLUMN"
_FILE_COLUMNS = ("file_name", "file", "filename", "path", "name")
"""Names of a column of files; the first column otherwise."""


def groups_of(samples: FoldSamples, by: str | None) -> list[str] | None:
    """The group of each sample by name.

    Args:
        samples: To be divided.
        by: ``none``, ``layout``, ``regex:PATTERN`` or ``csv:FILE:COLUMN``; None: by the
            publisher's layout where that names groups.

    Returns:
        None where nothing is grouped.

    Raises:
        UsageError: ``by`` is none of these, or does not give every sample a group.
    """
    if by is None:
        return None if samples.groups is None else list(samples.groups)
    kind, _, rest = by.partition(":")
    if by == "none":
        return None
    if by == "layout":
        if samples.groups is None:
            raise UsageError(
                "--group-by layout: the publisher's layout names no groups of these data; use "
                "regex:PATTERN or csv:FILE:COLUMN, or omit it"
            )
        return list(samples.groups)
    if kind == "regex" and rest:
        return _by_pattern(samples, rest)
    if kind == "csv" and rest:
        return _by_table(samples, rest)
    raise UsageError(f"--group-by is {by!r}; it takes {_FORMS}")


def joined(groups: Sequence[Hashable] | None, together: Sequence[Hashable] | None) -> list[int]:
    """A number for each sample: the same for those that share a group, or what may never be
    divided, directly or through others.

    Args:
        groups: Of each sample; None where nothing is grouped.
        together: Of each sample what may never be divided; None for nothing.
    """
    count = len(groups or together or ())
    first = list(range(count))

    def root(index: int) -> int:
        while first[index] != index:
            first[index] = first[first[index]]
            index = first[index]
        return index

    for values in (groups, together):
        seen: dict[Hashable, int] = {}
        for index, value in enumerate(values or ()):
            one, other = sorted((root(index), root(seen.setdefault(value, index))))
            first[other] = one
    return [root(index) for index in range(count)]


def _by_pattern(samples: FoldSamples, pattern: str) -> list[str]:
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--group-by regex:{pattern} is not a regular expression: {error}") from (
            error
        )
    found = [expression.search(name) for name in samples.names]
    missing = [name for name, match in zip(samples.names, found, strict=True) if match is None]
    if missing:
        raise UsageError(
            f"--group-by regex:{pattern} matches nothing in {len(missing)} of {len(samples)} "
            f"names, such as {missing[0]!r}"
        )
    matches = [match for match in found if match is not None]
    return [match[1] or match[0] if expression.groups else match[0] for match in matches]


def _by_table(samples: FoldSamples, rest: str) -> list[str]:
    text, _, column = rest.rpartition(":")
    if not text or not column:
        raise UsageError(f"--group-by csv:{rest}: name a file and a column, csv:FILE:COLUMN")
    path = Path(text)
    rows, names = _read(path)
    if column not in names:
        near = nearest(column, names, 1)
        hint = f"did you mean {near}?" if near else f"it has {', '.join(names)}"
        raise UsageError(f"--group-by: {path} has no column {column!r}: {hint}")
    key = next((name for name in names if name.lower() in _FILE_COLUMNS and name != column), "")
    key = key or next((name for name in names if name != column), "")
    if not key:
        raise UsageError(f"--group-by: {path} has the column {column!r} alone, and none of files")
    return _looked_up(samples, {row[key]: row[column] for row in rows}, path, key)


def _looked_up(samples: FoldSamples, table: Mapping[str, str], path: Path, key: str) -> list[str]:
    """The group of each sample: by its name, or by the last part of it, with a suffix or without,
    where no other sample ends alike."""
    short: dict[str, set[str]] = {}
    for name in samples.names:
        for form in _forms(name):
            short.setdefault(form, set()).add(name)
    groups, missing = [], []
    for name in samples.names:
        forms = [name, *(form for form in _forms(name) if len(short[form]) == 1)]
        found = next((table[form] for form in forms if form in table), "")
        if not found:
            missing.append(name)
        groups.append(found)
    if missing:
        raise UsageError(
            f"--group-by: {path} gives {len(missing)} of {len(samples)} samples no group, such as "
            f"{missing[0]!r}: add it to the column {key!r}"
        )
    return groups


def _forms(name: str) -> tuple[str, ...]:
    last = PurePosixPath(name).name
    return last, last.partition(".")[0]


def _read(path: Path) -> tuple[list[dict[str, str]], list[str]]:
    """The rows of a CSV file, with commas, semicolons or tabs, and the names of its columns.

    Raises:
        UsageError: it cannot be read, or is not a table.
    """
    try:
        data = read_bytes(path, _MOST_BYTES)
    except OSError as error:
        raise UsageError(system_failure(error, f"--group-by: {path} cannot be read")) from error
    try:
        text = (data or b"").decode("utf-8-sig")
        if not text.strip():
            raise ValueError("it is empty, or larger than any table of groups")
        head = text.splitlines()[0]
        delimiter = max(",;\t", key=head.count)
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, restval="")
        names = list(reader.fieldnames or ())
        return [{str(k): str(v).strip() for k, v in row.items()} for row in reader], names
    except (ValueError, csv.Error) as error:
        raise UsageError(f"--group-by: {path} is not a CSV file in UTF-8: {error}") from error
