"""What a replica knows of the others: shares of the open jobs, and news; of no others with SQLite.

Beside `compose` and `job_stores`, the only module here that names adapters.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Final, NamedTuple

from musicgate.engine import LocalShares, News, NoNews, Shares
from musicgate.gateway.job_stores import is_postgres, session_url

if TYPE_CHECKING:
    from musicgate.settings import Settings

#: Seconds after which what waits for a change reads again. NOTIFY tells of it within some 30 ms; this is for
#: when it does not.
REREAD_S: Final = 2.0


class Replication(NamedTuple):
    """The ports to the other replicas."""

    shares: Shares
    news: News


def replication(settings: Settings) -> Replication:
    """The ports of a store that is open. Without sessions a store belongs to one process."""
    url = session_url(settings) or settings.store_url
    if not is_postgres(settings):
        return Replication(LocalShares(), NoNews())
    if settings.store.pgbouncer and not session_url(settings):
        # One process by a lease, which another one may have taken while this one was stalled.
        return Replication(LocalShares(), NoNews(REREAD_S))
    # Imported here: SQLite needs neither asyncpg nor pgqueuer.
    from musicgate.engine.pgqueuer_shares import PgqueuerShares
    from musicgate.store.postgres_migrate import migrations
    from musicgate.store.postgres_news import PostgresNews

    shares = PgqueuerShares(
        url,
        software=version("musicgate"),
        schema_version=max(migrations()),
        heartbeat_s=settings.store.heartbeat_s,
    )
    return Replication(shares, PostgresNews(url, shares.replica, reread_s=REREAD_S))
