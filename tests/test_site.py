"""The site: every page, rewritten links, broken links that are found, llms.txt.

No test needs Sphinx: ``make site`` runs it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.website import build, links, llms
from docs.website.pages import Page, Section, Site, SiteError, found_pages, moved, navigation, pictures

START = Page("README.md", "", "# musicgate\n\nSee [docs/http.md](docs/http.md) and [examples](examples/).\n")
HTTP = Page("docs/http.md", "routes", "<!-- generated -->\n\n# The `HTTP` API\n\n```sh\n# no heading\n```\n")
PLUGIN = Page("plugins/minimax/README.md", "MiniMax", "# musicgate-minimax\n")
PAGES = [START, HTTP, PLUGIN]
SITE = Site(START, (Section("Use", (HTTP,)), Section("Providers", (PLUGIN,))))
NAVIGATION = 'start = "README.md"\n[[section]]\ntitle = "Use"\npage = [{ source = "docs/http.md", about = "routes" }]\n'


def page(text: str, source: str = "docs/settings.md") -> Page:
    return Page(source, "", text)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two pages, both in its navigation."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "README.md").write_text(START.text, encoding="utf-8")
    (tmp_path / "docs" / "http.md").write_text(HTTP.text, encoding="utf-8")
    (tmp_path / "navigation.toml").write_text(NAVIGATION, encoding="utf-8")
    return tmp_path


def test_every_page_of_the_repository_is_in_the_navigation() -> None:
    listed = [listed.source for listed in Site.read()]
    assert sorted(listed) == sorted(found_pages())
    assert {"docs/http.md", "README.md", "plugins/minimax/README.md"} <= set(listed)


def test_every_page_has_an_address_of_its_own_and_one_line_about_it() -> None:
    site = Site.read()
    assert len({listed.address for listed in site}) == len(list(site))
    about = [listed.about for section in site.sections for listed in section.pages]
    assert [line for line in about if not line or "\n" in line or len(line) > 100] == []


def test_the_navigation_is_read(repository: Path) -> None:
    site = Site.read(repository, repository / "navigation.toml")
    assert [(listed.source, listed.address, listed.title) for listed in site] == [
        ("README.md", "index", "musicgate"),
        ("docs/http.md", "http", "The HTTP API"),
    ]


def test_a_page_outside_the_navigation_is_refused(repository: Path) -> None:
    (repository / "docs" / "new.md").write_text("# New\n", encoding="utf-8")
    with pytest.raises(SiteError, match=r"not in navigation\.toml: docs/new\.md"):
        Site.read(repository, repository / "navigation.toml")


def test_a_page_listed_twice_is_refused(repository: Path) -> None:
    path = repository / "navigation.toml"
    path.write_text(NAVIGATION + NAVIGATION.split("\n", 1)[1], encoding="utf-8")
    with pytest.raises(SiteError, match=r"more than once in navigation\.toml: docs/http\.md"):
        Site.read(repository, path)


def test_a_listed_page_that_does_not_exist_is_refused(repository: Path) -> None:
    (repository / "docs" / "http.md").unlink()
    with pytest.raises(SiteError, match=r"lists docs/http\.md, which does not exist"):
        Site.read(repository, repository / "navigation.toml")


def test_a_page_without_a_title_is_refused() -> None:
    with pytest.raises(SiteError, match=r"docs/settings\.md has no heading of level 1"):
        _ = page("## Only this\n").title


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[limits](http.md#limits)", "[limits](http.md#limits)"),
        ("[MiniMax](../plugins/minimax/README.md)", "[MiniMax](plugins/minimax.md)"),
        ("[MiniMax](../plugins/minimax)", "[MiniMax](plugins/minimax.md)"),
        ("[http.md](http.md)", "[The HTTP API](http.md)"),
        ("[`[limits]`](http.md)", "[`[limits]`](http.md)"),
        ("[start](../README.md)", "[start](index.md)"),
        ("[cases](../tests/cases)", "cases"),
        ("[here](#below)", "[here](#below)"),
        ("[RFC](https://www.rfc-editor.org/rfc/rfc9110)", "[RFC](https://www.rfc-editor.org/rfc/rfc9110)"),
        ("`[x](../README.md)`", "`[x](../README.md)`"),
        (
            "```text\n[x](../README.md)\n```\n[x](../README.md)",
            "```text\n[x](../README.md)\n```\n[x](index.md)",
        ),
    ],
)
def test_links_are_rewritten_for_the_site(text: str, expected: str) -> None:
    assert moved(page(text), [*PAGES, page(text)]) == expected


def test_links_of_a_page_in_a_folder_are_relative_to_the_folder() -> None:
    text = "[settings](../../docs/settings.md#limits), [HTTP](../../docs/http.md)"
    moving = page(text, "plugins/minimax/README.md")
    assert moved(moving, [*PAGES, page("")]) == "[settings](../settings.md#limits), [HTTP](../http.md)"


def test_pictures_keep_their_paths_and_are_found() -> None:
    showing = page("![x](../../docs/x.webp) `![y](y.webp)`", "plugins/minimax/README.md")
    assert moved(showing, [*PAGES, showing]).startswith("![x](../docs/x.webp) ")
    assert "docs/x.webp" in pictures([showing, page("![z](https://x.test/z.webp)")])


def test_the_sidebar_shows_every_section_and_page() -> None:
    text = navigation(SITE)
    assert re.findall(r":caption: (.+)", text) == ["Use", "Providers"]
    assert "\nThe HTTP API <http>\n" in text
    assert "\nmusicgate-minimax <plugins/minimax>\n" in text


def test_pages_are_copied_to_their_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "STAGE", tmp_path / "stage")
    build.stage(SITE)
    start = (tmp_path / "stage" / "index.md").read_text(encoding="utf-8")
    assert start.startswith("# musicgate\n\nSee [The HTTP API](http.md) and examples.\n\n```{toctree}\n")
    assert (tmp_path / "stage" / "plugins" / "minimax.md").read_text(
        encoding="utf-8"
    ) == "# musicgate-minimax\n"
    assert "toctree" not in (tmp_path / "stage" / "http.md").read_text(encoding="utf-8")


def test_the_build_fails_on_a_page_outside_the_navigation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused() -> Site:
        raise SiteError("not in navigation.toml: docs/new.md")

    monkeypatch.setattr(Site, "read", refused)
    assert build.main() == 1
    assert capsys.readouterr().err == "[site]  not in navigation.toml: docs/new.md\n"


def broken(tmp_path: Path, body: str) -> list[str]:
    """The broken links of a page with this body, in a site whose http.html has the anchor ``limits``."""
    (tmp_path / "style.css").touch()
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "minimax.html").write_text(
        "<h1 id='top'>M</h1><a href='../http.html#limits'>up</a>"
    )
    (tmp_path / "http.html").write_text("<h2 id='limits'>Limits</h2>")
    (tmp_path / "index.html").write_text(body)
    return list(links.broken_links(tmp_path))


@pytest.mark.parametrize(
    "body",
    [
        "<a href='http.html'>x</a>",
        "<a href='http.html#limits'>x</a>",
        "<a href='#here'>x</a><p id='here'>",
        "<a href='#'>x</a>",
        "<a href='plugins/minimax.html?q=1#top'>x</a>",
        "<a href='https://example.org/nowhere'>x</a>",
        "<a href='mailto:ann@example.org'>x</a>",
        "<link rel='stylesheet' href='style.css?v=1'>",
        "<a>no link</a>",
    ],
)
def test_links_that_work_are_not_reported(tmp_path: Path, body: str) -> None:
    assert broken(tmp_path, body) == []


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("<a href='nowhere.html'>x</a>", "index.html:1: nowhere.html: no such file"),
        ("<a href='http.html#limit'>x</a>", "index.html:1: http.html#limit: no such anchor"),
        ("\n<a href='#nowhere'>x</a>", "index.html:2: #nowhere: no such anchor"),
        ("<a href='plugins'>x</a>", "index.html:1: plugins: no such file"),
        ("<a href='/http.html'>x</a>", "index.html:1: /http.html: no such file"),
        ("<img src='cover.png'>", "index.html:1: cover.png: no such file"),
        (
            "<script src='https://cdn.example.org/x.js'></script>",
            "index.html:1: loads https://cdn.example.org/x.js from elsewhere",
        ),
        (
            "<link rel='stylesheet' href='//fonts.example.org/x.css'>",
            "index.html:1: loads //fonts.example.org/x.css from elsewhere",
        ),
    ],
)
def test_broken_links_are_reported(tmp_path: Path, body: str, found: str) -> None:
    assert broken(tmp_path, body) == [found]


def test_llms_txt_has_the_name_a_summary_and_the_sections_with_links() -> None:
    assert (
        llms.index(SITE, "musicgate", "One API.")
        == """\
# musicgate

> One API.

[musicgate](index.md) is the start page; llms-full.txt has all pages in one file.

## Use

- [The HTTP API](http.md): routes

## Providers

- [musicgate-minimax](plugins/minimax.md): MiniMax
"""
    )


def test_llms_full_txt_has_every_page_with_links_relative_to_the_top_of_the_site() -> None:
    inner = page("# Inner\n\n[HTTP](../../docs/http.md), [below](#x)\n", "plugins/minimax/README.md")
    text = llms.full(Site(START, (Section("Use", (HTTP, inner)),)), "musicgate", "One API.")
    assert text.startswith("# musicgate: all pages\n\n> One API.\n\n<!-- index.md -->\n\n# musicgate\n")
    assert text.endswith(
        "<!-- plugins/minimax.md -->\n\n# Inner\n\n[HTTP](http.md), [below](plugins/minimax.md#x)\n"
    )
    assert "\n# The `HTTP` API\n" in text
