"""The page of a group of runs: what became of each, their curves on one picture, its plots."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.io.atomic import write_atomically
from zoo.io.series import Series
from zoo.report.charts import Chart, chained, most_points
from zoo.report.comparison_page import link
from zoo.report.markup import Content, Markup, element, table
from zoo.report.metrics import number
from zoo.report.page import FILE, LIMIT, page, section
from zoo.report.pictures import Picture, show_pictures
from zoo.runs.group import Group
from zoo.runs.history import counters_of_rows, read_history, series
from zoo.runs.record import RunRecord, read_record

_MOST_ROWS = 500
_MOST_COLUMNS = 14
_MOST_CURVES = 40
_MOST_CHARTS = 12
_TITLES = {"seeds": "Seeds", "crossval": "Folds", "sweep": "Trials"}


def write_group_report(group: Group, notes: tuple[str, ...] = ()) -> Path:
    """Write ``report.html`` into the folder of a group, from its files alone.

    Args:
        group: Its members may be missing, unfinished or failed; ``summary.csv`` and the pictures in
            ``plots`` are shown where there are any.
        notes: Sentences to say above.

    Returns:
        The file.
    """
    records = {name: read_record(run.path) for name, run in group.runs.items()}
    done = sum(record.measured for record in records.values())
    state = f"{done} of {len(records)} runs finished"
    title = f"{group.recipe}: {group.kind}"
    content = [
        element(
            "header",
            [
                element("p", f"{group.path}, {state}", class_="soft"),
                element("h1", title),
                *(element("p", note) for note in notes),
            ],
        ),
        section(_TITLES.get(group.kind, "Runs"), _members(group, records)),
        section("Curves", _charts(records)),
        section("Summary", _summary(group.path / "summary.csv")),
    ]
    settings = {key: _text(value) for key, value in group.settings.items() if _short(value)}
    after = [
        section("Settings", table(("key", "value"), settings.items()) if settings else ""),
        section("Continue", element("pre", f"zoo runs {group.path}\nzoo compare {group.path}")),
    ]
    taken = len(page(title, [*content, *after]).encode())
    files = [each for each in sorted((group.path / "plots").glob("*.png")) if each.stem != "curves"]
    pictures = [Picture(path, path.stem.replace("_", " ")) for path in files]
    content.append(section("Plots", show_pictures(pictures, LIMIT - taken - 2_000)))
    path = group.path / FILE
    write_atomically(path, page(title, [*content, *after]).encode())
    return path


def _members(group: Group, records: Mapping[str, RunRecord]) -> Markup:
    keys = list(dict.fromkeys(key for values in group.members.values() for key in values))
    keys = [key for key in keys if all(_short(v.get(key)) for v in group.members.values())][:6]
    target = next((record.target for record in records.values() if record.target), None)
    aimed = [target.metric, f"val/{target.metric.partition('/')[2]}"] if target else []
    metrics = [m for m in aimed if any(m in record.metrics for record in records.values())]
    lines = []
    for name, record in list(records.items())[:_MOST_ROWS]:
        cells: list[Content] = [link(record.path, group.path) if record.measured else name]
        cells += [_text(group.members[name].get(key)) for key in keys]
        cells += [record.state]
        cells += [number(record.metrics[m]) if m in record.metrics else "" for m in metrics]
        cells += ["" if record.seconds is None else f"{record.seconds:.1f} s", record.problem]
        lines.append(cells)
    return table(["run", *keys, "state", *metrics, "time", ""], lines)


def _short(value: Any) -> bool:
    return len(_text(value)) <= 80


def _charts(records: Mapping[str, RunRecord]) -> Markup:
    """A chart a validation metric, a curve a run; of training where nothing is validated."""
    found: dict[str, dict[str, Series]] = {}
    x = "epoch"
    for name, record in list(records.items())[:_MOST_CURVES]:
        try:
            rows, _ = read_history(record.path / "metrics.csv")
        except OSError:  # what is wrong with the run stands in its line
            continue
        counts = counters_of_rows(rows)
        x = counts[0].replace("_", " ") if counts else x
        for metric, points in series(rows, counts).items():
            if len(points) > 1:
                found.setdefault(metric, {})[name] = points
    names = [name for name in found if name.startswith("val/")] or list(found)
    names = sorted(names, key=lambda name: (name.count("/") > 1, name))[:_MOST_CHARTS]
    most = most_points(sum(len(found[name]) for name in names))
    return chained([Chart(name, found[name], x, None, most).draw() for name in names])


def _summary(path: Path) -> Markup:
    """The table that the command itself wrote."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.reader(file))
    except (OSError, ValueError, csv.Error):  # it is not there yet
        return Markup("")
    if len(rows) < 2:
        return Markup("")
    head, *lines = [row[:_MOST_COLUMNS] for row in rows[: _MOST_ROWS + 1]]
    return table(head, [[_rounded(cell) for cell in row] for row in lines])


def _rounded(text: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text if len(text) <= 80 else text[:80] + "…"
    return text if value.is_integer() else f"{value:.5g}"


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False, default=str)
