"""`Gateway`: every use case as a method, for the server, the command line and applications."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.engine import Call
from musicgate.errors import (
    JobFailedError,
    JobNotFoundError,
    JobTimeoutError,
    RequestError,
    StorageError,
)
from musicgate.gateway.accept import Submission
from musicgate.gateway.callbacks import job_of_token
from musicgate.gateway.cancel import cancel
from musicgate.gateway.compose import open_context
from musicgate.gateway.counting import note_create, note_refusal
from musicgate.gateway.events import Changes, follow_events, watch_job
from musicgate.gateway.handle import JobHandle
from musicgate.gateway.keyring import KeyAdmin
from musicgate.gateway.listening import listen
from musicgate.gateway.measures import Measures, measure
from musicgate.gateway.operation import Operation
from musicgate.gateway.runner import Runner
from musicgate.hosting import load_plugins
from musicgate.model import AuditAction, Job, ProviderStatus
from musicgate.settings import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from musicgate.accounts import AccountBook
    from musicgate.assets import Peaks
    from musicgate.engine import ServiceReport, Supervisor
    from musicgate.gateway.audio_keeper import Rendition
    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.idempotency import IdempotencyKey
    from musicgate.hosting import PluginHost, PluginRecord
    from musicgate.model import (
        JobEvent,
        JobHead,
        JobQuery,
        MusicRequest,
        Offer,
        Provider,
    )
    from musicgate.planning import Plan
    from musicgate.text import Masker
    from musicgate.webhooks import Webhooks

_log = logging.getLogger(__name__)

#: The account of the command line, of applications, and of a server without accounts.
LOCAL_ACCOUNT = "local"
_MASKED_TOKEN = "***"  # noqa: S105 - shown in place of a token

#: A redirect is followed at once; a player may ask again by the same link while it plays.
_STORE_LINK_S = 3600


class Gateway:
    """An open gateway. Make one with `Gateway.open`."""

    def __init__(self, context: GatewayContext, changes: Changes) -> None:
        """Take an open context, and the readers to wake on every stored change."""
        self._context = context
        self._changes = changes
        self._runner = Runner(context, changes)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings | None = None,
        *,
        plugins: PluginHost | None = None,
        alone: bool = False,
    ) -> AsyncIterator[Gateway]:
        """Open the store, load the plugins, recover open jobs; close everything at the end.

        Args:
            settings: None = ``musicgate.toml`` and the environment.
            plugins: None = every plugin that is installed.
            alone: no replica may use the store meanwhile. A store on SQLite belongs to one process anyway.

        Raises:
            ConfigError: a setting is wrong, or another process uses the store.
            StorageError: the store cannot be opened.
        """
        settings = load_settings() if settings is None else settings
        host = load_plugins() if plugins is None else plugins
        for plugin in host.records:
            if plugin.error:
                _log.error("plugin left out: plugin=%s error=%s", plugin.name, plugin.error)
        changes = Changes()

        def changed(before: Job | None, after: Job) -> None:
            changes.notify(after.id)
            if before is after:
                return  # nothing new for plugins
            for name in host.notify(before, after):
                _log.error("plugin raised in job_changed: plugin=%s job=%s", name, after.id)

        async with open_context(settings, host, changed, alone=alone) as context:
            gateway = cls(context, changes)
            try:
                await gateway._runner.start()
                yield gateway
            finally:
                await gateway.close()

    async def close(self) -> None:
        """Stop the tasks; `Gateway.open` calls it. Calls in flight get ``server.drain_s`` to end."""
        await self._runner.close()

    def read(self, body: object) -> MusicRequest:
        """Read a request from parsed JSON, checked against the composed schema.

        Raises:
            InvalidRequestError: the body breaks the schema; carries every violation.
            RequestError: the model is blank.
        """
        return self._context.planner.read_request(body)

    def plan(
        self,
        request: MusicRequest,
        *,
        account: str = LOCAL_ACCOUNT,
        strict: bool = False,
        beta_channel: bool = False,
    ) -> Plan:
        """Plan a request: which providers could be asked, in order, with which native requests.

        Spends nothing and stores nothing.

        Raises:
            RequestError: no provider could be asked, with the first reason.
        """
        self._runner.webhooks.check(account, request.webhook_url)
        url = self._context.callback_url(_MASKED_TOKEN, _MASKED_TOKEN)
        return self._context.planner.plan(
            request,
            self._context.clock.steady(),
            callback_url=url,
            strict=strict,
            beta_channel=beta_channel,
        )

    async def start(
        self,
        request: MusicRequest,
        *,
        account: str = LOCAL_ACCOUNT,
        key_id: str = "",
        generation_id: str | None = None,
        strict: bool = False,
        beta_channel: bool = False,
        explain: bool = False,
        idempotency: IdempotencyKey | None = None,
    ) -> JobHandle:
        """Store a request and begin to send it, without waiting for the vendor's answer.

        Args:
            account: the job's account.
            key_id: id of the API key of the call, kept with the job; empty = there is none.
            generation_id: id of the HTTP request; None makes one.
            strict: every warning is an error.
            beta_channel: the account may use providers in stage beta.
            explain: keep with the job which providers were considered, and why others were not.
            idempotency: the caller's key; a key that was used for the same request gives the job of that
                time.

        Returns:
            A handle with the stored job's id; await it for the finished job.

        Raises:
            RequestError: the caller can fix it; nothing was stored or sent.
            LimitReachedError: the account may not have one more job yet; nothing was stored or sent.
            AllCandidatesFailedError: no provider of this model has an API key; nothing was stored or sent.
            ProviderError: too many jobs wait for the providers of this model; nothing was stored or sent.
            StorageError: the job could not be stored, and nothing was sent; ``maybe_stored`` where even that
                is not known.
            GatewayClosedError: the gateway closes.
        """
        submission = Submission(
            request=request,
            account=account,
            generation_id=generation_id,
            strict=strict,
            beta_channel=beta_channel,
            explain=explain,
            wait_s=0.0,
            idempotency=idempotency,
            key_id=key_id,
        )
        figures, is_replay = self._context.figures, True
        try:
            begun = await self._runner.accept(submission)
            if isinstance(begun, Call):
                earlier = await self._runner.owners.in_flight.stored(begun)
                self._runner.owners.in_flight.leave(begun)
                is_replay = earlier is not None
                job = begun.job if earlier is None else await self._runner.replay(earlier, idempotency, 0.0)
            else:
                job = await self._runner.replay(begun, idempotency, 0.0)
        except Exception as error:
            note_refusal(figures, error)
            raise
        note_create(figures, job, is_replay=is_replay)
        return JobHandle(job, wait=self.wait, watch=self.watch)

    async def submit(
        self,
        request: MusicRequest,
        *,
        account: str = LOCAL_ACCOUNT,
        key_id: str = "",
        generation_id: str | None = None,
        strict: bool = False,
        beta_channel: bool = False,
        explain: bool = False,
        wait_s: float | None = None,
        idempotency: IdempotencyKey | None = None,
        on_stored: Callable[[Job], None] | None = None,
    ) -> Job:
        """Store a request, send it, and wait for the vendor's answer to the create call.

        Args:
            account: the job's account.
            key_id: id of the API key of the call, kept with the job; empty = there is none.
            generation_id: id of the HTTP request; None makes one.
            strict: every warning is an error.
            beta_channel: the account may use providers in stage beta.
            explain: keep with the job which providers were considered, and why others were not.
            wait_s: how long to wait for a slot, and for a blocking vendor; None = ``server.create_wait_s``.
            idempotency: the caller's key. A key that was used for the same request gives the job of that
                time, whose ``generation_id`` differs from this call's; nothing is sent then.
            on_stored: called with the job as soon as it is stored, before the vendor has answered.

        Returns:
            The job: accepted, or in progress at a blocking vendor, or queued until it gets a slot, or failed.
            Its attempts say whether a failed one was ever accepted. A stored job is always returned,
            whatever breaks after that.

        Raises:
            RequestError: the caller can fix it; nothing was stored or sent.
            LimitReachedError: the account may not have one more job yet; nothing was stored or sent.
            AllCandidatesFailedError: no provider of this model has an API key; nothing was stored or sent.
            ProviderError: too many jobs wait for the providers of this model; nothing was stored or sent.
            StorageError: the job could not be stored, and nothing was sent; ``maybe_stored`` where even that
                is not known.
            GatewayClosedError: the gateway closes.
        """
        wait_s = self._context.settings.server.create_wait_s if wait_s is None else wait_s
        submission = Submission(
            request=request,
            account=account,
            generation_id=generation_id,
            strict=strict,
            beta_channel=beta_channel,
            explain=explain,
            wait_s=wait_s,
            idempotency=idempotency,
            key_id=key_id,
        )
        figures = self._context.figures
        try:
            begun = await self._runner.accept(submission)
            if isinstance(begun, Call):
                if on_stored is not None and await self._runner.owners.in_flight.stored(begun) is None:
                    on_stored(begun.job)
                answer = await self._runner.owners.in_flight.answer(begun, wait_s)
                if isinstance(answer, Job):
                    note_create(figures, answer, is_replay=False)
                    return answer
                begun = answer
            job = await self._runner.replay(begun, idempotency, wait_s)
        except Exception as error:
            note_refusal(figures, error)
            raise
        note_create(figures, job, is_replay=True)
        return job

    async def generate(
        self, prompt: str | None = None, *, timeout_s: float | None = None, **fields: object
    ) -> Job:
        """Make music and wait for it: ``await gate.generate("Warm jazz trio", model="suno/v4.5plus")``.

        Args:
            prompt: what to make.
            timeout_s: how long to wait; None = until the job ends, which its deadline bounds.
            **fields: the other fields of a request, spelled as in JSON (``model``, ``suno``, ...).

        Returns:
            The completed job.

        Raises:
            RequestError: the request is wrong; nothing was sent.
            JobTimeoutError: it is not finished in time; it goes on, and the error carries its id.
            JobFailedError: the vendor refused or failed; ``.failure`` says why, ``.job`` is the job.
            ProviderError: no provider could be asked; nothing was sent.
            StorageError: the job could not be stored, or not in time; ``maybe_stored`` where it may be.
        """
        request = self.read(fields if prompt is None else {"prompt": prompt, **fields})
        stored: list[Job] = []
        try:
            async with asyncio.timeout(timeout_s):
                job = await self.submit(request, on_stored=stored.append)
                if not job.state.is_final:
                    job = await self.wait(job.id)
        except TimeoutError:
            if not stored:
                message = "the job was not stored in the time given, and may be stored later"
                raise StorageError(message, maybe_stored=True) from None
            raise JobTimeoutError(stored[0].id, timeout_s or 0.0) from None
        if job.failure is not None:
            raise JobFailedError(job, job.failure)
        return job

    async def get(self, job_id: str) -> Job | None:
        """The job with that id of ours, whatever its account; None if there is none."""
        return await self._context.store.get(job_id)

    async def find(self, job_id: str, *, account: str = LOCAL_ACCOUNT) -> Job:
        """Find an account's job by our id or the vendor's.

        Raises:
            JobNotFoundError: the account has no such job.
        """
        job = await self._context.store.get(job_id)
        if job is None or job.account != account:
            job = await self._context.store.find_native(account, job_id)
        if job is None:
            raise JobNotFoundError(job_id)
        return job

    async def head(self, job_id: str, *, account: str = LOCAL_ACCOUNT) -> JobHead:
        """Find id, state and version of an account's job, by our id or the vendor's, without reading the job.

        Raises:
            JobNotFoundError: the account has no such job.
        """
        head = await self._context.store.head(account, job_id)
        if head is None:
            raise JobNotFoundError(job_id)
        return head

    async def list_jobs(self, query: JobQuery, *, account: str = LOCAL_ACCOUNT) -> Sequence[Job]:
        """List the account's jobs that match a query, newest first."""
        return await self._context.store.list_jobs(account, query)

    async def cancel(
        self, job_id: str, *, account: str = LOCAL_ACCOUNT, key_id: str = "", request_id: str = ""
    ) -> Job:
        """Cancel a job here, and at the vendor where its plugin knows how.

        Args:
            key_id: id of the API key of the call, for the audit log.
            request_id: id of the HTTP request, for the audit log.

        Raises:
            JobNotFoundError: the account has no such job.
            RequestError: 409, it has ended, or its audio has been delivered.
        """
        job = await self.find(job_id, account=account)
        audit = self._context.audit.entry(
            AuditAction.CANCELLED.value, account, key_id=key_id, job_id=job.id, request_id=request_id
        )
        return await cancel(self._context, job, audit=audit)

    async def delete(
        self, job_id: str, *, account: str = LOCAL_ACCOUNT, key_id: str = "", request_id: str = ""
    ) -> None:
        """Delete a job with its history and its audio; an open one is cancelled first.

        Args:
            key_id: id of the API key of the call, for the audit log.
            request_id: id of the HTTP request, for the audit log.

        Raises:
            JobNotFoundError: the account has no such job.
            StorageError: it could not be deleted.
        """
        job = await self.find(job_id, account=account)
        if not job.state.is_final and job.delivered_at is None:
            with suppress(RequestError):  # it ended meanwhile, or was delivered
                await cancel(self._context, job)
        audit = self._context.audit.entry(
            AuditAction.DELETED.value, account, key_id=key_id, job_id=job.id, request_id=request_id
        )
        await self._context.keeper.delete_job(job.id, audit=audit)
        self._context.quota.forget(job.id)
        self._runner.note_deleted(job.id)

    def call_on_change(self, listener: Callable[[str], None]) -> None:
        """Call a function with the id of every job that this gateway stores or deletes from now on."""
        self._changes.listeners.append(listener)

    def watch(self, job_id: str) -> AsyncGenerator[Job, None]:
        """Yield the job as it is, then after each change, until it is final. Fast changes are merged.

        Raises:
            JobNotFoundError: there is no such job, or no longer.
        """
        return watch_job(self._context.store, self._changes, job_id, self._context.reread_s)

    def events(
        self, job_id: str, *, after: int = 0, pause_s: float = 15.0
    ) -> AsyncGenerator[tuple[int, JobEvent] | None, None]:
        """Yield a job's events after number ``after``, then new ones, up to the one that ends it.

        Returns:
            Numbered events, and None after every ``pause_s`` seconds without one. A slow reader misses
            nothing.
        """
        return follow_events(
            self._context.store,
            self._changes,
            job_id,
            after=after,
            pause_s=pause_s,
            reread_s=self._context.reread_s,
        )

    async def wait(self, job_id: str, timeout_s: float | None = None) -> Job:
        """Wait until a job is final.

        Raises:
            JobTimeoutError: it is not final in time; it goes on.
            JobNotFoundError: there is no such job.
        """
        try:
            async with asyncio.timeout(timeout_s), aclosing(self.watch(job_id)) as versions:
                async for job in versions:
                    if job.state.is_final:
                        return job
        except TimeoutError:
            raise JobTimeoutError(job_id, timeout_s or 0.0) from None
        raise JobNotFoundError(job_id)

    def audio_path(self, job: Job, index: int = 0) -> Path | None:
        """The file of a track's audio; None when it is not kept on this machine."""
        asset = next((track.asset for track in job.tracks if track.index == index), None)
        return self._context.keeper.local_path(asset) if asset else None

    async def audio(self, job: Job, index: int = 0, wanted: str | None = None) -> Rendition | None:
        """A track's kept audio in a format, converted once if it is not kept in that format.

        Args:
            wanted: ``mp3``, ``wav``, ``ogg``, ``aac`` or ``flac``; None = as it was asked for when it was
                made.

        Returns:
            None when the audio is not kept, or not any more.

        Raises:
            NotAudioError: it cannot be converted.
            StorageError: the audio store is full, read-only or broken.
        """
        track = next((track for track in job.tracks if track.index == index), None)
        if track is None or track.asset is None:
            return None
        return await self._context.keeper.rendition(track, wanted, job.id)

    async def save_audio(self, job: Job, target: Path, index: int = 0) -> bool:
        """Copy a track's kept audio to a local file, wherever it is stored.

        Returns:
            False when it is not kept; there is no file then.

        Raises:
            StorageError: it is gone, or one of the two cannot be read or written.
        """
        asset = next((track.asset for track in job.tracks if track.index == index), None)
        if asset is None:
            return False
        await self._context.keeper.fetch(asset, target)
        return True

    def read_audio(self, audio: Rendition, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes of kept audio from ``start`` up to, not including, ``stop``, in pieces.

        Raises:
            StorageError: it is gone, or shorter than it was.
        """
        return self._context.keeper.read(audio.name, start, stop)

    async def audio_link(self, audio: Rendition, disposition: str) -> str | None:
        """A link of the object store to kept audio, where ``assets.serve`` says so and the store has links.

        Args:
            disposition: the ``Content-Disposition`` that the store answers with.
        """
        if self._context.settings.assets.serve != "redirect":
            return None
        return await self._context.keeper.link(audio, disposition, _STORE_LINK_S)

    async def peaks(self, job: Job, index: int = 0) -> Peaks | None:
        """The peaks of a track's kept audio, as fine as they get, to show or to draw.

        Returns:
            None when the audio is not kept, or not any more.

        Raises:
            NotAudioError: it cannot be decoded in time.
            StorageError: the audio store is full, read-only or broken.
        """
        track = next((track for track in job.tracks if track.index == index), None)
        return None if track is None else await self._context.keeper.peaks(track, job.id)

    async def cover(self, job: Job, index: int = 0) -> Rendition | None:
        """A track's kept cover, to be read as audio is; None when none is kept, or not any more.

        Raises:
            StorageError: the audio store is broken.
        """
        track = next((track for track in job.tracks if track.index == index), None)
        return None if track is None else await self._context.keeper.picture(track)

    def listen(
        self, job: Job, index: int = 0
    ) -> AbstractAsyncContextManager[tuple[str, AsyncIterator[bytes]]]:
        """Open a track's stream at the vendor, while the job is open: media type, and bytes as they come.

        Raises:
            RequestError: there is no such stream, or nothing in it yet.
            ProviderError: it cannot be opened, is no audio, or breaks off; also while the bytes are read.
        """
        return listen(self._context, job, index)

    def masker(self, job: Job, *, may_change: bool = False) -> Masker | None:
        """A mask for secrets in native ids, links and titles of a job; None when its plugin is gone.

        None as well for a job that is known to hold none.

        Args:
            may_change: the mask is for later versions of the job, too, which may hold one.
        """
        return self._context.masker(job, whole=True, may_change=may_change)

    async def check_callback_token(self, job_id: str, token: str) -> None:
        """Check the token of a callback URL before the body is read.

        Raises:
            JobNotFoundError: no such job, or the token is not the job's.
        """
        await job_of_token(self._context, job_id, token)

    async def callback(self, job_id: str, token: str, headers: Mapping[str, str], body: bytes) -> None:
        """Receive a vendor's callback, and poll the job if it is worth it.

        Raises:
            JobNotFoundError: no such job, or the token is not the job's.
            UnauthorisedError: the signature is missing, wrong or stale.
        """
        await self._runner.callback(job_id, token, headers, body)

    @property
    def webhooks(self) -> Webhooks:
        """The webhooks to customers: delivery log, replay, test."""
        return self._runner.webhooks

    @property
    def supervisor(self) -> Supervisor:
        """The owner of the background tasks; a server adds its own, so that `background` shows them."""
        return self._runner.supervisor

    @property
    def settings(self) -> Settings:
        """The operator's settings."""
        return self._context.settings

    @property
    def plugins(self) -> Sequence[PluginRecord]:
        """Every plugin that was found, the broken ones too."""
        return self._context.host.records

    def providers(self) -> Sequence[ProviderStatus]:
        """The providers that can be asked, in the order in which their plugins were found."""
        context = self._context
        steady = context.clock.steady()
        return [
            ProviderStatus(
                provider=found.provider,
                has_key=found.can_be_called,
                health=context.health[found.name].report(steady),
                waiting=context.create_queues[found.name].waiting,
            )
            for found in context.providers.values()
        ]

    def provider_of(self, job: Job | JobHead) -> Provider | None:
        """The provider of a job's last attempt; None when its plugin is gone or switched off."""
        installed = self._context.installed(job)
        return None if installed is None else installed.provider

    def offer_of(self, job: Job) -> Offer | None:
        """The offer of a job's last attempt; None when there is none, or when it is not known any more."""
        provider = self.provider_of(job)
        if provider is None or job.attempt is None:
            return None
        model = job.attempt.model
        return next((offer for offer in provider.offers if offer.model == model), None)

    def next_poll_s(self, job: Job) -> float | None:
        """Seconds until a job's next poll; None when it is final, or its provider is gone."""
        provider = self.provider_of(job)
        if job.state.is_final or provider is None:
            return None
        return jobs.next_poll_s(job, provider.poll, self._context.clock.now(), self._context.speed)

    def rate_limit_headers(self, account: str) -> dict[str, str]:
        """The ``RateLimit`` headers of an answer to an account."""
        return self._context.quota.headers(account, self._context.clock)

    async def ping(self) -> None:
        """Return if jobs can be stored.

        Raises:
            StorageError: they cannot.
        """
        await self._context.store.ping()

    async def download(self, url: str, sink: Path, *, timeout_s: float = 300.0) -> None:
        """Fetch a vendor's link into a file, within ``assets.max_bytes``.

        Raises:
            ProviderError: it cannot be fetched.
        """
        max_bytes = self._context.settings.assets.max_bytes
        await self._context.transport.download(url, sink, max_bytes=max_bytes, timeout_s=timeout_s)

    @property
    def open_jobs(self) -> int:
        """Number of open jobs that this process owns: in flight or scheduled."""
        return self.jobs_in_flight + self.jobs_scheduled

    @property
    def jobs_in_flight(self) -> int:
        """Number of jobs whose create call is in flight, or waits for a slot."""
        return len(self._runner.owners.in_flight)

    @property
    def jobs_scheduled(self) -> int:
        """Number of jobs that wait for their next step."""
        return len(self._runner.owners.scheduler)

    @property
    def background(self) -> Mapping[str, ServiceReport]:
        """Reports on the background services, by name."""
        return self._runner.supervisor.services


def operation_of(gateway: Gateway) -> Operation:
    """What operators see and do. For servers of this distribution, as `measure_gateway`."""
    return Operation(gateway._context, gateway._runner.owners)  # noqa: SLF001 - of the same module


def account_book(gateway: Gateway) -> AccountBook:
    """The accounts and keys as they are now. For servers of this distribution, as `measure_gateway`."""
    return gateway._context.accounts  # noqa: SLF001 - of the same module


def key_admin(gateway: Gateway) -> KeyAdmin:
    """What changes accounts and keys of an open gateway. For servers, as `measure_gateway`."""
    context = gateway._context  # noqa: SLF001 - of the same module
    return KeyAdmin(context.store.keys, context.accounts, context.news.keys, context.clock.now)


async def measure_gateway(gateway: Gateway) -> Measures:
    """What a gateway has counted, and what it has to do now.

    For servers of this distribution: the figures may change, so they are no part of the public `Gateway`.
    """
    context, owners = gateway._context, gateway._runner.owners  # noqa: SLF001 - of the same module
    return await measure(context, owners, gateway.background, gateway.providers())
