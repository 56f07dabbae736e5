"""Folders of one's own with a table of what is said or written in each file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from zoo.plugin import FoldSamples, Part, UsageError, fractions, one_of
from zoo_sequence.data.recordings import (
    RecordingData,
    Utterance,
    generator,
    require_long_enough,
)
from zoo_sequence.front_ends import AnyFrontEnd

_SHOWN = 5


class TranscribedFolder(RecordingData):
    """Base of a folder of files and a table with the columns ``file`` and ``text``, and, where they
    are known, ``speaker`` and ``part`` (train, val or test).

    Without a column ``part``, speakers (of a table without speakers, files) are divided at random,
    always in the same way.

    Args:
        root: The folder.
        batch_size: Files of a training step.
        num_workers: Processes that compute frames.
        seed: Of order and augmentation; the parts do not depend on it.
        split: ``standard``; of ``all`` everything is the test part.
        table: The name of the table in the folder.
        unit: What a symbol is: ``characters`` or ``words`` of the text.
        symbols: All there are; those of the texts, if None. A text with another is refused.
        val_fraction: Share that is the validation.
        test_fraction: Share that is the test.
        front_end: Makes frames of a file.
        warp: Of the augmentation, see ``RecordingData``.
        tempo: Of the augmentation.
    """

    keep_best = True
    _remedy = ""
    """The option that makes more frames of a file."""

    def __init__(
        self,
        root: str,
        batch_size: int,
        num_workers: int,
        seed: int,
        split: str,
        table: str,
        unit: Literal["characters", "words"],
        symbols: list[str] | None,
        val_fraction: float,
        test_fraction: float,
        front_end: AnyFrontEnd,
        warp: float,
        tempo: float,
    ) -> None:
        super().__init__(root, batch_size, num_workers, seed, split, front_end, warp, tempo)
        one_of("unit", unit, ("characters", "words"))
        fractions(val_fraction=val_fraction, test_fraction=test_fraction)
        self.table, self.unit, self.symbols = table, unit, symbols
        self.val_fraction, self.test_fraction = val_fraction, test_fraction
        self._found: dict[Part, list[Utterance]] | None = None
        self._names: list[str] = []
        self._pool = FoldSamples([])

    @property
    def label_names(self) -> list[str]:
        """The blank and the symbols."""
        self._read()
        return ["-" if "-" not in self._names else "", *self._names]

    def rows(self) -> list[dict[str, str]]:
        """A row for each: ``file``, ``text``, ``where`` it stands, and what else the table has.

        Raises:
            UsageError: there are none, or some are incomplete.
        """
        return read_table(Path(self.root), self.table)

    @property
    def where_texts_are(self) -> Path:
        """The table, or the folder where there is none."""
        path = Path(self.root) / self.table
        return path if path.is_file() else path.parent

    def fold_samples(self) -> FoldSamples:
        """What is trained and validated on, in the order of the table; the groups are the speakers,
        where the table knows them."""
        self._read()
        return self._pool

    def utterances(self, part: Part) -> list[Utterance]:
        return self._read()[part]

    def length(self, part: Part) -> int:
        return len(self.utterances(part))

    def draw(self, part: Part, number: int) -> Utterance:
        """All of them in a new order each epoch, which the seed decides."""
        found = self.utterances(part)
        if part == "train":
            epoch, place = divmod(number, len(found))
            order = torch.randperm(len(found), generator=generator("order", self.seed, epoch))
            number = int(order[place])
        return found[number]

    def _read(self) -> dict[Part, list[Utterance]]:
        if self._found is None:
            rows = self.rows()
            self._names = self._symbols(rows)
            numbers = {name: index + 1 for index, name in enumerate(self._names)}
            utterances = [
                Utterance(
                    row["file"],
                    self.front_end.read(Path(self.root) / row["file"]),
                    tuple(numbers[each] for each in self._tokens(row["text"])),
                    row.get("speaker", ""),
                )
                for row in rows
            ]
            require_long_enough(
                self.root, self.front_end, f"{self.sample_name}s", self._remedy, utterances
            )
            found: dict[Part, list[Utterance]] = {"train": [], "val": [], "test": []}
            parts = self._folded(self._parts_of(rows), utterances)
            for part, utterance in zip(parts, utterances, strict=True):
                found[part].append(utterance)
            self._found = found
        return self._found

    def _folded(self, parts: list[Part], utterances: Sequence[Utterance]) -> list[Part]:
        """The parts, training and validation divided as a fold says where there is one."""
        places = [place for place, part in enumerate(parts) if part != "test"]
        pool = [utterances[place] for place in places]
        speakers = [each.speaker or each.name for each in pool]
        known = any(each.speaker for each in pool)
        self._pool = FoldSamples(
            [each.name for each in pool], None, speakers if known else None, "speaker"
        )
        if self.fold is not None:
            chosen = self.fold.is_val(self._pool, self.root)
            for place, val in zip(places, chosen, strict=True):
                parts[place] = "val" if val else "train"
        return parts

    def _tokens(self, text: str) -> list[str]:
        return text.split() if self.unit == "words" else list(" ".join(text.split()))

    def _symbols(self, rows: Sequence[dict[str, str]]) -> list[str]:
        if self.symbols is None:
            return sorted({token for row in rows for token in self._tokens(row["text"])})
        known = set(self.symbols)
        wrong = [
            f"{row['where']} {sorted(unknown)}"
            for row in rows
            if (unknown := set(self._tokens(row["text"])) - known)
        ]
        if wrong:
            more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
            raise UsageError(
                f"the texts of {self.where_texts_are} have symbols that are not in --data.symbols: "
                f"{', '.join(wrong[:_SHOWN])}{more}"
            )
        return list(self.symbols)

    def _parts_of(self, rows: Sequence[dict[str, str]]) -> list[Part]:
        if self.split == "all":
            return ["test"] * len(rows)
        if "part" in rows[0]:
            return [_part(row, Path(self.root) / self.table) for row in rows]
        groups = [row.get("speaker") or row["file"] for row in rows]
        names = sorted(set(groups))
        order = torch.randperm(len(names), generator=generator("parts")).tolist()
        tested = round(self.test_fraction * len(names))
        validated = round(self.val_fraction * len(names))
        part: dict[str, Part] = {}
        for place, index in enumerate(order):
            after = "val" if place < tested + validated else "train"
            part[names[index]] = "test" if place < tested else after  # type: ignore[assignment]
        return [part[group] for group in groups]


def read_table(root: Path, name: str) -> list[dict[str, str]]:
    """The rows of a table of transcripts, each with ``where`` it stands.

    Raises:
        UsageError: folder or table are missing, columns are, a row is empty, or a file is.
    """
    path = root / name
    if not path.is_file():
        raise UsageError(
            f"there is no {path}: write a table with the columns file and text, "
            "or name another by --data.root and --data.table"
        )
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            rows = [{**row, "where": f"line {reader.line_num}"} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as a table in UTF-8: {error}") from error
    if missing := {"file", "text"} - set(columns):
        raise UsageError(
            f"{path} has no column {' and no '.join(sorted(missing))}; it has {columns}"
        )
    if not rows:
        raise UsageError(f"{path} has no rows: write one for each recording")
    faults = [fault for row in rows if (fault := _fault(row, root))]
    if faults:
        more = f" and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise UsageError(f"{path}: {', '.join(faults[:_SHOWN])}{more}")
    return rows


def _fault(row: dict[str, str], root: Path) -> str:
    if not (row["file"] or "").strip() or not (row["text"] or "").strip():
        return f"{row['where']} has no file or no text"
    if not (root / row["file"]).is_file():
        return f"{row['where']} names {row['file']}, which is not there"
    return ""


def _part(row: dict[str, str], path: Path) -> Part:
    value = (row["part"] or "").strip()
    if value not in ("train", "val", "test"):
        raise UsageError(
            f"{path}: {row['where']} has the part {value!r}: it has to be train, val or test"
        )
    return value  # type: ignore[return-value]
