"""Labels from tables: the imagefolder layout of Hugging Face, and a CSV of one's own.

A table has a row for each image, with the name of its file and a column of labels. It is called
``metadata.csv`` or ``metadata.jsonl`` and lies in the root, where the first folder of a file's name
may be a part, or in each part's folder; or it is any file that the user names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zoo.plugin import UsageError
from zoo_vision.data.folder_layout import PART_NAMES, Listing, part_folders
from zoo_vision.data.images import TRAIN
from zoo_vision.data.label_names import blanks, label_of, labels_of, sorted_names
from zoo_vision.data.part_names import part_of
from zoo_vision.data.table_files import FileNames
from zoo_vision.data.table_rows import Row, read_rows
from zoo_vision.data.visible import Walk, visible_folders

_NAMES = ("metadata.csv", "metadata.jsonl")
_FILE_COLUMNS = (
    "file_name", "file", "filename", "image", "path", "filepath", "file_path", "image_path",
    "image_name", "image_id", "id",
)  # fmt: skip
_PART_COLUMNS = ("part", "split", "subset", "set", "partition")


@dataclass(frozen=True)
class Columns:
    """Which columns of a table mean what.

    Args:
        label: Of labels.
        labels: Columns of 0 and 1, one a class; they are the labels then.
        file: Of the files' names; the first that is called so without.
        part: Of parts; the first that is called so and holds nothing else without.
        group: Of what belongs together; none without.
        separator: Between several labels of an image.
        several: Whether an image may have several labels, or none.
    """

    label: str = "label"
    labels: Sequence[str] = ()
    file: str | None = None
    part: str | None = None
    group: str | None = None
    separator: str = ";"
    several: bool = False


@dataclass
class _Found:
    """What the rows say of one image."""

    labels: list[str] = field(default_factory=list)
    part: int | None = None
    group: str = ""


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


def list_tables(
    root: Path, tables: list[Path], columns: Columns, walk: Walk, *, named: bool = False
) -> Listing | None:
    """The images that tables list.

    Args:
        root: The folder of the dataset.
        tables: As `find_tables` found them, or the user's.
        columns: What they mean.
        walk: Knows what an image file is.
        named: Whether the user named the table.

    Returns:
        Their listing; None where no table has a column of labels, there are folders of classes
        and the user named no table.

    Raises:
        UsageError: a table is damaged, lacks a column, or names files that do not exist.
    """
    rows = [row for table in tables for row in read_rows(table)]
    wanted = columns.labels or [columns.label]
    present = {key for row in rows for key in row.values}
    lacking = [name for name in wanted if name not in present]
    if lacking and not named and not columns.labels and _has_class_folders(root, walk):
        return None
    file_column = _file_column(tables[0], columns, present)
    for name in [*lacking, *([columns.group] if columns.group else [])]:
        if name not in present:
            raise _no_column(tables[0], name, name == columns.group, present - {file_column})
    part_column, notes = _part_column(tables[0], columns, rows)
    found = _Reader(root, walk, columns, file_column, part_column).read(rows)
    listing = _listing(found.images, tables[0], columns)
    listing.notes = [
        f"labels come from {', '.join(map(str, tables))}, column{'s' * (len(wanted) > 1)} "
        + ", ".join(map(repr, wanted)),
        *notes,
        *blanks(row.values.get(name) for row in rows for name in wanted),
        *found.files.notes(),
    ]
    if found.unlabelled:
        listing.notes.append(f"rows without a label, whose images are left out: {found.unlabelled}")
    unlisted = len(set(walk.files(root)) - set(listing.paths)) - found.unlabelled
    if unlisted > 0:
        listing.notes.append(f"images in no row, which are left out: {unlisted}")
    return listing


class _Reader:
    """From rows to images."""

    def __init__(
        self, root: Path, walk: Walk, columns: Columns, file_column: str, part_column: str | None
    ) -> None:
        self.files = FileNames(root, walk)
        self.images: dict[str, _Found] = {}
        self.unlabelled = 0
        self._root, self._columns = root, columns
        self._file_column, self._part_column = file_column, part_column
        self._folders = {
            folder.path: folder.part for folder in part_folders(root, walk, labelled=True)
        }

    def read(self, rows: Sequence[Row]) -> _Reader:
        """Read all rows.

        Raises:
            UsageError: of a row, or of files that do not exist.
        """
        for row in rows:
            self._add(row)
        self.files.require_all()
        return self

    def _add(self, row: Row) -> None:
        columns = self._columns
        path = self.files.find(row, self._file_column)
        labels = _labels(row, columns)
        if not labels and not columns.several:
            self.unlabelled += 1
            return
        known = self.images.get(path)
        if known and known.labels != labels and not columns.several:
            raise UsageError(
                f"{row.where}: {path} is labelled {labels[0]!r} and before {known.labels[0]!r}; "
                "keep one, or give --data.multilabel true if both hold"
            )
        image = self.images.setdefault(path, _Found())
        image.labels += [label for label in labels if label not in image.labels]
        image.part = self._part(row, path, image.part)
        if columns.group:
            group = label_of(row.values.get(columns.group), f"{row.where}: {columns.group!r}")
            image.group = group or ""

    def _part(self, row: Row, path: str, before: int | None) -> int:
        """By the column of parts, the folder of a part that the file lies in, or the first folder
        that is called so."""
        if self._part_column:
            value = str(row.values.get(self._part_column) or "").strip()
            part = part_of(value)
            if part is None:
                raise UsageError(
                    f"{row.where}: {self._part_column!r} is {value!r}, which is not a part of the "
                    "data; write train, val or test"
                )
            if before not in (None, part):
                raise UsageError(f"{row.where}: {path} is in another part before; keep one row")
            return part
        for parent in Path(path).parents:
            if parent in self._folders:
                return self._folders[parent]
        inside = Path(path).relative_to(self._root).parts[:-1] if _is_in(path, self._root) else ()
        return next((part for name in inside if (part := part_of(name)) is not None), TRAIN)


def _listing(images: dict[str, _Found], table: Path, columns: Columns) -> Listing:
    listing = Listing(list(images))
    names = {label for image in images.values() for label in image.labels}
    listing.names = list(columns.labels) or sorted_names(names)
    if len(listing.names) < 2:
        raise UsageError(
            f"{table}: the column {columns.label!r} holds {len(listing.names)} label(s); a "
            "classifier needs two classes or more"
        )
    listing.parts = [TRAIN if image.part is None else image.part for image in images.values()]
    listing.groups = [image.group for image in images.values()] if columns.group else []
    position = {name: index for index, name in enumerate(listing.names)}
    chosen = [tuple(sorted(position[label] for label in image.labels)) for image in images.values()]
    if columns.several:
        listing.sets = sorted(set(chosen))
        place = {each: index for index, each in enumerate(listing.sets)}
        listing.labels = [place[each] for each in chosen]
    else:
        listing.labels = [each[0] for each in chosen]
    return listing


def _labels(row: Row, columns: Columns) -> list[str]:
    if not columns.labels:
        value, where = row.values.get(columns.label), f"{row.where}: {columns.label!r}"
        if columns.several:
            return labels_of(value, columns.separator, where)
        label = label_of(value, where)
        return [] if label is None else [label]
    held = []
    for name in columns.labels:
        value = str(row.values.get(name, "")).strip().lower()
        if value in ("1", "1.0", "true"):
            held.append(name)
        elif value not in ("0", "0.0", "false"):
            raise UsageError(f"{row.where}: {name!r} is {value!r}; label_columns hold 0 or 1")
    return held


def _file_column(table: Path, columns: Columns, present: set[str]) -> str:
    known = [columns.file] if columns.file else _FILE_COLUMNS
    for name in known:
        if name in present:
            return name
    raise UsageError(
        f"{table} has no column {known[0]!r}; name the column of the files by --data.file_column: "
        f"there are {', '.join(sorted(present)) or 'none'}"
    )


def _no_column(table: Path, name: str, of_groups: bool, present: set[str]) -> UsageError:
    what, option = ("groups", "group_column") if of_groups else ("labels", "label_column")
    return UsageError(
        f"{table} has no column {name!r}; name the column of {what} by --data.{option}: there are "
        f"{', '.join(sorted(present)) or 'none'} beside that of the files"
    )


def _part_column(
    table: Path, columns: Columns, rows: Sequence[Row]
) -> tuple[str | None, list[str]]:
    """The column of parts, and what is told of it."""
    for name in [columns.part] if columns.part else _PART_COLUMNS:
        values = Counter(str(row.values.get(name) or "").strip() for row in rows)
        if set(values) <= {""}:
            if columns.part:
                raise UsageError(f"{table} has no column {name!r} of parts; see part_column")
            continue
        strange = [value for value in values if part_of(value) is None]
        if strange and not columns.part:
            return None, [
                f"the column {name!r} holds {strange[0]!r}, which is not a part of the data: it is "
                "not used (--data.part_column states it otherwise)"
            ]
        if name == columns.label or name in columns.labels:
            continue
        read_as = {
            value: PART_NAMES[part] for value in values if (part := part_of(value)) is not None
        }
        text = ", ".join(f"{value} is {part}" for value, part in read_as.items())
        return name, [f"parts come from the column {name!r}: {text}"]
    return None, []


def _has_class_folders(root: Path, walk: Walk) -> bool:
    folders = [folder for folder in visible_folders(root) if walk.any(folder)]
    parts = [folder for folder in folders if part_of(folder.name) is not None]
    if parts:
        return any(walk.any(inside) for part in parts for inside in visible_folders(part))
    return len(folders) > 1


def _is_in(path: str, root: Path) -> bool:
    return Path(path).is_relative_to(root)
