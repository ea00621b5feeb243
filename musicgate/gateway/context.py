"""What every use case works with: ports, providers and settings. Private to this room."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Self

import attrs

from musicgate.accounts import AccountBook
from musicgate.aio import TimeLimits
from musicgate.engine import (
    FIRST_SHARE,
    LocalAdmission,
    LocalShares,
    NoNews,
    SharedAdmission,
    SharedQuota,
)
from musicgate.gateway.audit import Audit
from musicgate.gateway.counting import note_state
from musicgate.gateway.drain import Drain
from musicgate.gateway.quiet_polls import QuietPolls
from musicgate.metrics import Figures
from musicgate.tracing import Tracing, find_tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from musicgate.aio import Clock
    from musicgate.engine import Admission, CreateQueue, News, ProviderHealth, Quota, Shares
    from musicgate.gateway.audio_keeper import AudioKeeper
    from musicgate.hosting import InstalledProvider, PluginHost
    from musicgate.http import Transport
    from musicgate.model import Job, JobHead
    from musicgate.planning import Planner
    from musicgate.settings import Settings
    from musicgate.store import JobStore, Ledger
    from musicgate.text import Masker
    from musicgate.webhooks import WebhookClient


def _admission(context: GatewayContext) -> Admission:
    quota, queues, clock = context.quota, context.create_queues, context.clock
    if context.ledger is not None and isinstance(quota, SharedQuota):
        return SharedAdmission(quota, queues, context.ledger, clock)
    assert not isinstance(quota, SharedQuota)  # noqa: S101 - it is made with a ledger
    return LocalAdmission(quota, queues, context.store, clock)


def _audit(context: GatewayContext) -> Audit:
    return Audit(context.store.audit_log, context.clock, context.settings.audit)


@attrs.frozen(kw_only=True)
class GatewayContext:
    """The ports, providers and settings of an open gateway.

    Attributes:
        create_queues: by plugin; each hands out slots for create calls.
        health: the circuit breakers, by plugin.
        keeper: keeps the audio, and removes it.
        webhooks: the client that posts to customers.
        on_change: called with every stored job version, and the version before it.
        quota: the usage of all accounts.
        ledger: what counts it for all replicas, and the vendors' windows; None = counted in memory.
        admission: admits requests, by quota and create queues.
        outbox_changed: set when there is something new in the outbox.
        quiet_polls: the polls that changed nothing.
        time_limits: the time-outs of calls.
        figures: what is counted.
        tracing: makes spans; None where tracing is not configured.
        shares: which open jobs this replica follows.
        news: what replicas tell each other.
        accounts: the accounts and keys as they are now.
        term: the term under which a follower writes; None for writers that do not follow a job.
        audit: who did what.
        drain: whether new jobs are taken.
        new_id: makes an id; the argument is its prefix.
        new_token: makes an unguessable token.
    """

    settings: Settings
    host: PluginHost
    providers: Mapping[str, InstalledProvider]
    create_queues: Mapping[str, CreateQueue]
    health: Mapping[str, ProviderHealth]
    planner: Planner
    clock: Clock
    transport: Transport
    store: JobStore
    keeper: AudioKeeper
    webhooks: WebhookClient
    on_change: Callable[[Job | None, Job], None]
    quota: Quota | SharedQuota
    new_id: Callable[[str], str]
    new_token: Callable[[], str]
    shares: Shares = attrs.field(factory=LocalShares)
    news: News = attrs.field(factory=NoNews)
    accounts: AccountBook = attrs.field(
        default=attrs.Factory(lambda self: AccountBook(self.settings), takes_self=True)
    )
    term: int | None = None
    ledger: Ledger | None = None
    admission: Admission = attrs.field(default=attrs.Factory(_admission, takes_self=True))
    outbox_changed: asyncio.Event = attrs.field(factory=asyncio.Event)
    quiet_polls: QuietPolls = attrs.field(factory=QuietPolls)
    time_limits: TimeLimits = attrs.field(factory=TimeLimits)
    figures: Figures = attrs.field(factory=Figures)
    tracing: Tracing | None = attrs.field(factory=find_tracing)
    audit: Audit = attrs.field(default=attrs.Factory(_audit, takes_self=True))
    drain: Drain = attrs.field(factory=Drain)

    @property
    def speed(self) -> float:
        """Divides every interval and grace period."""
        return self.settings.follow.speed

    @property
    def is_on_duty(self) -> bool:
        """True if this replica runs the courier and the sweeper, as one of all replicas does."""
        return not self.shares.replica or FIRST_SHARE in self.shares.held

    @property
    def reread_s(self) -> float | None:
        """Seconds after which what other processes may have written is read again; None = they do not."""
        return self.news.reread_s

    def under(self, term: int | None) -> Self:
        """The same for a follower whose share has that term."""
        return self if term == self.term else attrs.evolve(self, term=term)

    def changed(self, before: Job | None, after: Job) -> None:
        """Count a stored job version, and report it."""
        self.quiet_polls.forget(after.id)
        self.quota.changed(before, after)
        if before is None or before.state is not after.state:
            note_state(self.figures, self.providers, before, after)
        self.on_change(before, after)
        if before is not None:  # a new job is waited for and followed by none yet
            self.news.changed(after.id)

    def ended(self, job: Job) -> None:
        """Report a job that has ended, possibly again: its end may have been stored without a report."""
        self.quiet_polls.forget(job.id)
        self.quota.forget(job.id)
        self.on_change(job, job)
        self.news.changed(job.id)
        self.outbox_written()

    def outbox_written(self) -> None:
        """Wake the courier, wherever it runs: there is something new in the outbox."""
        self.outbox_changed.set()
        if not self.is_on_duty:
            self.news.outbox()

    def callback_url(self, job_id: str, token: str) -> str | None:
        """The URL for a vendor's callbacks about a job; None without ``server.public_url``."""
        public_url = self.settings.server.public_url
        return f"{public_url.rstrip('/')}/v1/callbacks/{job_id}/{token}" if public_url else None

    def installed(self, job: Job | JobHead) -> InstalledProvider | None:
        """The provider of a job's last attempt; None when its plugin is gone."""
        return self.providers.get(job.plugin or "")

    def media_headers(self, job: Job, url: str) -> Mapping[str, str] | None:
        """The headers that a media link of a job needs: see `InstalledProvider.media_headers`."""
        installed = self.installed(job)
        return None if installed is None else installed.media_headers(url)

    def masker(self, job: Job, *, whole: bool = False, may_change: bool = False) -> Masker | None:
        """Masks the secrets of a job's provider in texts that are shown; None when its plugin is gone.

        None as well, where whole secrets are to be masked, for a job that is known to hold none, unless later
        versions of it are to be masked, too.
        """
        installed = self.installed(job)
        return (
            None
            if installed is None or (whole and job.is_clean and not may_change)
            else installed.masker(job.callback_token, whole=whole)
        )

    async def count_call(self, account: str) -> None:
        """Count a call that makes no job among the account's calls of this minute.

        Raises:
            LimitReachedError: one more is too many; it was not counted.
            StorageError: it cannot be counted now.
        """
        await self.quota.count_call(account, self.clock)
