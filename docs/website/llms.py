"""llms.txt and llms-full.txt as llmstxt.org describes them: Markdown for language models."""

from __future__ import annotations

from docs.website.pages import Site, moved
from musicgate.views import render_llms


def index(site: Site, name: str, summary: str) -> str:
    """Text of llms.txt: name, summary, and every page with its description."""
    start = f"[{site.start.title}](index.md) is the start page; llms-full.txt has all pages in one file."
    sections = [
        (section.title, [(page.title, f"{page.address}.md", page.about) for page in section.pages])
        for section in site.sections
    ]
    return render_llms(name, summary, start, sections)


def full(site: Site, name: str, summary: str) -> str:
    """Text of llms-full.txt: every page, in the navigation's order, below a comment with its address."""
    pages = list(site)
    texts = [f"\n<!-- {page.address}.md -->\n\n{moved(page, pages, folder='').strip()}\n" for page in pages]
    return f"# {name}: all pages\n\n> {summary}\n" + "".join(texts)
