"""Choose the HTTP proxy for a URL. It reads settings and environment, and opens nothing.

The rules are those that curl, Go and Python's own clients share: the lower-case variable wins over the
upper-case one; a proxy without a scheme is ``http://``; an entry of ``NO_PROXY`` is ``*``, a network, an
address, or a host with its subdomains, and holds for one port only if it names one. Loopback is never reached
through a proxy.
"""

import ipaddress
from collections.abc import Mapping
from typing import Final, Self

import attrs
from yarl import URL

from musicgate.errors import ConfigError

_SCHEMES: Final = frozenset({"http", "https"})
#: The value of ``network.proxy`` that also ignores the environment variables.
DIRECT: Final = "none"


@attrs.frozen(kw_only=True)
class Proxies:
    """The proxies of one process. Their URLs may hold a password, so ``repr`` omits them."""

    http: URL | None = attrs.field(default=None, repr=False)
    https: URL | None = attrs.field(default=None, repr=False)
    exempt: tuple[str, ...] = ()

    @classmethod
    def from_settings(cls, setting: str, environ: Mapping[str, str]) -> Self:
        """Read the setting, and the environment variables where it is empty.

        Raises:
            ConfigError: a value is not the URL of an HTTP proxy.
        """
        if setting.strip().lower() == DIRECT:
            return cls()
        one = _proxy(setting, "network.proxy")
        return cls(
            http=one or _proxy(_variable(environ, "http_proxy"), "HTTP_PROXY"),
            https=one or _proxy(_variable(environ, "https_proxy"), "HTTPS_PROXY"),
            exempt=tuple(_variable(environ, "no_proxy").replace(",", " ").lower().split()),
        )

    def for_url(self, url: URL) -> URL | None:
        """The proxy for a URL, or None for a direct connection."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None:
            return None
        host = (url.host or "").lower().rstrip(".")
        if not host or _is_loopback(host):
            return None
        return None if any(_covers(entry, host, url.port) for entry in self.exempt) else proxy


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "") or environ.get(name.upper(), "")


def _proxy(text: str, key: str) -> URL | None:
    text = text.strip()
    if not text:
        return None
    try:
        url = URL(text if "://" in text else f"http://{text}")
        is_usable = url.scheme in _SCHEMES and bool(url.host) and url.port is not None
    except ValueError:
        is_usable = False
        url = URL()
    if not is_usable:
        raise ConfigError('must be http://host:port of an HTTP proxy, or "none"', key=key)
    return url


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, port_text = entry, ""
    if entry.startswith("["):
        name, _, port_text = entry[1:].partition("]")
        port_text = port_text.removeprefix(":")
    elif entry.count(":") == 1:
        name, _, port_text = entry.partition(":")
    if port_text and port_text != str(port):
        return False
    address = _address(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
