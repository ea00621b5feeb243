"""Find broken links in built HTML: missing files and anchors, and loads from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Elements that a browser loads by itself, and the attribute with the address.
FETCHED = {"script": "src", "img": "src", "source": "src", "iframe": "src", "link": "href"}


class _Html(HTMLParser):
    """The anchors and links of a page, and what a browser loads with it."""

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[tuple[int, str]] = []
        self.fetched: list[tuple[int, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value is not None}
        line = self.getpos()[0]
        self.anchors |= {values[name] for name in ("id", "name") if name in values}
        if tag == "a" and "href" in values:
            self.links.append((line, values["href"]))
        if tag in FETCHED and FETCHED[tag] in values:
            self.fetched.append((line, values[FETCHED[tag]]))


def broken_links(site: Path) -> Iterator[str]:
    """Yield every broken link, and everything that is loaded from elsewhere, as ``page:line: problem``.

    Links to other sites are not followed.
    """
    pages = {path.resolve(): _parsed(path) for path in sorted(site.rglob("*.html"))}
    for path, html in pages.items():
        name = path.relative_to(site.resolve()).as_posix()
        for line, target in html.fetched:
            if _is_elsewhere(target):
                yield f"{name}:{line}: loads {target} from elsewhere"
        for line, target in [*html.links, *html.fetched]:
            if not _is_elsewhere(target) and (fault := _fault(path, target, pages)):
                yield f"{name}:{line}: {target}: {fault}"


def _parsed(path: Path) -> _Html:
    html = _Html()
    html.feed(path.read_text(encoding="utf-8"))
    return html


def _is_elsewhere(target: str) -> bool:
    parts = urlsplit(target)
    return bool(parts.netloc or (parts.scheme and parts.scheme != "file"))


def _fault(page: Path, target: str, pages: dict[Path, _Html]) -> str:
    """The problem with a link, or an empty text."""
    parts = urlsplit(target)
    path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if parts.scheme or parts.path.startswith("/") or not path.is_file():
        return "no such file"
    if parts.fragment and path in pages and unquote(parts.fragment) not in pages[path].anchors:
        return "no such anchor"
    return ""
