"""Shows the progress of a job on standard error: a bar on a terminal, plain lines elsewhere."""

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

#: Share of the bar that is full at the provider's typical time; after that it slows down without filling up.
_FULL_AT_TYPICAL = 0.9
_TICK_S = 0.1
_STATES = {"queued": "queued", "in_progress": "making music", "completed": "done", "failed": "failed"}


class Display(Protocol):
    """Shows a run while it is in progress."""

    typical_s: float

    def show(self, answer: Mapping[str, Any]) -> None:
        """Show the current state of the job."""

    def note(self, text: str) -> None:
        """Print one line."""


def share_done(elapsed_s: float, typical_s: float) -> float:
    """How full the bar is: 0 at the start, 0.9 at the typical time, below 1 before the end."""
    return 1.0 - math.pow(1.0 - _FULL_AT_TYPICAL, max(0.0, elapsed_s) / max(typical_s, 0.001))


def describe(answer: Mapping[str, Any]) -> str:
    """The state of a job, with the native status."""
    state = str(answer.get("status"))
    text = _STATES.get(state, visible(state))
    plugin, native = answer.get("provider_plugin"), answer.get("native_status")
    if state in {"queued", "in_progress"} and plugin:
        return visible(f"{text} at {plugin}: {native}" if native else f"{text} at {plugin}")
    return text


def previews(answer: Mapping[str, Any]) -> dict[int, str]:
    """Tracks that can be streamed before the job ends: index -> a line with the link."""
    found = {}
    for item in answer.get("output") or ():
        link = item.get("stream_audio_url") or item.get("audio_url")
        if isinstance(link, str) and not link.startswith("file:") and answer.get("status") == "in_progress":
            name = f' "{item["title"]}"' if item.get("title") else ""
            line = f"track {int(item['index']) + 1}{name} can be streamed already: {link}"
            found[int(item["index"])] = visible(line)
    return found


@asynccontextmanager
async def display() -> AsyncIterator[Display]:
    """A bar on a terminal, else plain lines."""
    if not sys.stderr.isatty():
        yield _Lines()
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
        shown = _Bar(bar, bar.add_task("submitting", total=1.0))
        ticking = asyncio.create_task(shown.tick(), name="progress bar")
        try:
            yield shown
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)


class _Lines:
    """One line per change."""

    def __init__(self) -> None:
        self.typical_s = 60.0
        self._last = ""
        self._announced: set[int] = set()

    def show(self, answer: Mapping[str, Any]) -> None:
        text = describe(answer)
        if text != self._last:
            say(text, err=True)
        self._last = text
        for index, line in previews(answer).items():
            if index not in self._announced:
                say(line, err=True)
            self._announced.add(index)

    def note(self, text: str) -> None:
        say(text, err=True)


class _Bar:
    """A bar that fills with time, beside the job's state."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self.typical_s = 60.0
        self._bar = bar
        self._task = task
        self._started = time.monotonic()
        self._announced: set[int] = set()

    def show(self, answer: Mapping[str, Any]) -> None:
        self._bar.update(self._task, description=describe(answer))
        for index, line in previews(answer).items():
            if index not in self._announced:
                self.note(line)
            self._announced.add(index)

    def note(self, text: str) -> None:
        line = visible(text)
        self._bar.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    async def tick(self) -> None:
        while True:
            elapsed_s = time.monotonic() - self._started
            self._bar.update(self._task, completed=share_done(elapsed_s, self.typical_s))
            await asyncio.sleep(_TICK_S)
