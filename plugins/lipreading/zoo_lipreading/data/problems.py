"""Everything that is wrong with a folder, in one report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.errors import UsageError

log = logging.getLogger(__name__)
SHOWN = 20


class Problems:
    """Collects what is wrong with single files.

    Args:
        where: The folder they are in.
        skip: Leave such files out instead of refusing the folder.

    Attributes:
        reasons: File to what is wrong with it.
    """

    def __init__(self, where: object, skip: bool) -> None:
        self.where = where
        self.skip = skip
        self.reasons: dict[str, str] = {}

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """Note the UsageError that comes out of the block as a problem of the file."""
        try:
            yield
        except UsageError as error:
            self.reasons[str(path)] = str(error)

    def report(self) -> dict[str, str]:
        """What is left out, after a warning.

        Raises:
            UsageError: there are problems and no leave to skip.
        """
        if not self.reasons:
            return {}
        count = len(self.reasons)
        lines = list(self.reasons.values())[:SHOWN]
        if count > SHOWN:
            lines.append(f"and {count - SHOWN} more")
        text = "\n  ".join(lines)
        if not self.skip:
            if count == 1:
                raise UsageError(f"{lines[0]}; or leave it out with --data.skip_faulty true")
            raise UsageError(
                f"{count} files under {self.where} cannot be used; mend or remove them, or leave "
                f"them out with --data.skip_faulty true:\n  {text}"
            )
        log.warning("%d files under %s are left out:\n  %s", count, self.where, text)
        return self.reasons
