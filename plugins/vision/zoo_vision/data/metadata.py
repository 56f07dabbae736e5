"""Labels from tables beside the images: the imagefolder layout of Hugging Face.

``metadata.csv`` or ``metadata.jsonl`` has a row for each image, with ``file_name`` (relative to the
table) and a column of labels. It lies in the root, where the first folder of a ``file_name`` may be
a part, or in each part's folder.
"""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.plugin import UsageError
from zoo_vision.data.folder_layout import Listing, part_folders
from zoo_vision.data.images import TRAIN
from zoo_vision.data.part_names import part_of
from zoo_vision.data.visible import Walk, visible_folders

_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE = "file_name"


@dataclass(frozen=True)
class _Row:
    table: Path
    line: int
    values: dict[str, Any]

    @property
    def where(self) -> str:
        return f"{self.table}, line {self.line}"


def find_tables(root: Path) -> list[Path]:
    """The tables in the root and in the folders there.

    Raises:
        UsageError: one is in a format that is not read.
    """
    folders = [root, *visible_folders(root)]
    for folder in folders:
        if (path := folder / "metadata.parquet").is_file():
            raise UsageError(f"{path} is not read; save it as metadata.csv or metadata.jsonl")
    return [path for folder in folders for name in _NAMES if (path := folder / name).is_file()]


def list_tables(root: Path, tables: list[Path], column: str, walk: Walk) -> Listing | None:
    """The images that tables list.

    Args:
        root: The folder of the dataset.
        tables: As `find_tables` found them.
        column: The column of labels.
        walk: Knows what an image file is.

    Returns:
        Their listing; None where no table has that column and there are folders of classes.

    Raises:
        UsageError: a table is damaged, lacks the column, or names files that do not exist.
    """
    rows = [row for table in tables for row in _read(table)]
    if not any(column in row.values for row in rows):
        if _has_class_folders(root, walk):
            return None
        columns = sorted({key for row in rows for key in row.values} - {_FILE})
        raise UsageError(
            f"{tables[0]} has no column {column!r}; name the column of labels by "
            f"--data.label_column: there are {', '.join(columns) or 'none'} beside {_FILE}"
        )
    folders = {folder.path: folder.part for folder in part_folders(root, walk, labelled=True)}
    paths: dict[str, str] = {}
    parts: dict[str, int] = {}
    unlabelled = 0
    for row in rows:
        path = _path(row)
        label = label_of(row.values.get(column), f"{row.where}: {column!r}")
        if label is None:
            unlabelled += 1
            continue
        if paths.get(path, label) != label:
            raise UsageError(
                f"{row.where}: {path} is labelled {label!r} and before {paths[path]!r}; keep one"
            )
        paths[path] = label
        parts[path] = _part(Path(path), root, folders)
    listing = Listing(list(paths), parts=list(parts.values()))
    listing.names = sorted_names(set(paths.values()))
    position = {name: index for index, name in enumerate(listing.names)}
    listing.labels = [position[label] for label in paths.values()]
    if len(listing.names) < 2:
        raise UsageError(
            f"{tables[0]}: the column {column!r} holds {len(listing.names)} label(s); a classifier "
            "needs two classes or more"
        )
    listing.notes.append(f"labels come from {', '.join(map(str, tables))}, column {column!r}")
    _count_rest(listing, root, walk, unlabelled)
    return listing


def _count_rest(listing: Listing, root: Path, walk: Walk, unlabelled: int) -> None:
    if unlabelled:
        listing.notes.append(f"rows without a label, whose images are left out: {unlabelled}")
    unlisted = len(set(walk.files(root)) - set(listing.paths)) - unlabelled
    if unlisted > 0:
        listing.notes.append(f"images in no row, which are left out: {unlisted}")
    missing = [path for path in listing.paths if not Path(path).is_file()]
    if missing:
        more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
        raise UsageError(
            f"{len(missing)} of {len(listing.paths)} images that the tables under {root} list do "
            f"not exist: {', '.join(missing[:5])}{more}; add them or remove their rows"
        )


def _has_class_folders(root: Path, walk: Walk) -> bool:
    folders = [folder for folder in visible_folders(root) if walk.any(folder)]
    parts = [folder for folder in folders if part_of(folder.name) is not None]
    if parts:
        return any(walk.any(inside) for part in parts for inside in visible_folders(part))
    return len(folders) > 1


def _read(table: Path) -> list[_Row]:
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{table} is not UTF-8 text ({error.reason}); save it as that") from error
    except OSError as error:
        raise UsageError(f"{table} cannot be read: {error.strerror}") from error
    rows = _read_csv(table, text) if table.suffix == ".csv" else _read_lines(table, text)
    for row in rows:
        name = row.values.get(_FILE)
        if not isinstance(name, str) or not name:
            raise UsageError(f"{row.where} has no {_FILE}; every row needs the name of an image")
    return rows


def _read_csv(table: Path, text: str) -> list[_Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        return [_Row(table, reader.line_num, {k: v for k, v in row.items() if k}) for row in reader]
    except csv.Error as error:
        raise UsageError(f"{table}, line {reader.line_num}: {error}; correct that line") from error


def _read_lines(table: Path, text: str) -> list[_Row]:
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"{table}, line {number} is not JSON ({error})") from error
        if not isinstance(values, dict):
            raise UsageError(f"{table}, line {number} is not a JSON object in braces")
        rows.append(_Row(table, number, values))
    return rows


def _path(row: _Row) -> str:
    name = Path(str(row.values[_FILE]).replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts:
        raise UsageError(
            f"{row.where}: {str(name)!r} lies outside the table's folder; give names inside it"
        )
    return str(row.table.parent / name)


def label_of(value: Any, where: str) -> str | None:
    """A label as text; None where there is none.

    Raises:
        UsageError: it is a list or an object; ``where`` names it.
    """
    if value is None or value == "":
        return None
    if isinstance(value, (list, dict)):
        raise UsageError(
            f"{where} is {json.dumps(value)[:60]}; a classifier takes one label an image, a text "
            "or a whole number"
        )
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def _part(path: Path, root: Path, folders: dict[Path, int]) -> int:
    """By the folder of a part that the file lies in, or the first that is called so."""
    for parent in path.parents:
        if parent in folders:
            return folders[parent]
    inside = path.relative_to(root).parts[:-1]
    return next((part for name in inside if (part := part_of(name)) is not None), TRAIN)


def sorted_names(names: set[str]) -> list[str]:
    """Numbers by their value, other names by the alphabet."""
    if all(name.removeprefix("-").isdecimal() for name in names):
        return sorted(names, key=lambda name: (int(name), name))
    return sorted(names)
