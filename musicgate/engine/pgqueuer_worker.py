"""Run pgqueuer again and again: what the engine's own event loop does, whatever happens to PostgreSQL.

A run that fails has let go of all shares, and a second later another one begins on a new connection. The
first thing that it does is give back the rows of the runs before it, so that no share waits until its
heartbeat has timed out.
"""

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from musicgate.engine import pgqueuer_tables as tables
from musicgate.engine import replicas
from musicgate.engine.pgqueuer_run import RENEW_EVERY_S, Held, Run
from musicgate.store.postgres_connections import connect
from musicgate.store.postgres_errors import ERRORS, describe
from musicgate.store.postgres_lock import START_KEY

if TYPE_CHECKING:
    import asyncpg

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

_RESTART_S: Final = 1.0
#: A replica that was not seen for so long gets no part of the shares.
_LIVE_S: Final = 5.0
#: The part of the heartbeat for which a sign of life may be missing without anything being lost.
_PAUSE_PART: Final = 2 / 3
#: However short the heartbeat is: the others are read once a second, and each writes as often.
_LEAST_LIVE_S: Final = 2.5
#: No statement of ours takes a hundredth of it.
_STATEMENT_TIMEOUT_S: Final = 10.0
#: For shares to be given back over a connection that may not answer.
_END_TIMEOUT_S: Final = 0.5
#: All of that, and a connection that is just being made.
_HAND_OVER_TIMEOUT_S: Final = 1.9


class ShareWorker:
    """Takes shares, keeps them, and gives them back, until it is told to close. It is run by one thread."""

    def __init__(
        self,
        url: str,
        replica: replicas.Replica,
        heartbeat_s: float,
        *,
        taken: Callable[[int], None],
        lost: Callable[[Sequence[int]], None],
    ) -> None:
        """Prepare; `hold` begins.

        Args:
            taken: told a share that is held from now on. Neither may wait.
            lost: told shares that are not held any more, of those that were told as taken.
        """
        self.held = Held()
        self.neighbours = replicas.Neighbours()
        self.sign = replicas.Sign(max_pause_s=heartbeat_s * _PAUSE_PART)
        self.url = url
        self.replica = replica
        self.heartbeat_s = heartbeat_s
        self.live_s = max(_LEAST_LIVE_S, min(_LIVE_S, heartbeat_s))
        self.taken = taken
        self.lost = lost
        #: Under which ids pgqueuer's earlier runs picked rows.
        self.owners: list[UUID] = []
        self._reported = ""

    async def hold(self, leaving: asyncio.Event) -> None:
        """Hold shares until the event is set, whatever happens to PostgreSQL; then give them back."""
        # It logs a line for each share that changes hands.
        logging.getLogger("pgqueuer").setLevel(logging.WARNING)
        while not leaving.is_set():
            await self._attempt(self._run_once(leaving), leaving)

    async def stay(self, closing: asyncio.Event) -> None:
        """Be seen by the others, without shares, until the event is set; then leave their table."""
        while True:
            await self._attempt(self._stay_once(closing), closing)
            if closing.is_set():
                return

    async def _attempt(self, work: Coroutine[Any, Any, None], ending: asyncio.Event) -> None:
        """Do some work that ends with the event, or soon after it. If it ends earlier, pause."""
        task = asyncio.create_task(work)
        ended = asyncio.create_task(ending.wait())
        await asyncio.wait((task, ended), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((task,), timeout=_HAND_OVER_TIMEOUT_S)
        task.cancel()
        await asyncio.wait((task,))
        error = None if task.cancelled() else task.exception()
        if isinstance(error, ERRORS):
            self._report(describe(error))
        elif error is not None and str(error) != self._reported:
            _log.error("engine failed, its shares are let go", exc_info=error)
            self._reported = str(error)
        await asyncio.wait((ended,), timeout=_RESTART_S)
        ended.cancel()

    async def _run_once(self, leaving: asyncio.Event) -> None:
        connection = await _connect(self.url)
        try:
            run = Run(self, connection)
            await run.prepare()
            self._report("")
            await run.whole(leaving)
            if leaving.is_set():
                async with asyncio.timeout(_END_TIMEOUT_S):
                    await run.hand_over()
                    await connection.close()
            else:
                self._report(run.failure or "the connection was lost")
        finally:
            connection.terminate()

    async def _stay_once(self, closing: asyncio.Event) -> None:
        connection = await _connect(self.url)
        try:
            while not closing.is_set():
                await self.renew(connection.fetch, takes_shares=False)
                self._report("")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(closing.wait(), RENEW_EVERY_S)
            await connection.execute(replicas.REMOVE, self.replica.id)
            await connection.close()
        finally:
            connection.terminate()

    async def renew(self, fetch: Callable[..., Awaitable[Any]], *, takes_shares: bool = True) -> None:
        """Renew our row, and look at those of the others."""
        asked_s = time.monotonic()
        rows = await fetch(replicas.RENEW, *self.replica.row(takes_shares=takes_shares))
        now_s = time.monotonic()
        self.sign = self.sign.renewed(asked_s, now_s)
        self.neighbours = self.neighbours.read(rows, now_s, self.live_s, asked_s)

    def _report(self, reason: str) -> None:
        """Log that it stopped, or that it goes on where there is no reason; once."""
        if reason and reason != self._reported:
            _log.warning("engine stopped, its shares are let go: reason=%s", reason)
        elif self._reported and not reason:
            _log.info("engine runs again")
        self._reported = reason


async def prepare(url: str, replica: replicas.Replica) -> bool:
    """Make the tables where they are missing, and write the row of this replica.

    Returns:
        True if no other replica is alive.

    Raises:
        ConfigError: the tables are those of another version, which is in use.
        asyncpg.PostgresError: PostgreSQL refused.
        OSError: it cannot be reached, or not in time.
    """
    connection = await _connect(url)
    try:
        async with connection.transaction():
            # Another one may be migrating.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", START_KEY, timeout=600.0)
            rows: list[Any] = await connection.fetch(replicas.RENEW, *replica.row(takes_shares=True))
            is_alone = not replicas.Neighbours().read(rows, 0.0, math.inf).live(_LIVE_S)
            await tables.install(connection, is_alone=is_alone)
        await connection.close()
        return is_alone
    finally:
        connection.terminate()


async def _connect(url: str) -> "_Connection":
    return await connect(
        url, has_session=True, name="musicgate shares", statement_timeout_s=_STATEMENT_TIMEOUT_S
    )
