"""The files that the rows of a table, or the lines of a list, name."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from zoo.plugin import UsageError
from zoo_vision.data.table_rows import Row
from zoo_vision.data.visible import Walk

_SHOWN = 5


class FileNames:
    """From the name in a row to the file.

    A name is relative to the table's folder or to the root. Where there is no such file, the one
    image below the root is meant whose name is that, with or without its suffix.

    Args:
        root: The folder of the dataset.
        walk: Finds image files.
    """

    def __init__(self, root: Path, walk: Walk) -> None:
        self._root, self._walk = root, walk
        self._by_name: dict[str, list[str]] | None = None
        self._searched = 0
        self._missing: list[str] = []
        self._count = 0
        self._tables: set[Path] = set()

    def find(self, row: Row, column: str) -> str:
        """The path of a row's image; `require_all` refuses those that do not exist.

        Raises:
            UsageError: the row names none, or one outside the folder.
        """
        value = row.values.get(column)
        text = "" if value is None or isinstance(value, (list, dict)) else str(value).strip()
        if not text:
            raise UsageError(f"{row.where} has no {column}; every row needs the name of an image")
        name = Path(text.replace("\\", "/"))
        if name.is_absolute() or ".." in name.parts:
            raise UsageError(
                f"{row.where}: {str(name)!r} lies outside the table's folder; give names inside it"
            )
        self._tables.add(row.table)
        self._count += 1
        for folder in (row.table.parent, self._root):
            if (path := folder / name).is_file():
                return str(path)
        same = self._called(name)
        if len(same) == 1:
            self._searched += 1
            return same[0]
        path = row.table.parent / name
        self._missing.append(f"{path} (of that name there are {len(same)})" if same else str(path))
        return str(path)

    def _called(self, name: Path) -> list[str]:
        if len(name.parts) > 1 and name.suffix.lower() in self._walk.suffixes:
            return []  # the row says where it would be
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for path in Walk(self._walk.suffixes).files(self._root):
                for key in {Path(path).name, Path(path).stem}:
                    self._by_name[key].append(path)
        return [
            path
            for path in self._by_name.get(name.name, ())
            if len(name.parts) < 2 or str(Path(path).with_suffix("")).endswith(str(name))
        ]

    def require_all(self) -> None:
        """Refuse names of files that do not exist.

        Raises:
            UsageError: there are some; the first few are named.
        """
        if not self._missing:
            return
        more = f" and {len(self._missing) - _SHOWN} more" if len(self._missing) > _SHOWN else ""
        tables = ", ".join(sorted(map(str, self._tables)))
        raise UsageError(
            f"{len(self._missing)} of {self._count} images that {tables} lists do not exist: "
            f"{', '.join(self._missing[:_SHOWN])}{more}; add them or remove their rows"
        )

    def notes(self) -> list[str]:
        """What is told of names that are no paths."""
        if not self._searched:
            return []
        return [f"names in the table that are found by search below {self._root}: {self._searched}"]
