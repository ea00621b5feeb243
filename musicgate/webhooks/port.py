"""The port to customers' webhooks; no implementation, no library's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.plugin import HttpResponse


class WebhookClient(Protocol):
    """The only socket to customers' webhooks."""

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> HttpResponse:
        """Send one message and read the head of the answer, never its body.

        Redirects are not followed. Private addresses are refused unless allowed, once the name is resolved.

        Raises:
            ProviderError: class ``unavailable``: there was no answer. The message says why, without the
                address.
        """
