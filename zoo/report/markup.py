"""HTML in which nothing goes unescaped: what is not ``Markup`` is text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import TypeAlias

_VOID = frozenset(
    {"br", "img", "input", "line", "meta", "rect", "path", "polygon", "polyline", "circle"}
)


class Markup(str):
    """HTML that is complete and safe; only this module and the page's own files make it."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content]"


def markup(content: Content) -> Markup:
    """Texts and markup, joined.

    Args:
        content: A text, which is escaped; markup, which stays; or several of both.
    """
    if isinstance(content, Markup):
        return content
    if isinstance(content, str):
        return Markup(escape(content))
    return Markup("".join(markup(each) for each in content))


def element(name: str, content: Content = "", /, **attributes: str | float | bool | None) -> Markup:
    """An element, of HTML or of SVG.

    Args:
        name: Its name.
        content: What is inside.
        attributes: By name, ``class_`` for ``class`` and ``data_x`` for ``data-x``; True stands
            for one without a value, None and False for none.
    """
    shown = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID and not content:
        return Markup(f"<{name}{shown}>" if name in _HTML_VOID else f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{markup(content)}</{name}>")


_HTML_VOID = frozenset({"br", "img", "input", "meta"})


def _attribute(key: str, value: str | float | bool | None) -> str:
    key = key.rstrip("_").replace("_", "-").replace("viewbox", "viewBox")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {key}"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return f' {key}="{escape(text)}"'


def table(head: Iterable[Content], rows: Iterable[Iterable[Content]], **attributes: str) -> Markup:
    """A table that scrolls by itself where the screen is narrower.

    Args:
        head: Titles of the columns.
        rows: A cell for each column; the first names the row.
        attributes: Of the table.
    """
    titles = element("tr", [element("th", each, scope="col") for each in head])
    lines = [
        element(
            "tr",
            [
                element("td" if i else "th", each, scope=None if i else "row")
                for i, each in enumerate(row)
            ],
        )
        for row in rows
    ]
    inside = [element("thead", titles), element("tbody", lines)]
    return element("div", element("table", inside, **attributes), class_="wide", tabindex="0")


def definitions(values: Mapping[str, Content]) -> Markup:
    """Names with what they stand for; those that stand for nothing are left out."""
    return element(
        "dl",
        [
            element("div", [element("dt", name), element("dd", value)])
            for name, value in values.items()
            if value
        ],
    )
