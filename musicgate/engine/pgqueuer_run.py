"""One run of pgqueuer on one connection: it holds shares until something fails, or it is told to end.

Whatever fails ends the run, and all shares are let go. An executor holds one share: it counts the share's
term up, and returns only by asking pgqueuer for a retry, which gives the row back. Anything else would end
the row.
"""

import asyncio
import logging
import math
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import asyncpg
import attrs
from pgqueuer import PgQueuer, RetryRequested
from pgqueuer.models import Job, TableChangedEvent
from pgqueuer.types import JobId

from musicgate.engine import pgqueuer_tables as tables
from musicgate.engine import replicas
from musicgate.engine.pgqueuer_queries import SETTINGS, FencedQueries, WatchedDriver
from musicgate.model import SHARES
from musicgate.store.postgres_errors import ERRORS, describe

if TYPE_CHECKING:
    from musicgate.engine.pgqueuer_worker import ShareWorker

    _Connection = asyncpg.Connection[asyncpg.Record]

_log = logging.getLogger(__name__)

#: pgqueuer polls for rows so often: it is not notified of those that are given back or whose owner has died.
_POLL_S: Final = 1.0
#: This replica says so often that it lives, and reads of the others.
RENEW_EVERY_S: Final = 0.9
#: Whether a share has no row is looked at so often, and the log is cleaned so often.
_SEED_EVERY_S: Final = 10.0
_CLEAN_EVERY_S: Final = 3600.0
#: pgqueuer that has missed so many in a row is ended.
_MOST_MISSED_POLLS: Final = 7
#: For tasks to end by themselves.
_END_TIMEOUT_S: Final = 0.5

# The row in the queue is locked, so that it cannot change hands before the term is counted up: of two
# replicas that hold a share one after the other, the later one has the higher term.
_BEGIN_TERM: Final = f"""
WITH mine AS (
    SELECT FROM {SETTINGS.qualified.queue_table}
    WHERE id = $3::bigint AND queue_manager_id = $4::uuid AND status = 'picked' FOR UPDATE
)
INSERT INTO musicgate.shares AS known (share, term, replica) SELECT $1::smallint, 1, $2 FROM mine
ON CONFLICT (share) DO UPDATE SET term = known.term + 1, replica = excluded.replica
RETURNING term
"""  # noqa: S608 - a name


@attrs.frozen(kw_only=True)
class Held:
    """The shares that this replica holds, as other threads may read them: it never changes.

    Attributes:
        terms: by share.
        until_s: then the first of them may be picked by another replica, by the steady clock.
    """

    terms: Mapping[int, int] = attrs.field(factory=dict)
    until_s: float = math.inf


@attrs.define(kw_only=True)
class _Holding:
    """A row of the queue that this replica has picked."""

    share: int
    confirmed_s: float
    term: int | None = None
    ended: asyncio.Event = attrs.field(factory=asyncio.Event)


class Run:
    """One run of pgqueuer on one connection. It is the `Holder` of its statements."""

    def __init__(self, worker: "ShareWorker", connection: "_Connection") -> None:
        self._worker = worker
        self._driver = WatchedDriver(connection, self._fail)
        self._queries = FencedQueries(self._driver, self)
        self._pgq = PgQueuer(self._driver, channel=SETTINGS.channel, queries=self._queries)
        self._queries.owner = self._owner = self._pgq.qm.queue_manager_id
        self._pgq.entrypoint(tables.ENTRYPOINT, accepts_context=False)(self._hold)
        self._holdings: dict[JobId, _Holding] = {}
        #: When rows were picked that no executor has begun to hold.
        self._picked_s: dict[JobId, float] = {}
        self._limit = 0
        self._renewed_s = -math.inf
        connection.add_termination_listener(lambda _: self.stop())

        #: What failed first.
        self.failure = ""

    async def prepare(self) -> None:
        """Give back what earlier runs of this process held."""
        await self._queries.give_back_all(self._worker.owners)
        self._worker.owners = [self._owner]

    async def whole(self, leaving: asyncio.Event) -> None:
        """Run until something fails or the event is set; no share is held at the end."""
        engine = self._pgq.run(
            dequeue_timeout=timedelta(seconds=_POLL_S),
            batch_size=SHARES,
            heartbeat_timeout=timedelta(seconds=self._worker.heartbeat_s),
            shutdown_on_listener_failure=True,
        )
        works = (engine, self._watch(), leaving.wait(), self._pgq.shutdown.wait())
        running, *others = (asyncio.create_task(work) for work in works)
        try:
            await asyncio.wait((running, *others), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.stop()
            for task in others:
                task.cancel()
            await asyncio.wait((running, *others), timeout=_END_TIMEOUT_S)
            running.cancel()
        ended, _ = await asyncio.wait((running, *others), timeout=_END_TIMEOUT_S)
        errors = [task.exception() for task in ended if not task.cancelled()]
        for error in filter(None, errors):
            raise error

    async def hand_over(self) -> None:
        """Give every row back, take no part any more, and tell the others."""
        await self._queries.give_back_all([self._owner])
        await self._worker.renew(self._driver.fetch, takes_shares=False)
        changed = TableChangedEvent(
            channel=SETTINGS.channel,
            sent_at=datetime.now(UTC),
            type="table_changed_event",
            operation="update",
            table=SETTINGS.queue_table,
        )
        await self._driver.notify(SETTINGS.channel, changed.model_dump_json(exclude={"received_at"}))

    def _fail(self, error: Exception) -> None:
        self.failure = self.failure or describe(error)
        self.stop()

    def stop(self) -> None:
        """Let every share go, and end pgqueuer."""
        self._pgq.shutdown.set()
        self._let_go(self._holdings.values())

    @property
    def is_stopping(self) -> bool:
        """True if the rows are given back by `hand_over` or by the next run."""
        return self._pgq.shutdown.is_set()

    async def may_hold(self) -> int:
        """The part of this replica. Every second the others are looked at, and what is too much is let go."""
        now_s = time.monotonic()
        if now_s - self._renewed_s < RENEW_EVERY_S:
            return self._limit
        self._renewed_s = now_s
        await self._worker.renew(self._driver.fetch)
        neighbours = self._worker.neighbours
        others = neighbours.takers & neighbours.live(self._worker.live_s)
        self._limit = math.ceil(SHARES / (1 + len(others)))
        # The first ones are kept: the holder of share 0 has more to do than follow jobs.
        kept = sorted(self._current(), key=lambda holding: holding.share)
        self._let_go(kept[self._limit :])
        return self._limit

    def picked(self, jobs: Sequence[Job], asked_s: float) -> list[Job]:
        """Note when rows were picked."""
        for job in jobs:
            holding = self._holdings.get(job.id)
            if holding is None:
                self._picked_s[job.id] = asked_s
            else:
                # It was stale, and may have been held elsewhere meanwhile: another term has to begin.
                self._let_go([holding])
        return list(jobs)

    def confirmed(self, sent: Iterable[JobId], found: Iterable[JobId], asked_s: float) -> None:
        """Note which rows are held for another while, and let the others go."""
        kept = set(found)
        for job_id in kept & self._holdings.keys():
            self._holdings[job_id].confirmed_s = asked_s
        self._let_go([self._holdings[job_id] for job_id in set(sent) - kept if job_id in self._holdings])
        self._publish()

    async def _hold(self, job: Job) -> None:
        """Hold a share until it is lost or let go. It is the executor of pgqueuer."""
        share = int(job.payload or b"")
        holding = _Holding(share=share, confirmed_s=self._picked_s.pop(job.id, -math.inf))
        self._holdings[job.id] = holding
        try:
            if not self.is_stopping:
                await self._begin_term(holding, job.id)
                await holding.ended.wait()
        except ERRORS:
            pass  # the driver has told of it
        except Exception:  # noqa: BLE001 - the row must not end
            _log.exception("share let go: share=%d", share)
        finally:
            self._let_go([holding])
            del self._holdings[job.id]
        raise RetryRequested(timedelta(0))

    async def _begin_term(self, holding: _Holding, job_id: JobId) -> None:
        values = (holding.share, self._worker.replica.id, job_id, self._owner)
        rows: list[dict[str, Any]] = await self._driver.fetch(_BEGIN_TERM, *values)
        if not rows or holding.ended.is_set():
            holding.ended.set()
            return
        holding.term = rows[0]["term"]
        self._publish()
        self._worker.taken(holding.share)

    def _current(self) -> list[_Holding]:
        return [holding for holding in self._holdings.values() if not holding.ended.is_set()]

    def _let_go(self, holdings: Iterable[_Holding]) -> None:
        ending = [holding for holding in holdings if not holding.ended.is_set()]
        for holding in ending:
            holding.ended.set()
        if ending:
            self._publish()
        told = [holding.share for holding in ending if holding.term is not None]
        if told:
            self._worker.lost(told)

    def _publish(self) -> None:
        held = [holding for holding in self._current() if holding.term is not None]
        first_s = min((holding.confirmed_s for holding in held), default=math.inf)
        self._worker.held = Held(
            terms={holding.share: holding.term for holding in held if holding.term is not None},
            until_s=first_s + self._worker.heartbeat_s,
        )

    async def _watch(self) -> None:
        """Add missing shares and delete old rows, now and then; end when pgqueuer has polled no longer."""
        seeded_s, cleaned_s, missed_polls = -math.inf, time.monotonic(), 0
        while missed_polls < _MOST_MISSED_POLLS:
            now_s = time.monotonic()
            if now_s - seeded_s > _SEED_EVERY_S:
                seeded_s = now_s
                await tables.seed(self._queries)
            if now_s - cleaned_s > _CLEAN_EVERY_S:
                cleaned_s = now_s
                await tables.clean(self._queries)
                await self._driver.execute(replicas.FORGET)
            polled_s = self._queries.asked_s
            await asyncio.sleep(1.5 * _POLL_S)
            missed_polls = missed_polls + 1 if self._queries.asked_s == polled_s else 0
        self.failure = self.failure or "pgqueuer polls no longer"
