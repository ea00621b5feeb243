"""The client of customers' webhooks, on aiohttp; it trusts neither an address nor an answer.

An address comes from a caller, so it may not lead into our own network: `UntrustedUrlClient` sees to that. Of
an answer only the head is read. So no receiver can fill our memory or hold us up, and the delivery log cannot
be used to read what only we can reach.
"""

import asyncio
import io
from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import aiohttp

from musicgate.aio import Clock, SystemClock
from musicgate.errors import ProviderError
from musicgate.http import (
    CLIENT_ERRORS,
    CONNECT_ERRORS,
    Proxies,
    UntrustedUrlClient,
    answer_reason,
    connect_reason,
    exact_url,
)
from musicgate.model import Failure, FailureClass
from musicgate.plugin import HttpResponse

#: Larger bodies are sent as a stream: aiohttp warns about them otherwise, since one write holds up the loop.
_LARGE_BODY_BYTES: Final = 1 << 19
#: Read from the socket at a time; of an unread body at most this is held.
_READ_BYTES: Final = 4096
#: Each is a thread.
_MAX_LOOKUPS: Final = 512


class AiohttpWebhookClient:
    """Sends messages to webhooks; an async context manager.

    Args:
        concurrency: messages in flight, so that each can resolve its host without waiting for another.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        allow_private_addresses: bool = False,
        proxies: Proxies | None = None,
        concurrency: int = 128,
    ) -> None:
        self._clock = clock or SystemClock()
        self._client = UntrustedUrlClient(
            proxies=proxies or Proxies(),
            allow_private_addresses=allow_private_addresses,
            # A new connection each: the receiver may close a kept one just as the next message is sent, and a
            # connection with an unread body cannot be used again.
            force_close=True,
            lookups=min(concurrency, _MAX_LOOKUPS),
            headers={"User-Agent": "musicgate-webhooks", "Accept-Encoding": "identity"},
            read_bufsize=_READ_BYTES,
            auto_decompress=False,  # a few bytes may decompress to a lot, even of an unread body
        )

    async def __aenter__(self) -> Self:
        """Open the client sessions."""
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._client.__aexit__(kind, error, trace)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> HttpResponse:
        """Send one message and read the head of the answer; see `WebhookClient.post`."""
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._client.request(
                    "POST",
                    exact_url(url),
                    headers={"Content-Type": "application/json", **headers},
                    data=body if len(body) < _LARGE_BODY_BYTES else io.BytesIO(body),
                    timeout=aiohttp.ClientTimeout(total=None),
                ) as response,
            ):
                response.close()
                return HttpResponse(
                    status=response.status,
                    headers={name: ", ".join(response.headers.getall(name)) for name in response.headers},
                    body=b"",
                    received_at=self._clock.now(),
                )
        except CLIENT_ERRORS as exc:
            failure = Failure(
                reason=FailureClass.UNAVAILABLE,
                message=f"the receiver gave no answer: {_reason(exc, timeout_s)}",
            )
            raise ProviderError(failure) from exc


def _reason(exc: Exception, timeout_s: float) -> str:
    if isinstance(exc, TimeoutError):
        return f"none within {timeout_s:g} s"
    if isinstance(exc, (*CONNECT_ERRORS, aiohttp.NonHttpUrlClientError, ValueError)):
        return connect_reason(exc, timeout_s)
    return answer_reason(exc)
