"""``llms.txt``: what a language model should read first, in Markdown, as llmstxt.org describes it."""

from __future__ import annotations

from collections.abc import Iterable

#: Title of a link, its address, and what is there.
Link = tuple[str, str, str]


def render_llms(name: str, summary: str, start: str, sections: Iterable[tuple[str, Iterable[Link]]]) -> str:
    """Render the file.

    Args:
        start: paragraphs below the summary.
        sections: each with a title and links.
    """
    parts = [f"# {name}\n\n> {summary}\n\n{start}\n"]
    for title, links in sections:
        lines = [f"- [{text}]({address}): {about}\n" for text, address, about in links]
        parts.append(f"\n## {title}\n\n{''.join(lines)}")
    return "".join(parts)
