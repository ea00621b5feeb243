"""Millions of open jobs on many replicas, on paper: ``python -m benchmarks.scale``."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Final

from benchmarks.results import RECORDED, Json, read
from docs.markdown import table
from musicgate.model import SHARES

#: The longest pause between two polls of a job at kie.ai, which most open jobs have.
_POLL_EVERY_S: Final = 15.0
#: Stored versions of a job from the create call to its end: each is news.
_CHANGES_A_JOB: Final = 6
#: Of the measurement of many jobs.
_HEARTBEAT_S: Final = 10.0
#: Of three minutes each.
_TRACKS: Final = 2
_NEWS_ID_BYTES: Final = 35
#: A process tells its news at most so often; each is a transaction under one lock of the server.
_NEWS_PER_S: Final = 50
_SEARCH_EVERY_S: Final = 30.0
#: Of one replica: pool of the store, engine, lock, news.
_CONNECTIONS: Final = 16 + 3
#: To hear an id of the news: JSON read, and two look-ups (a micro benchmark on the recorded machine).
_HEARD_US: Final = 0.4


def rows(measured: Json, jobs: int, replicas: int, open_s: float) -> Iterator[tuple[str, str, str]]:
    """The load of each part, and what bears how much of it."""
    polls, song = measured["replicas"]["polls"]["2"], measured["postgres"]["song"]
    webhook, many = measured["postgres"]["webhook"], measured["many"]
    followers = min(SHARES, replicas)
    each, songs_per_s, ids_per_s = jobs / followers, jobs / open_s, jobs / open_s * _CHANGES_A_JOB
    search_us, server_us = many["search_us_per_job"], many["search_postgres_us_per_job"]

    cores = songs_per_s * _TRACKS * measured["audio"]["measure"]["cpu_s"]
    yield (
        "measuring audio",
        f"{songs_per_s * _TRACKS:,.0f} tracks/s: {cores:,.0f} cores",
        f"{replicas} machines",
    )

    most = f"{SHARES} followers: {max(0, replicas - SHARES)} replicas follow nothing"
    yield "shares", f"{replicas} replicas, {each:,.0f} jobs for each follower", most

    per_s, most_s = each / _POLL_EVERY_S, 1000 / polls["cpu_ms"]
    yield (
        "polls of a follower",
        f"{per_s:,.0f}/s: {per_s / most_s:.1f} cores",
        f"an event loop: {most_s:,.0f}/s",
    )

    most_s = 1000 / webhook["cpu_ms"]
    load = f"{songs_per_s:,.0f} webhooks/s: {songs_per_s / most_s:.1f} cores"
    yield "courier", load, f"one event loop: {most_s:,.0f}/s"

    bytes_per_s, told_per_s = ids_per_s * _NEWS_ID_BYTES * replicas, min(ids_per_s, replicas * _NEWS_PER_S)
    load = f"{told_per_s:,.0f} NOTIFY/s, {bytes_per_s / 1e6:,.0f} MB/s from PostgreSQL"
    yield "news", load, "one lock of the server; a network of 10 Gbit/s: 1,250 MB/s"
    load = f"{ids_per_s:,.0f} ids/s at each replica: {ids_per_s * _HEARD_US / 1e6:.0%} of a core"
    yield "hearing news", load, "an event loop"

    cores, log = songs_per_s * song["postgres_cpu_ms"] / 1000, songs_per_s * song["wal_bytes"] / 1e6
    load = f"{songs_per_s:,.0f} songs/s: {cores:.0f} cores, {log:,.0f} MB/s of log"
    yield "writes of PostgreSQL", load, "one server"

    cores = songs_per_s * (webhook["cpu_ms"] + measured["replicas"]["create"]["2"]["cpu_ms"]) / 1000
    yield "creates and webhooks", f"{cores:.0f} cores of the replicas", f"{replicas} event loops"

    load = f"{jobs / _SEARCH_EVERY_S * server_us / 1e6:.1f} cores of PostgreSQL, replicas held for"
    load += f" {jobs / SHARES * search_us / 1000:,.0f} ms at a time"
    yield "search for open jobs", load, "polls are late by as much"

    again_s = each * max(0.0, many["all_followed_s"] - _HEARTBEAT_S) / many["orphans"]
    yield "death of a replica", f"its jobs are read in {again_s:.0f} s by one other", "an event loop"

    yield "connections", f"{replicas * _CONNECTIONS:,}", "100 by default; some 500 are useful"
    yield "memory of a follower", f"{each * measured['polls']['rss_kb_per_job'] / 1024:,.0f} MB", "-"
    yield "table of open jobs", f"{jobs * many['database_kb_per_job'] / 1e6:,.0f} GB", "-"


def shown(measured: Json, jobs: int = 10_000_000, replicas: int = 100, open_s: float = 600.0) -> str:
    """The rows as a table."""
    return table(("part", "load", "what bears it"), rows(measured, jobs, replicas, open_s))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000_000, help="open jobs")
    parser.add_argument("--replicas", type=int, default=100)
    parser.add_argument("--open-s", type=float, default=600.0, help="seconds for which a job is open")
    asked = parser.parse_args()
    print(shown(read(RECORDED)["measurements"], asked.jobs, asked.replicas, asked.open_s))


if __name__ == "__main__":
    main()
