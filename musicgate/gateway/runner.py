"""Runs the use cases of an open gateway: its services, its calls, and who owns which open job.

Every open job has one owner: its create call in flight, or the scheduler of the replica that holds its share.
This module hands jobs from one to the other, and hears what the other replicas tell.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.engine import InFlight, Scheduler, ShareLostError, Supervisor
from musicgate.errors import JobNotFoundError, MusicgateError, StorageError
from musicgate.gateway import commit, recover, send
from musicgate.gateway.accept import accept
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.gateway.cancel import stop_vendor
from musicgate.gateway.candidates import create_budget_s
from musicgate.gateway.events import watch_job
from musicgate.gateway.finishing import tracks_to_finish
from musicgate.gateway.follow import advance
from musicgate.gateway.settle import settle
from musicgate.gateway.shared_assets import check_shared_assets
from musicgate.gateway.sweep import Sweeper
from musicgate.model import AttemptOutcome, share_of
from musicgate.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from musicgate.engine import Call
    from musicgate.gateway.accept import Submission
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.events import Changes
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.model import IdempotencyClaim, Job
    from musicgate.planning import Candidate

_log = logging.getLogger(__name__)
#: Seconds in which each share is searched once for open jobs that are not followed.
_LOOK_FOR_JOBS_S = 30.0
#: Seconds between tries to read the jobs of a new share.
_STORE_RETRY_S = (0.2, 1.0, 3.0)
#: The first polls of a share are spread over so much of the time over which those of all jobs are.
_SHARE_SPREAD = 0.2
_WITHOUT_OUTCOME = frozenset({AttemptOutcome.PLANNED, AttemptOutcome.SENT})


class Runner:
    """The tasks of an open gateway.

    Attributes:
        supervisor: owns every background task.
        in_flight: the create calls in flight.
        scheduler: steps the open jobs that no call owns.
        webhooks: the courier, and the delivery log.
        sweeper: removes what is too old.
    """

    def __init__(self, context: GatewayContext, changes: Changes) -> None:
        """Take an open context, and the readers to wake when a job changes."""
        self._context = context
        self._changes = changes
        self.sweeper = Sweeper(context, self.note_deleted)
        self.supervisor = Supervisor()
        self.webhooks = Webhooks(context)
        self.in_flight = InFlight(
            context.store,
            self.supervisor,
            context.create_queues.values(),
            context.time_limits,
            send=self._send,
            stored=lambda job: context.changed(None, job),
            hand_over=self._hand_over,
        )
        self.scheduler = Scheduler(
            lambda job_id: advance(context, job_id, self.in_flight.resume),
            concurrency=context.settings.follow.concurrency,
            min_gap_s=1.0 / context.speed,
        )
        self._callbacks = SeenCallbacks()
        #: Set unless something is still to be checked before jobs are followed.
        self._may_follow = asyncio.Event()
        self._may_follow.set()

    async def start(self) -> None:
        """Recover the open jobs of earlier processes, as far as they are ours, then start the services.

        Raises:
            ConfigError: the other replicas keep audio elsewhere.
        """
        await self._context.news.start(
            changed=self._hear_of_change,
            due=self._hear_of_due,
            outbox=self._context.outbox_changed.set,
            missed=self._hear_of_loss,
        )
        shares = self._context.shares
        if shares.replica:
            self._may_follow.clear()
        await shares.start(self._take_up, self._give_up)
        if shares.replica:
            await check_shared_assets(self._context)
            self._may_follow.set()
            self.supervisor.start("open jobs", self._look_for_jobs)
        self.supervisor.start("scheduler", self.scheduler.run)
        self.supervisor.start("sweeper", self.sweeper.run)
        self.supervisor.start("courier", self.webhooks.run)

    async def close(self) -> None:
        """Stop the services. Calls in flight get ``server.drain_s`` to end; jobs that wait stay stored."""
        self.in_flight.close()
        await self._context.shares.hand_over()
        await self.supervisor.stop_services()
        await self.supervisor.finish(self._context.settings.server.drain_s)
        await self._context.news.close()
        await self._context.shares.close()

    async def accept(self, submission: Submission) -> Call | IdempotencyClaim:
        """Begin a create call; or find the earlier use of its key. See `musicgate.gateway.accept`."""
        key = submission.idempotency
        if key is not None:
            earlier = await self._context.store.find_claim(submission.account, key.route, key.key)
            if earlier is not None:
                return earlier
        self.webhooks.check(submission.account, submission.request.webhook_url)
        return await accept(self._context, self.in_flight, submission)

    async def replay(self, earlier: IdempotencyClaim, key: IdempotencyKey | None, wait_s: float) -> Job:
        """The job of an idempotent replay, once its own caller has been answered.

        Args:
            wait_s: as in `Submission`; counts only where that caller called another replica.

        Raises:
            RequestError: 422, the key was used for another body.
            JobNotFoundError: the job was deleted.
        """
        if key is not None:
            key.check(earlier)
        await self.in_flight.wait(earlier.job_id)
        job = await self._context.store.get(earlier.job_id)
        if job is None:
            raise JobNotFoundError(earlier.job_id)
        return await self._after_call(job, wait_s) if recover.is_called_elsewhere(self._context, job) else job

    def note_deleted(self, job_id: str) -> None:
        """Report a job that was deleted."""
        self._changes.notify(job_id)
        self._context.news.changed(job_id)

    async def callback(self, job_id: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """Receive a vendor's callback, and poll the job if it is worth it.

        Raises:
            JobNotFoundError: no such job, or the token is not the job's.
            UnauthorisedError: the signature is missing, wrong or stale.
        """
        hint = await receive_callback(self._context, self._callbacks, job_id, token, headers, body)
        if hint is Hint.POLL and not (self.in_flight.wake(job_id) or self.scheduler.wake(job_id)):
            self._follow(job_id, 0.0)
        if hint is Hint.STOP:
            self.supervisor.spawn(f"stop {job_id}", self._stop_late(job_id))

    async def _send(self, call: Call) -> Job:
        """Make the create call of a stored job. A job whose audio came with the answer is settled at once."""
        context = self._context
        job = await send.run(context, call.job, call.candidates, caller=call.caller, slot=call.slot)
        is_kept = job.delivered_at is not None and all(
            track.asset or not track.audio_url for track in job.tracks
        )
        if is_kept and not tracks_to_finish(context, job):
            call.job = job
            await settle(context, job)  # nothing is fetched or converted, so the caller gets a finished job
            job = await context.store.get(job.id) or job
        return job

    def _hand_over(self, call: Call, has_failed: bool) -> None:
        """Hand the job of an ended call to the scheduler; an error here would cost the job its owner."""
        job = call.job
        if job.state.is_final and not has_failed:
            return
        delay_s = 0.0
        installed = self._context.installed(job)
        if installed is not None and not has_failed and not call.is_woken and job.delivered_at is None:
            delay_s = jobs.next_poll_s(job, installed.provider.poll, job.updated_at, self._context.speed)
        self._follow(job.id, delay_s, job.plugin or "")
        replica = self._context.shares.replica
        if replica and job.sender == replica and job.outcome in _WITHOUT_OUTCOME:
            self.supervisor.spawn(f"leave {job.id}", self._leave(job))

    def _follow(self, job_id: str, delay_s: float, lane: str = "") -> None:
        """Hand an open job to the scheduler; or tell the replica that holds its share."""
        shares = self._context.shares
        # Also while a heartbeat is overdue: the share is lost only when another replica has it.
        if not shares.replica or shares.term_of(share_of(job_id)) is not None:
            self.scheduler.take(job_id, delay_s, lane)
        else:
            self._context.news.due(job_id)

    async def _after_call(self, job: Job, wait_s: float) -> Job:
        """The job once the create call of another replica has ended, or after the time that one may take."""
        context, installed = self._context, self._context.installed(job)
        age_s = max(0.0, (context.clock.now() - job.updated_at).total_seconds())
        if installed is not None and job.outcome is AttemptOutcome.SENT:
            wait_s = create_budget_s((installed,), wait_s)
        versions = watch_job(context.store, self._changes, job.id, context.reread_s)
        try:
            async with asyncio.timeout(max(0.0, wait_s - age_s)), aclosing(versions):
                async for job in versions:  # noqa: PLR1704 - the newest version
                    if job.state.is_final or not recover.is_called_elsewhere(context, job):
                        break
        except TimeoutError:
            pass
        return job

    def _hear_of_change(self, job_id: str) -> None:
        """Hear that another replica has stored or deleted a job."""
        self._context.quiet_polls.forget(job_id)
        self._changes.notify(job_id)
        self.scheduler.wake(job_id)

    def _hear_of_due(self, job_id: str) -> None:
        """Hear that a job is to be polled now by the replica that follows it."""
        self._context.quiet_polls.forget(job_id)
        if self.in_flight.wake(job_id) or self.scheduler.wake(job_id):
            return
        if self._context.shares.term_of(share_of(job_id)) is not None:
            self.scheduler.take(job_id, 0.0)

    def _hear_of_loss(self) -> None:
        """Hear that news were lost. Jobs are looked for anyway; who waits, and the courier, read again."""
        self._changes.notify_all()
        self._context.outbox_changed.set()

    async def _leave(self, job: Job) -> None:
        """Tell the job's follower that our create call has ended and its outcome is not known."""
        replica, now = self._context.shares.replica, self._context.clock.now()
        left = await commit.change_until_stored(
            self._context, job, lambda current: jobs.leave(current, replica, now)
        )
        if not left.state.is_final:
            self._follow(job.id, 0.0, job.plugin or "")

    async def _stop_late(self, job_id: str) -> None:
        """Ask the vendor to stop a job whose native id arrived after the cancel."""
        job = await self._context.store.get(job_id)
        if job is not None:
            await stop_vendor(self._context, job)

    async def _take_up(self, taken: Collection[int]) -> None:
        """Give every open job of these shares an owner, as long as they are held."""
        shares = self._context.shares
        if not shares.replica:
            await self._recover(None)
            return
        await self._may_follow.wait()
        self._context.outbox_changed.set()  # the courier's share may be among them
        left = sorted(taken)
        for pause_s in (0.0, *_STORE_RETRY_S):
            await asyncio.sleep(pause_s)
            # One that fails keeps none of the others waiting.
            left = [share for share in left if share in shares.held and not await self._took_up(share)]
            if not left:
                return
        _log.error("jobs of shares not taken up yet, they are looked for again: shares=%s", left)

    async def _took_up(self, share: int) -> bool:
        try:
            await self._recover(share)
        except Exception as error:  # noqa: BLE001 - whatever breaks, they are looked for again later
            _log.warning("jobs of a share not taken up: share=%d error=%r", share, error)
            return False
        return True

    def _give_up(self, lost: Collection[int]) -> None:
        """Follow the jobs of these shares no longer."""
        for job_id in self.scheduler.drop(lambda job_id: share_of(job_id) in lost):
            self._context.quiet_polls.forget(job_id)

    async def _recover(self, share: int | None) -> None:
        """Give every open job of a share, or of the store, an owner, unless it has one here."""
        shares = self._context.shares
        context = self._context
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
            if share is not None and share not in shares.held:
                return
            if candidates:
                self.in_flight.resume(job, candidates)
            elif not job.state.is_final:
                spread_s = recover.recovery_spread_s(job) * (1.0 if share is None else _SHARE_SPREAD)
                delay_s = 0.0 if job.delivered_at else spread_s / context.speed
                self.scheduler.take(job.id, delay_s, job.plugin or "")

    async def _recovered(self, context: GatewayContext, job: Job) -> tuple[Job, tuple[Candidate, ...]]:
        """The job, with candidates if it is to be sent; unchanged where that cannot be found out yet."""
        try:
            if context.shares.is_first:
                job = await recover.clamp_deadline(context, job)
            return await recover.recover(context, job)
        except MusicgateError as error:
            _log.error("job cannot be recovered yet: job=%s error=%s", job.id, error)
            return job, ()

    async def _look_for_jobs(self) -> None:
        """Look for open jobs of our shares that have no owner here, share by share: news may be lost."""
        shares, store = self._context.shares, self._context.store
        while True:
            held = sorted(shares.held)
            for share in held:
                try:
                    for job_id in await store.open_ids(share) if share in shares.held else ():
                        if job_id not in self.in_flight and job_id not in self.scheduler:
                            self._follow(job_id, 0.0)
                except StorageError as error:
                    _log.warning("open jobs cannot be looked for: share=%d error=%s", share, error)
                await asyncio.sleep(_LOOK_FOR_JOBS_S / len(held))
            if not held:
                await asyncio.sleep(1.0)
