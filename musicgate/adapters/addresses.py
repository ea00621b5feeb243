"""Which network addresses a link from outside may lead to; it knows address ranges, and opens sockets only to public ones."""

import ipaddress
import socket
from typing import Any, Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: IPv4 addresses behind an IPv6 gateway. Source: RFC 6052 section 2.1.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """A link leads to an address that is not public."""


def is_public(address: str) -> bool:
    """True if the address is somewhere on the internet: not loopback, private, link-local, shared, multicast or unspecified.

    An IPv4 address that is wrapped in an IPv6 one (mapped, 6to4, NAT64) is judged by itself. What is no address is not public.
    """
    try:
        parsed = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    # To `is_global`, the deprecated ranges fec0::/10 and ::/96 (RFC 3879, RFC 4291) are public.
    is_odd = parsed.is_multicast or parsed.is_reserved or getattr(parsed, "is_site_local", False)
    return parsed.is_global and not is_odd


def _unwrapped(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def public_socket(addr_info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address of ``getaddrinfo``, to be connected next.

    The check sits here, behind the name lookup and right before the connection, for every address that is tried: a name that
    leads elsewhere the second time it is looked up (rebinding) gains nothing, and neither does an address in place of a name.

    Raises:
        PrivateAddressError: the address is not public.
    """
    family, kind, protocol, _, where = addr_info
    if not is_public(str(where[0])):
        raise PrivateAddressError("the link leads to a private address")
    return socket.socket(family=family, type=kind, proto=protocol)
