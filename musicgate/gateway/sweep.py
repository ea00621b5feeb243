"""Removes what has been kept for long enough: old jobs, old audio, old idempotency keys. Open jobs are never touched."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from musicgate.errors import StorageError

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext

_log = logging.getLogger(__name__)
_PAGE = 200


class Sweeper:
    """Sweeps in rounds; a round that fails is tried again with the next one."""

    def __init__(self, context: GatewayContext) -> None:
        """Start with nothing swept."""
        self._context = context
        #: Audio of jobs up to this place is gone already, so a round looks at what has become old since.
        self._silent_up_to: tuple[datetime, str] | None = None

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except StorageError as error:
                _log.warning("sweeping failed: %s", error)
            except Exception:  # noqa: BLE001 - one round's trouble must not end all the others
                _log.exception("sweeping failed")
            await asyncio.sleep(self._context.settings.retention.sweep_s)

    async def sweep(self) -> None:
        """One round.

        Raises:
            StorageError: the store or the audio folder failed; what was removed so far stays removed.
        """
        context, retention = self._context, self._context.settings.retention
        now = context.clock.now()
        keys_up_to = _ago(now, retention.idempotency_hours / 24)
        await context.store.forget_claims(keys_up_to)
        if retention.audio_days:
            await self._silence(_ago(now, retention.audio_days))
        if retention.jobs_days:
            # A key goes with its job. So no job goes before its key is old, or the same wish would be paid for again.
            await self._remove_jobs(min(keys_up_to, _ago(now, retention.jobs_days)))

    async def _silence(self, before: datetime) -> None:
        while page := await self._context.store.finished_jobs(self._silent_up_to, before, _PAGE):
            for place in page:
                await self._context.assets.delete(place[1])
                self._silent_up_to = place

    async def _remove_jobs(self, before: datetime) -> None:
        while page := await self._context.store.finished_jobs(None, before, _PAGE):
            for _, job_id in page:
                # Audio first: a job without audio can be found again and removed, audio without a job could not.
                await self._context.assets.delete(job_id)
                await self._context.store.delete(job_id)
            _log.info("removed %d old jobs", len(page))


def _ago(now: datetime, days: float) -> datetime:
    """That many days before; the beginning of time, where there are not so many."""
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
