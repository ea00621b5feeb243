"""The client side of HTTP: API calls to vendors, downloads, and which addresses may be reached.

It knows aiohttp's client, which only `webhooks` uses beside it, and must not know what a response means.
Start with `transport`: its docstring explains when a vendor may have accepted a request.
"""

from musicgate.http.client_errors import (
    CLIENT_ERRORS,
    CONNECT_ERRORS,
    answer_reason,
    connect_reason,
    exact_url,
)
from musicgate.http.port import Transport
from musicgate.http.proxies import Proxies
from musicgate.http.reachability import reach
from musicgate.http.untrusted_url_client import UntrustedUrlClient

__all__ = [
    "CLIENT_ERRORS",
    "CONNECT_ERRORS",
    "Proxies",
    "Transport",
    "UntrustedUrlClient",
    "answer_reason",
    "connect_reason",
    "exact_url",
    "reach",
]
