"""HTTP for URLs that callers and vendors supply: to public addresses only, proxied or not."""

import contextlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from yarl import URL

from musicgate.http.addresses import check_public, public_socket
from musicgate.http.client_errors import MAX_HEADER_BYTES
from musicgate.http.proxies import Proxies
from musicgate.http.resolver import ThreadPoolResolver

_SCHEMES: Final = frozenset({"http", "https"})


class UntrustedUrlClient:
    """An HTTP client that refuses private addresses and follows no redirect.

    Use it as an async context manager. Without a proxy the address is checked at the socket, after the name
    look-up. A proxy looks the name up itself, so every address of the name is checked before the proxy is
    used; if the proxy resolves the name differently, refusing it is up to the proxy.
    """

    def __init__(
        self,
        *,
        proxies: Proxies,
        allow_private_addresses: bool,
        force_close: bool,
        lookups: int,
        **session: Any,
    ) -> None:
        """Keep the settings; ``async with`` opens the sessions.

        Args:
            force_close: use a new connection for every request.
            lookups: name look-ups at a time; as many as requests may be in flight.
            session: further arguments of `aiohttp.ClientSession`.
        """
        self._proxies = proxies
        self._allow_private_addresses = allow_private_addresses
        self._force_close = force_close
        self._lookups = lookups
        self._options = session
        self._sessions = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the client sessions."""
        self._resolver = ThreadPoolResolver(self._lookups)
        self._sessions.push_async_callback(self._resolver.close)
        self._direct = await self._open(None if self._allow_private_addresses else public_socket)
        # The proxy itself may have a private address, and usually has.
        self._proxied = await self._open(None)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self._sessions.aclose()

    @contextlib.asynccontextmanager
    async def request(self, method: str, url: URL, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a request and give the response before its body is read.

        Args:
            options: further arguments of `aiohttp.ClientSession.request`.

        Raises:
            aiohttp.NonHttpUrlClientError: the scheme is neither ``http`` nor ``https``.
            PrivateAddressError: the address is private, and the request would have gone through a proxy.
        """
        if url.scheme not in _SCHEMES:
            raise aiohttp.NonHttpUrlClientError(url)
        proxy = self._proxies.for_url(url)
        if proxy is not None and not self._allow_private_addresses:
            check_public(await self._resolver.look_up(url.host or "", url.port or 0))
        session = self._direct if proxy is None else self._proxied
        async with session.request(method, url, allow_redirects=False, proxy=proxy, **options) as response:
            yield response

    async def _open(self, socket_factory: Any) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            use_dns_cache=False,
            force_close=self._force_close,
            socket_factory=socket_factory,
            resolver=self._resolver,
        )
        session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            **self._options,
        )
        return await self._sessions.enter_async_context(session)
