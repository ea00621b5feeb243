"""Runs the services and the calls of an open gateway, and hears what other replicas tell."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from musicgate.engine import Supervisor
from musicgate.errors import JobNotFoundError
from musicgate.gateway import recover, send
from musicgate.gateway.accept import accept
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.gateway.cancel import stop_vendor
from musicgate.gateway.candidates import create_budget_s
from musicgate.gateway.events import watch_job
from musicgate.gateway.finishing import tracks_to_finish
from musicgate.gateway.keyring import KeyringReader
from musicgate.gateway.owners import Owners
from musicgate.gateway.settle import settle
from musicgate.gateway.shared_assets import check_shared_assets
from musicgate.gateway.sweep import Sweeper
from musicgate.model import AttemptOutcome
from musicgate.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.engine import Call
    from musicgate.gateway.accept import Submission
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.events import Changes
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.model import IdempotencyClaim, Job

_log = logging.getLogger(__name__)


class Runner:
    """The tasks of an open gateway.

    Attributes:
        supervisor: owns every background task.
        owners: the create calls in flight, and the scheduler of the open jobs that no call owns.
        webhooks: the courier, and the delivery log.
        sweeper: removes what is too old.
        keyring: takes over changes of accounts and keys.
    """

    def __init__(self, context: GatewayContext, changes: Changes) -> None:
        """Take an open context, and the readers to wake when a job changes."""
        self._context = context
        self._drain = context.drain
        self._changes = changes
        self.sweeper = Sweeper(context, self.note_deleted)
        self.supervisor = Supervisor()
        self.webhooks = Webhooks(context)
        self.owners = Owners(context, self.supervisor, self._send)
        self._callbacks = SeenCallbacks()
        self.keyring = KeyringReader(context)

    async def start(self) -> None:
        """Recover the open jobs of earlier processes, as far as they are ours, then start the services.

        Raises:
            ConfigError: the other replicas keep audio elsewhere.
        """
        await self._context.news.start(
            changed=self._hear_of_change,
            due=self.owners.hear_of_due,
            outbox=self._context.outbox_changed.set,
            missed=self._hear_of_loss,
            keys=self.keyring.wake,
        )
        shares = self._context.shares
        if shares.replica:
            self.owners.may_follow.clear()
        await shares.start(self.owners.recover_shares, self.owners.drop_shares)
        if shares.replica:
            await check_shared_assets(self._context)
            self.owners.may_follow.set()
            self.supervisor.start("open jobs", self.owners.look_for_jobs)
        self.supervisor.start("scheduler", self.owners.scheduler.run)
        self.supervisor.start("sweeper", self.sweeper.run)
        self.supervisor.start("courier", self.webhooks.run)
        if self._context.audit.is_on:
            self.supervisor.start("audit log", self._context.audit.run)
        self.supervisor.start("keys", self.keyring.run)

    async def close(self) -> None:
        """Stop the services. Calls in flight get ``server.drain_s`` to end; jobs that wait stay stored."""
        self.owners.in_flight.close()
        await self._context.shares.hand_over()
        await self.supervisor.stop_services()
        await self.supervisor.finish(self._context.settings.server.drain_s)
        await self._context.audit.flush()
        await self.keyring.note_uses()
        await self._context.news.close()
        await self._context.shares.close()

    async def accept(self, submission: Submission) -> Call | IdempotencyClaim:
        """Begin a create call; or find the earlier use of its key. See `musicgate.gateway.accept`.

        Raises:
            RequestError: 503, the gateway is being drained; or as `accept` does.
        """
        key = submission.idempotency
        if key is not None:
            earlier = await self._context.store.find_claim(submission.account, key.route, key.key)
            if earlier is not None:
                return earlier
        if self._drain.since is not None:
            raise self._drain.refusal()
        self.webhooks.check(submission.account, submission.request.webhook_url)
        return await accept(self._context, self.owners.in_flight, submission)

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
        await self.owners.in_flight.wait(earlier.job_id)
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
        if hint is Hint.POLL:
            self.owners.poll(job_id)
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
        self.owners.scheduler.wake(job_id)

    def _hear_of_loss(self) -> None:
        """Hear that news were lost. Jobs are looked for anyway; who waits, and the courier, read again."""
        self._changes.notify_all()
        self._context.outbox_changed.set()
        self.keyring.wake()

    async def _stop_late(self, job_id: str) -> None:
        """Ask the vendor to stop a job whose native id arrived after the cancel."""
        job = await self._context.store.get(job_id)
        if job is not None:
            await stop_vendor(self._context, job)
