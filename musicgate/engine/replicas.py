"""The replicas that use a database, as its table ``musicgate.replicas`` shows them; opens no connection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Renew our row, and read how long the others have been silent. A time before PostgreSQL was started does not
#: count: they could not be seen.
RENEW: Final = """
WITH renewed AS (
    INSERT INTO musicgate.replicas AS known (id, host, software, schema_version, started_at, seen_at, takes_shares)
    VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp(), $5)
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, takes_shares = excluded.takes_shares
)
SELECT id, takes_shares,
    extract(epoch FROM clock_timestamp() - greatest(seen_at, pg_postmaster_start_time()))::float8 AS silence_s
FROM musicgate.replicas WHERE id <> $1
"""
REMOVE: Final = "DELETE FROM musicgate.replicas WHERE id = $1"
FORGET: Final = "DELETE FROM musicgate.replicas WHERE seen_at < clock_timestamp() - interval '1 day'"


@attrs.frozen(kw_only=True)
class Replica:
    """This process, as the others see it.

    Attributes:
        id: another one at each start.
        software: the version of musicgate.
        schema_version: of the database, as this version knows it.
    """

    id: str
    host: str
    software: str
    schema_version: int

    def row(self, *, takes_shares: bool) -> tuple[str, str, str, int, bool]:
        """Values for `RENEW`."""
        return (self.id, self.host, self.software, self.schema_version, takes_shares)


@attrs.frozen(kw_only=True)
class Neighbours:
    """The other replicas, as they were read last.

    Attributes:
        read_s: when, by the steady clock.
        since_s: since when they were read without a longer pause. In a pause the others could not be seen.
        silent_s: how long each had been silent, by the database's clock.
        takers: those that take shares.
    """

    read_s: float = -math.inf
    since_s: float = -math.inf
    silent_s: Mapping[str, float] = attrs.field(factory=dict)
    takers: frozenset[str] = frozenset()

    def read(self, rows: Sequence[Mapping[str, Any]], now_s: float, max_pause_s: float) -> Neighbours:
        """What the rows of `RENEW` say, read now."""
        is_first = self.read_s == -math.inf
        has_pause = not is_first and now_s - self.read_s > max_pause_s
        return Neighbours(
            read_s=now_s,
            since_s=now_s if has_pause else self.since_s,
            silent_s={row["id"]: max(0.0, row["silence_s"]) for row in rows},
            takers=frozenset(row["id"] for row in rows if row["takes_shares"]),
        )

    def silence_s(self, replica: str) -> float:
        """Seconds since a replica was seen alive; infinite for one that is not known."""
        silent_s = self.silent_s.get(replica)
        return math.inf if silent_s is None else min(silent_s, self.read_s - self.since_s)

    def live(self, max_silence_s: float) -> frozenset[str]:
        """Those that were seen so lately."""
        return frozenset(replica for replica in self.silent_s if self.silence_s(replica) < max_silence_s)
