"""Puts into words what goes wrong in aiohttp; it knows the library's exceptions, and lets no address with a secret into a sentence."""

import os
import re
import socket
from typing import Final

import aiohttp
from yarl import URL

from musicgate.http.addresses import PrivateAddressError

#: What may go wrong in aiohttp: its own errors, the socket's, a time-out, an unusable address or header. uvloop raises
#: RuntimeError where asyncio raises OSError.
TROUBLE: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError)
#: Raised by us or by the proxy before there is a connection to the server itself.
NOT_REACHED: Final = (
    aiohttp.ClientConnectorError,
    aiohttp.ClientHttpProxyError,
    PrivateAddressError,
    socket.gaierror,
)
#: A line of a vendor's answer, and one header of it, may be so long. Seen: a response header of 34 kB (field case 5, November 2026).
MAX_HEADER_BYTES: Final = 1 << 16

_AUTHORITY: Final = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//[^/?#]*")
_NOT_IN_REQUEST_LINE: Final = re.compile(r"[^\x21-\x7e]+")


def exact_url(text: str) -> URL:
    """The address to the letter, since some are signed: only what cannot be in a request line is encoded, no escape is touched.

    Raises:
        ValueError: it is no address.
    """
    match = _AUTHORITY.match(text)
    authority = match[0] if match else ""
    rest = _NOT_IN_REQUEST_LINE.sub(_percent_encoded, text[len(authority) :])
    if not authority.isascii():
        authority = str(URL(authority)).rstrip("/")  # a name in another script
    return URL(authority + rest, encoded=True)


def _percent_encoded(match: re.Match[str]) -> str:
    try:
        # What aiohttp could not decode in a header comes as surrogates: these give the bytes back.
        content = match[0].encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        content = match[0].encode("utf-8", "replace")
    return "".join(f"%{byte:02X}" for byte in content)


def host_of(url: str) -> str:
    """The host, for messages. Never the path or the query: they may hold a token."""
    try:
        return URL(url).host or "the vendor"
    except ValueError:
        return "the vendor"


def connect_reason(exc: Exception, connect_s: float) -> str:
    """Why there was no connection. The exceptions' own texts may hold the address, so none is used."""
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
    """What happened on a standing connection."""
    if isinstance(exc, aiohttp.ClientPayloadError):
        return "the answer was cut short"
    if isinstance(exc, aiohttp.ClientConnectionError | OSError):
        return "the connection was cut before the answer was complete"
    return "the answer is not HTTP"


def _system_reason(exc: Exception) -> str:
    known = isinstance(exc, OSError) and not isinstance(exc, socket.gaierror) and exc.errno
    return os.strerror(known).lower() if known and known > 0 else "no connection"
