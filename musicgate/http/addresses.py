"""Refuse addresses that are not public: the guard against server-side request forgery.

It knows address ranges and sockets, and nothing of HTTP.

The ranges are listed here because what the interpreter's `ipaddress` calls global changes from one patch
release to the next. Everything in IANA's special-purpose registries is refused, including the few entries
that are globally reachable (anycast services of the network itself): they serve neither media nor webhooks.
"""

import ipaddress
import socket
from typing import Any, Final

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Source: iana.org/assignments/iana-ipv4-special-registry by the RFCs beside the entries, and RFC 5771.
_REFUSED_V4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network (RFC 791)
        "10.0.0.0/8",  # private use (RFC 1918)
        "100.64.0.0/10",  # shared by carriers (RFC 6598); 100.100.100.200 is Alibaba Cloud's metadata service
        "127.0.0.0/8",  # loopback (RFC 1122)
        "169.254.0.0/16",  # link-local (RFC 3927); 169.254.169.254 is most clouds' metadata service
        "172.16.0.0/12",  # private use (RFC 1918)
        "192.0.0.0/24",  # protocol assignments (RFC 6890); 192.0.0.192 is Oracle Cloud's metadata service
        "192.0.2.0/24",  # documentation (RFC 5737)
        "192.31.196.0/24",  # AS112 (RFC 7535)
        "192.52.193.0/24",  # multicast tunnels (RFC 7450)
        "192.88.99.0/24",  # relays of 6to4, deprecated (RFC 7526)
        "192.168.0.0/16",  # private use (RFC 1918)
        "192.175.48.0/24",  # AS112 (RFC 7534)
        "198.18.0.0/15",  # benchmarks (RFC 2544)
        "198.51.100.0/24",  # documentation (RFC 5737)
        "203.0.113.0/24",  # documentation (RFC 5737)
        "224.0.0.0/4",  # multicast (RFC 5771)
        "240.0.0.0/4",  # reserved (RFC 1112), and the broadcast address
        # In no registry: it belongs to Microsoft, and is Azure's host service on every virtual machine there.
        # Source: learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16.
        "168.63.129.16/32",
    )
)
#: The only part of IPv6 that is handed out as global unicast. Source: RFC 4291 section 2.4, RFC 3587. Outside
#: it are loopback, unspecified, link-local, unique local (fd00:ec2::254 and fd20:ce::254 are metadata
#: services), site-local, multicast, discard-only, segment routing (5f00::/16), local NAT64 (64:ff9b:1::/48),
#: and every old form that wraps an IPv4 address in ::/64.
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
#: Source: iana.org/assignments/iana-ipv6-special-registry, by the RFCs beside the entries; only those inside
#: 2000::/3.
_REFUSED_V6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments (RFC 2928): Teredo, benchmarks, ORCHID, AS112, anycast
        "2001:db8::/32",  # documentation (RFC 3849)
        "2620:4f:8000::/48",  # AS112 (RFC 7534)
        "3fff::/20",  # documentation (RFC 9637)
    )
)
#: IPv4 addresses behind an IPv6 gateway. Source: RFC 6052 section 2.1.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class PrivateAddressError(OSError):
    """A URL leads to an address that is not public."""


def is_public(address: str) -> bool:
    """True if the address is on the public internet.

    Loopback, private, reserved and multicast addresses and the metadata services of clouds are not. An IPv4
    address wrapped in an IPv6 one (mapped, 6to4, NAT64) is judged on its own. Text that is not an address is
    not public.
    """
    try:
        parsed = _unwrapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _REFUSED_V4)
    return parsed in _GLOBAL_V6 and not any(parsed in network for network in _REFUSED_V6)


def _unwrapped(address: _Address) -> _Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def check_public(addresses: list[tuple[Any, ...]]) -> None:
    """Refuse the result of ``getaddrinfo`` unless every address in it is public.

    Raises:
        PrivateAddressError: an address is not public, or there is none.
    """
    if not addresses or not all(is_public(str(where[0])) for *_, where in addresses):
        raise PrivateAddressError("the link leads to a private address")


def public_socket(addr_info: tuple[Any, ...]) -> socket.socket:
    """Open a socket for one address from ``getaddrinfo``.

    The check is made here, after the name look-up and right before the connection, for every address that is
    tried. So neither a name that resolves differently the second time (DNS rebinding) nor a literal address
    gets past it.

    Raises:
        PrivateAddressError: the address is not public.
    """
    family, kind, protocol, _, _ = addr_info
    check_public([addr_info])
    return socket.socket(family=family, type=kind, proto=protocol)
