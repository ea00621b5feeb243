"""Who held which share when, as seen from outside, and what was done with a share that was lost.

The table ``musicgate.shares`` is read ten times a second. What a server believes is not asked: its polls are
seen at the vendors.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

import asyncpg
import attrs

from musicgate.store.postgres_errors import ERRORS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from tests.crash.server import Life

_EVERY_S = 0.1
_SHARES = "SELECT share, term, replica FROM musicgate.shares WHERE replica IS NOT NULL"
_OPEN = "SELECT account, count(*) FROM musicgate.jobs WHERE finished_at_us IS NULL GROUP BY account"
_QUEUE = """
SELECT row.status::text, coalesce(share.replica, '-'), array_agg(number ORDER BY number)::text,
    round(max(extract(epoch FROM now() - heartbeat))::numeric, 1)::float8, coalesce(queue_manager_id::text, '-')
FROM (SELECT *, convert_from(payload, 'UTF8')::int AS number FROM musicgate.pgqueuer) AS row
LEFT JOIN musicgate.shares AS share ON share.share = row.number
GROUP BY 1, 2, 7 ORDER BY 1, 2
"""
#: A server that was stopped, or cut off from PostgreSQL, is told by then that its shares are lost.
TOLD_S = 2.0


@attrs.define
class Holding:
    """One term of a share. Times are steady; it began and ended between two of them.

    Attributes:
        unseen_s: when it had not begun yet.
        seen_s: when it had begun.
        ended_s: when it had ended.
    """

    replica: str
    term: int
    unseen_s: float
    seen_s: float
    ended_s: float = math.inf


class ShareWatch:
    """Watches one database, whenever it can be reached.

    Attributes:
        holdings: the terms of each share in their order.
        most_open: the most open jobs at a time, by account.
        found: complaints.
    """

    def __init__(self, url: str) -> None:
        self.holdings: defaultdict[int, list[Holding]] = defaultdict(list)
        self.most_open: Counter[str] = Counter()
        self.found: list[str] = []
        self._url = url
        #: When the shares were read last.
        self._last_s = time.monotonic()

    async def run(self) -> None:
        """Watch until cancelled. The jobs may be locked, and the shares are watched all the same."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch(self._note_shares))
            tasks.create_task(self._watch(self._note_open_jobs))

    async def _watch(self, note: Callable[[Any], Awaitable[None]]) -> None:
        while True:
            with contextlib.suppress(*ERRORS):
                connection = await asyncpg.connect(self._url, timeout=5, command_timeout=10)
                try:
                    while True:
                        await note(connection)
                        await asyncio.sleep(_EVERY_S)
                finally:
                    connection.terminate()
            await asyncio.sleep(_EVERY_S)

    async def _note_shares(self, connection: Any) -> None:
        began_s = time.monotonic()
        shares = await connection.fetch(_SHARES)
        self.note([tuple(row) for row in shares], self._last_s, time.monotonic())
        self._last_s = began_s

    async def _note_open_jobs(self, connection: Any) -> None:
        for account, count in await connection.fetch(_OPEN):
            self.most_open[account] = max(self.most_open[account], count)

    async def queue(self) -> list[str]:
        """Who has picked which rows of the engine, and how long ago that was renewed."""
        with contextlib.suppress(*ERRORS):
            connection = await asyncpg.connect(self._url, timeout=5, command_timeout=10)
            try:
                return [str(tuple(row)) for row in await connection.fetch(_QUEUE)]
            finally:
                connection.terminate()
        return []

    def note(self, rows: Iterable[tuple[int, int, str]], before_s: float, at_s: float) -> None:
        """Note what the table said between two times, the first of which is that of the last reading."""
        for share, term, replica in rows:
            terms = self.holdings[share]
            last = terms[-1] if terms else None
            if last is not None and last.term == term and last.replica == replica:
                continue
            if last is not None:
                last.ended_s = at_s
                if term <= last.term:
                    self.found.append(f"share {share}: term {term} of {replica} after term {last.term}")
            terms.append(Holding(replica, term, before_s, at_s))

    def held_at(self, replica: str, at_s: float) -> list[int]:
        """The shares that a replica certainly held at a time."""
        return [
            share
            for share, terms in self.holdings.items()
            if any(held.replica == replica and held.seen_s <= at_s < held.ended_s for held in terms)
        ]

    def followed_s(self, share: int, replica: str, from_s: float) -> float:
        """Seconds from then until a share was another replica's; infinite if it has not been."""
        times = [
            held.seen_s - from_s
            for held in self.holdings[share]
            if held.replica != replica and held.seen_s >= from_s
        ]
        return min(times, default=math.inf)


@attrs.frozen
class AskedPoll:
    """A poll for a job of some share, at a steady time, by one process of a server."""

    life: Life
    share: int
    at_s: float


@attrs.define
class StalePolls:
    """Polls by replicas that had lost the share.

    Attributes:
        untold: those within `TOLD_S` of the loss, or of the moment at which the replica went on.
        found: a complaint about each other one.
    """

    polls: int = 0
    untold: int = 0
    found: list[str] = attrs.field(factory=list)


def stale_polls(polls: Iterable[AskedPoll], holdings: Mapping[int, Sequence[Holding]]) -> StalePolls:
    """Find polls by replicas that did not hold the share of the job."""
    result = StalePolls()
    for poll in polls:
        if not poll.life.replica:
            continue
        result.polls += 1
        own = [held for held in holdings.get(poll.share, ()) if held.replica == poll.life.replica]
        if any(held.unseen_s <= poll.at_s <= held.ended_s for held in own):
            continue
        ends = [held.ended_s for held in own if held.ended_s < poll.at_s]
        if not ends:
            result.found.append(f"share {poll.share} was polled by {poll.life.replica}, which never held it")
            continue
        # One that was stopped when it lost the share can know of it only when it goes on.
        went_on = [
            until_s for from_s, until_s in poll.life.stops if max(ends) >= from_s and until_s <= poll.at_s
        ]
        late_s = poll.at_s - max(ends + [until_s for until_s in went_on if until_s > max(ends)])
        if late_s <= TOLD_S:
            result.untold += 1
        else:
            result.found.append(
                f"share {poll.share} was polled by {poll.life.replica} {late_s:.1f} s after it was lost"
            )
    return result
