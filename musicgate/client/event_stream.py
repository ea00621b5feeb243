"""Reads server-sent events from bytes as they come; no socket.

**Source**: html.spec.whatwg.org, "Server-sent events", November 2026. A musicgate ends lines with a line feed
only, but a proxy may have other habits.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from musicgate.plugin import lenient
from musicgate.views import read_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from musicgate.model import JobEvent

_LINE_END: Final = re.compile(rb"\r\n|\n|\r(?!$)")
#: Larger than any event: the last one carries the whole job.
_MAX_LINE_BYTES: Final = 16_777_216
_MAX_RETRY_MS: Final = 60_000


class EventReader:
    """The events of one connection.

    Attributes:
        last: number of the last event; the next connection continues after it.
        pause_s: how long the server wants its clients to wait before they connect again; None = not said.
    """

    def __init__(self, last: int) -> None:
        self.last = last
        self.pause_s: float | None = None
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[tuple[int, JobEvent]]:
        """Take what has come, and yield the events that are complete now.

        Raises:
            ValueError: a line has no end.
        """
        *lines, self._rest = _LINE_END.split(self._rest + piece)
        if len(self._rest) > _MAX_LINE_BYTES:
            raise ValueError("a line of the event stream has no end")
        for line in lines:
            if not line:
                yield from self._event()
                continue
            name, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if name == b"data":
                self._data.append(value)
            elif name == b"retry" and value.isdigit():
                self.pause_s = min(_MAX_RETRY_MS, int(value[:9])) / 1000

    def _event(self) -> Iterator[tuple[int, JobEvent]]:
        """The event that a blank line ends; one that is not known is passed over."""
        data, self._data = b"\n".join(self._data), []
        shown = lenient.json_text(data.decode("utf-8", "replace"))
        found = read_event(shown) if isinstance(shown, dict) else None
        if found is not None and found[0] > self.last:
            self.last = found[0]
            yield found
