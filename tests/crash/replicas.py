"""Several servers on one database: kills and stops at chosen moments, faults of PostgreSQL.

Callers spread their calls over the servers, and retry on another one with the same key, as the client of a
load balancer does. Accounts with limits, and vendors with windows, are asked for more than they allow.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter
from typing import TYPE_CHECKING

import asyncpg
import attrs

from musicgate.errors import StorageError
from musicgate.gateway.recover import SENDER_GRACE_S
from musicgate.model import FailureClass
from musicgate.store.postgres_errors import ERRORS
from tests.crash.campaign import MOMENT_TIMEOUT_S, MOMENTS, REQUESTS, Campaign, step_of
from tests.crash.faults import fill_disk, lock_store, send_nonsense
from tests.crash.harness import SPEED
from tests.crash.watch import ShareWatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator, Mapping

    from musicgate.model import Job, Provider
    from tests.crash.server import Life, Server

#: Limits that a campaign exceeds unless the servers keep them; the budget is for so many songs at kie.ai.
CALLS_A_MINUTE, OPEN_JOBS, SONGS_A_DAY = 12, 3, 15
SONG_USD = 0.06
ACCOUNTS: Mapping[str, Mapping[str, object]] = {
    "rate": {"requests_per_minute": CALLS_A_MINUTE},
    "open": {"max_open_jobs": OPEN_JOBS},
    "budget": {"max_usd_per_day": round(SONG_USD * SONGS_A_DAY, 2)},
}
#: What each of these accounts asks for, and how often.
_PRESSING = {"rate": ("apiin", 2.5), "open": ("apiin, slow", 0.8), "budget": ("kie", 4.0)}
#: The window of kie.ai is 10 s, divided by the speed.
PROVIDERS: Mapping[str, Mapping[str, int]] = {"suno_kie": {"create_window_calls": 3}}
#: As many calls at once as exceed them.
_BURST = ("kie", "kie", "kie", "kie", "elevenlabs", "elevenlabs", "elevenlabs")
#: Followed for longer than a server is stopped.
_LONG = ("apiin, long",) * 6
#: How long a caller waits, before it asks another server.
CALL_TIMEOUT_S = 4.0
#: Other faults of successive rounds; their number and that of `MOMENTS` are coprime.
_DATABASE = ("restart -m immediate", "connections ended", "restart -m fast", "tables locked")
_OTHERS = ("SIGTERM", "short SIGSTOP", "vendor nonsense", "disk full")
#: Number of rounds between two checks of owners and deadlines.
_QUIET_EVERY = 8
#: A server was last seen alive at most so long before it was stopped.
_UNSEEN_S = 1.5
#: The answer of a vendor is stored within it.
_REFUSED_S = 2.0
#: How long a server tries to connect to a vendor.
_CONNECT_S = 10.0
_TICK_S = 0.05
#: How long a server that starts may find no database.
_START_TRIES = 20


def limited(name: str, declared: Provider) -> Provider:
    """A provider as `PROVIDERS` limits it."""
    calls = PROVIDERS.get(name, {}).get("create_window_calls")
    if calls is None or declared.create_window is None:
        return declared
    return attrs.evolve(declared, create_window=attrs.evolve(declared.create_window, calls=calls))


@attrs.define
class ReplicaCampaign(Campaign):
    """Faults of servers and of their database.

    Attributes:
        heartbeat_s: of the servers.
        slow_s: how much later than promised a share may be followed again, because the machine is busy.
        watch: who held which share when.
        away: from when to when PostgreSQL was down.
        stops: SIGSTOPs by moment.
        restarts: other faults by kind.
        events: what happened to the database, and when.
        trouble: what broke a fault, such as a server that did not start.
    """

    heartbeat_s: float = 30.0
    slow_s: float = 3.0
    call_timeout_s: float = CALL_TIMEOUT_S
    retry_s: float = 0.25
    watch: ShareWatch = attrs.field(init=False)
    away: list[tuple[float, float]] = attrs.field(factory=list)
    stops: Counter[str] = attrs.field(factory=Counter)
    restarts: Counter[str] = attrs.field(factory=Counter)
    events: list[tuple[float, str]] = attrs.field(factory=list)
    trouble: list[str] = attrs.field(factory=list)
    limited: frozenset[str] = frozenset(ACCOUNTS)
    _callers_rng: random.Random = attrs.field(init=False)
    #: The longest time for which the harness itself, with its vendors and callers, did nothing.
    late_s: float = 0.0
    _watching: asyncio.Task[None] | None = None
    _noting: asyncio.Task[None] | None = None
    _going_on: set[asyncio.Task[None]] = attrs.field(factory=set)

    def __attrs_post_init__(self) -> None:
        assert self.harness.postgres is not None
        self.watch = ShareWatch(self.harness.postgres.url)
        self._callers_rng = random.Random(self.seed)  # noqa: S311 - a reproducible campaign, not a secret

    def chosen_server(self) -> Server:
        """Any server that is not known to be gone; one that is stopped is not known to be."""
        up = [server for server in self.harness.servers if server.is_up]
        return self._callers_rng.choice(up or self.harness.servers)

    def excuses(self, job: Job) -> bool:
        """True if its sender was stopped for longer than its answer is waited for.

        It cannot be told from one that is dead, and a vendor that cannot call back cannot be asked. Then the
        job has ended as unknown before the answer came.
        """
        patience_s = max(self.heartbeat_s, SENDER_GRACE_S / SPEED)
        lives = [life for life in self.lives if life.replica == job.sender]
        return any(
            until_s - from_s > patience_s - _UNSEEN_S for life in lives for from_s, until_s in life.stops
        )

    @property
    def lives(self) -> Iterator[Life]:
        """Every process of every server."""
        return (life for server in self.harness.servers for life in server.lives)

    def excuses_refusal(self, job: Job) -> bool:
        """True if the vendor or the process could not do better.

        A vendor still makes songs of a server that has been killed, and counts them for longer. A process
        that was stopped while it connected finds the time for that over.
        """
        reason = None if job.failure is None else job.failure.reason
        asked_s = job.updated_at.timestamp() - time.time() + time.monotonic()
        if reason is FailureClass.UNAVAILABLE:
            return any(
                until_s - from_s > _CONNECT_S and from_s < asked_s < until_s + _REFUSED_S
                for life in self.lives
                if life.replica == job.sender
                for from_s, until_s in life.stops
            )
        if reason is not FailureClass.RATE_LIMITED:
            return False
        lives = {server.name: server.lives for server in self.harness.servers}
        return any(
            life.is_killed and call.began_s < life.ended_s < asked_s <= call.ends_s + _REFUSED_S
            for call in self.harness.vendors[str(job.plugin)].creates
            for life in lives[call.server]
        )

    async def run(self, kills: int, *, requests_per_kill: int = 2) -> None:
        """Kill or stop a server so many times; at the end all run and every careful caller has an answer."""
        # The first one makes the tables; the others need not wait for one another.
        first, *others = self.harness.servers
        await self._start(first)
        await asyncio.gather(*(self._start(server) for server in others))
        self._watching = asyncio.create_task(self.watch.run())
        self._noting = asyncio.create_task(self._note_delays())
        pressing = [asyncio.create_task(self._press(account)) for account in ACCOUNTS]
        try:
            for number in range(kills):
                await self._round(number, requests_per_kill)
                if self.trouble:
                    break
                if number % _QUIET_EVERY == _QUIET_EVERY - 1:
                    await self._calm()
                    await self._check_owners()
            await self._calm()
        finally:
            for task in pressing:
                task.cancel()
            await asyncio.gather(*pressing, return_exceptions=True)
        async with asyncio.timeout(90):
            await asyncio.gather(*self.callers)

    async def settle(self, timeout_s: float) -> None:
        """Wait until no job is open and every message has come, then read each job, and watch no longer."""
        await super().settle(timeout_s)
        await self._note_queue()
        if self._noting is not None:
            self._noting.cancel()
        if self._watching is not None and not self._watching.cancel():
            self.trouble.append(f"nothing was watched any more: {self._watching.exception()!r}")

    async def _note_delays(self) -> None:
        while True:
            began_s = time.monotonic()
            await asyncio.sleep(_TICK_S)
            late_s = time.monotonic() - began_s - _TICK_S
            self.late_s = max(self.late_s, late_s)
            if late_s > 1.0:
                self.events.append((began_s, f"the harness is late by {late_s:.1f} s"))

    async def _check_owners(self) -> None:
        """Check that every open job has one owner."""
        known = len(self.owners.found)
        await self.owners.check(self.harness, self.owned_s)
        if len(self.owners.found) > known:
            await self._note_queue()

    async def _note_queue(self) -> None:
        """Note what the engine's table says."""
        self.events += [(time.monotonic(), f"queue: {row}") for row in await self.watch.queue()]

    async def _round(self, number: int, requests: int) -> None:
        """One kill or stop at a moment, perhaps with another fault at the same time."""
        rng = random.Random(f"{self.seed} {number}")  # noqa: S311 - the same
        moment = MOMENTS[(number + self.seed) % len(MOMENTS)]
        is_stop = number % 3 == 2
        await self._until_two_serve()
        if number % 4 == 1:
            self._spawn(self._disturb_database(_DATABASE[number // 4 % len(_DATABASE)], rng))
        if self.faults and number % 4 == 3:
            self._spawn(self._disturb_server(_OTHERS[number // 4 % len(_OTHERS)], rng))
        victims: list[Server] = []

        def act(name: str) -> None:
            victim = self._victim(name, rng)
            if victim is not None:
                victims.append(victim)
                stop_s = self.heartbeat_s + rng.uniform(0.5, 3.0)
                self._spawn(self._stop(victim, stop_s) if is_stop else self._kill_and_start(victim, rng))

        self.harness.trigger.arm(
            moment, rng.choice((0.0, 0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.2))), act
        )
        wanted = [rng.choice(REQUESTS)[0] for _ in range(requests)]
        more = _BURST if number % 3 == 0 else _LONG if is_stop else ()
        for name in (*wanted, *more):
            self.create(name)
        is_any = moment == "any moment"
        try:
            async with asyncio.timeout(rng.uniform(0.1, 1.5) if is_any else MOMENT_TIMEOUT_S):
                await self.harness.trigger.done.wait()
        except TimeoutError:
            self.harness.trigger.act()
            moment = moment if is_any else f"did not come: {moment}"
        if victims:
            (self.stops if is_stop else self.kills)[moment] += 1
            await self._note_steps()
        await asyncio.sleep(rng.uniform(0, 0.5))

    async def _note_steps(self) -> None:
        """Note at which steps open jobs are; not while the database is away."""
        with contextlib.suppress(StorageError, TimeoutError):
            async with asyncio.timeout(2.0):
                self.caught.update(step_of(job) for job in await self.harness.books.open_jobs())

    def _victim(self, name: str, rng: random.Random) -> Server | None:
        """Mostly the server that is in the moment; None if there would be no other one left."""
        serving = [server for server in self.harness.servers if server.is_serving]
        if len(serving) < 2:
            return None
        own = [server for server in serving if server.name == name]
        return own[0] if own and rng.random() < 0.7 else rng.choice(serving)

    async def _until_two_serve(self) -> None:
        """Wait until one may be taken away."""
        while not self.trouble and sum(server.is_serving for server in self.harness.servers) < 2:  # noqa: ASYNC110 - it is in other processes
            await asyncio.sleep(0.05)

    async def _start(self, server: Server) -> None:
        """Start a server, again where PostgreSQL was away."""
        for _ in range(_START_TRIES):
            try:
                await server.start()
            except (AssertionError, TimeoutError):
                began_s = server.life.began_s
                if not any(until_s >= began_s for _, until_s in self.away):
                    raise
                server.kill()
                await server.gone()
                await asyncio.sleep(0.5)
            else:
                return

    async def _kill_and_start(self, server: Server, rng: random.Random) -> None:
        server.kill()
        pause_s = rng.choice((0.0, 0.5, self.heartbeat_s + 1.0))
        await server.gone()
        await asyncio.sleep(pause_s)
        await self._start(server)

    async def _stop(self, server: Server, pause_s: float) -> None:
        """Stop a server for a while, and then let it go on."""
        server.halt()
        try:
            await asyncio.sleep(pause_s)
        finally:
            server.go_on()

    async def _disturb_database(self, fault: str, rng: random.Random) -> None:
        postgres = self.harness.postgres
        assert postgres is not None
        await asyncio.sleep(rng.uniform(0, 0.5))
        if fault.startswith("restart"):
            if postgres.server is None:  # it is not ours
                fault = "connections ended"
            else:
                await self._restart_database(rng, at_once="immediate" in fault)
        self.events.append((time.monotonic(), f"PostgreSQL: {fault}"))
        if fault == "connections ended":
            await self._end_connections(postgres.url, rng.choice((0.3, 1.0)))
        if fault == "tables locked":
            await lock_store(self.harness, rng.uniform(1.0, 4.0))
        self.events.append((time.monotonic(), f"PostgreSQL: {fault} is over"))
        self.restarts[f"PostgreSQL: {fault}"] += 1

    async def _restart_database(self, rng: random.Random, *, at_once: bool) -> None:
        postgres = self.harness.postgres
        assert postgres is not None
        began_s = time.monotonic()
        self.away.append((began_s, float("inf")))
        try:
            await asyncio.to_thread(postgres.stop, at_once=at_once)
            await asyncio.sleep(rng.choice((0.0, 0.0, 1.0, 3.0)))
        finally:
            await asyncio.to_thread(postgres.start)
            self.away[-1] = (began_s, time.monotonic())

    async def _end_connections(self, url: str, part: float) -> None:
        """End a random part of all connections."""
        with contextlib.suppress(*ERRORS):
            connection = await asyncpg.connect(url, timeout=5)
            try:
                await connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < $1::float8",
                    part,
                )
            finally:
                connection.terminate()

    async def _disturb_server(self, fault: str, rng: random.Random) -> None:
        server = self._victim("", rng)
        if server is None:
            return
        if fault == "SIGTERM":
            await server.stop()
            await self._start(server)
        elif fault == "short SIGSTOP":
            await self._stop(server, rng.uniform(0.3, self.heartbeat_s / 2))
        elif fault == "vendor nonsense":
            await send_nonsense(self.harness, 1.0)
        else:
            await fill_disk(self.harness, rng.uniform(0.3, 1.5), server)
        self.restarts[fault] += 1

    async def _press(self, account: str) -> None:
        """Ask for more than the account may have."""
        name, pause_s = _PRESSING[account]
        number = 0
        while True:
            number += 1
            calls = [self.create(name, only_once=number % 2 == 0, account=account) for _ in range(2)]
            done, waiting = await asyncio.wait(calls, timeout=pause_s)
            del done, waiting
            await asyncio.sleep(pause_s / 2)

    async def _calm(self) -> None:
        """Wait until every server runs and PostgreSQL is there."""
        while self._going_on:
            await asyncio.gather(*self._going_on)

    def _spawn(self, work: Awaitable[None]) -> None:
        async def whole() -> None:
            try:
                await work
            except Exception as error:  # noqa: BLE001 - it is told at the end
                self.trouble.append(f"{type(error).__name__}: {error}")

        task = asyncio.create_task(whole())
        self._going_on.add(task)
        task.add_done_callback(self._going_on.discard)
