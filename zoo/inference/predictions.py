"""The result of a prediction, and its files."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zoo.inference.rows import to_csv
from zoo.io.atomic import write_atomically
from zoo.io.plain_json import to_json

SECONDS = 5.0
"""Between two writings of the predictions so far."""


@dataclass
class Predictions:
    """The result of a prediction.

    Attributes:
        rows: One for every file that could be read: ``file`` and what the model says of it; or
            one for everything that it produced by itself.
        failures: File to the reason why it could not be predicted.
        pictures: The pictures written.
        shown: Files on them, but for those that are there again since the model is least sure.
        folder: Where everything was written, if anything was.
        row_name: The first column: ``file``, or what the model calls one of its products.
        written: When that was last done, on the clock of ``time.monotonic``.
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    pictures: list[Path] = field(default_factory=list)
    shown: int = 0
    folder: Path | None = None
    row_name: str = "file"
    written: float = field(default_factory=time.monotonic, repr=False)

    def write(self) -> None:
        """Write the table and the JSON file into the folder, if there is one."""
        if self.folder is None:
            return
        content = {"predictions": self.rows, "failures": self.failures}
        write_atomically(self.folder / "predictions.json", (to_json(content) + "\n").encode())
        write_atomically(self.folder / "predictions.csv", to_csv(self.rows, self.row_name).encode())

    def write_now_and_then(self) -> None:
        """Write what there is, at most every few seconds: a kill loses no more than these."""
        if self.folder and time.monotonic() - self.written > SECONDS:
            self.write()
            self.written = time.monotonic()
