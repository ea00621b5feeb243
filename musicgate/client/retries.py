"""When a call may be made again, and after which pause; it sends nothing.

A call is made again only if that is harmless. A read is. So is a create call: each has an
``Idempotency-Key``, and its repetitions have the same one, so the server answers them with the job of the
first. Other calls are made again only if nothing of them can have arrived, or if the server has refused them
unread (429).
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from musicgate.errors import MusicgateError

#: Statuses of an answer after which the same call may succeed. A 500 of a musicgate is its store's.
RETRYABLE: Final = frozenset({429, 500, 502, 503, 504})
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 10.0
#: How long a server that has never answered is asked again where nothing listens: the URL may be wrong.
STRANGER_S: Final = 3.0


class FailedTryError(Exception):
    """One try of a call failed.

    Attributes:
        error: what the caller gets unless there is another try.
        is_lasting: the same call would fail in the same way, or may not be made again.
        no_server: nothing listens there, as far as can be seen.
    """

    def __init__(self, error: MusicgateError, *, is_lasting: bool = False, no_server: bool = False) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_lasting = is_lasting
        self.no_server = no_server


class Retries:
    """The tries of one call: ends after ``limit_s`` without progress.

    Args:
        stranger_s: the limit for failures to connect at all; see `STRANGER_S`.
    """

    def __init__(
        self, limit_s: float, *, stranger_s: float | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._limit_s = limit_s
        self._stranger_s = limit_s if stranger_s is None else min(limit_s, stranger_s)
        self._clock = clock
        self._since = clock()
        self.count = 0

    def note_progress(self) -> None:
        """Begin anew: something has come, so the next failure is another one."""
        self._since = self._clock()
        self.count = 0

    async def wait_after(self, failed: FailedTryError) -> None:
        """Wait before the next try.

        Raises:
            MusicgateError: there is none; the error of the last one.
        """
        pause_s = pause_after(self.count, failed.error.retry_after_s)
        limit_s = self._stranger_s if failed.no_server else self._limit_s
        if failed.is_lasting or self._clock() - self._since + pause_s > limit_s:
            raise failed.error from failed.__cause__
        self.count += 1
        await asyncio.sleep(pause_s)


def pause_after(
    count: int, retry_after_s: float | None, spread: Callable[[], float] = random.random
) -> float:
    """Seconds before the next try: twice as long each time, and never earlier than the server asks for.

    Clients that failed together do not come back together: up to half of the pause is chance.

    Args:
        count: number of pauses before.
    """
    grown_s: float = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** min(count, 10))
    if retry_after_s is None:
        return grown_s * (0.5 + 0.5 * spread())
    return retry_after_s + grown_s * 0.5 * spread()
