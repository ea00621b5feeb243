"""What pgqueuer asks of its tables, fenced by owner: a replica changes only rows that it holds.

pgqueuer 1.6 renews, retries and logs a row by its id alone. A replica that was stalled, and whose row was
picked again elsewhere, would keep, give back or delete the row of the other one. Here each of these names the
owner and the status too, and what it does not find is not held any more (docs/pgqueuer-fencing.md).
"""
# ruff: noqa: S608 - every text is made of names in this file, and every value is bound

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Any, Final, Protocol
from uuid import UUID

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings, Durability
from pgqueuer.models import Job, TracebackRecord
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries
from pgqueuer.types import JOB_STATUS, Channel, JobId, QueueEntrypoint, QueueManagerId

from musicgate.store.postgres_errors import ERRORS

#: All names are given: pgqueuer would take those that are not from the environment.
SETTINGS: Final = DBSettings(
    prefix="",
    db_schema="musicgate",
    channel=Channel("musicgate_shares"),
    function="fn_pgqueuer_changed",
    statistics_table="pgqueuer_statistics",
    queue_status_type="pgqueuer_status",
    queue_table="pgqueuer",
    queue_table_log="pgqueuer_log",
    trigger="tg_pgqueuer_changed",
    schedules_table="pgqueuer_schedules",
    durability=Durability.durable,
    widen_id=True,
)
_QUEUE: Final = SETTINGS.qualified.queue_table
_HEARTBEAT: Final = (
    f"UPDATE {_QUEUE} SET heartbeat = now()"
    " WHERE id = ANY($1::bigint[]) AND queue_manager_id = $2::uuid AND status = 'picked' RETURNING id"
)
_REQUEUE: Final = (
    f"UPDATE {_QUEUE} SET status = 'queued', execute_after = now(), attempts = attempts + 1, updated = now(),"
    " queue_manager_id = NULL"
)
_GIVE_BACK: Final = (
    f"{_REQUEUE} WHERE id = ANY($1::bigint[]) AND queue_manager_id = $2::uuid AND status = 'picked'"
)
_GIVE_BACK_ALL: Final = f"{_REQUEUE} WHERE queue_manager_id = ANY($1::uuid[]) AND status = 'picked'"


#: Rows that are let go within it are given back in one statement.
_GATHER_S: Final = 0.01


class Holder(Protocol):
    """What runs the shares, and is told what the statements found."""

    async def may_hold(self) -> int:
        """The number of shares that this replica may hold now."""

    def picked(self, jobs: Sequence[Job], asked_s: float) -> list[Job]:
        """Note what was picked by a statement that was sent then; returns what is to be run."""

    def confirmed(self, sent: Iterable[JobId], found: Iterable[JobId], asked_s: float) -> None:
        """Note which rows a heartbeat found, of those that it was sent for."""

    @property
    def is_stopping(self) -> bool:
        """True if all rows are given back at once, later."""


def plain_queries(driver: AsyncpgDriver) -> Queries:
    """The statements without an owner, for the tables."""
    return Queries(driver, *_builders())


def _builders() -> tuple[QueryBuilderEnvironment, QueryQueueBuilder, QuerySchedulerBuilder]:
    return QueryBuilderEnvironment(SETTINGS), QueryQueueBuilder(SETTINGS), QuerySchedulerBuilder(SETTINGS)


class WatchedDriver(AsyncpgDriver):
    """A driver that tells the first statement that fails, so that all is begun anew.

    pgqueuer goes on after some failures, and after others it waits for jobs that nothing ends.
    """

    def __init__(self, connection: Any, failed: Callable[[Exception], None]) -> None:
        super().__init__(connection)
        self._failed = failed

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        """Run a query."""
        with self._watched():
            return await super().fetch(query, *args)

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement."""
        with self._watched():
            return await super().execute(query, *args)

    async def notify(self, channel: str, payload: str) -> None:
        """Send a notification."""
        with self._watched():
            await super().notify(channel, payload)

    @contextlib.contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except Exception as exc:
            self._failed(exc)
            raise


class FencedQueries(Queries):
    """The statements of one owner, a manager of pgqueuer. `owner` is set before any is run."""

    owner: QueueManagerId

    def __init__(self, driver: AsyncpgDriver, holder: Holder) -> None:
        super().__init__(driver, *_builders())
        self._holder = holder
        #: Rows that are to be given back in one statement.
        self._returned: list[JobId] = []
        #: When it was last asked for rows: pgqueuer does that every second, if it is well.
        self.asked_s = time.monotonic()

    async def dequeue(
        self,
        batch_size: int,
        entrypoints: dict[QueueEntrypoint, EntrypointExecutionParameter],
        queue_manager_id: QueueManagerId,
        global_concurrency_limit: int | None,
        heartbeat_timeout: timedelta,
    ) -> list[Job]:
        """Pick rows, as many as this replica may hold at the moment."""
        limit = await self._holder.may_hold()
        self.asked_s = asked_s = time.monotonic()
        jobs = await super().dequeue(batch_size, entrypoints, queue_manager_id, limit, heartbeat_timeout)
        return self._holder.picked(jobs, asked_s)

    async def update_heartbeat(self, job_ids: list[JobId]) -> None:
        """Renew the rows that are still held, and tell which those are."""
        asked_s, sent = time.monotonic(), set(job_ids)
        found = await self.driver.fetch(_HEARTBEAT, list(sent), self.owner)
        self._holder.confirmed(sent, [row["id"] for row in found], asked_s)  # type: ignore[misc]

    async def retry_job(self, job: Job, delay: timedelta, traceback_record: TracebackRecord | None) -> None:
        """Give a row back at once, if it is still held."""
        await self._give_back([job.id])

    async def log_jobs(self, job_status: list[tuple[Job, JOB_STATUS, TracebackRecord | None]]) -> None:
        """Give rows back: a share is never done, whatever ended its executor."""
        await self._give_back([job.id for job, _, _ in job_status])

    async def give_back_all(self, owners: Iterable[UUID]) -> None:
        """Give back every row of these owners."""
        await self.driver.execute(_GIVE_BACK_ALL, list(owners))

    async def _give_back(self, ids: Sequence[JobId]) -> None:
        self._returned += ids
        await asyncio.sleep(_GATHER_S)
        returned, self._returned = self._returned, []
        # What fails is given back with the others, when all is begun anew.
        if returned and not self._holder.is_stopping:
            with contextlib.suppress(*ERRORS):
                await self.driver.execute(_GIVE_BACK, returned, self.owner)
