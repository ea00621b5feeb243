"""The pages of this repository and their code blocks; knows Markdown, not the contents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted(
    path
    for pattern in (
        "*.md",
        "docs/*.md",
        "schemas/*.md",
        "plugins/*/*.md",
        "examples/**/*.md",
        "clients/*/*.md",
    )
    for path in ROOT.glob(pattern)
)
NAMES = [path.relative_to(ROOT).as_posix() for path in PAGES]


class Block(NamedTuple):
    """One fenced block of a page."""

    page: str
    line: int
    kind: str
    code: str


def blocks_of(path: Path) -> Iterator[Block]:
    """Yield every fenced block of a page, in order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    start = -1
    for number, line in enumerate(lines):
        if line.lstrip().startswith("```"):
            if start < 0:
                start = number
                continue
            code = "\n".join(lines[start + 1 : number]) + "\n"
            page = path.relative_to(ROOT).as_posix()
            yield Block(page, start + 1, lines[start].strip(" `"), code)
            start = -1


def prose(path: Path) -> str:
    """A page without its blocks."""
    return re.sub(r"^```.*?^```", "", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
