"""`Gateway`: everything that musicgate can do, as methods; the server, the command line and applications call nothing else."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.engine import InFlight, Scheduler, Supervisor
from musicgate.errors import (
    JobNotFoundError,
    MusicgateError,
    ProviderError,
    RequestError,
)
from musicgate.gateway import send
from musicgate.gateway.accept import Submission, accept
from musicgate.gateway.callbacks import (
    Hint,
    SeenCallbacks,
    job_of_token,
    receive_callback,
)
from musicgate.gateway.cancel import cancel, stop_vendor
from musicgate.gateway.compose import open_context
from musicgate.gateway.events import Changes, follow_events, watch_job
from musicgate.gateway.follow import advance
from musicgate.gateway.recover import (
    clamp_deadline,
    open_jobs,
    recover,
    recovery_spread_s,
)
from musicgate.gateway.settle import settle
from musicgate.gateway.sweep import Sweeper
from musicgate.hosting import load_plugins
from musicgate.model import IdempotencyClaim
from musicgate.settings import Settings, load_settings
from musicgate.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence

    from musicgate.engine import Call, ServiceReport
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.hosting import PluginHost
    from musicgate.model import (
        Job,
        JobEvent,
        JobQuery,
        MusicRequest,
    )
    from musicgate.planning import Plan
    from musicgate.text import Masker

_log = logging.getLogger(__name__)

#: Whose jobs those of a command line or an application are, and of a server without accounts.
LOCAL_ACCOUNT = "local"
_MASKED_TOKEN = "***"  # noqa: S105 - it stands where a token is hidden


class Gateway:
    """The gateway, open. Make one with `Gateway.open`."""

    def __init__(self, context: GatewayContext, changes: Changes) -> None:
        """Take a furnished house, whose every stored version is told to ``changes``; `Gateway.open` furnishes one."""
        self.context = context
        #: The messages to customers about their jobs.
        self.webhooks = Webhooks(context)
        self._changes = changes
        #: Owns the tasks in the background; what serves this gateway puts its own there as well, and so `background` tells of them.
        self.supervisor = Supervisor()
        self._in_flight = InFlight(
            context.store,
            self.supervisor,
            context.create_queues.values(),
            send=self._send,
            stored=lambda job: context.changed(None, job),
            hand_over=self._hand_over,
        )
        self._callbacks = SeenCallbacks()
        self._scheduler = Scheduler(
            lambda job_id: advance(context, job_id, self._in_flight.resume),
            concurrency=context.settings.follow.concurrency,
            min_gap_s=1.0 / context.speed,
        )

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings | None = None, *, plugins: PluginHost | None = None
    ) -> AsyncIterator[Gateway]:
        """Open the store, load the plugins, take up unfinished jobs; close all of it at the end.

        Args:
            settings: None = ``musicgate.toml`` and the environment.
            plugins: None = everything that is installed.

        Raises:
            ConfigError: a setting is wrong, or another process uses the store.
            StorageError: the store cannot be opened.
        """
        settings = load_settings() if settings is None else settings
        host = load_plugins() if plugins is None else plugins
        for plugin in host.records:
            if plugin.error:
                _log.error("plugin %s is left out: %s", plugin.name, plugin.error)
        changes = Changes()

        def changed(before: Job | None, after: Job) -> None:
            changes.notify(after.id)
            if before is after:
                return  # nothing new for plugins
            for name in host.notify(before, after):
                _log.error("plugin %s: job_changed raised", name)

        async with open_context(settings, host, changed) as context:
            gateway = cls(context, changes)
            try:
                await gateway._recover()
                gateway._start()
                yield gateway
            finally:
                await gateway.close()

    def _start(self) -> None:
        """Begin the work in the background."""
        self.supervisor.start("scheduler", self._scheduler.run)
        self.supervisor.start("sweeper", Sweeper(self.context).run)
        self.supervisor.start("courier", self.webhooks.run)

    async def close(self) -> None:
        """Stop the work in the background: calls in flight get ``server.drain_s`` to end, what waits stays stored. `open` does this."""
        self._in_flight.close()
        await self.supervisor.stop_services()
        await self.supervisor.finish(self.context.settings.server.drain_s)

    def read(self, body: object) -> MusicRequest:
        """A wish from parsed JSON, checked against the composed schema.

        Raises:
            RequestError: with every violation, or for a blank model.
        """
        return self.context.planner.read_request(body)

    def plan(
        self,
        request: MusicRequest,
        *,
        account: str = LOCAL_ACCOUNT,
        strict: bool = False,
        beta_channel: bool = False,
    ) -> Plan:
        """Dry run: who would be asked, in which order, with which native request. Spends nothing, stores nothing.

        Raises:
            RequestError: nobody could be asked, with the first reason.
        """
        self.webhooks.check(account, request.webhook_url)
        url = self.context.callback_url(_MASKED_TOKEN, _MASKED_TOKEN)
        return self.context.planner.plan(
            request,
            self.context.clock.steady(),
            callback_url=url,
            strict=strict,
            beta_channel=beta_channel,
        )

    async def submit(
        self,
        request: MusicRequest,
        *,
        account: str = LOCAL_ACCOUNT,
        generation_id: str | None = None,
        strict: bool = False,
        beta_channel: bool = False,
        explain: bool = False,
        wait_s: float | None = None,
        idempotency: IdempotencyKey | None = None,
    ) -> Job:
        """Store a request and send it.

        Args:
            account: whose job it is.
            generation_id: id of the HTTP request; None makes one.
            strict: every warning is an error.
            beta_channel: the account may use providers in stage beta.
            explain: keep with the job who was considered, and why others were not.
            wait_s: how long to wait for a slot, and for a blocking vendor; None = ``server.create_wait_s``.
            idempotency: the caller's key. A key that was used for the same request gives the job of that time, whose
                ``generation_id`` is another one than this call's; nothing is sent then.

        Returns:
            The job: accepted, or in progress at a blocking vendor, or queued until it gets a slot, or failed. Its attempts say whether a
            failed one was ever accepted. What was stored is always returned, whatever breaks after that.

        Raises:
            RequestError: the caller can mend it; nothing was stored or sent.
            LimitReachedError: the account may not have one more job yet; nothing was stored or sent.
            AllCandidatesFailedError: no provider of this model has a key; nothing was stored or sent.
            StorageError: the job could not be stored, and nothing was sent; ``maybe_stored`` where even that is not known.
            GatewayClosedError: the gateway closes.
        """
        context = self.context
        if idempotency is not None:
            earlier = await context.store.find_claim(account, idempotency.route, idempotency.key)
            if earlier is not None:
                return await self._again(earlier, idempotency)
        self.webhooks.check(account, request.webhook_url)
        submission = Submission(
            request=request,
            account=account,
            generation_id=generation_id,
            strict=strict,
            beta_channel=beta_channel,
            explain=explain or request.meta or request.debug.enabled,
            wait_s=context.settings.server.create_wait_s if wait_s is None else wait_s,
            idempotency=idempotency,
        )
        begun = await accept(context, self._in_flight, submission)
        if isinstance(begun, IdempotencyClaim):
            return await self._again(begun, idempotency)
        return begun

    async def generate(self, prompt: str | None = None, **wish: object) -> Job:
        """Make music and wait until it is there: ``await gate.generate("Warm jazz trio", model="suno/v4.5plus")``.

        Args:
            prompt: what it shall be.
            **wish: the other fields of a request, spelled as in JSON (``model``, ``duration``, ``suno``, ...).

        Returns:
            The completed job.

        Raises:
            RequestError: the wish is wrong.
            ProviderError: the vendor refused or failed; ``.failure`` says why.
        """
        body = {**wish} if prompt is None else {"prompt": prompt, **wish}
        job = await self.submit(self.read(body))
        if not job.state.is_final:
            job = await self.wait(job.id)
        if job.failure is not None:
            raise ProviderError(job.failure)
        return job

    async def find(self, job_id: str, *, account: str = LOCAL_ACCOUNT) -> Job:
        """The account's job with that id, ours or the vendor's.

        Raises:
            JobNotFoundError: there is none, or it is somebody else's.
        """
        job = await self.context.store.get(job_id)
        if job is None or job.account != account:
            job = await self.context.store.find_native(account, job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        return job

    async def list_jobs(self, query: JobQuery, *, account: str = LOCAL_ACCOUNT) -> Sequence[Job]:
        """The account's jobs that a query asks for, newest first."""
        return await self.context.store.list_jobs(account, query)

    async def cancel(self, job_id: str, *, account: str = LOCAL_ACCOUNT) -> Job:
        """Stop a job: tell the vendor where that can be told, and follow it no longer.

        Raises:
            JobNotFoundError: the account has no such job.
            RequestError: 409, it has ended already.
        """
        return await cancel(self.context, await self.find(job_id, account=account))

    async def delete(self, job_id: str, *, account: str = LOCAL_ACCOUNT) -> None:
        """Remove a job, its history and its audio; one that is open is cancelled first.

        Raises:
            JobNotFoundError: the account has no such job.
            StorageError: it could not be removed.
        """
        job = await self.find(job_id, account=account)
        if not job.state.is_final and job.delivered_at is None:
            with suppress(RequestError):  # it ended meanwhile, or was delivered
                await cancel(self.context, job)
        await self.context.assets.delete(job.id)
        await self.context.store.delete(job.id)
        self.context.quota.forget(job.id)
        await self.context.assets.delete(job.id)  # a download may have ended between the two
        self._changes.notify(job.id)

    def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        """The job as it is, then as it is after each change, until it is final. Of changes that come fast, the last counts.

        Raises:
            JobNotFoundError: there is no such job, or no longer.
        """
        return watch_job(self.context.store, self._changes, job_id)

    def events(
        self, job_id: str, *, after: int = 0, pause_s: float = 15.0
    ) -> AsyncGenerator[tuple[int, JobEvent] | None, None]:
        """A job's history from the event after number ``after`` on, then what happens to it, up to the event that ends it.

        Returns:
            Numbered events, and None after every ``pause_s`` seconds of silence. A reader who takes its time misses nothing.
        """
        return follow_events(self.context.store, self._changes, job_id, after=after, pause_s=pause_s)

    async def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """The job when it is final.

        Raises:
            TimeoutError: it is not final in time; it goes on all the same.
            JobNotFoundError: there is no such job.
        """
        async with asyncio.timeout(timeout_s), aclosing(self.watch(job_id)) as versions:
            async for job in versions:
                if job.state.is_final:
                    return job
        raise JobNotFoundError(job_id)

    def audio_path(self, job: Job, index: int = 0) -> Path | None:
        """Where a track's audio lies on this machine; None when it is not kept here."""
        asset = next((track.asset for track in job.tracks if track.index == index), None)
        return self.context.assets.local_path(asset) if asset else None

    def masker(self, job: Job) -> Masker | None:
        """Hides our secrets in what its vendor said about a job and is used as it is: ids, links, titles. None if its plugin is gone."""
        return self.context.masker(job, whole=True)

    async def check_callback_token(self, job_id: str, token: str) -> None:
        """Check a callback's address before its body is read.

        Raises:
            JobNotFoundError: no such job, or the token is not the job's.
        """
        await job_of_token(self.context, job_id, token)

    async def callback(self, job_id: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """Take a vendor's callback and poll the job if it is worth it.

        Raises:
            JobNotFoundError: no such job, or the token is not the job's.
            UnauthorisedError: the signature is missing, wrong or stale.
        """
        hint = await receive_callback(self.context, self._callbacks, job_id, token, headers, body)
        if hint is Hint.POLL and not (self._in_flight.wake(job_id) or self._scheduler.wake(job_id)):
            self._scheduler.take(job_id, 0.0)
        if hint is Hint.STOP:
            self.supervisor.spawn(f"stop {job_id}", self._stop_late(job_id))

    @property
    def open_jobs(self) -> int:
        """Number of open jobs that this process owns: in flight or scheduled."""
        return self.jobs_in_flight + self.jobs_scheduled

    @property
    def jobs_in_flight(self) -> int:
        """Number of jobs whose create call is in flight, or waits for a slot."""
        return len(self._in_flight)

    @property
    def jobs_scheduled(self) -> int:
        """Number of jobs that wait for their next step."""
        return len(self._scheduler)

    @property
    def background(self) -> Mapping[str, ServiceReport]:
        """How the services in the background are doing, by name."""
        return self.supervisor.services

    async def _again(self, earlier: IdempotencyClaim, key: IdempotencyKey | None) -> Job:
        """The job that a key made the first time."""
        if key is not None:
            key.check(earlier)
        await self._in_flight.wait(earlier.job_id)
        job = await self.context.store.get(earlier.job_id)
        if job is None:
            raise JobNotFoundError(earlier.job_id)
        return job

    async def _send(self, call: Call) -> Job:
        """Make the create call of a stored job. A job whose audio came with the answer is settled at once."""
        context = self.context
        job = await send.run(context, call.job, call.candidates, caller=call.caller, slot=call.slot)
        if job.delivered_at is not None and all(track.asset or not track.audio_url for track in job.tracks):
            call.job = job
            await settle(context, job)  # nothing is fetched, so the caller gets a finished job
            job = await context.store.get(job.id) or job
        return job

    def _hand_over(self, call: Call, has_failed: bool) -> None:
        """Hand the job of a call that has ended to the scheduler. Nothing here may fail: the job would lose its owner."""
        job = call.job
        if job.state.is_final and not has_failed:
            return
        delay_s = 0.0
        installed = self.context.installed(job)
        if installed is not None and not has_failed and not call.is_woken and job.delivered_at is None:
            delay_s = jobs.next_poll_s(job, installed.provider.poll, job.updated_at, self.context.speed)
        self._scheduler.take(job.id, delay_s, job.plugin or "")

    async def _stop_late(self, job_id: str) -> None:
        """Tell a vendor to stop whose task id came only after the cancel."""
        job = await self.context.store.get(job_id)
        if job is not None:
            await stop_vendor(self.context, job)

    async def _recover(self) -> None:
        """Go on with every unfinished job of an earlier process."""
        async for job in open_jobs(self.context):
            self.context.quota.note(job)
            try:
                job, candidates = await recover(self.context, await clamp_deadline(self.context, job))  # noqa: PLW2901
            except MusicgateError as error:
                _log.error("job %s: it cannot be recovered yet: %s", job.id, error)
                candidates = ()
            if candidates:
                self._in_flight.resume(job, candidates)
            elif not job.state.is_final:
                delay_s = 0.0 if job.delivered_at else recovery_spread_s(job) / self.context.speed
                self._scheduler.take(job.id, delay_s, job.plugin or "")
