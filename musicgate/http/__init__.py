"""The client side of HTTP: calls to vendors and downloads, to addresses that may be reached.

The only importer of aiohttp's client beside `webhooks`. It must not know what an answer means. Start with `transport`: its essay
says when a request may have been accepted.
"""

from musicgate.http.client_errors import (
    NOT_REACHED,
    TROUBLE,
    answer_reason,
    connect_reason,
    exact_url,
)
from musicgate.http.outside_client import (
    OutsideClient,
)
from musicgate.http.port import Downloaded, Transport
from musicgate.http.proxies import Proxies

__all__ = [
    "NOT_REACHED",
    "TROUBLE",
    "Downloaded",
    "OutsideClient",
    "Proxies",
    "Transport",
    "answer_reason",
    "connect_reason",
    "exact_url",
]
