"""Prints tables for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.cli.terminal import say, visible

if TYPE_CHECKING:
    from collections.abc import Sequence


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, empty: str) -> None:
    """Print aligned columns; without rows, print ``empty`` on standard error instead."""
    if not rows:
        say(empty, err=True)
        return
    rows = [tuple(visible(cell) for cell in row) for row in rows]
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    for row in (tuple(title.upper() for title in head), *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        say("  ".join(cells).rstrip())
