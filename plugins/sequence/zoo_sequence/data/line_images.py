"""Images of lines of text of one's own with their texts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from zoo.plugin import UsageError
from zoo_sequence.data.transcribed_folder import TranscribedFolder, read_table
from zoo_sequence.lines import SUFFIXES, LineFrontEnd

_TEXTS = (".gt.txt", ".txt")
_SHOWN = 5


class LineImages(TranscribedFolder):
    """A folder of images, each of one line of text, and their texts: in a table,
    ``transcripts.csv``, with the columns ``file`` and ``text`` (and ``part``: train, val or test),
    or, where there is no table, beside each image in a file of its name that ends in ``.gt.txt`` or
    ``.txt``.

    Images are scaled to ``height`` rows, and inverted where the paper is dark, which the line at
    the start of a training says. Without a column ``part`` images are divided at random, always in
    the same way; with a column ``speaker`` (the writer) no writer is in two parts.

    Args:
        root: The folder.
        batch_size: Images of a training step.
        num_workers: Processes that read images.
        seed: Of order and augmentation; the parts do not depend on it.
        split: ``standard``; of ``all`` everything is the test part.
        table: The name of the table in the folder.
        unit: What a symbol is: ``characters`` or ``words`` of the text.
        symbols: All there are; those of the texts, if None. A text with another is refused.
        val_fraction: Share that is the validation.
        test_fraction: Share that is the test.
        height: Rows to which images are scaled.
        columns: Neighboring columns joined into a frame.
        warp: In training the height is changed by a random factor up to this from 1.
        tempo: In training the width is changed by a random factor up to this from 1.

    Raises:
        UsageError: an argument is out of its range.
    """

    sample_name = "image"
    _remedy = "--data.columns"

    def __init__(
        self,
        root: str = "data/line-images",
        batch_size: int = 16,
        num_workers: int = 0,
        seed: int = 0,
        split: str = "standard",
        table: str = "transcripts.csv",
        unit: Literal["characters", "words"] = "characters",
        symbols: list[str] | None = None,
        val_fraction: float = 0.1,
        test_fraction: float = 0.2,
        height: int = 32,
        columns: int = 2,
        warp: float = 0.1,
        tempo: float = 0.1,
    ) -> None:
        super().__init__(
            root,
            batch_size,
            num_workers,
            seed,
            split,
            table,
            unit,
            symbols,
            val_fraction,
            test_fraction,
            LineFrontEnd(height, columns),
            warp,
            tempo,
        )

    def rows(self) -> list[dict[str, str]]:
        """Of the table, or of the texts beside the images."""
        root = Path(self.root)
        if (root / self.table).is_file() or not root.is_dir():
            return read_table(root, self.table)
        rows, lacking = texts_beside(root)
        if not rows:
            raise UsageError(
                f"{root} has neither {self.table}, with the columns file and text, nor images with "
                "texts of their name (a.png and a.txt): write one of them, or point --data.root at "
                "another folder"
            )
        if lacking:
            more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
            raise UsageError(
                f"{root}: {len(lacking)} images have no text, or an empty one, beside them: "
                f"{', '.join(lacking[:_SHOWN])}{more}; write it, or take the image away"
            )
        return rows


def texts_beside(root: Path) -> tuple[list[dict[str, str]], list[str]]:
    """Rows of images that have a text beside them, and the names of those that have none.

    Raises:
        UsageError: a text is not in UTF-8.
    """
    rows, lacking = [], []
    for path in sorted(each for each in root.iterdir() if each.suffix.lower() in SUFFIXES):
        beside = [path.with_suffix(suffix) for suffix in _TEXTS]
        found = next((each for each in beside if each.is_file()), None)
        try:
            text = found.read_text(encoding="utf-8-sig").strip() if found else ""
        except UnicodeDecodeError as error:
            raise UsageError(f"{found} cannot be read as text in UTF-8: {error}") from error
        if found and text:
            rows.append({"file": path.name, "text": text, "where": found.name})
        else:
            lacking.append(path.name)
    return rows, lacking
