"""Curves as inline SVG: drawn without a script, values at the pointer with one."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zoo.io.series import Series, asks_for_log
from zoo.report.markup import Markup, element

WIDTH, HEIGHT = 360.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 352.0, 8.0, 196.0
COLORS = 10
"""Colors of the page's style; a curve beyond them is dashed."""
_TICKS = 5


@dataclass(frozen=True)
class Chart:
    """One panel.

    Attributes:
        title: Above it.
        series: Name to its points, in the order of the colors.
        x: What the first number of a point is.
        levels: Name to a value that is a line across, such as a target.
        most: Points that a curve is drawn with, at most.
        bands: Name of a curve to points (x; lowest, highest) around it.
    """

    title: str
    series: Mapping[str, Series]
    x: str = "epoch"
    levels: Mapping[str, float] | None = None
    most: int = 300
    bands: Mapping[str, Sequence[tuple[float, float, float]]] | None = None

    def draw(self) -> Markup:
        """The panel with its key, its switch to a logarithmic axis and the place for values."""
        series = {name: thinned(_finite(points), self.most) for name, points in self.series.items()}
        series = {name: points for name, points in series.items() if points}
        levels = {k: v for k, v in (self.levels or {}).items() if math.isfinite(v)}
        bands = {k: _finite_band(v) for k, v in (self.bands or {}).items() if k in series}
        values = [y for points in series.values() for _, y in points] + list(levels.values())
        values += [value for band in bands.values() for _, *ends in band for value in ends]
        places = [x for points in series.values() for x, _ in points]
        if not places:
            return Markup("")
        across = _Scale(min(places), max(places), _LEFT, _RIGHT)
        scales = {"lin": _Scale(*_widened(min(values), max(values)), _BOTTOM, _TOP)}
        if min(values) > 0:
            low, high = _widened(math.log10(min(values)), math.log10(max(values)))
            scales["log"] = _Scale(low, high, _BOTTOM, _TOP, log=True)
        drawn = [_axis_x(across)]
        for kind, scale in scales.items():
            inside = [_axis_y(scale), *_bands(bands, list(series), across, scale)]
            inside += _curves(series, levels, across, scale)
            drawn.append(element("g", inside, class_=kind))
        drawn.append(element("line", class_="pointer", y1=_TOP, y2=_BOTTOM))
        picture = element(
            "svg",
            drawn,
            viewbox=f"0 0 {WIDTH:g} {HEIGHT:g}",
            role="img",
            tabindex="0",
            aria_label=f"{self.title} over {self.x}: {', '.join(series)}",
            data_chart=json.dumps(_data(series, self.x, across), separators=(",", ":")),
        )
        switch: list[Markup] = []
        if "log" in scales:
            box = element("input", type="checkbox", checked=asks_for_log(self.series.values()))
            switch = [element("label", [box, " log scale"])]
        head = element("header", [element("b", self.title), *switch])
        return element("figure", [head, _key(series, levels), picture, element("output")])


@dataclass(frozen=True)
class _Scale:
    """From values, or their powers of ten, to places in the picture."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, value: float) -> float:
        value = math.log10(value) if self.log else value
        part = (value - self.low) / (self.high - self.low) if self.high > self.low else 0.5
        return self.start + part * (self.end - self.start)

    def ticks(self) -> list[float]:
        if self.log:
            return _powers(self.low, self.high)
        return nice_ticks(self.low, self.high)


def nice_ticks(low: float, high: float, most: int = _TICKS, whole: bool = False) -> list[float]:
    """Round numbers between two values.

    Args:
        low: The lower.
        high: The higher.
        most: How many, about.
        whole: Whole numbers alone.
    """
    if high <= low:
        return [low]
    step = 10 ** math.floor(math.log10((high - low) / most))
    step = next(step * k for k in (1, 2, 5, 10) if (high - low) / (step * k) <= most)
    if whole:
        step = max(1.0, step)
    first = math.ceil(low / step - 1e-9)
    return [
        round(first * step + i * step, 12)
        for i in range(int((high - first * step) / step + 1e-9) + 1)
    ]


def thinned(points: Series, most: int) -> Series:
    """Of many points those that a small picture shows: the ends, and of every stretch the lowest
    and the highest.

    Args:
        points: By rising x.
        most: How many, at most; 4 or more.
    """
    if len(points) <= most:
        return list(points)
    inner = points[1:-1]
    size = math.ceil(len(inner) / ((most - 2) // 2))
    kept = [points[0]]
    for start in range(0, len(inner), size):
        stretch = inner[start : start + size]
        low, high = min(stretch, key=lambda p: p[1]), max(stretch, key=lambda p: p[1])
        kept += sorted({low, high})
    return [*kept, points[-1]]


def _finite(points: Series) -> Series:
    return [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]


def _widened(low: float, high: float) -> tuple[float, float]:
    """Some room above and below, also of one value alone."""
    room = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def _powers(low: float, high: float) -> list[float]:
    """Powers of ten between two exponents; 1, 2 and 5 of each where there are few."""
    first, last = math.ceil(low), math.floor(high)
    if last - first >= 1:
        every = math.ceil((last - first + 1) / _TICKS)
        return [10.0**power for power in range(first, last + 1, every)]
    fine = [k * 10.0**power for power in range(first - 1, last + 1) for k in (1, 2, 5)]
    inside = [value for value in fine if low <= math.log10(value) <= high]
    return inside or [10.0 ** ((low + high) / 2)]


def _number(value: float) -> str:
    text = f"{value:.4g}"
    return text.replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")


def _axis_x(scale: _Scale) -> Markup:
    whole = scale.low.is_integer() and scale.high.is_integer()
    drawn: list[Markup] = []
    for tick in nice_ticks(scale.low, scale.high, whole=whole):
        place = scale.place(tick)
        anchor = "middle" if place < _RIGHT - 12 else "end"
        drawn.append(element("line", class_="grid", x1=place, x2=place, y1=_TOP, y2=_BOTTOM))
        drawn.append(element("text", _number(tick), x=place, y=_BOTTOM + 15, text_anchor=anchor))
    return element("g", drawn)


def _axis_y(scale: _Scale) -> Markup:
    drawn: list[Markup] = []
    for tick in scale.ticks():
        place = scale.place(tick)
        drawn.append(element("line", class_="grid", x1=_LEFT, x2=_RIGHT, y1=place, y2=place))
        drawn.append(element("text", _number(tick), x=_LEFT - 5, y=place + 4, text_anchor="end"))
    return element("g", drawn)


def _finite_band(
    band: Sequence[tuple[float, float, float]],
) -> list[tuple[float, float, float]]:
    return [(x, low, high) for x, low, high in band if math.isfinite(low) and math.isfinite(high)]


def _bands(
    bands: Mapping[str, Sequence[tuple[float, float, float]]],
    names: Sequence[str],
    across: _Scale,
    scale: _Scale,
) -> list[Markup]:
    drawn = []
    for name, band in bands.items():
        above = [(x, high) for x, _, high in band]
        around = [*above, *((x, low) for x, low, _ in reversed(band))]
        text = " ".join(f"{across.place(x):.1f},{scale.place(y):.1f}" for x, y in around)
        if len(band) > 1:
            color = names.index(name) % COLORS
            drawn.append(element("polygon", class_=f"band c{color}", points=text))
    return drawn


def _curves(
    series: Mapping[str, Series], levels: Mapping[str, float], across: _Scale, scale: _Scale
) -> list[Markup]:
    drawn: list[Markup] = []
    for index, points in enumerate(series.values()):
        placed = [(across.place(x), scale.place(y)) for x, y in points]
        dashed = " dashed" if index >= COLORS else ""
        if len(placed) > 1:
            text = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
            drawn.append(element("polyline", class_=f"s c{index % COLORS}{dashed}", points=text))
        if len(placed) <= 12:
            drawn += [
                element(
                    "circle", class_=f"dot c{index % COLORS}", cx=round(x, 1), cy=round(y, 1), r=3
                )
                for x, y in placed
            ]
    for index, value in enumerate(levels.values(), start=len(series)):
        place = scale.place(value)
        drawn.append(
            element(
                "line",
                class_=f"s dashed c{index % COLORS}",
                x1=_LEFT,
                x2=_RIGHT,
                y1=place,
                y2=place,
            )
        )
    return drawn


def _key(series: Mapping[str, Series], levels: Mapping[str, float]) -> Markup:
    items = [
        element(
            "li",
            element("span", name),
            class_=f"c{index % COLORS}" + (" dashed" if index >= COLORS else ""),
        )
        for index, name in enumerate(series)
    ]
    items += [
        element(
            "li", element("span", f"{name} {_number(value)}"), class_=f"c{index % COLORS} dashed"
        )
        for index, (name, value) in enumerate(levels.items(), start=len(series))
    ]
    return element("ul", items, class_="key")


def _data(series: Mapping[str, Series], x: str, across: _Scale) -> dict[str, object]:
    def short(values: Sequence[float]) -> list[float]:
        return [float(f"{value:.5g}") if abs(value) < 1e5 else value for value in values]

    return {
        "x": x,
        "box": [_LEFT, _RIGHT],
        "range": [across.low, across.high],
        "series": [
            {"name": name, "x": [p[0] for p in points], "y": short([p[1] for p in points])}
            for name, points in series.items()
        ],
    }


def most_points(charts: int, total: int = 12_000) -> int:
    """Points a curve, so that all of a page's together stay few.

    Args:
        charts: Curves on the page.
        total: Points on the page, about.
    """
    return max(20, min(300, total // max(charts, 1)))


def chained(*groups: Sequence[Markup]) -> Markup:
    """Panels side by side."""
    inside = list(itertools.chain(*groups))
    return element("div", inside, class_="charts") if inside else Markup("")
