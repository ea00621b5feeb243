"""Remove old jobs, old audio and old idempotency keys. Open jobs are never touched.

A job that cannot be removed (its folder is a link, or a permission is missing) does not stop the others: it
is remembered and retried in each round. When many fail in a row, the disk or the store is the reason: then
the round ends, and the next one goes on from there. Failures are logged when they change, not in every round.

Jobs whose audio is removed stay, so a mark in the store says up to where that is done. It never passes a job
whose audio could not be removed, so a restart retries those. A job must never end behind it: while the clock
goes on, none does, and a mark that is later than the oldest job to keep shows that the clock was set back (or
that the audio is kept for longer now); then it is taken back as far.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from musicgate.gateway.context import GatewayContext

_log = logging.getLogger(__name__)
_PAGE = 200
#: So many failures in a row end a round.
_MAX_FAILURES_IN_A_ROW = 50
#: So many failed jobs are remembered; the audio of others is retried after a restart.
_MAX_REMEMBERED = 1_000
#: The mark of the last job whose audio is removed, with that of all jobs that ended before.
_AUDIO_MARK = "audio_removed_up_to"

#: When a job ended, and its id: jobs are swept in this order.
_Ended = tuple[datetime, str]


@attrs.frozen
class _Broken:
    """A job that could not be removed."""

    ended: _Ended
    reason: str


class Sweeper:
    """Sweeps in rounds; what fails in a round is retried in the next one."""

    def __init__(self, context: GatewayContext, deleted: Callable[[str], None] = lambda _: None) -> None:
        """Take an open context, and what to call with the id of each deleted job."""
        self._context = context
        self._deleted = deleted
        #: Up to this job audio has been removed, or the job is remembered as broken: a round begins after it.
        self._audio_removed_up_to: _Ended | None = None
        #: The mark in the store; the first round reads it.
        self._audio_mark: _Ended | None = None
        self._is_mark_read = False
        #: The first job that could not be removed and was one too many to be remembered.
        self._first_forgotten: _Ended | None = None
        #: The job at which a round that ended early stopped removing jobs; None = begin with the oldest.
        self._jobs_removed_up_to: _Ended | None = None
        #: Jobs that could not be removed, by id.
        self._broken: dict[str, _Broken] = {}
        self._failures_in_a_row = 0
        self._reported: list[str] = []

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(self._context.settings.retention.sweep_s)

    async def sweep(self) -> None:
        """Sweep once. A failure is logged, and does not stop the rest."""
        context, retention = self._context, self._context.settings.retention
        now = context.clock.now()
        keys_up_to = _ago(now, retention.idempotency_hours / 24)
        failures = [await self._failure_of("idempotency keys", context.store.forget_claims(keys_up_to))]
        if retention.audio_days:
            removal = self._remove_audio(_ago(now, retention.audio_days))
            failures.append(await self._failure_of("audio", removal))
        if retention.jobs_days:
            # A key is deleted with its job. So a job stays until its key is old, or the same request would be
            # paid again.
            removal = self._remove_jobs(min(keys_up_to, _ago(now, retention.jobs_days)))
            failures.append(await self._failure_of("jobs", removal))
        self._report([failure for failure in failures if failure])

    async def _failure_of(self, what: str, step: Awaitable[object]) -> str | None:
        """Run a step; why it failed, or None."""
        try:
            await step
        except StorageError as error:
            return f"{what}: {error}"
        except Exception as error:  # noqa: BLE001 - a failed step must not stop the others
            failure = f"{what}: {error!r}"
            if failure not in self._reported:
                _log.exception("sweep failed: step=%s", what)
            return failure
        return None

    async def _remove_audio(self, before: datetime) -> None:
        await self._begin_audio(before)
        for broken in list(self._broken.values()):
            await self._remove(broken.ended, with_job=False)
        self._failures_in_a_row = 0
        try:
            async for ended in self._finished(self._audio_removed_up_to, before):
                if self._is_hopeless:
                    return
                await self._remove(ended, with_job=False)
                self._audio_removed_up_to = ended
        finally:
            await self._store_mark()

    async def _begin_audio(self, before: datetime) -> None:
        """Begin after the stored mark, or before it, if the clock was set back."""
        if not self._is_mark_read:
            text = await self._context.store.mark(_AUDIO_MARK)
            self._audio_mark = self._audio_removed_up_to = _read_mark(text)
            self._is_mark_read = True
        done = self._audio_removed_up_to
        if done is not None and done[0] > before:
            # Since the clock was set back, jobs may have ended for as long as the audio is kept and a round
            # takes.
            since = _ago(before, self._context.settings.retention.sweep_s / 86_400)
            self._audio_removed_up_to = since, ""

    async def _store_mark(self) -> None:
        """Store how far audio is removed: to the first job whose audio is not."""
        mark = self._audio_removed_up_to
        left = [broken.ended for broken in self._broken.values()]
        if self._first_forgotten is not None:
            left.append(self._first_forgotten)
        if mark is not None and left:
            mark = min(mark, (min(left)[0], ""))
        if mark is not None and mark != self._audio_mark:
            await self._context.store.set_mark(_AUDIO_MARK, f"{mark[0].isoformat()} {mark[1]}")
            self._audio_mark = mark

    async def _remove_jobs(self, before: datetime) -> None:
        removed = self._failures_in_a_row = 0
        async for ended in self._finished(self._jobs_removed_up_to, before):
            if self._is_hopeless:
                break
            removed += await self._remove(ended, with_job=True)
            self._jobs_removed_up_to = ended
        else:
            self._jobs_removed_up_to = None
        if removed:
            _log.info("old jobs removed: jobs=%d", removed)

    async def _finished(self, after: _Ended | None, before: datetime) -> AsyncIterator[_Ended]:
        while page := await self._context.store.finished_jobs(after, before, _PAGE):
            for ended_job in page:
                yield ended_job
            after = page[-1]

    async def _remove(self, ended: _Ended, *, with_job: bool) -> bool:
        """Remove a job's audio, and the job; False when that failed."""
        job_id = ended[1]
        try:
            # Audio first: a job without audio is found again and removed, audio without a job is not.
            await self._context.assets.delete(job_id)
            if with_job:
                await self._context.store.delete(job_id)
                self._deleted(job_id)
        except Exception as error:  # noqa: BLE001 - a job that cannot be removed must not stop the others
            self._failures_in_a_row += 1
            if job_id in self._broken or len(self._broken) < _MAX_REMEMBERED:
                self._broken[job_id] = _Broken(ended, str(error) or repr(error))
            else:
                self._first_forgotten = min(self._first_forgotten or ended, ended)
            return False
        self._failures_in_a_row = 0
        self._broken.pop(job_id, None)
        return True

    @property
    def _is_hopeless(self) -> bool:
        return self._failures_in_a_row >= _MAX_FAILURES_IN_A_ROW

    def _report(self, failures: list[str]) -> None:
        """Log failures when they change."""
        if self._broken:
            job_id, broken = next(iter(self._broken.items()))
            failures = [
                *failures,
                f"{len(self._broken)} old jobs or their audio cannot be removed, like {job_id}: {broken.reason}",
            ]
        if failures != self._reported:
            for failure in failures:
                _log.warning("sweep failed, retrying: %s", failure)
            if not failures:
                _log.info("sweep works again")
        self._reported = failures


def _read_mark(text: str | None) -> _Ended | None:
    if text is None:
        return None
    ended_at, _, job_id = text.partition(" ")
    return datetime.fromisoformat(ended_at), job_id


def _ago(now: datetime, days: float) -> datetime:
    """The time so many days ago; the earliest possible time where that is out of range."""
    try:
        return now - timedelta(days=days)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)
