"""The page of a comparison: its rows, their differences and their curves."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from zoo.report.charts import Chart, chained, most_points
from zoo.report.markup import Content, Markup, element, markup, table
from zoo.report.metrics import WAYS, number
from zoo.report.page import FILE, page, section
from zoo.runs.compare import Comparison
from zoo.runs.curves import Curve
from zoo.runs.rows import Row
from zoo.runs.summaries import Summary

_MOST_ROWS = 300
_MOST_CHARTS = 40


def comparison_page(comparison: Comparison, folder: Path) -> str:
    """The HTML of a comparison.

    Args:
        comparison: What ``zoo.compare`` found.
        folder: Where the page will lie, which its links begin at.
    """
    rows = comparison.rows
    count = sum(len(row.runs) for row in rows)
    title = rows[0].recipe if len({row.recipe for row in rows}) == 1 else "Comparison"
    kinds = f"{count} run{'s' * (count != 1)} in {len(rows)} row{'s' * (len(rows) != 1)}"
    said = [
        element("p", f"{kinds}, {comparison.order}.", class_="soft"),
        element("h1", title),
        *(element("p", note) for note in comparison.notes),
    ]
    test = "Not to choose by: what is chosen by the test part is no longer tested."
    content = [
        element("header", said),
        section("Validation", metrics_of_rows(rows, comparison.validation)),
        section("Test", _with(element("p", test), metrics_of_rows(rows, comparison.test))),
        section("Counted", metrics_of_rows(rows, comparison.counts)),
        section("Curves", _charts(comparison)),
        section("Differences", _differences(comparison)),
        section("Recipes", _apart(rows, comparison.recipes, "The recipes are the same.")),
        section("Environments", _apart(rows, comparison.environments, "")),
        section("Runs", _runs(rows, folder)),
        section("Continue", element("pre", "\n".join(_commands(rows)))),
        element("footer", comparison.method),
    ]
    return page(title, content)


def metrics_of_rows(rows: Sequence[Row], names: Sequence[str]) -> Markup:
    """A line a row, a column a metric, each the mean and its interval; the target's verdict.

    Args:
        rows: Of a comparison.
        names: The metrics.
    """
    used = [name for name in names if any(name in row.metrics for row in rows)]
    if not used:
        return Markup("")
    aimed = any(row.target and row.target.get("metric") in used for row in rows)
    lines = []
    for row in rows[:_MOST_ROWS]:
        cells: list[Content] = [f"{row.label}  {row.title}", str(len(row.runs))]
        cells += [_target(row, used)] if aimed else []
        lines.append([*cells, *(_interval(row.metrics.get(name)) for name in used)])
    head = ["row", "n", *(["target"] if aimed else []), *used]
    return table(head, lines, class_="numbers")


def _interval(summary: Summary | None) -> str:
    if summary is None:
        return ""
    ends = summary.low, summary.high
    if ends[0] is None or ends[1] is None:
        return number(summary.mean)
    return f"{number(summary.mean)} [{number(ends[0])}, {number(ends[1])}]"


def _target(row: Row, names: Sequence[str]) -> Markup:
    target = row.target
    if not target or target.get("metric") not in names:
        return Markup("")
    met, runs = row.met, len(row.runs)
    verdict = element("span", f"met by {met} of {runs}", class_="met" if met == runs else "missed")
    wanted = f" ({target['metric']} {WAYS[target['mode']]} {target['value']:g})"
    return markup([verdict, wanted])


def _with(before: Markup, content: Markup) -> Markup:
    return markup([before, content]) if content else content


def _charts(comparison: Comparison) -> Markup:
    metrics = dict.fromkeys(c.metric for row in comparison.curves.values() for c in row)
    twins = {name for name in metrics if name.endswith("error")}
    twins = {name for name in twins if f"{name.removesuffix('error')}accuracy" in metrics}
    chosen = [name for name in metrics if name not in twins][:_MOST_CHARTS]
    most = most_points(2 * len(chosen) * len(comparison.rows))
    titles = {row.label: f"{row.label}  {row.title}" for row in comparison.rows}
    drawn = []
    for metric in chosen:
        found = {
            titles.get(label, label): curve
            for label, row in comparison.curves.items()
            for curve in row
            if curve.metric == metric
        }
        units = " / ".join(dict.fromkeys(each.unit.replace("_", " ") for each in found.values()))
        drawn.append(_chart(metric, found, units, most))
    return chained(drawn)


def _chart(metric: str, curves: Mapping[str, Curve], unit: str, most: int) -> Markup:
    series = {name: list(zip(c.x, c.mean, strict=True)) for name, c in curves.items()}
    bands = {
        name: list(zip(c.x, c.low, c.high, strict=True))[:: max(1, len(c.x) // most)]
        for name, c in curves.items()
        if len(c.runs) > 1
    }
    return Chart(metric, series, unit, None, most, bands).draw()


def _differences(comparison: Comparison) -> Markup:
    lines = []
    for each in comparison.differences[:_MOST_ROWS]:
        said = {True: "beyond what the seeds do", False: "within what the seeds do"}
        between = (
            ""
            if each.low is None or each.high is None
            else (f"[{number(each.low)}, {number(each.high)}]")
        )
        verdict = "one seed tells nothing of it"
        if each.beyond_seeds is not None:
            verdict = said[each.beyond_seeds]
        pair = f"{each.one} - {each.other}"
        lines.append([each.metric, pair, number(each.difference), between, verdict])
    if not lines:
        return Markup("")
    return table(("metric", "rows", "difference", "interval", ""), lines)


def _apart(rows: Sequence[Row], values: Mapping[str, Mapping[str, Any]], alike: str) -> Markup:
    """What differs, a column a row of the comparison."""
    if not values:
        return element("p", alike) if alike and len(rows) > 1 else Markup("")
    lines = [
        [key, *(_text(by_label.get(row.label)) for row in rows)]
        for key, by_label in list(values.items())[:_MOST_ROWS]
    ]
    return table(["key", *(row.label for row in rows)], lines)


def _text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 200 else text[:200] + "…"


def _runs(rows: Sequence[Row], folder: Path) -> Markup:
    lines = []
    for row in rows:
        for place, run in enumerate(row.runs):
            seed = row.seeds[place] if place < len(row.seeds) else ""
            lines.append([row.label, link(run, folder), str(seed)])
    return table(("row", "run", "seed"), lines[:_MOST_ROWS])


def link(run: str | Path, folder: Path) -> Content:
    """A run's name, which leads to its page where there is one.

    Args:
        run: Its folder.
        folder: Where the link begins.
    """
    path = Path(run)
    if not (path / FILE).is_file():
        return str(run)
    try:
        relative = os.path.relpath(path / FILE, folder)
    except ValueError:  # on another drive of Windows
        return str(run)
    return element("a", str(run), href=Path(relative).as_posix())


def _commands(rows: Sequence[Row]) -> list[str]:
    best = rows[0].runs[0]
    return [f"zoo test {best}", f"zoo export {best} --format onnx --out model.onnx"]
