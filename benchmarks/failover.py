"""Faults of replicas, of PostgreSQL and of the network: how long until everything goes on.

Two replicas share a few hundred open jobs, and callers go on making creates and GETs. The vendor notes who
polls which job, triggers of the database note who writes which, so that a replica that was stalled is seen.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import asyncpg
import attrs

from benchmarks.bench import Bench
from benchmarks.database import Database
from benchmarks.gateway import MeasuredGateway
from benchmarks.installation import NAME, Installation
from benchmarks.load import ask
from benchmarks.relay import Network, Relay
from benchmarks.vendor import Stage
from benchmarks.watched import NAMES, WATCH, Callers, WatchedVendor
from musicgate.model import share_of

_JOBS: Final = 400
#: Polls come every 1.25 to 3.75 seconds, and a job lives for five minutes.
_SPEED: Final = 4.0
_BEFORE_S: Final = 5.0
_AFTER_S: Final = 6.0
_SETTLE_TIMEOUT_S: Final = 60.0
#: How long a replica that went on may take until it is told that its shares are another's.
_TOLD_S: Final = 2.0
#: PostgreSQL is away for so long, and a second or two that it takes to start.
_DOWN_S: Final = 3.0
_EXHAUSTED_S: Final = 20.0
_CUT_OFF_S: Final = 30.0
_END_ALL: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename IN ('a', 'b');"
_BLOCKER: Final = Path(__file__).with_name("blocked_server.py")


@attrs.define(kw_only=True)
class Trial:
    """Two replicas with open jobs, before, in and after a fault."""

    bench: Bench
    database: Database
    relay: Relay
    vendor: WatchedVendor
    replicas: dict[str, MeasuredGateway]
    #: Those that a load balancer sends calls to.
    serving: list[str]
    callers: Callers
    jobs: list[str]
    found: dict[str, object] = attrs.field(factory=dict)

    async def jobs_of(self, name: str) -> list[str]:
        """The open jobs that a replica follows."""
        rows = await self.database.run(
            "SELECT DISTINCT ON (share) share, who FROM watch.takes ORDER BY share, at DESC", NAME
        )
        shares = {share for share, who in rows if who == name}
        return [job for job in self.jobs if share_of(job) in shares]

    async def again_s(self, since_s: float, jobs: Sequence[str] = (), who: str = "") -> float:
        """Seconds from then until each of the jobs was polled, by that replica if it is named."""
        return round(await self.vendor.all_polled_s(set(jobs or self.jobs), since_s, who), 1)


@attrs.frozen(kw_only=True)
class Fault:
    """A fault by name, and the coroutine that makes it and returns when it ended (`time.time`)."""

    name: str
    make: Callable[[Trial], Awaitable[float]]
    heartbeat_s: float = 10.0
    is_quick: bool = True


async def failover(bench: Bench) -> dict[str, object]:
    """Faults of two replicas, of PostgreSQL and of the network: how long until all goes on, what is lost."""
    rows: list[dict[str, object]] = []
    with Database.running(bench.new_folder("database"), None) as database:
        for name in NAMES:
            await database.run(f"CREATE ROLE {name} LOGIN;")
        await database.run(f"GRANT {NAMES[0]} TO {NAMES[1]};")  # the first one makes and owns the tables
        for fault in FAULTS:
            if bench.is_quick and not fault.is_quick:
                continue
            rows.append(await _row(bench, database, fault))
            bench.say(f"  {rows[-1]}")
    return {"jobs": _JOBS, "speed": _SPEED, "faults": rows}


async def _row(bench: Bench, database: Database, fault: Fault) -> dict[str, object]:
    async with _trial(bench, database, fault) as trial:
        async with trial.callers.calling():
            await asyncio.sleep(_BEFORE_S)
            ended_s = await fault.make(trial)
            trial.found.setdefault("again_s", await trial.again_s(ended_s))
            await asyncio.sleep(_AFTER_S)
        calls = trial.callers
        return {
            "fault": fault.name,
            "heartbeat_s": fault.heartbeat_s,
            **trial.found,
            "creates_again_s": round(calls.works_again_s("create", ended_s), 1),
            "creates_refused": _refused(calls, "create"),
            "gets_refused": _refused(calls, "GET"),
            "slowest_create_s": round(calls.slowest_s("create"), 1),
            "slowest_get_s": round(calls.slowest_s("GET"), 1),
            **await _books(trial),
        }


def _refused(calls: Callers, kind: str) -> list[dict[str, object]]:
    return [
        {"status": status, "message": message, "count": count}
        for (status, message), count in calls.refused(kind).most_common()
    ]


@contextlib.asynccontextmanager
async def _trial(bench: Bench, database: Database, fault: Fault) -> AsyncIterator[Trial]:
    installation = Installation(bench=bench, database=database, speed=_SPEED, heartbeat_s=fault.heartbeat_s)
    await installation.renew()
    await database.run(f"ALTER DATABASE {NAME} OWNER TO {NAMES[0]};")
    async with (
        WatchedVendor.serving() as vendor,
        Relay(database.socket).running() as relay,
        contextlib.AsyncExitStack() as stack,
    ):
        replicas = {
            name: installation.replica(
                store_url=relay.url(NAME, name),
                vendor_url=vendor.url_for(name),
                launcher=("-P", str(_BLOCKER), "5" if bench.is_quick else "20"),
            )
            for name in NAMES
        }
        for name, replica in replicas.items():
            await stack.enter_async_context(replica.running())
            if name == NAMES[0]:
                await installation.until_even([replica])
                await database.run(WATCH, NAME)
        even_s = await installation.until_even(list(replicas.values()))
        jobs = [job for replica in replicas.values() for job in await replica.create(_JOBS // 2)]
        await installation.until_even(list(replicas.values()), len(jobs))
        trial = Trial(
            bench=bench,
            database=database,
            relay=relay,
            vendor=vendor,
            replicas=replicas,
            serving=list(NAMES),
            callers=Callers(lambda: [replicas[name] for name in trial.serving], jobs),
            jobs=jobs,
        )
        trial.found["joined_s"] = round(even_s, 1)
        yield trial


async def _books(trial: Trial) -> dict[str, object]:
    """Compare what callers, the vendor and the database know, once answers that wait to be stored are."""
    answered = [*trial.jobs, *trial.callers.created()]
    songs = trial.vendor.songs
    ends = time.monotonic() + _SETTLE_TIMEOUT_S
    while True:
        rows = dict(await trial.database.run("SELECT id, native_id FROM musicgate.jobs", NAME))
        unknown = [job for job, tasks in songs.items() if job in rows and rows[job] not in tasks]
        lost = [job for job in {*answered, *songs} if job not in rows]
        if not (unknown or lost) or time.monotonic() > ends:
            break
        await asyncio.sleep(0.5)
    return {
        "creates": len(answered),
        "lost": len(lost),
        "twice": sum(len(tasks) > 1 for tasks in songs.values()),
        "unknown": len(unknown),
    }


async def _kill(trial: Trial) -> float:
    first, second = NAMES
    jobs = await trial.jobs_of(first)
    trial.replicas[first].kill()
    at_s = time.time()
    trial.serving = [second]
    trial.found["again_s"] = await trial.again_s(at_s, jobs, second)
    return at_s


async def _terminate(trial: Trial) -> float:
    first, second = NAMES
    jobs = await trial.jobs_of(first)
    trial.replicas[first].signal(signal.SIGTERM)
    at_s = time.time()
    trial.serving = [second]
    trial.found["again_s"] = await trial.again_s(at_s, jobs, second)
    while not trial.replicas[first].has_ended and time.time() < at_s + _SETTLE_TIMEOUT_S:
        await asyncio.sleep(0.05)
    trial.found["ended_s"] = round(time.time() - at_s, 1)
    return at_s


async def _join(trial: Trial) -> float:
    first, second = NAMES
    jobs = await trial.jobs_of(second)
    trial.replicas[second].kill()
    killed_s = time.time()
    trial.serving = [first]
    await trial.again_s(killed_s, jobs, first)
    await trial.replicas[second].start()
    at_s = time.time()
    trial.serving = list(NAMES)
    while len(moved := await trial.jobs_of(second)) < _JOBS // 4 and time.time() < at_s + _SETTLE_TIMEOUT_S:
        await asyncio.sleep(0.05)
    trial.found["joined_s"] = round(time.time() - at_s, 1)
    trial.found["again_s"] = await trial.again_s(at_s, moved, second)
    return at_s


async def _stop_and_go_on(trial: Trial) -> float:
    """SIGSTOP with a create call and polls in flight whose answers come meanwhile; then SIGCONT."""
    first, second = NAMES
    vendor, replica = trial.vendor, trial.replicas[first]
    stopped_s = 20.0 if trial.bench.is_quick else 120.0
    trial.serving = [second]
    jobs = await trial.jobs_of(first)
    tasks = [vendor.tasks[vendor.songs[job][0]] for job in jobs]
    known = set(vendor.songs)
    vendor.create_s[first], vendor.poll_s[first] = 3.0, 1.0
    for task in tasks:
        task.stage = Stage.FIRST  # what a stale replica would write
    caller = asyncio.create_task(ask(replica.port, replica.create_request()))
    await asyncio.sleep(0.9)
    replica.signal(signal.SIGSTOP)
    at_s = time.time()
    for task in tasks:
        task.stage = None
    created = {job for job in set(vendor.songs) - known if job not in trial.callers.created()}
    vendor.create_s.clear()
    vendor.poll_s.clear()
    trial.found["again_s"] = await trial.again_s(at_s, jobs, second)
    await asyncio.sleep(max(0.0, at_s + stopped_s - time.time()))
    replica.signal(signal.SIGCONT)
    went_on_s = time.time()
    await asyncio.sleep(15.0)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    trial.found |= await _stale(trial, first, went_on_s, created)
    return at_s


async def _stale(trial: Trial, who: str, since_s: float, created: Collection[str]) -> dict[str, object]:
    """What a replica did about jobs of shares that were another's at that moment."""
    takes = await trial.database.run("SELECT at, who, share FROM watch.takes ORDER BY at", NAME)
    writes = [
        (at_s, job, native)
        for at_s, name, job, native in await trial.database.run(
            "SELECT at, who, job, native FROM watch.writes", NAME
        )
        if name == who and at_s > since_s
    ]

    def is_stale(job: str, at_s: float) -> bool:
        holders = [name for taken_s, name, share in takes if share == share_of(job) and taken_s <= at_s]
        return bool(holders[-1] != who)

    polls = [
        poll.at_s - since_s
        for poll in trial.vendor.polls
        if poll.at_s > since_s and poll.who == who and is_stale(poll.job, poll.at_s)
    ]
    adopted = {job: at_s - since_s for at_s, job, native in writes if job in created and native}
    return {
        "stale_polls": len(polls),
        "stale_polls_once_told": sum(at_s > _TOLD_S for at_s in polls),
        "stale_writes": sum(job not in created and is_stale(job, at_s) for at_s, job, _ in writes),
        "late_answers": len(created),
        "late_answers_adopted": len(adopted),
        "adopted_s": round(max(adopted.values(), default=0.0), 1),
    }


async def _block(trial: Trial) -> float:
    first, _ = NAMES
    jobs = await trial.jobs_of(first)
    trial.replicas[first].signal(signal.SIGUSR1)
    at_s = time.time()
    trial.found["again_s"] = await trial.again_s(at_s, jobs, first)
    takes = await trial.database.run("SELECT at FROM watch.takes", NAME)
    trial.found["shares_moved"] = sum(taken_s > at_s for (taken_s,) in takes)
    return at_s


async def _restart(trial: Trial, *, at_once: bool) -> float:
    await asyncio.to_thread(trial.database.stop, at_once=at_once)
    await asyncio.sleep(_DOWN_S)
    await asyncio.to_thread(trial.database.start)
    return time.time()


async def _kill_connections(trial: Trial) -> float:
    await trial.database.run(_END_ALL)
    return time.time()


async def _no_connections(trial: Trial) -> float:
    for name in NAMES:
        await trial.database.run(f"ALTER ROLE {name} CONNECTION LIMIT 0;")
    await trial.database.run(_END_ALL)
    await asyncio.sleep(_EXHAUSTED_S)
    for name in NAMES:
        await trial.database.run(f"ALTER ROLE {name} CONNECTION LIMIT -1;")
    return time.time()


async def _busy_connections(trial: Trial) -> float:
    connection = await asyncpg.connect(trial.database.url(NAME))
    try:
        async with connection.transaction():
            await connection.execute("LOCK TABLE musicgate.jobs IN ACCESS EXCLUSIVE MODE")
            await asyncio.sleep(_EXHAUSTED_S)
    finally:
        await connection.close()
    return time.time()


async def _cut_off(trial: Trial, network: Network) -> float:
    await trial.relay.become(network)
    await asyncio.sleep(_CUT_OFF_S)
    await trial.relay.become(Network.UP)
    return time.time()


#: In the order of the table.
FAULTS: Final = (
    Fault(name="SIGKILL", make=_kill),
    Fault(name="SIGKILL", make=_kill, heartbeat_s=30.0, is_quick=False),
    Fault(name="SIGTERM", make=_terminate),
    Fault(name="a replica joins", make=_join),
    Fault(name="SIGSTOP for two minutes, SIGCONT", make=_stop_and_go_on),
    Fault(name="event loop blocked for 20 s", make=_block),
    Fault(name="PostgreSQL restarted, fast", make=partial(_restart, at_once=False)),
    Fault(name="PostgreSQL restarted, immediate", make=partial(_restart, at_once=True)),
    Fault(name="all connections ended", make=_kill_connections),
    Fault(name="no connection allowed for 20 s", make=_no_connections),
    Fault(name="all connections busy for 20 s", make=_busy_connections),
    Fault(name="network refuses for 30 s", make=partial(_cut_off, network=Network.REFUSED)),
    Fault(name="network silent for 30 s", make=partial(_cut_off, network=Network.SILENT)),
)
