"""One request and its answer on a connection of aiohttp, without its `ClientSession`.

It knows no outcome. A session spends three quarters of its time on what no vendor needs: redirects, cookies,
netrc, tracing, middlewares, bodies of any kind, and a task for each body. Here head and body are one text,
which is written at once. Connections still come from aiohttp's connector, and answers are read by aiohttp's
parser: both with the public methods that its session calls.

A request that needs more than that, a proxy for instance, is left to a session: see `PlainClient.prepare`.
The bytes of a prepared request are those that the session would send.

Those methods of aiohttp are public, but not documented. So only a version that was tested is used in this
way: with another one, every request goes through a session.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING, Final, NamedTuple

import aiohttp
from aiohttp.http import HttpProcessingError
from yarl import URL

from musicgate.http.client_errors import MAX_HEADER_BYTES

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.http import RawResponseMessage

    from musicgate.http.proxies import Proxies
    from musicgate.plugin import HttpRequest

#: A URL in two parts, origin and target. Others (user and password, a fragment, upper case, an
#: internationalised name, an empty query or path) are left to the session, which knows their rules.
_URL: Final = re.compile(r"(https?://[a-z0-9.:\[\]_-]+)(/[!\"$->@-~]*(?:\?[!\"$-~]+)?)")
#: A session does more about these than to send them.
_LEFT_TO_SESSION: Final = frozenset({"content-length", "expect", "host", "transfer-encoding", "user-agent"})
#: The versions of aiohttp whose connector and parser are used without a session.
_TESTED: Final = ("3.14.",)
#: The only answer of 1xx that is the last one.
_SWITCHING_PROTOCOLS: Final = 101
#: A larger body is better sent piece by piece: one write of that size blocks the loop.
LARGE_BODY_BYTES: Final = 1 << 19


class _Origin(NamedTuple):
    """Where a request goes: what the connector asks for, and the headers that are the same for all."""

    asked: aiohttp.ClientRequest
    headers: str


class Prepared(NamedTuple):
    """A request as bytes, and the one by which the connector finds a connection for it."""

    asked: aiohttp.ClientRequest
    content: bytes


class Answer(NamedTuple):
    """The head of an answer; its body is still on its way."""

    connection: Connection
    message: RawResponseMessage
    content: aiohttp.StreamReader


class PlainClient:
    """Sends plain requests over the connections of one connector.

    Args:
        repeats: send a request once more if its connection breaks before there is an answer, as a session
            does for idempotent methods.
    """

    def __init__(
        self, connector: aiohttp.BaseConnector, *, proxies: Proxies, user_agent: str, repeats: bool
    ) -> None:
        self._connector = connector
        self._proxies = proxies
        self._user_agent = user_agent
        self._repeats = repeats
        self._is_tested = aiohttp.__version__.startswith(_TESTED)
        self._origin = functools.lru_cache(maxsize=256)(self._new_origin)

    def prepare(self, request: HttpRequest) -> Prepared | None:
        """Write a request as bytes, or return None: it is one for a session.

        Args:
            request: one without a `HttpRequest.fault`.
        """
        method, headers, body = request.method, request.headers, request.body
        match = _URL.fullmatch(request.url) if self._is_tested else None
        is_post = method == "POST"
        if match is None or not (is_post or (method == "GET" and not body)) or len(body) >= LARGE_BODY_BYTES:
            return None
        origin = self._origin(match[1])
        added = _added_headers(tuple(headers), is_post)
        if origin is None or added is None:
            return None
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        length = f"Content-Length: {len(body)}\r\n" if is_post else ""
        before, after = added
        head = f"{method} {match[2]} HTTP/1.1\r\n{origin.headers}{fields}{before}{length}{after}\r\n"
        return Prepared(origin.asked, head.encode() + body)

    async def send(self, prepared: Prepared, timeout: aiohttp.ClientTimeout) -> Answer:  # noqa: ASYNC109
        """Send a request and return the head of its answer.

        The caller reads the body, and then releases the connection, or closes it.

        Args:
            timeout: only ``connect`` counts.

        Raises:
            aiohttp.ClientError: as of a session.
        """
        asked, content = prepared
        can_repeat = self._repeats
        while True:
            try:
                connection = await self._connector.connect(asked, [], timeout)
            except TimeoutError as exc:
                raise aiohttp.ConnectionTimeoutError from exc
            try:
                protocol, transport = connection.protocol, connection.transport
                if protocol is None or transport is None or transport.is_closing():
                    raise aiohttp.ServerDisconnectedError  # noqa: TRY301 - handled as one of the protocol
                protocol.set_response_params(
                    read_until_eof=True, max_line_size=MAX_HEADER_BYTES, max_field_size=MAX_HEADER_BYTES
                )
                transport.write(content)
                message, body = await protocol.read()
                while 100 <= message.code < 200 and message.code != _SWITCHING_PROTOCOLS:
                    message, body = await protocol.read()
            except HttpProcessingError as exc:
                connection.close()
                raise aiohttp.ClientResponseError(asked.request_info, (), status=exc.code) from exc
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                connection.close()
                if not can_repeat:
                    raise
                can_repeat = False
            except BaseException:
                connection.close()
                raise
            else:
                return Answer(connection, message, body)

    def _new_origin(self, text: str) -> _Origin | None:
        """What all requests to an origin share; None if they need a proxy or the origin is not valid."""
        try:
            url = URL(f"{text}/", encoded=True)
            if self._proxies.for_url(url) is not None:
                return None
            asked = aiohttp.ClientRequest("GET", url)
            host = asked.headers["Host"]
        except (ValueError, aiohttp.ClientError):
            return None  # the session says what is wrong with it
        return _Origin(asked, f"Host: {host}\r\nUser-Agent: {self._user_agent}\r\n")


@functools.lru_cache(maxsize=256)
def _added_headers(names: tuple[str, ...], is_post: bool) -> tuple[str, str] | None:
    """The headers that aiohttp adds to those of a request, before and after its length.

    None if a session is needed: a name is repeated in another spelling, or is one that it handles.
    """
    lower = {name.lower() for name in names}
    if len(lower) < len(names) or not lower.isdisjoint(_LEFT_TO_SESSION):
        return None
    defaults = aiohttp.ClientRequest.DEFAULT_HEADERS.items()
    before = "".join(f"{name}: {value}\r\n" for name, value in defaults if name.lower() not in lower)
    has_type = not is_post or "content-type" in lower
    return before, "" if has_type else "Content-Type: application/octet-stream\r\n"
