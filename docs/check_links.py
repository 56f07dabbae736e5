"""Every link, anchor and picture of the built documentation exists: part of `make docs`.

    python docs/check_links.py site

Addresses of other sites are left alone, as a build needs no network.
"""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page points to, and what can be pointed to in it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors = {""}
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Notes addresses and names."""
        for key, value in attrs:
            if key in ("href", "src") and value:
                self.links.append(value)
            elif (key == "id" or (key == "name" and tag == "a")) and value:
                self.anchors.add(value)


def dead_links(site: Path) -> list[str]:
    """A line for every link that leads nowhere.

    Args:
        site: The folder of the built pages.
    """
    pages = {
        path.resolve(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"  # its links are of a server's root
    }
    if not pages:
        return [f"{site} has no pages"]
    return [
        f"{path.relative_to(site.resolve())}: {link} {fault}"
        for path, page in pages.items()
        for link in dict.fromkeys(page.links)
        if (fault := _fault(path, link, pages))
    ]


def _fault(path: Path, link: str, pages: dict[Path, Page]) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        target = target / "index.html"
    if not target.is_file():
        return "does not exist"
    page = pages.get(target)
    if page is not None and unquote(parts.fragment) not in page.anchors:
        return "has no such anchor"
    return ""


def main() -> int:
    """Print what is dead; 1 if anything is."""
    found = dead_links(Path(sys.argv[1]))
    print("\n".join(found), file=sys.stderr, end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
