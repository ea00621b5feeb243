"""What work costs on PostgreSQL: round trips, its CPU, its log; for creates, whole songs and webhooks."""

from __future__ import annotations

import asyncio
import time
from typing import Final

from benchmarks.bench import Bench
from benchmarks.database import Database
from benchmarks.installation import NAME, Installation
from benchmarks.relay import Relay
from benchmarks.vendor import Stage
from benchmarks.workloads import report_ends

_CONNECTIONS: Final = 64
_SEQUENTIAL: Final = 500
_SONGS: Final = 600
_SONGS_TIMEOUT_S: Final = 60.0
_SETTLE_S: Final = 1.0
_IDLE_S: Final = 6.0


async def postgres(bench: Bench) -> dict[str, object]:
    """What creates, whole songs and webhooks of one replica cost it and PostgreSQL."""
    with Database.running(bench.new_folder("database"), bench.cores.load) as database:
        return {
            "round_trips": await _round_trips(bench, database),
            "song": await _songs(bench, database, Stage.DONE),
            "webhook": await _webhook(bench, database),
        }


async def _round_trips(bench: Bench, database: Database) -> dict[str, object]:
    """Answers of PostgreSQL for each create: one at a time, and many in flight."""
    bench.vendor.forget()
    installation = Installation(bench=bench, database=database)
    await installation.renew()
    async with Relay(database.socket).running() as relay:
        replica = installation.replica(store_url=relay.url(NAME))
        async with replica.running():
            await installation.until_even([replica])
            idle_per_s = await _idle_per_s(relay)

            async def counted(count: int, connections: int) -> tuple[float, float]:
                before, wal, began = relay.round_trips, await database.wal_bytes(), time.monotonic()
                await replica.create(count, connections=connections)
                idle = idle_per_s * (time.monotonic() - began)
                trips = (relay.round_trips - before - idle) / count
                return round(trips, 2), round((await database.wal_bytes() - wal) / count)

            await counted(200, _CONNECTIONS)
            one, wal_one = await counted(_SEQUENTIAL, 1)
            many, wal_many = await counted(4 * _SEQUENTIAL, _CONNECTIONS)
    bench.say(f"  round trips a create: {one} one at a time, {many} at {_CONNECTIONS} connections")
    return {
        "one_at_a_time": one,
        "at_64_connections": many,
        "wal_bytes_one_at_a_time": wal_one,
        "wal_bytes_at_64_connections": wal_many,
        "idle_per_s": round(idle_per_s, 2),
    }


async def _webhook(bench: Bench, database: Database) -> dict[str, float]:
    """What a webhook adds to a song that the vendor refuses: a message stored, delivered, and noted."""
    without = await _songs(bench, database, Stage.REFUSED, has_webhook=False)
    with_webhook = await _songs(bench, database, Stage.REFUSED)
    return {name: round(value - without[name], 3) for name, value in with_webhook.items()}


async def _songs(
    bench: Bench, database: Database, stage: Stage, *, has_webhook: bool = True
) -> dict[str, float]:
    """Whole songs of one replica: create, callback, poll, two tracks kept where there are, webhook."""
    vendor, count = bench.vendor, _SONGS
    vendor.forget()
    installation = Installation(bench=bench, database=database)
    await installation.renew()
    webhook_url = f"{vendor.url}/hook" if has_webhook else ""
    async with Relay(database.socket).running() as relay:
        replica = installation.replica(store_url=relay.url(NAME), webhook_url=webhook_url)
        async with replica.running():
            await installation.until_even([replica])
            idle_per_s = await _idle_per_s(relay)
            before, wal, began = relay.round_trips, await database.wal_bytes(), time.monotonic()
            cpu_s, server_s = replica.usage().cpu_s, database.cpu_s()
            await replica.create(count)
            vendor.stage = stage
            await report_ends(bench, replica)(_SONGS_TIMEOUT_S)
            async with asyncio.timeout(_SONGS_TIMEOUT_S):
                while has_webhook and vendor.calls["hook"] < count:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(_SETTLE_S)
            idle = idle_per_s * (time.monotonic() - began)
            found = {
                "cpu_ms": round(1000 * (replica.usage().cpu_s - cpu_s) / count, 3),
                "postgres_cpu_ms": round(1000 * (database.cpu_s() - server_s) / count, 3),
                "wal_bytes": round((await database.wal_bytes() - wal) / count),
                "round_trips": round((relay.round_trips - before - idle) / count, 2),
            }
    vendor.stage = Stage.PENDING
    bench.say(f"  songs, {stage.name}, webhooks: {has_webhook}: {found}")
    return found


async def _idle_per_s(relay: Relay) -> float:
    """Round trips of a replica that has nothing to do."""
    await asyncio.sleep(_IDLE_S)  # it has just taken its shares
    before = relay.round_trips
    await asyncio.sleep(_IDLE_S)
    return (relay.round_trips - before) / _IDLE_S
