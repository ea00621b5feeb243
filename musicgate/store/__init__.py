"""Jobs, their events and the outbox, durable: the port and its SQLite adapter.

It knows SQL and the stored documents, and must not know what a job means. Start with `port`: it is the contract of every store.
"""

from musicgate.store.port import (
    JobStore,
    PendingMessage,
)
from musicgate.store.rows import (
    loaded,
    readable,
    readable_pairs,
    up_to,
)

__all__ = [
    "JobStore",
    "PendingMessage",
    "loaded",
    "readable",
    "readable_pairs",
    "up_to",
]
