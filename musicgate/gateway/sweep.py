"""Remove old jobs, old audio, old idempotency keys and old audit entries. Open jobs are never touched.

Each account has its own times (``[retention]``, or what its entry says instead), and its jobs are swept in
the order of their ends. To remove audio is to note that its job does not use it any more; the bytes go with
their last user (`AudioKeeper`), and what could not be removed is tried again in each round.

Jobs whose audio is removed stay, so a mark in the store says for each account up to where that is done. It
never passes a job where that failed. A job must never end behind it: while the clock goes on, none does, and
a mark that is later than the oldest job to keep shows that the clock was set back (or that the audio is kept
for longer now); then it is taken back as far.

Of several replicas one sweeps, and one that is not on duty any more stops before the next job. Two that sweep
at once, because one was stalled, do no harm: to delete again changes nothing, and a mark may go back.

Failures are logged when they change, not in every round.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from musicgate.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from musicgate.gateway.context import GatewayContext
    from musicgate.store import JobStore

_log = logging.getLogger(__name__)
_PAGE = 200
#: So many failures in a row end a round of an account: the disk or the store is the reason.
_MAX_FAILURES_IN_A_ROW = 50
#: Seconds until a replica looks again whether it is on duty.
_OFF_DUTY_S = 5.0
#: The mark of the last job of an account whose audio is removed, with that of all that ended before. Without
#: the account: of all accounts, from before each had its own times.
_AUDIO_MARK = "audio_removed_up_to"

#: When a job ended, and its id: jobs are swept in this order.
_Ended = tuple[datetime, str]


class Sweeper:
    """Sweeps in rounds; what fails in a round is retried in the next one."""

    def __init__(self, context: GatewayContext, deleted: Callable[[str], None] = lambda _: None) -> None:
        """Take an open context, and what to call with the id of each deleted job."""
        self._context = context
        self._deleted = deleted
        self._reported: list[str] = []

    async def run(self) -> None:
        """Sweep until cancelled."""
        sweep_s = self._context.settings.retention.sweep_s
        while True:
            if self._context.is_on_duty:
                await self.sweep()
                await asyncio.sleep(sweep_s)
            else:
                await asyncio.sleep(min(sweep_s, _OFF_DUTY_S))

    async def sweep(self) -> None:
        """Sweep once. A failure is logged, and does not stop the rest."""
        context, retention = self._context, self._context.settings.retention
        keys_up_to = _ago(context.clock.now(), retention.idempotency_hours / 24)
        failures = [
            await self._failure_of("idempotency keys", context.store.forget_claims(keys_up_to)),
            await self._failure_of("accounts", self._sweep_accounts(keys_up_to)),
            await self._failure_of("unused audio", context.keeper.remove_unused()),
        ]
        keep_days = context.settings.audit.keep_days
        if keep_days:
            old = context.store.audit_log.forget(_ago(context.clock.now(), keep_days))
            failures.append(await self._failure_of("audit log", old))
        if context.ledger is not None:
            failures.append(await self._failure_of("reservations", context.ledger.sweep()))
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

    async def _sweep_accounts(self, keys_up_to: datetime) -> None:
        now, accounts = self._context.clock.now(), self._context.accounts
        if not accounts.has_retention:
            return
        failures: list[str] = []
        for account in await self._context.store.accounts():
            retention = accounts.retention_of(account)
            if retention.audio_days:
                failures += await self._remove_audio(account, _ago(now, retention.audio_days))
            if retention.jobs_days:
                # A key is deleted with its job. So a job stays until its key is old, or the same request
                # would be paid again.
                before = min(keys_up_to, _ago(now, retention.jobs_days))
                failures += await self._remove_jobs(account, before)
        if failures:
            raise StorageError(
                f"{len(failures)} old jobs or their audio cannot be removed, like {failures[0]}"
            )

    async def _remove_audio(self, account: str, before: datetime) -> list[str]:
        """Remove the audio of an account's old jobs; why some stayed."""
        done = stored = await audio_mark(self._context.store, account)
        if done is not None and done[0] > before:
            # Since the clock was set back, jobs may have ended for as long as the audio is kept and a round
            # takes.
            done = _ago(before, self._context.settings.retention.sweep_s / 86_400), ""
        failures: list[str] = []
        async for ended, failure in self._each(account, done, before, self._context.keeper.release):
            if failure is not None:
                failures.append(failure)
            elif not failures:
                done = ended
        if done is not None and done != stored:
            await self._context.store.set_mark(_mark_of(account), f"{done[0].isoformat()} {done[1]}")
        return failures

    async def _remove_jobs(self, account: str, before: datetime) -> list[str]:
        """Remove an account's old jobs; why some stayed."""
        failures: list[str] = []
        removed = 0
        async for _, failure in self._each(account, None, before, self._remove_job):
            if failure is None:
                removed += 1
            else:
                failures.append(failure)
        if removed:
            _log.info("old jobs removed: account=%s jobs=%d", account, removed)
        return failures

    async def _remove_job(self, job_id: str) -> None:
        await self._context.keeper.delete_job(job_id)
        self._deleted(job_id)

    async def _each(
        self, account: str, after: _Ended | None, before: datetime, step: Callable[[str], Awaitable[object]]
    ) -> AsyncIterator[tuple[_Ended, str | None]]:
        """Take a step with each job of an account that ended in between, until too many fail in a row.

        Gives when each ended, with its id, and why the step failed or None.
        """
        in_a_row = 0
        while page := await self._context.store.finished_jobs(account, after, before, _PAGE):
            for ended in page:
                if not self._context.is_on_duty:
                    return
                failure = await self._failure_of(ended[1], step(ended[1]))
                yield ended, failure
                in_a_row = 0 if failure is None else in_a_row + 1
                if in_a_row >= _MAX_FAILURES_IN_A_ROW:
                    return
            after = page[-1]

    def _report(self, failures: list[str]) -> None:
        """Log failures when they change."""
        if failures != self._reported:
            for failure in failures:
                _log.warning("sweep failed, retrying: %s", failure)
            if not failures:
                _log.info("sweep works again")
        self._reported = failures


async def audio_mark(store: JobStore, account: str) -> _Ended | None:
    """The last job of an account whose audio was removed, with that of all before; None = none was."""
    return _read_mark(await store.mark(_mark_of(account)) or await store.mark(_AUDIO_MARK))


def _mark_of(account: str) -> str:
    return f"{_AUDIO_MARK}:{account}"


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
