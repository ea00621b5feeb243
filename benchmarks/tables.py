"""Tables of a file of results, as Markdown: for a terminal and for docs/performance.md; measures nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.results import Json

PAGE: Final = Path(__file__).resolve().parents[1] / "docs" / "performance.md"


def page(found: Json) -> str:
    """Every table of a run, with its title."""
    return ""


def write_page(found: Json) -> None:
    """Write the tables of a run into the page."""
