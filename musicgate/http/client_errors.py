"""Describe aiohttp's exceptions for people, without the URL, which may hold a secret."""

import os
import re
import socket
from typing import Final

import aiohttp
from yarl import URL

from musicgate.http.addresses import PrivateAddressError

#: Everything that a request through aiohttp may raise: its own errors, the socket's, a time-out, an invalid
#: URL or header. uvloop raises RuntimeError where asyncio raises OSError.
CLIENT_ERRORS: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError)
#: Those of them that are raised before there is a connection to the server itself.
CONNECT_ERRORS: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    PrivateAddressError,
    socket.gaierror,
)
#: Longest status line, and longest header, of a response. Seen: a response header of 34 kB (field case 5,
#: November 2026).
MAX_HEADER_BYTES: Final = 1 << 16

_AUTHORITY: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_NOT_IN_REQUEST_LINE: Final = re.compile(r"[^\x21-\x7e]+")


def exact_url(text: str) -> URL:
    """Parse a URL without normalising it: some are signed.

    Only characters that cannot be in a request line are encoded.

    Raises:
        ValueError: the text is not a URL.
    """
    if _NOT_IN_REQUEST_LINE.search(text) is None:  # fast path for nearly every URL
        return URL(text, encoded=True)
    match = _AUTHORITY.match(text)
    authority = match[0] if match else ""
    rest = _NOT_IN_REQUEST_LINE.sub(_percent_encoded, text[len(authority) :])
    if not authority.isascii():
        authority = str(URL(authority)).rstrip("/")  # an internationalised name, to punycode
    return URL(authority + rest, encoded=True)


def _percent_encoded(match: re.Match[str]) -> str:
    try:
        # Bytes that aiohttp could not decode in a header are surrogates here; this restores the bytes.
        content = match[0].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = match[0].encode("utf-8", "replace")
    return "".join(f"%{byte:02X}" for byte in content)


def host_of(url: str) -> str:
    """The host of a URL, for messages; its path and query may hold a token."""
    try:
        return URL(url).host or "the vendor"
    except ValueError:
        return "the vendor"


def connect_reason(exc: Exception, connect_s: float) -> str:
    """Say why there was no connection; the exceptions' own texts may hold the URL and are not used."""
    if isinstance(exc, aiohttp.ClientHttpProxyError):
        return f"the proxy refused with HTTP {exc.status}"
    if isinstance(exc, aiohttp.ClientProxyConnectionError):
        return f"the proxy gave no connection ({_system_reason(exc.os_error)})"
    # A certificate error is a ValueError as well.
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(exc, ValueError | aiohttp.NonHttpUrlClientError):
        return "its address is not valid"
    if isinstance(exc, aiohttp.ClientConnectorDNSError | socket.gaierror):
        return "its name cannot be resolved"
    if isinstance(exc, aiohttp.ClientSSLError):
        return "no TLS connection came about"
    if isinstance(exc, TimeoutError):
        return f"no connection within {connect_s:g} s"
    cause = exc.os_error if isinstance(exc, aiohttp.ClientConnectorError) else exc
    if isinstance(cause, PrivateAddressError):
        return "its address is private, and network.allow_private_addresses is off"
    return _system_reason(cause)


def answer_reason(exc: Exception) -> str:
    """Say what went wrong once the connection was established."""
    if isinstance(exc, aiohttp.ClientPayloadError):
        return "the answer was cut short"
    if isinstance(exc, aiohttp.ClientConnectionError | OSError):
        return "the connection was cut before the answer was complete"
    return "the answer is not HTTP"


def _system_reason(exc: Exception) -> str:
    known = isinstance(exc, OSError) and not isinstance(exc, socket.gaierror) and exc.errno
    return os.strerror(known).lower() if known and known > 0 else "no connection"
