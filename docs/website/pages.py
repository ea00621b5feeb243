"""The pages of the site: their order, and their text with links that fit the site.

It knows navigation.toml and Markdown, and must not know Sphinx or HTML.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
NAVIGATION = Path(__file__).with_name("navigation.toml")
#: Where pages are. Every Markdown file found there must be in the navigation.
FOLDERS = ("*.md", "docs/*.md", "schemas/*.md", "plugins/*/*.md", "examples/**/*.md", "clients/*/*.md")
#: A link with at most one pair of brackets in its text.
LINK = re.compile(r"\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]\((?P<target>[^)\s]+)\)")


class SiteError(Exception):
    """A page keeps the site from being built; the message names it and says what to do."""


@attrs.frozen
class Page:
    """One page: its place in the repository, its one-line description for llms.txt, and its text."""

    source: str
    about: str
    text: str

    @property
    def address(self) -> str:
        """Path on the site, without a suffix.

        ``docs/http.md`` is at ``http``, ``plugins/minimax/README.md`` at ``plugins/minimax``.
        """
        if self.source == "README.md":
            return "index"
        return self.source.removesuffix(".md").removesuffix("/README").removeprefix("docs/").lower()

    @property
    def title(self) -> str:
        """The first heading, without back quotes."""
        for part, is_code in pieces(self.text):
            found = None if is_code else re.search(r"^# +(.+)$", part, flags=re.MULTILINE)
            if found:
                return found[1].replace("`", "").strip()
        raise SiteError(f"{self.source} has no heading of level 1")


@attrs.frozen
class Section:
    """A group of pages under one title in the sidebar."""

    title: str
    pages: tuple[Page, ...]


@attrs.frozen
class Site:
    """All pages, in order."""

    start: Page
    sections: tuple[Section, ...]

    @classmethod
    def read(cls, root: Path = ROOT, navigation: Path = NAVIGATION) -> Site:
        """Read the navigation and the pages it lists.

        Raises:
            SiteError: a page is not listed, listed twice, or does not exist.
        """
        table = tomllib.loads(navigation.read_text(encoding="utf-8"))

        def page(source: str, about: str = "") -> Page:
            path = root / source
            if not path.is_file():
                raise SiteError(f"{navigation.name} lists {source}, which does not exist")
            return Page(source, about, path.read_text(encoding="utf-8"))

        sections = [
            Section(part["title"], tuple(page(**entry) for entry in part["page"]))
            for part in table["section"]
        ]
        site = cls(page(table["start"]), tuple(sections))
        _refuse_gaps([listed.source for listed in site], set(found_pages(root)), navigation.name)
        return site

    def __iter__(self) -> Iterator[Page]:
        yield self.start
        for section in self.sections:
            yield from section.pages


def _refuse_gaps(listed: list[str], found: set[str], name: str) -> None:
    if unlisted := sorted(found - set(listed)):
        raise SiteError(f"not in {name}: {', '.join(unlisted)}; add each page to a section")
    if twice := sorted({source for source in listed if listed.count(source) > 1}):
        raise SiteError(f"more than once in {name}: {', '.join(twice)}")


def found_pages(root: Path = ROOT) -> Iterator[str]:
    """Yield the path of every page in the repository."""
    for pattern in FOLDERS:
        for path in root.glob(pattern):
            if "node_modules" not in path.parts:
                yield path.relative_to(root).as_posix()


def pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Split a text into pieces, each with True if it is a fenced block of code; joined they are the text."""
    for piece in re.split(r"(^ *```.*?^ *```[^\n]*$)", text, flags=re.DOTALL | re.MULTILINE):
        yield piece, piece.lstrip(" ").startswith("```")


def pictures(pages: Iterable[Page]) -> set[str]:
    """The paths of all pictures of the repository that the pages show."""
    found = set()
    for page in pages:
        for piece in (text for text, is_code in pieces(page.text) if not is_code):
            for link in LINK.finditer(piece):
                if piece[: link.start()].endswith("!") and "://" not in link["target"]:
                    folder = posixpath.dirname(page.source)
                    found.add(posixpath.normpath(posixpath.join(folder, link["target"])))
    return found


def moved(page: Page, pages: Iterable[Page], folder: str | None = None) -> str:
    """The text of a page with links that lead to pages of the site.

    Of a link to a file that is not a page, only the text is kept. A link whose text is a page's file name
    gets the page's title instead, because the site has no such file. Pictures keep their paths.

    Args:
        page: the page.
        pages: all pages of the site.
        folder: folder of the site that links are relative to; None = the page's own.
    """
    by_source = {other.source: other for other in pages}
    start = posixpath.dirname(page.address) if folder is None else folder

    def change(link: re.Match[str]) -> str:
        text, target = link["text"], link["target"]
        path, mark, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:") or (not path and folder is None):
            return link[0]
        source = (
            posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path)) if path else page.source
        )
        other = by_source.get(source) or by_source.get(f"{source}/README.md")
        if link.string[: link.start()].endswith("!"):
            return f"[{text}]({posixpath.relpath(source, start or '.')})"
        if other is None:
            return text
        if text.strip("`") in {path, posixpath.basename(path)}:
            text = other.title
        return f"[{text}]({posixpath.relpath(other.address, start or '.')}.md{mark}{anchor})"

    return "".join(
        piece if is_code else _outside_spans(piece, change) for piece, is_code in pieces(page.text)
    )


def _outside_spans(text: str, change: Callable[[re.Match[str]], str]) -> str:
    """Change every link outside of code spans."""
    spans = re.compile(rf"(?P<span>(?<!\[)`[^`\n]*\]\([^`\n]*`)|{LINK.pattern}")
    return spans.sub(lambda found: found[0] if found["span"] else change(found), text)


def navigation(site: Site) -> str:
    """The sidebar, as Sphinx expects it at the end of the start page."""
    return "".join(
        "\n```{toctree}\n:hidden:\n:caption: "
        + section.title
        + "\n\n"
        + "".join(f"{page.title} <{page.address}>\n" for page in section.pages)
        + "```\n"
        for section in site.sections
    )
