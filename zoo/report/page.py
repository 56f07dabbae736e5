"""The frame of every page: head, style, script and the sections between."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from zoo.report.markup import Content, Markup, element, markup

LIMIT = 2_000_000
"""Bytes that a page stays under."""
FILE = "report.html"
_HERE = Path(__file__).parent
# Nothing is fetched from anywhere, also where a browser could.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def page(title: str, sections: Iterable[Content]) -> str:
    """A whole page of HTML.

    Args:
        title: Of the window.
        sections: What is on it.
    """
    # Our own files, in which nothing comes from a run.
    style = Markup((_HERE / "page.css").read_text(encoding="utf-8"))
    script = Markup((_HERE / "page.js").read_text(encoding="utf-8"))
    head = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("title", title),
        element("style", style),
    ]
    body = [element("main", markup(sections)), element("script", script)]
    whole = element("html", [element("head", head), element("body", body)], lang="en")
    # Bytes of file names that are not UTF-8 are written out.
    return f"<!DOCTYPE html>\n{whole}\n".encode("utf-8", "backslashreplace").decode()


def section(title: str, *content: Content) -> Markup:
    """A part of a page under a heading; nothing where there is no content."""
    inside = markup(content)
    return element("section", [element("h2", title), inside]) if inside else Markup("")
