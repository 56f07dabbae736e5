"""Everything that is wrong with a folder, in one report."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zoo.plugin import MissingDependencyError, UsageError
from zoo_lipreading.errors import LeftOutError

log = logging.getLogger(__name__)
SHOWN = 20


class ErrorCollector:
    """Collects what is wrong with single files.

    Args:
        where: The folder they are in.
        skip: Leave faulty files out instead of refusing the folder.

    Attributes:
        faulty: File to what is wrong with it.
        left_out: File to the reason why it has nothing to learn from.
    """

    def __init__(self, where: object, skip: bool) -> None:
        self.where = where
        self.skip = skip
        self.faulty: dict[str, str] = {}
        self.left_out: dict[str, str] = {}

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """Note the UsageError that comes out of the block as a problem of the file, but for a
        missing package, which is none of a file."""
        try:
            yield
        except MissingDependencyError:
            raise
        except LeftOutError as error:
            self.left_out[str(path)] = str(error)
        except UsageError as error:
            self.faulty[str(path)] = str(error)

    def report(self) -> dict[str, str]:
        """All that is left out and why, after a warning.

        Raises:
            UsageError: there are faulty files and no leave to skip them.
        """
        if self.faulty and not self.skip:
            if len(self.faulty) == 1:
                (reason,) = self.faulty.values()
                raise UsageError(f"{reason}; or leave it out with --data.skip_faulty true")
            raise UsageError(
                f"{len(self.faulty)} files under {self.where} cannot be used; mend or remove "
                f"them, or leave them out with --data.skip_faulty true:{_lines(self.faulty)}"
            )
        skipped = {**self.faulty, **self.left_out}
        if skipped:
            count = "one file is" if len(skipped) == 1 else f"{len(skipped)} files are"
            log.warning("%s: %s left out:%s", self.where, count, _lines(skipped))
        return skipped


def _lines(reasons: dict[str, str]) -> str:
    lines = list(reasons.values())[:SHOWN]
    if len(reasons) > SHOWN:
        lines.append(f"and {len(reasons) - SHOWN} more")
    return "".join(f"\n  {line}" for line in lines)
