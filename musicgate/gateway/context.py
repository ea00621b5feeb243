"""What every use case works with: the ports, the providers that can be asked, and the settings; no behaviour of its own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
        create_slots: limits parallel create calls where the provider declares a limit.
    """

    plugin: ProviderPlugin
    provider: Provider
    settings: ProviderSettings
    key: Secret | None
    create_slots: asyncio.Semaphore | None

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
        changed: called with every job version that was stored.
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
    changed: Callable[[Job | None, Job], None]
    new_id: Callable[[str], str]
    new_token: Callable[[], str]
    announced: asyncio.Event = attrs.field(factory=asyncio.Event)

    @property
    def speed(self) -> float:
        """Divides every interval and grace period."""
        return self.settings.follow.speed

    def callback_url(self, job_id: str, token: str) -> str | None:
        """Where vendors call us about a job; None when they cannot reach us."""
        public_url = self.settings.server.public_url
        return f"{public_url.rstrip('/')}/v1/callbacks/{job_id}/{token}" if public_url else None

    def live(self, job: Job) -> LiveProvider | None:
        """The provider that works on a job; None when its plugin is gone."""
        return self.providers.get(job.plugin or "")
