"""Everything that is measured, by name; and which of it belongs to which command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from benchmarks import (
    audio,
    failover,
    growth,
    listeners,
    many,
    polls,
    postgres,
    replicas,
    songs,
    start,
    streams,
    throughput,
)
from benchmarks.bench import Bench

MEASUREMENTS: Final[dict[str, Callable[[Bench], Awaitable[dict[str, object]]]]] = {
    "load": throughput.load,
    "create": throughput.create,
    "get": throughput.get,
    "polls": polls.polls,
    "replicas": replicas.replicas,
    "postgres": postgres.postgres,
    "many": many.many,
    "failover": failover.failover,
    "accounts": throughput.accounts,
    "songs": songs.songs,
    "audio": audio.audio,
    "listeners": listeners.listeners,
    "start": start.start,
    "size": start.size,
    "curve": throughput.curve,
    "growth": growth.growth,
    "events": streams.events,
}
#: What ``make bench`` measures, in about ten minutes.
USUAL: Final = ("load", "create", "get", "polls", "songs", "accounts", "start", "size")
#: What has a ratio, so what ``make bench-check`` measures.
CHECKED: Final = ("create", "get", "polls", "accounts")
