"""Webhooks to customers, whole: events, signing, the courier of the outbox, the delivery log.

It knows Standard Webhooks, and must not know how a job is made. Start with `rules`, then `courier`. The
client is not exported, since it brings aiohttp: `musicgate.gateway.compose` imports it from `client`.
"""

from musicgate.webhooks.log import Webhooks, WebhookTest
from musicgate.webhooks.port import WebhookClient
from musicgate.webhooks.rules import Answer
from musicgate.webhooks.signing import verify_webhook
from musicgate.webhooks.targets import messages_about

__all__ = [
    "Answer",
    "WebhookClient",
    "WebhookTest",
    "Webhooks",
    "messages_about",
    "verify_webhook",
]
