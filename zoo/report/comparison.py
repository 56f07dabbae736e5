"""What a comparison leaves behind: ``summary.json``, ``summary.csv``, a picture of the curves, and
the page ``report.html``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from zoo.errors import UsageError
from zoo.io.atomic import write_atomically
from zoo.io.failures import system_failure
from zoo.io.plain_json import to_json
from zoo.report.comparison_page import comparison_page
from zoo.report.page import FILE
from zoo.runs.compare import Comparison
from zoo.runs.run import require_name

SUMMARY = "summary.json"


def require_own(folder: str | Path) -> None:
    """Refuse a folder that holds something else than an earlier comparison.

    Raises:
        UsageError: it is a file, or a folder with other things in it.
    """
    require_name(folder)
    folder = Path(folder)
    try:
        other = folder.exists() and not folder.is_dir()
        other = other or (folder.is_dir() and any(folder.iterdir()))
    except OSError as error:
        raise UsageError(system_failure(error, "the folder cannot be used")) from error
    if other and not (folder / SUMMARY).is_file():
        raise UsageError(f"{folder} exists and is not empty: choose another --out")


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """Write a comparison; files of an earlier one are replaced.

    Args:
        comparison: What ``zoo.compare`` found.
        folder: Where; it is made.

    Raises:
        UsageError: the folder cannot be written.
    """
    try:
        summary = to_json(comparison.as_dict()) + "\n"
        write_atomically(folder / SUMMARY, summary.encode("utf-8", "backslashreplace"))
        rows = to_csv(comparison).encode("utf-8", "backslashreplace")
        write_atomically(folder / "summary.csv", rows)
        _draw(comparison, folder / "plots" / "curves.png")
        write_atomically(folder / FILE, comparison_page(comparison, folder).encode())
    except OSError as error:
        raise UsageError(system_failure(error, "the comparison cannot be written")) from error


def to_csv(comparison: Comparison) -> str:
    """A line a row and metric: mean, interval, standard deviation, n."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["row", "recipe", "changed", "metric", "mean", "low", "high", "std", "n"])
    for row in comparison.rows:
        changed = ", ".join(f"{key}={value}" for key, value in row.changed.items())
        for name in (*comparison.validation, *comparison.test, *comparison.counts):
            if name in row.metrics:
                each = row.metrics[name]
                values = [each.mean, each.low, each.high, each.std, each.n]
                writer.writerow([row.label, row.recipe, changed, name, *values])
    return text.getvalue()


def _draw(comparison: Comparison, path: Path) -> None:
    if not any(comparison.curves.values()):
        return
    from zoo import plots  # these load matplotlib
    from zoo.report.bands import bands

    titles = {row.label: f"{row.label}  {row.title}" for row in comparison.rows}
    plots.save(bands(comparison.curves, titles), path)
