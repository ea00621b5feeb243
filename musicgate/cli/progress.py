"""Shows the progress of a job on standard error: a bar on a terminal, plain lines elsewhere.

It names what is happening and for how long. How long it will take is said only where something is known of
it: the vendor itself says so, or earlier jobs took a time (`estimate`).

The bar is drawn by rich, which the tables of other commands do not need; it is imported with the first bar.
rich leaves colours out where ``NO_COLOR`` is set.
"""

from __future__ import annotations

import asyncio
import math
import os
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol

import click

from musicgate.cli.options import QUIET_KEY
from musicgate.cli.terminal import say, visible

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from rich.progress import Progress, TaskID

    from musicgate.model import Job

#: Share of the bar that is full at the typical time; after that it slows down without filling up.
_FULL_AT_TYPICAL: Final = 0.9
_TICK_S: Final = 0.1
_STATES: Final = {
    "queued": "queued",
    "in_progress": "making music",
    "completed": "done",
    "failed": "failed",
}
_OVER: Final = frozenset({"completed", "failed"})
_DAY_S: Final = 86_400.0
#: Terminals that cannot move the cursor.
_DUMB: Final = frozenset({"dumb", "unknown"})


class Display(Protocol):
    """Shows a run while it is in progress.

    Attributes:
        typical_s: seconds that such a job usually takes; None = not known.
    """

    typical_s: float | None

    def show(self, answer: Mapping[str, Any], doing: str = "") -> None:
        """Show the current state of the job.

        Args:
            doing: what is happening, where more is known than the answer tells.
        """

    def note(self, text: str) -> None:
        """Print one line."""


def share_done(elapsed_s: float, typical_s: float) -> float:
    """How full the bar is: 0 at the start, 0.9 at the typical time, below 1 before the end."""
    return 1.0 - math.pow(1.0 - _FULL_AT_TYPICAL, max(0.0, elapsed_s) / max(typical_s, 0.001))


def describe(answer: Mapping[str, Any]) -> str:
    """What is happening to a job, with the native status."""
    state = str(answer.get("status"))
    text = _STATES.get(state, visible(state))
    plugin, native = answer.get("provider_plugin"), answer.get("native_status")
    if state not in {"queued", "in_progress"} or not plugin:
        return text
    outcome = _last_outcome(answer)
    if state == "queued" and outcome == "planned":
        return visible(f"waiting for a free place at {plugin}")
    if state == "queued" and outcome == "sent":
        return visible(f"submitting to {plugin}")
    if state == "in_progress" and any(_is_kept(item) for item in answer.get("output") or ()):
        return visible(f"keeping the audio of {plugin}")
    return visible(f"{text} at {plugin}: {native}" if native else f"{text} at {plugin}")


def describe_delivery(job: Job) -> str:
    """What is done with audio that a vendor has delivered; "" before, and after the end."""
    if job.delivered_at is None or job.state.is_final:
        return ""
    if job.storage_trouble:
        return visible(f"waiting for the audio store: {job.storage_trouble}")
    playable = [track for track in job.tracks if track.audio_url and not track.failure_message]
    kept = sum(track.asset is not None for track in playable)
    if kept < len(playable):
        return visible(f"downloading track {kept + 1} of {len(playable)} from {job.plugin}")
    return "converting and marking the audio"


def time_text(elapsed_s: float, typical_s: float | None, remaining_s: float | None = None) -> str:
    """How long it has taken, and how much longer it may take: ``0:12, about 0:48 left``.

    Args:
        remaining_s: as the vendor says itself; it knows better than earlier jobs.
    """
    text = _clock(elapsed_s)
    if remaining_s is None and typical_s is not None:
        remaining_s = typical_s - elapsed_s
        if remaining_s <= 0:
            return f"{text}, longer than the usual {_clock(typical_s)}"
    return text if remaining_s is None else f"{text}, about {_clock(remaining_s)} left"


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


def has_bar() -> bool:
    """True if standard error is a terminal that can show a bar, and ``--quiet`` was not given."""
    context = click.get_current_context(silent=True)
    is_quiet = context is not None and bool(context.meta.get(QUIET_KEY))
    return sys.stderr.isatty() and os.environ.get("TERM") not in _DUMB and not is_quiet


@asynccontextmanager
async def display() -> AsyncIterator[Display]:
    """A bar on a terminal, else plain lines."""
    if not has_bar():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    columns = (
        SpinnerColumn(),
        BarColumn(bar_width=24),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        shown = _Bar(bar, bar.add_task("submitting", total=None))
        ticking = asyncio.create_task(shown.tick(), name="progress bar")
        try:
            yield shown
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)


class _Lines:
    """One line per change."""

    def __init__(self) -> None:
        self.typical_s: float | None = None
        self._started = time.monotonic()
        self._last = ""
        self._announced: set[int] = set()

    def show(self, answer: Mapping[str, Any], doing: str = "") -> None:
        text = doing or describe(answer)
        if text != self._last:
            elapsed_s = time.monotonic() - self._started
            is_over = answer.get("status") in _OVER
            times = "" if is_over else f" ({time_text(elapsed_s, self.typical_s, _remaining_s(answer))})"
            say(f"{text}{times}", err=True)
        self._last = text
        for index, line in previews(answer).items():
            if index not in self._announced:
                say(line, err=True)
            self._announced.add(index)

    def note(self, text: str) -> None:
        say(text, err=True)


class _Bar:
    """A bar that fills with what the vendor says, or with time where a usual one is known; else it swings."""

    def __init__(self, bar: Progress, task: TaskID) -> None:
        self.typical_s: float | None = None
        self._bar = bar
        self._task = task
        self._started = time.monotonic()
        self._announced: set[int] = set()
        self._doing = "submitting"
        self._fraction: float | None = None
        self._ends_at: float | None = None

    def show(self, answer: Mapping[str, Any], doing: str = "") -> None:
        self._doing = doing or describe(answer)
        self._fraction = _number(answer, "fraction")
        remaining_s = _remaining_s(answer)
        self._ends_at = None if remaining_s is None else time.monotonic() + remaining_s
        self._draw()
        for index, line in previews(answer).items():
            if index not in self._announced:
                self.note(line)
            self._announced.add(index)

    def note(self, text: str) -> None:
        line = visible(text)
        self._bar.console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)

    def _draw(self) -> None:
        now = time.monotonic()
        elapsed_s = now - self._started
        share = self._fraction
        if share is None and self.typical_s is not None:
            share = share_done(elapsed_s, self.typical_s)
        remaining_s = None if self._ends_at is None else max(0.0, self._ends_at - now)
        text = f"{self._doing} ({time_text(elapsed_s, self.typical_s, remaining_s)})"
        total = None if share is None else 1.0
        self._bar.update(self._task, description=text, total=total, completed=share or 0.0)

    async def tick(self) -> None:
        while True:
            self._draw()
            await asyncio.sleep(_TICK_S)


def _last_outcome(answer: Mapping[str, Any]) -> object:
    attempts = answer.get("attempts")
    last = attempts[-1] if isinstance(attempts, list) and attempts else None
    return last.get("outcome") if isinstance(last, dict) else None


def _is_kept(item: object) -> bool:
    """Audio is measured when it is kept, and it is kept when the vendor is done."""
    return isinstance(item, dict) and "audio" in item


def _remaining_s(answer: Mapping[str, Any]) -> float | None:
    """What the vendor says, where it is a time that a person may wait."""
    remaining_s = _number(answer, "remaining_seconds")
    return remaining_s if remaining_s is not None and 0 <= remaining_s < _DAY_S else None


def _number(answer: Mapping[str, Any], name: str) -> float | None:
    progress = answer.get("progress")
    value = progress.get(name) if isinstance(progress, dict) else None
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)


def _clock(seconds: float) -> str:
    """Format seconds as ``1:05``, from an hour on as ``1:02:03``."""
    minutes, rest = divmod(int(seconds + 0.5), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
