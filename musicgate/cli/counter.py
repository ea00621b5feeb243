"""Shows how far work on many files is: a counter on a terminal, else a line now and then."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from musicgate.cli.progress import has_bar
from musicgate.cli.terminal import say

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Seconds between two lines where there is no terminal.
_PAUSE_S: Final = 15.0


class Counter(Protocol):
    """Counts what is done."""

    def count(self) -> None:
        """Note one more."""


@contextmanager
def counter(doing: str, unit: str) -> Iterator[Counter]:
    """A counter for some work.

    Args:
        doing: the work: "verifying".
        unit: what is counted: "objects".
    """
    if not has_bar():
        yield _Lines(doing, unit)
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    text = TextColumn(f"{doing}: {{task.completed:,.0f}} {unit}", markup=False)
    with Progress(
        SpinnerColumn(), TimeElapsedColumn(), text, console=Console(stderr=True), transient=True
    ) as bar:
        task = bar.add_task(doing, total=None)

        class _Bar:
            def count(self) -> None:
                bar.advance(task)

        yield _Bar()


class _Lines:
    def __init__(self, doing: str, unit: str) -> None:
        self._doing = doing
        self._unit = unit
        self._done = 0
        self._next_at = time.monotonic() + _PAUSE_S

    def count(self) -> None:
        self._done += 1
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + _PAUSE_S
            say(f"{self._doing}: {self._done:,} {self._unit}", err=True)
