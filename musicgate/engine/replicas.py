"""The replicas that use a database, as the table ``musicgate.replicas`` shows them; no connection."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: Renew our row, and read those of the others.
RENEW: Final = """
WITH renewed AS (
    INSERT INTO musicgate.replicas AS known (id, host, software, schema_version, started_at, seen_at, takes_shares)
    VALUES ($1, $2, $3, $4, clock_timestamp(), clock_timestamp(), $5)
    ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, takes_shares = excluded.takes_shares
)
SELECT id, takes_shares,
    extract(epoch FROM clock_timestamp() - seen_at)::float8 AS silence_s,
    extract(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float8 AS uptime_s
FROM musicgate.replicas WHERE id <> $1
"""
REMOVE: Final = "DELETE FROM musicgate.replicas WHERE id = $1"
FORGET: Final = "DELETE FROM musicgate.replicas WHERE seen_at < clock_timestamp() - interval '1 day'"


#: The part of the longest time between two readings that counts of a longer one.
_COUNTED_OF_PAUSE: Final = 0.5
#: Only by a reading of the last seconds is another replica called dead: it may have gone on since.
READING_LASTS_S: Final = 2.0
#: A replica that was silent takes and calls nothing for so long after it was seen again. By then the others
#: have read of it, and what they had decided is done: half a second for that, and another one to spare.
SEEN_AGAIN_S: Final = READING_LASTS_S + 1.0


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
class Sign:
    """When this replica gave its last sign of life, by the steady clock.

    Attributes:
        max_pause_s: between two signs; well below the silence after which the others take it for dead.
        given_s: when the last one was begun; never where there was none.
        since_s: there was no longer pause since.
    """

    max_pause_s: float
    given_s: float = -math.inf
    since_s: float = -math.inf

    def renewed(self, began_s: float, now_s: float) -> Sign:
        """Another sign was begun then, and is seen now."""
        has_pause = math.isfinite(self.given_s) and now_s - self.given_s > self.max_pause_s
        return attrs.evolve(self, given_s=began_s, since_s=now_s if has_pause else self.since_s)

    def is_seen(self, now_s: float) -> bool:
        """True if no other replica takes this one for dead, whatever it has read."""
        return now_s - self.given_s <= self.max_pause_s and now_s - self.since_s >= SEEN_AGAIN_S


@attrs.frozen(kw_only=True)
class Neighbours:
    """The other replicas, as they were read last.

    Silence counts while it can be heard: not while PostgreSQL was away or we were stalled, for then the
    others may have been unable to write, or we to read. A little of such a pause counts: where a starved
    machine makes a pause of every reading, a dead replica would else be alive for ever.

    Attributes:
        asked_s: when the reading was begun, by the steady clock; never where there was none.
        read_s: when it was read.
        silent_s: how long each had been silent, by the database's clock.
        counted_from_s: the silence of each counts from then on, by the steady clock.
        takers: those that take shares.
    """

    asked_s: float = -math.inf
    read_s: float = math.inf
    silent_s: Mapping[str, float] = attrs.field(factory=dict)
    counted_from_s: Mapping[str, float] = attrs.field(factory=dict)
    takers: frozenset[str] = frozenset()

    def read(
        self,
        rows: Sequence[Mapping[str, Any]],
        now_s: float,
        max_pause_s: float,
        asked_s: float = -math.inf,
    ) -> Neighbours:
        """What the rows of `RENEW` say, asked for then and read now."""
        has_pause = now_s - self.read_s > max_pause_s
        counted_from_s: dict[str, float] = {}
        for row in rows:
            name = row["id"]
            if name not in self.silent_s:
                counted_from_s[name] = now_s - (0.0 if has_pause else row["uptime_s"])
            elif has_pause:
                counted_from_s[name] = now_s - self.silent_s[name] - max_pause_s * _COUNTED_OF_PAUSE
            else:
                counted_from_s[name] = self.counted_from_s[name]
        return Neighbours(
            asked_s=asked_s,
            read_s=now_s,
            silent_s={
                row["id"]: max(0.0, min(row["silence_s"], now_s - counted_from_s[row["id"]])) for row in rows
            },
            counted_from_s=counted_from_s,
            takers=frozenset(row["id"] for row in rows if row["takes_shares"]),
        )

    def silence_s(self, replica: str) -> float:
        """Seconds since a replica was seen alive; infinite for one that is not known."""
        return self.silent_s.get(replica, math.inf)

    def live(self, max_silence_s: float) -> frozenset[str]:
        """Those that were seen so lately."""
        return frozenset(name for name, silent_s in self.silent_s.items() if silent_s < max_silence_s)
