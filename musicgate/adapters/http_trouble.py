"""Puts into words what goes wrong in aiohttp; it knows the library's exceptions, and lets no address with a secret into a sentence."""

import os
from typing import Final

import aiohttp
from yarl import URL

from musicgate.adapters.addresses import PrivateAddressError

#: What may go wrong in aiohttp: its own errors, the socket's, a time-out, an unusable address or header. uvloop raises
#: RuntimeError where asyncio raises OSError.
TROUBLE: Final = (aiohttp.ClientError, OSError, TimeoutError, ValueError, RuntimeError)


def exact_url(text: str) -> URL:
    """The address to the letter, since some are signed; only what could not stand in a request line is encoded."""
    return URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)


def host_of(url: str) -> str:
    """The host, for messages. Never the path or the query: they may hold a token."""
    try:
        return URL(url).host or "the vendor"
    except ValueError:
        return "the vendor"


def connect_reason(exc: Exception, connect_s: float) -> str:
    """Why there was no connection. The exceptions' own texts may hold the address, so none is used."""
    if isinstance(exc, ValueError | aiohttp.NonHttpUrlClientError):
        return "its address is not valid"
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return "its certificate is not trusted"
    if isinstance(exc, aiohttp.ClientSSLError):
        return "no TLS connection came about"
    if isinstance(exc, TimeoutError):
        return f"no connection within {connect_s:g} s"
    if isinstance(exc, aiohttp.ClientConnectorError) and isinstance(exc.os_error, PrivateAddressError):
        return "its address is private, and network.allow_private_addresses is off"
    if isinstance(exc, aiohttp.ClientConnectorError) and exc.os_error.errno:
        return os.strerror(exc.os_error.errno).lower()
    return "no connection"


def answer_reason(exc: Exception) -> str:
    """What happened on a standing connection."""
    if isinstance(exc, aiohttp.ClientPayloadError):
        return "the answer was cut short"
    if isinstance(exc, aiohttp.ClientConnectionError | OSError):
        return "the connection was cut before the answer was complete"
    return "the answer is not HTTP"
