"""Strict readers of ``Host`` and ``Origin``: exactly the grammar, or None.

**Source**: RFC 9110 7.2 and 4.2.3, RFC 3986 3.2 (authority), RFC 6454 6.2 (serialised origin). User
information, a path and blanks are refused.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

import attrs

_AUTHORITY = re.compile(
    r"(?:\[(?P<v6>[0-9A-Fa-f:.]{2,45})\]|(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._~-]{0,252}[A-Za-z0-9.])?))"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_ORIGIN = re.compile(r"https?://(?P<authority>[^/?#@\\]+)")
_MAX_PORT = 65535


@attrs.frozen(kw_only=True)
class HostPort:
    """A host with its port; ``host`` is in lower case, and an IPv6 address has no brackets."""

    host: str
    port: int | None = None

    @property
    def is_loopback(self) -> bool:
        """True for ``localhost`` and loopback addresses."""
        return is_loopback(self.host)


@lru_cache(maxsize=256)
def read_host(text: str) -> HostPort | None:
    """Read a ``Host`` header."""
    found = _AUTHORITY.fullmatch(text)
    if found is None or (found["port"] and int(found["port"]) > _MAX_PORT):
        return None
    if found["v6"]:
        try:
            ipaddress.IPv6Address(found["v6"])
        except ValueError:
            return None
    return HostPort(
        host=(found["v6"] or found["name"]).lower(), port=int(found["port"]) if found["port"] else None
    )


def read_origin(text: str) -> HostPort | None:
    """Read the host of an ``Origin`` header; None also for ``null`` and schemes other than http(s)."""
    found = _ORIGIN.fullmatch(text)
    return read_host(found["authority"]) if found else None


def is_loopback(host: str) -> bool:
    """Return True for ``localhost`` and loopback addresses, with or without brackets."""
    name = host.lower()
    if name.startswith("[") and name.endswith("]"):
        name = name[1:-1]
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
