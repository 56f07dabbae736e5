"""The pictures of predictions: a bounded number of pages, and one of the least sure."""

from __future__ import annotations

import heapq
from typing import Any

from zoo import plots
from zoo.errors import UsageError
from zoo.inference.failures import reason
from zoo.inference.predictions import Predictions
from zoo.io.printable import path_text
from zoo.plugin.protocols import PredictionDrawer

ON_PAGE = 32
"""Predictions on one page."""
PAGES = 4
"""Pages that are drawn unless asked for otherwise."""

Drawn = tuple[str, Any, Any]
"""The title of a file, its sample and its output."""


def most_pages(pages: int | str | None) -> float | None:
    """How many pictures may be drawn.

    Args:
        pages: A number, ``all``, or None where nothing was asked for.

    Raises:
        UsageError: it is none of these.
    """
    if pages is None or pages == "all":
        return None if pages is None else float("inf")
    try:
        number = int(pages)
    except ValueError:
        number = -1
    if number < 0:
        raise UsageError(f"--pages is {pages!r}; it has to be a whole number, 0 or more, or 'all'")
    return number


class Pages:
    """Draws the first predictions, page by page, and at the end those that the model is least
    sure of.

    Args:
        model: Draws; nothing is drawn without ``draw_predictions``.
        found: Receives the pictures' paths, and why one could not be drawn.
        most: How many pages, besides that of the least sure; as ``most_pages`` gives it.
    """

    def __init__(self, model: object, found: Predictions, most: float | None) -> None:
        self._model, self._found = model, found
        able = found.folder is not None and isinstance(model, PredictionDrawer)
        self._most = (PAGES if most is None else most) if able else 0
        self._page: list[Drawn] = []
        self._pages = 0
        self._unsure: list[tuple[float, int, Drawn]] = []

    def add(self, row: dict[str, Any], drawn: Drawn) -> None:
        """Take one more prediction.

        Args:
            row: What the model says of it; of rows with a number ``confidence`` the least sure
                are kept.
            drawn: What there is to draw.
        """
        if not self._most:
            return
        confidence = row.get("confidence")
        if isinstance(confidence, (int, float)):
            push = heapq.heappushpop if len(self._unsure) == ON_PAGE else heapq.heappush
            push(self._unsure, (-confidence, -len(self._found.rows), drawn))
        if self._pages < self._most:
            self._page.append(drawn)
            if len(self._page) == ON_PAGE:
                self._draw_page()

    def finish(self) -> None:
        """Draw what is left."""
        if self._page:
            self._draw_page()
        if self._unsure and len(self._found.rows) > ON_PAGE:
            least_sure = [drawn for *_, drawn in sorted(self._unsure, reverse=True)]
            draw(self._model, least_sure, self._found, "least-sure")

    def _draw_page(self) -> None:
        self._pages += 1
        if draw(self._model, self._page, self._found, f"page-{self._pages:03d}"):
            self._found.shown += len(self._page)
        self._page = []


def draw(model: object, page: list[Drawn], found: Predictions, name: str) -> bool:
    """Draw predictions as one picture.

    Returns:
        Whether it was drawn; why not is among the failures.
    """
    if found.folder is None or not isinstance(model, PredictionDrawer):
        return False
    names, samples, outputs = zip(*page, strict=True)
    path = found.folder / "pictures" / f"{name}.png"
    try:
        plots.save(model.draw_predictions(names, samples, outputs), path)
    except Exception as error:  # noqa: BLE001  # a picture less; the predictions are there
        found.failures[path_text(path)] = reason(error)
        return False
    found.pictures.append(path)
    return True
