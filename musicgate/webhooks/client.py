"""The socket to customers' webhooks, on aiohttp; it knows HTTP, and trusts neither an address nor an answer.

An address comes from a caller, so it may not lead into our own network: `UntrustedUrlClient` sees to that. Nothing of an answer but its head is read, so that nobody can fill our memory or our time, and no delivery log can
be used to read something that only we can reach.
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

#: Larger bodies go out as a stream: aiohttp warns about them otherwise, since one write of that size holds up the loop.
_LARGE_BODY_BYTES: Final = 1 << 19
#: What is taken from the socket at a time; of a body that is not wanted no more than this is ever held.
_READ_BYTES: Final = 4096
#: Each is a thread.
_MAX_LOOKUPS: Final = 512


class AiohttpWebhookClient:
    """Sends messages to webhooks. Use it as an async context manager."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        allow_private_addresses: bool = False,
        proxies: Proxies | None = None,
        concurrency: int = 128,
    ) -> None:
        """Remember the settings; sockets are opened by ``async with``.

        Args:
            concurrency: messages in flight, so that each can look its name up without waiting for another's.
        """
        self._clock = clock or SystemClock()
        self._client = UntrustedUrlClient(
            proxies=proxies or Proxies(),
            allow_private_addresses=allow_private_addresses,
            # A fresh connection each: a kept one may be closed by the receiver just when the next message goes out, and an answer
            # whose body nobody read cannot be followed by another one.
            force_close=True,
            lookups=min(concurrency, _MAX_LOOKUPS),
            headers={"User-Agent": "musicgate-webhooks", "Accept-Encoding": "identity"},
            read_bufsize=_READ_BYTES,
            auto_decompress=False,  # a few packed bytes may become a lot, also of a body that nobody reads
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
        """Send one message and read the head of the answer; see `musicgate.ports.WebhookClient.post`."""
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
