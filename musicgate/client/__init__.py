"""`Client` and `AsyncClient`: what one does with a `Gateway`, at a musicgate server somewhere else.

It knows the routes of a server and when a call may be made again, and must not know a gateway, a store or a
vendor. Start with `async_client`; `calls` has the one place where a request is sent, `server` reads URL, key
and certificates, `routes` says what a call consists of, and `blocking` runs the same methods without asyncio.
`admin` adds the routes of administrators, and `agent` what the tools of agents need. `answers` has the types
of plans, models and providers.
"""

from musicgate.client.admin import AdminClient
from musicgate.client.agent import AgentClient
from musicgate.client.answers import RemoteModel, RemotePlan, RemoteProvider
from musicgate.client.async_client import AsyncClient
from musicgate.client.blocking import Client
from musicgate.views import RemoteJob

__all__ = [
    "AdminClient",
    "AgentClient",
    "AsyncClient",
    "Client",
    "RemoteJob",
    "RemoteModel",
    "RemotePlan",
    "RemoteProvider",
]
