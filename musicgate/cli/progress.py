"""Shows a job's way on standard error: a bar on a terminal, plain lines elsewhere; it reads answers and decides nothing."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from musicgate.cli.terminal import say, visible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from rich.progress import Progress, TaskID

#: Share of the bar that is full at the provider's usual time; beyond it the bar creeps, since nobody knows.
_FULL_AT_TYPICAL = 0.9
_TICK_S = 0.1
_WORDS = {"queued": "queued", "in_progress": "making music", "completed": "done", "failed": "failed"}


class Display(Protocol):
    """What a run tells while it is under way."""

    typical_s: float

    def show(self, answer: Mapping[str, Any]) -> None:
        """The job as it is now."""

    def note(self, text: str) -> None:
        """One line for people."""


def share_done(elapsed_s: float, typical_s: float) -> float:
    """How full the bar is: 0 at the start, 0.9 at the usual time, never 1 before the end."""
    return 1.0 - math.pow(1.0 - _FULL_AT_TYPICAL, max(0.0, elapsed_s) / max(typical_s, 0.001))


def describe(answer: Mapping[str, Any]) -> str:
    """The state of a job in a few words, with the vendor's own word."""
    state = str(answer.get("status"))
    words = _WORDS.get(state, visible(state))
    who, native = answer.get("provider_plugin"), answer.get("native_status")
    if state in {"queued", "in_progress"} and who:
        return visible(f"{words} at {who}: {native}" if native else f"{words} at {who}")
    return words


def previews(answer: Mapping[str, Any]) -> dict[int, str]:
    """Tracks that can be heard before the job is done: index -> a line that says where."""
    found = {}
    for item in answer.get("output") or ():
        link = item.get("stream_audio_url") or item.get("audio_url")
        if isinstance(link, str) and not link.startswith("file:") and answer.get("status") == "in_progress":
            name = f' "{item["title"]}"' if item.get("title") else ""
            line = f"track {int(item['index']) + 1}{name} can be heard already: {link}"
            found[int(item["index"])] = visible(line)
    return found


@asynccontextmanager
async def display(*, quiet: bool = False) -> AsyncIterator[Display]:
    """A bar where a person watches, plain lines where a log does, nothing where neither is wanted."""
    if quiet or not sys.stderr.isatty():
        yield _Lines(quiet=quiet)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = _Bar(bar, bar.add_task("asking", total=1.0))
        ticking = asyncio.create_task(shown.tick(), name="progress bar")
        try:
            yield shown
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)


class _Lines:
    """One line per change; ``quiet`` shows notes only."""

    def __init__(self, *, quiet: bool) -> None:
        self.typical_s = 60.0
        self._quiet = quiet
        self._last = ""
        self._heard: set[int] = set()

    def show(self, answer: Mapping[str, Any]) -> None:
        text = describe(answer)
        if not self._quiet and text != self._last:
            say(text, err=True)
        self._last = text
        for index, line in previews(answer).items():
            if not self._quiet and index not in self._heard:
                say(line, err=True)
            self._heard.add(index)

    def note(self, text: str) -> None:
        say(text, err=True)


class _Bar:
    """A bar that fills with time, and the job's state beside it."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self.typical_s = 60.0
        self._bar = bar
        self._task = task
        self._started = time.monotonic()
        self._heard: set[int] = set()

    def show(self, answer: Mapping[str, Any]) -> None:
        self._bar.update(self._task, description=describe(answer))
        for index, line in previews(answer).items():
            if index not in self._heard:
                self.note(line)
            self._heard.add(index)

    def note(self, text: str) -> None:
        line = visible(text)
        self._bar.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    async def tick(self) -> None:
        while True:
            elapsed_s = time.monotonic() - self._started
            self._bar.update(self._task, completed=share_done(elapsed_s, self.typical_s))
            await asyncio.sleep(_TICK_S)
