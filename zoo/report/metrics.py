"""Metrics as tables and charts."""

from __future__ import annotations

import math
from collections.abc import Mapping

from zoo.io.series import STAGES, Series, by_quantity
from zoo.report.charts import Chart, chained, most_points
from zoo.report.markup import Markup, element, markup, table
from zoo.runs.target import Target, read_target

_MOST_ROWS = 400
_MOST_CHARTS = 60
WAYS = {"max": "at least", "min": "at most"}


def number(value: float) -> str:
    """A metric for people; a count in full."""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def verdict(target: Target, value: float | None) -> Markup:
    """Whether a target is reached, in a word."""
    if value is None:
        return element("span", "not measured", class_="missed")
    met = target.met(value)
    return element("span", "met" if met else "missed", class_="met" if met else "missed")


def headline(about: Mapping[str, object], metrics: Mapping[str, float]) -> Markup:
    """The metric of the target beside it, and where the target comes from."""
    target = read_target(about)
    if target is None:
        return Markup("")
    value = metrics.get(target.metric)
    shown = [
        element("span", target.metric, class_="soft"),
        element("b", "-" if value is None else number(value)),
        verdict(target, value),
        f": the target is {WAYS[target.mode]} {target.value:g}",
    ]
    said = [
        element("p", f"{label}: {about[key]}", class_="soft")
        for key, label in (
            ("source", "Target"),
            ("differs", "What differs from the publication"),
            ("paper_result", "In the publication"),
        )
        if about.get(key)
    ]
    return element("div", [element("div", shown, class_="result"), *said], class_="results")


def metrics_tables(metrics: Mapping[str, float]) -> Markup:
    """Metrics by stage; those of single classes, whose names have a second slash, by class."""
    whole: dict[str, dict[str, float]] = {}
    single: dict[str, dict[str, dict[str, float]]] = {}
    counted: dict[str, float] = {}
    for name, value in list(metrics.items())[: 10 * _MOST_ROWS]:
        stage, _, quantity = name.partition("/")
        measure, _, which = quantity.partition("/")
        if stage not in STAGES or not quantity:
            counted[name] = value
        elif which:
            single.setdefault(stage, {}).setdefault(which, {})[measure] = value
        else:
            whole.setdefault(quantity, {})[stage] = value
    shown = [_table("metric", whole, STAGES)] if whole else []
    if counted:
        rows = [(name, number(value)) for name, value in sorted(counted.items())]
        shown.append(table(("counted", ""), rows, class_="numbers"))
    for stage, rows_ in sorted(single.items()):
        measures = sorted({measure for row in rows_.values() for measure in row})
        shown.append(element("h3", f"{stage}, in detail"))
        shown.append(_table("", rows_, measures))
    return markup(shown)


def _table(
    first: str, rows: Mapping[str, Mapping[str, float]], columns: tuple[str, ...] | list[str]
) -> Markup:
    used = [column for column in columns if any(column in row for row in rows.values())]
    chosen = sorted(rows)[:_MOST_ROWS]
    cells = [
        [name, *(number(rows[name][column]) if column in rows[name] else "" for column in used)]
        for name in chosen
    ]
    left = len(rows) - len(chosen)
    more = element("p", f"{left} more in metrics.json", class_="soft") if left else Markup("")
    return markup([table([first, *used], cells, class_="numbers"), more])


def charts(metrics: Mapping[str, Series], x: str, about: Mapping[str, object]) -> Markup:
    """A chart a quantity, train and val together; a test and the target are lines across.

    Args:
        metrics: Logged name to its points.
        x: What their first number is.
        about: Of the recipe, for its target.
    """
    panels, _ = by_quantity(metrics)
    panels.pop(x.replace(" ", "_"), None)
    target = read_target(about)
    chosen = sorted(panels, key=lambda name: ("/" in name, name))[:_MOST_CHARTS]
    most = most_points(sum(len(panels[name]) for name in chosen))
    drawn = []
    for name in sorted(chosen):
        series = {stage: points for stage, points in panels[name].items() if stage != "test"}
        levels = {}
        if "test" in panels[name]:
            if len(panels[name]["test"]) == 1:
                levels["test"] = panels[name]["test"][0][1]
            else:
                series["test"] = panels[name]["test"]
        if target and target.metric.partition("/")[2] == name:
            levels["target"] = target.value
        drawn.append(Chart(name, series, x, levels, most).draw())
    return chained(drawn)
