"""`Client` and `AsyncClient`: what one does with a `Gateway`, at a musicgate server somewhere else.

It knows the routes of a server and when a call may be made again, and must not know a gateway, a store or a
vendor. Start with `async_client`; `calls` has the one place where a request is sent, `server` reads URL, key
and certificates, and `blocking` runs the same methods without asyncio.
"""

from musicgate.client.async_client import AsyncClient
from musicgate.client.blocking import Client
from musicgate.views import RemoteJob

__all__ = ["AsyncClient", "Client", "RemoteJob"]
