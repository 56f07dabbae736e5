"""A comparison as text: for a terminal, and as a table to be pasted elsewhere."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from zoo.cli.output import heading, table, wrap
from zoo.io.printable import printable
from zoo.report.comparison import to_csv
from zoo.runs.compare import Comparison
from zoo.runs.rows import Row
from zoo.runs.seed_list import seeds_text
from zoo.runs.summaries import Difference, Summary

_MOST_DIFFERENCES = 24
_VERDICTS = {True: "more than seeds do", False: "less than seeds do", None: "cannot tell"}
_TEX = str.maketrans({**{each: f"\\{each}" for each in "&%$#_{}"}, "~": r"\textasciitilde{}"})


def as_text(comparison: Comparison) -> str:
    """All of it, in blocks: what is compared, what differs, the metrics, the differences."""
    several = len(comparison.rows) > 1
    blocks = [[line for row in comparison.rows for line in _described(row)]]
    blocks.append(_differing("Recipes differ in", comparison.recipes))
    blocks.append(_differing("Environments differ in", comparison.environments))
    if several:
        blocks.append([wrap(f"Rows are {comparison.order}.")])
    parts = {"Validation": comparison.validation, "Test": comparison.test}
    for title, names in {**parts, "Counted": comparison.counts}.items():
        blocks.append(_metrics(title, comparison.rows, names))
        blocks.append(_differences([d for d in comparison.differences if d.metric in names]))
    if alone := _alone(comparison):
        verb = "needs" if len(alone) == 1 else "need"
        blocks.append([f"One seed cannot tell: {', '.join(alone)} {verb} more (--seeds 1-5)."])
    blocks.append([wrap(printable(f"- {note}"), 0, 2) for note in comparison.notes])
    return "\n\n".join("\n".join(block) for block in blocks if block)


def as_table(comparison: Comparison, form: str) -> str:
    """The metrics with their intervals, a line a row.

    Args:
        comparison: What was compared.
        form: ``md``, ``tex`` (booktabs) or ``csv``.
    """
    if form == "csv":
        return to_csv(comparison)
    names = [*comparison.validation, *comparison.test, *comparison.counts]
    head = ["", "recipe", "seeds", *names]
    body = [
        [row.label, row.title, str(len(row.runs)), *(_cell(row.metrics.get(n)) for n in names)]
        for row in comparison.rows
    ]
    text = io.StringIO()
    if form == "md":
        for line in (head, ["---"] * len(head), *body):
            cells = (each.replace("|", "\\|") for each in line)
            text.write(f"| {' | '.join(cells)} |\n")
        return text.getvalue()
    text.write(f"\\begin{{tabular}}{{ll{'r' * (len(head) - 2)}}}\n\\toprule\n")
    for number, line in enumerate((head, *body)):
        text.write(" & ".join(each.translate(_TEX) for each in line) + " \\\\\n")
        text.write("\\midrule\n" if number == 0 else "")
    text.write("\\bottomrule\n\\end{tabular}\n")
    return text.getvalue()


def _described(row: Row) -> list[str]:
    count = len(row.runs)
    parts = [f"{'seed' if count == 1 else 'seeds'} {seeds_text(row.seeds)}"]
    if row.folds:
        parts = [f"folds {seeds_text(row.folds)}"]
    if row.seconds is not None:
        parts.append(f"{row.seconds:.0f} s of training{' each' if count > 1 else ''}")
    if row.target and row.target["metric"] in row.metrics:
        sign = "<=" if row.target["mode"] == "min" else ">="
        goal = f"{row.target['metric']} {sign} {row.target['value']:g}"
        parts.append(f"{goal} met by {row.met} of {count}")
    return [
        heading(wrap(printable(f"{row.label}  {row.title}"), 0, 3)),
        wrap(printable("; ".join(parts)), 3, 3),
    ]


def _differing(title: str, found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    if not found:
        return []
    cells = [
        [key, ", ".join(f"{label} {_short(value)}" for label, value in values.items())]
        for key, values in found.items()
    ]
    return [heading(title), *(printable(line) for line in table(cells, shorten=1, indent=2))]


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:18]}...{text[-18:]}"


def _metrics(title: str, rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    cells = [["metric", "", "mean", "95 % interval", "std", "n"]]
    for name in names:
        known = [row for row in rows if name in row.metrics]
        for place, row in enumerate(known):
            each = row.metrics[name]
            spread = "" if each.std is None else f"{each.std:.2g}"
            cells.append(
                [
                    "" if place else name,
                    row.label,
                    _number(each.mean),
                    _interval(each.low, each.high),
                    spread,
                    str(each.n),
                ]
            )
    return [heading(title), *table(cells, indent=2)] if names else []


def _differences(found: Sequence[Difference]) -> list[str]:
    if not found:
        return []
    cells = [["difference", "", "of means", "95 % interval", "that is"]]
    before = ""
    for each in found[:_MOST_DIFFERENCES]:
        cells.append(
            [
                "" if each.metric == before else each.metric,
                f"{each.one} - {each.other}",
                f"{each.difference:+.3g}",
                _interval(each.low, each.high),
                _VERDICTS[each.beyond_seeds],
            ]
        )
        before = each.metric
    lines = table(cells, shorten=0, indent=2)
    if len(found) > _MOST_DIFFERENCES:
        lines.append(f"  and {len(found) - _MOST_DIFFERENCES} more: --json, or --metric NAME")
    return lines


def _alone(comparison: Comparison) -> list[str]:
    """The rows of one seed, where their differences were to be told."""
    if all(each.beyond_seeds is not None for each in comparison.differences):
        return []
    return [row.label for row in comparison.rows if len(row.runs) == 1]


def _cell(each: Summary | None) -> str:
    if each is None:
        return ""
    interval = _interval(each.low, each.high)
    return f"{_number(each.mean)} [{interval}]" if interval else _number(each.mean)


def _interval(low: float | None, high: float | None) -> str:
    return "" if low is None or high is None else f"{_number(low)} to {_number(high)}"


def _number(value: float) -> str:
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.6g}"
