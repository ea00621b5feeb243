"""Who owns which open job: its create call in flight, or the scheduler.

Of the replicas, it is the scheduler of the one that holds the job's share. Jobs go from one to the other
here, and with the shares from replica to replica. With one process all shares are held, from the start to the
end.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.engine import InFlight, Scheduler, ShareLostError
from musicgate.errors import MusicgateError, StorageError
from musicgate.gateway import commit, recover
from musicgate.gateway.follow import advance
from musicgate.model import AttemptOutcome, share_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection

    from musicgate.engine import Call, Supervisor
    from musicgate.gateway.context import GatewayContext
    from musicgate.model import Job
    from musicgate.planning import Candidate

_log = logging.getLogger(__name__)
#: Seconds in which each share is searched once for open jobs that are not followed.
_LOOK_FOR_JOBS_S = 30.0
#: Seconds between tries to read the jobs of a new share.
_STORE_RETRY_S = (0.2, 1.0, 3.0)
#: The first polls of a share are spread over so much of the time over which those of all jobs are.
_SHARE_SPREAD = 0.2
#: Seconds after the start in which the first replica recovers jobs that were not followed before.
_CATCHING_UP_S = 60.0
_WITHOUT_OUTCOME = frozenset({AttemptOutcome.PLANNED, AttemptOutcome.SENT})


class Owners:
    """The two owners of open jobs in this process.

    Attributes:
        in_flight: the create calls in flight.
        scheduler: steps the open jobs that no call owns.
        may_follow: set unless something is still to be checked before jobs are followed.
    """

    def __init__(
        self, context: GatewayContext, supervisor: Supervisor, send: Callable[[Call], Awaitable[Job]]
    ) -> None:
        """Take an open context, the owner of tasks, and what makes the call of a stored job."""
        self._context = context
        self._supervisor = supervisor
        self.in_flight = InFlight(
            context.store,
            supervisor,
            context.create_queues.values(),
            context.time_limits,
            send=send,
            stored=self._stored,
            audit=context.audit.created if context.audit.is_on else None,
            hand_over=self._hand_over,
        )
        self.scheduler = Scheduler(
            lambda job_id: advance(context, job_id, self.in_flight.resume),
            concurrency=context.settings.follow.concurrency,
            min_gap_s=1.0 / context.speed,
        )
        self.may_follow = asyncio.Event()
        self.may_follow.set()
        self._catching_up_until_s = asyncio.get_running_loop().time() + _CATCHING_UP_S

    async def recover_shares(self, taken: Collection[int]) -> None:
        """Give every open job of these shares an owner, as long as they are held."""
        shares = self._context.shares
        if not shares.replica:
            await self._recover(None)
            return
        await self.may_follow.wait()
        self._context.outbox_changed.set()  # the courier's share may be among them
        left = sorted(taken)
        for pause_s in (0.0, *_STORE_RETRY_S):
            await asyncio.sleep(pause_s)
            # One that fails keeps none of the others waiting. While a heartbeat is overdue, none is certain;
            # its jobs are recovered all the same: its term guards them, and nothing would tell of it again.
            left = [
                share
                for share in left
                if shares.term_of(share) is not None and not await self._recovered_share(share)
            ]
            if not left:
                return
        _log.error("jobs of shares not recovered yet, they are looked for again: shares=%s", left)

    def drop_shares(self, lost: Collection[int]) -> None:
        """Follow the jobs of these shares no longer."""
        for job_id in self.scheduler.drop(lambda job_id: share_of(job_id) in lost):
            self._context.quiet_polls.forget(job_id)

    async def look_for_jobs(self) -> None:
        """Look for open jobs of our shares that have no owner here, share by share: news may be lost."""
        shares, store = self._context.shares, self._context.store
        while True:
            held = sorted(shares.held)
            for share in held:
                try:
                    for job_id in await store.open_ids(share) if share in shares.held else ():
                        if job_id not in self.in_flight and job_id not in self.scheduler:
                            self.follow(job_id, 0.0)
                except StorageError as error:
                    _log.warning("open jobs cannot be looked for: share=%d error=%s", share, error)
                await asyncio.sleep(_LOOK_FOR_JOBS_S / len(held))
            if not held:
                await asyncio.sleep(1.0)

    def follow(self, job_id: str, delay_s: float, lane: str = "") -> None:
        """Hand an open job to the scheduler; or tell the replica that holds its share."""
        shares = self._context.shares
        # Also while a heartbeat is overdue: the share is lost only when another replica has it.
        if not shares.replica or shares.term_of(share_of(job_id)) is not None:
            self.scheduler.take(job_id, delay_s, lane)
        else:
            self._context.news.due(job_id)

    def poll(self, job_id: str) -> None:
        """Have a job polled now, here or by the replica that follows it."""
        if not (self.in_flight.wake(job_id) or self.scheduler.wake(job_id)):
            self.follow(job_id, 0.0)

    def hear_of_due(self, job_id: str) -> None:
        """Hear that a job is to be polled now by the replica that follows it."""
        self._context.quiet_polls.forget(job_id)
        if self.in_flight.wake(job_id) or self.scheduler.wake(job_id):
            return
        if self._context.shares.term_of(share_of(job_id)) is not None:
            self.scheduler.take(job_id, 0.0)

    def _stored(self, job: Job) -> None:
        """Note a new job. The replica that follows it, if it is another one, outlives this one."""
        context = self._context
        context.changed(None, job)
        if context.shares.replica and context.shares.term_of(share_of(job.id)) is None:
            context.news.due(job.id)

    def _hand_over(self, call: Call, has_failed: bool) -> None:
        """Hand the job of an ended call to the scheduler; an error here would cost the job its owner."""
        job = call.job
        if job.state.is_final and not has_failed:
            return
        delay_s = 0.0
        installed = self._context.installed(job)
        if installed is not None and not has_failed and not call.is_woken and job.delivered_at is None:
            delay_s = jobs.next_poll_s(job, installed.provider.poll, job.updated_at, self._context.speed)
        self.follow(job.id, delay_s, job.plugin or "")
        replica = self._context.shares.replica
        if replica and job.sender == replica and job.outcome in _WITHOUT_OUTCOME:
            self._supervisor.spawn(f"leave {job.id}", self._leave(job))

    async def _leave(self, job: Job) -> None:
        """Tell the job's follower that our create call has ended and its outcome is not known."""
        replica, now = self._context.shares.replica, self._context.clock.now()
        left = await commit.change_until_stored(
            self._context, job, lambda current: jobs.leave(current, replica, now)
        )
        if not left.state.is_final:
            self.follow(job.id, 0.0, job.plugin or "")

    async def _recovered_share(self, share: int) -> bool:
        try:
            await self._recover(share)
        except Exception as error:  # noqa: BLE001 - whatever breaks, they are looked for again later
            _log.warning("jobs of a share not recovered: share=%d error=%r", share, error)
            return False
        return True

    async def _recover(self, share: int | None) -> None:
        """Give every open job of a share, or of the store, an owner, unless it has one here."""
        shares = self._context.shares
        context, term = self._context, None
        if share is not None:
            term = shares.term_of(share)
            if term is None:  # another thread has just lost it; without a term, nothing would hold us back
                return
            context = context.under(term)
        async for job in recover.open_jobs(context, share):
            if job.id in self.in_flight or job.id in self.scheduler:
                continue
            context.quota.note(job)
            try:
                job, candidates = await self._recovered(context, job)  # noqa: PLW2901
            except ShareLostError:
                return
            if share is not None and shares.term_of(share) != term:
                return  # if it was taken again, that is told as well
            if job.id in self.in_flight or job.id in self.scheduler:  # since we have waited
                continue
            if candidates:
                self.in_flight.resume(job, candidates)
            elif not job.state.is_final:
                spread_s = recover.recovery_spread_s(job) * (1.0 if share is None else _SHARE_SPREAD)
                delay_s = 0.0 if job.delivered_at else spread_s / context.speed
                self.scheduler.take(job.id, delay_s, job.plugin or "")

    async def _recovered(self, context: GatewayContext, job: Job) -> tuple[Job, tuple[Candidate, ...]]:
        """The job, with candidates if it is to be sent; unchanged where that cannot be found out yet."""
        try:
            if context.shares.is_first and self._is_catching_up:
                job = await recover.clamp_deadline(context, job)
            return await recover.recover(context, job)
        except MusicgateError as error:
            _log.error("job cannot be recovered yet: job=%s error=%s", job.id, error)
            return job, ()

    @property
    def _is_catching_up(self) -> bool:
        return asyncio.get_running_loop().time() < self._catching_up_until_s
