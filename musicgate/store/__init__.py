"""Durable jobs, their events and the outbox: the port `JobStore` and its SQLite adapter.

It knows SQL and the stored documents, and must not know what a job's state means or who reads it. Start with
`port`, the contract of every store, then `sqlite`. The schema is in `sqlite_migrations`.
"""

from musicgate.store.ledger import AccountAnswer, AccountRequest, Ledger, LedgerAnswer, SlotRequest
from musicgate.store.port import AuditLog, Backlog, JobStore, KeyStore, PendingMessage, StoreReport
from musicgate.store.rows import (
    loaded,
    readable,
    readable_pairs,
    up_to,
)

__all__ = [
    "AccountAnswer",
    "AccountRequest",
    "AuditLog",
    "Backlog",
    "JobStore",
    "KeyStore",
    "Ledger",
    "LedgerAnswer",
    "PendingMessage",
    "SlotRequest",
    "StoreReport",
    "loaded",
    "readable",
    "readable_pairs",
    "up_to",
]
