"""Remove what has been kept for long enough: old jobs, old audio, old idempotency keys. Open jobs are never touched.

One job that cannot be removed (a folder that is a link, or without permission) does not keep the others: it is remembered and
tried again with each round. When many fail in a row, the disk or the store is the reason; then the round ends, and the next one goes on
from there. What could not be removed is logged when it changes, not with every round.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from musicgate.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable

    from musicgate.gateway.context import GatewayContext

_log = logging.getLogger(__name__)
_PAGE = 200
#: So many jobs that cannot be removed, one after another, end a round.
_MAX_FAILURES_IN_A_ROW = 50
#: So many of them are remembered; audio that is not is tried again after a restart.
_MAX_REMEMBERED = 1_000


class Sweeper:
    """Sweeps in rounds; what a round could not do is tried again with the next one."""

    def __init__(self, context: GatewayContext) -> None:
        """Start with nothing swept."""
        self._context = context
        #: Audio of jobs up to this place is gone or remembered as broken, so a round begins with what has become old since.
        self._silent_up_to: tuple[datetime, str] | None = None
        #: Where a round that ended early stopped removing jobs; None = begin with the oldest.
        self._removed_up_to: tuple[datetime, str] | None = None
        #: Why jobs, by id, could not be removed.
        self._broken: dict[str, str] = {}
        self._failures_in_a_row = 0
        self._reported: list[str] = []

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._context.settings.retention.sweep_s)

    async def sweep(self) -> None:
        """One round. Whatever fails is logged, and keeps nothing else from being removed."""
        context, retention = self._context, self._context.settings.retention
        now = context.clock.now()
        keys_up_to = _ago(now, retention.idempotency_hours / 24)
        trouble = [await self._done("idempotency keys", context.store.forget_claims(keys_up_to))]
        if retention.audio_days:
            trouble.append(await self._done("audio", self._silence(_ago(now, retention.audio_days))))
        if retention.jobs_days:
            # A key goes with its job. So no job goes before its key is old, or the same request would be paid for again.
            before = min(keys_up_to, _ago(now, retention.jobs_days))
            trouble.append(await self._done("jobs", self._remove_jobs(before)))
        self._report([told for told in trouble if told])

    async def _done(self, what: str, step: Awaitable[object]) -> str | None:
        """What kept a step from its end; None when nothing did."""
        try:
            await step
        except StorageError as error:
            return f"{what}: {error}"
        except Exception as error:  # noqa: BLE001 - one step's trouble must not end the others
            told = f"{what}: {error!r}"
            if told not in self._reported:
                _log.exception("sweeping %s failed", what)
            return told
        return None

    async def _silence(self, before: datetime) -> None:
        for job_id in list(self._broken):
            await self._remove(job_id, with_job=False)
        self._failures_in_a_row = 0
        async for place in self._finished(self._silent_up_to, before):
            if self._is_hopeless:
                return
            await self._remove(place[1], with_job=False)
            self._silent_up_to = place

    async def _remove_jobs(self, before: datetime) -> None:
        removed = self._failures_in_a_row = 0
        async for place in self._finished(self._removed_up_to, before):
            if self._is_hopeless:
                break
            removed += await self._remove(place[1], with_job=True)
            self._removed_up_to = place
        else:
            self._removed_up_to = None
        if removed:
            _log.info("removed %d old jobs", removed)

    async def _finished(
        self, after: tuple[datetime, str] | None, before: datetime
    ) -> AsyncIterator[tuple[datetime, str]]:
        while page := await self._context.store.finished_jobs(after, before, _PAGE):
            for place in page:
                yield place
            after = page[-1]

    async def _remove(self, job_id: str, *, with_job: bool) -> bool:
        """Remove a job's audio, and the job; False when that failed."""
        try:
            # Audio first: a job without audio can be found again and removed, audio without a job could not.
            await self._context.assets.delete(job_id)
            if with_job:
                await self._context.store.delete(job_id)
        except Exception as error:  # noqa: BLE001 - one job's trouble must not keep the others
            self._failures_in_a_row += 1
            if job_id in self._broken or len(self._broken) < _MAX_REMEMBERED:
                self._broken[job_id] = str(error) or repr(error)
            return False
        self._failures_in_a_row = 0
        self._broken.pop(job_id, None)
        return True

    @property
    def _is_hopeless(self) -> bool:
        return self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW

    def _report(self, trouble: list[str]) -> None:
        """Log what failed, when it is not what was logged last."""
        if self._broken:
            job_id, reason = next(iter(self._broken.items()))
            trouble = [
                *trouble,
                f"{len(self._broken)} old jobs or their audio cannot be removed, {job_id} for one: {reason}",
            ]
        if trouble != self._reported:
            for told in trouble:
                _log.warning("sweeping failed and is tried again: %s", told)
            if not trouble:
                _log.info("sweeping works again")
        self._reported = trouble


def _ago(now: datetime, days: float) -> datetime:
    """That many days before; the beginning of time, where there are not so many."""
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
