"""The use cases by their names (accept, send, follow, settle, cancel, recover), and `Gateway`, the facade over them.

It knows the order of things that money depends on, and must not know HTTP servers, command lines, SQL or sockets. Start with `send`.
"""

from musicgate.gateway.compose import store_path
from musicgate.gateway.facade import (
    LOCAL_ACCOUNT,
    Gateway,
)
from musicgate.gateway.idempotency import (
    IdempotencyKey,
    read_key,
)

__all__ = [
    "LOCAL_ACCOUNT",
    "Gateway",
    "IdempotencyKey",
    "read_key",
    "store_path",
]
