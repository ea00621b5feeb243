"""What every use case works with: the ports, the providers that can be asked, and the settings; no behaviour of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from musicgate.gateway.admit import Admission
    from musicgate.gateway.create_queue import CreateQueue
    from musicgate.gateway.health import Health
    from musicgate.model import Job, Provider, ProviderSettings, Secret
    from musicgate.plugins import PluginHost
    from musicgate.ports import AssetStore, Clock, JobStore, Transport, WebhookClient
    from musicgate.provider_plugin import ProviderPlugin
    from musicgate.schema import SchemaValidator
    from musicgate.settings import Settings


@attrs.frozen(kw_only=True)
class LiveProvider:
    """A provider that can be asked: its plugin, what the operator said of it, and its place in the queue.

    Attributes:
        provider: the declaration, with the operator's priority.
        create_queue: hands out slots for create calls, as many and as often as its vendor takes them.
        health: its circuit breaker.
    """

    plugin: ProviderPlugin
    provider: Provider
    settings: ProviderSettings
    key: Secret | None
    create_queue: CreateQueue
    health: Health

    @property
    def name(self) -> str:
        """The plugin's name."""
        return self.provider.plugin


@attrs.frozen(kw_only=True)
class GatewayContext:
    """The house, furnished.

    Attributes:
        validator: the composed request schema.
        blocks: names of the vendor blocks in it.
        webhooks: the socket to customers.
        tell: called with every job version that was stored.
        admission: the limits of all accounts.
        announced: rings when there is something new in the outbox.
        new_id: makes an id; the argument is its prefix.
        new_token: makes an unguessable token.
    """

    settings: Settings
    host: PluginHost
    providers: Mapping[str, LiveProvider]
    validator: SchemaValidator
    blocks: frozenset[str]
    clock: Clock
    transport: Transport
    store: JobStore
    assets: AssetStore
    webhooks: WebhookClient
    tell: Callable[[Job | None, Job], None]
    admission: Admission
    new_id: Callable[[str], str]
    new_token: Callable[[], str]
    announced: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def speed(self) -> float:
        """Divides every interval and grace period."""
        return self.settings.follow.speed

    def changed(self, before: Job | None, after: Job) -> None:
        """Take note of a job version that was stored, and tell of it."""
        self.admission.note(after)
        self.tell(before, after)

    def ended(self, job: Job) -> None:
        """Take note of a stored job that has ended, whoever stored it: what was not told then is told now."""
        self.admission.forget(job.id)
        self.tell(job, job)
        self.announced.set()

    def callback_url(self, job_id: str, token: str) -> str | None:
        """Where vendors call us about a job; None when they cannot reach us."""
        public_url = self.settings.server.public_url
        return f"{public_url.rstrip('/')}/v1/callbacks/{job_id}/{token}" if public_url else None

    def live(self, job: Job) -> LiveProvider | None:
        """The provider that works on a job; None when its plugin is gone."""
        return self.providers.get(job.plugin or "")
