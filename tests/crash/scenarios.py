"""One fault at a time: what it does to the gateway, asked from outside; each scenario answers with what was seen, or fails.

Each one has a world of its own. They run after one another, so that one fault is never blamed for another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import signal
import sqlite3
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import attrs

from musicgate.codec import dump_job
from tests.crash.answers import Answers, read_answer
from tests.crash.broken_hooks import ERRORS, HOOKS
from tests.crash.campaign import all_jobs, number_of, open_jobs, shown
from tests.crash.faults import limit_file_size, lock_store, stop_for_a_while
from tests.crash.owners import OwnerCheck
from tests.crash.world import DEADLINE_S, KEY, World, make_world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from musicgate.model import Job

KIE: dict[str, object] = {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}
APIIN: dict[str, object] = {"model": "suno/v5", "provider": {"only": ["apiin_one"]}}
ELEVEN: dict[str, object] = {"model": "elevenlabs/music"}
#: Creates that kie.ai takes within its window, and how many are asked for at once to fill it.
WINDOW, CROWD = 20, 28
#: Speed of a gateway at which that window is 4 s.
SLOW = 2.5
#: Longer than two writes wait for the lock of the database one after the other: that of a poll, and that of the jobs that get a slot.
LOCK_S = 13.0


class Disagreement(Exception):  # noqa: N818 - the harness's own word
    """What was seen is not what was promised."""


@attrs.frozen
class Finding:
    """What a fault did."""

    fault: str
    result: str
    is_good: bool


async def run_all(folder: Path, plugins: PluginHost, only: Collection[str] = ()) -> list[Finding]:
    """Every scenario, in order, or those that are named."""
    findings = []
    for number, (fault, server, scenario) in enumerate(SCENARIOS):
        if only and fault not in only:
            continue
        own = folder / str(number)
        own.mkdir()
        try:
            async with make_world(own, plugins, **server) as world:
                await world.start()
                findings.append(Finding(fault, await scenario(world), is_good=True))
        except (Disagreement, TimeoutError, AssertionError) as error:
            findings.append(Finding(fault, f"{type(error).__name__}: {error}", is_good=False))
    return findings


async def full_disk(world: World) -> str:
    """The store cannot grow: no vendor is asked for anything, what is there can still be read, and all is well when there is room."""
    kept = await create(world, KIE, "kept [emulate lengths=3,3]")
    await until(lambda: not open_jobs(world))
    made = len(world.vendors["suno_kie"].books.creates)
    limit_file_size(pid_of(world), 1)
    status, body = await world.post({**KIE, "prompt": "no room"}, "full")
    expect(status == 500 and body["error"] == "gateway_error", f"create said {status} {body}")
    expect(
        len(world.vendors["suno_kie"].books.creates) == made,
        "a vendor was asked although the job was not stored",
    )
    status, _ = await world.get(f"/v1/music/generate/{kept}")
    expect(status == 200, f"status of a stored job said {status}")
    expect(not await world.is_ready(), "readyz says that new work can be taken")
    limit_file_size(pid_of(world), resource.RLIM_INFINITY)
    await until(world.is_ready)
    await create(world, KIE, "room again [emulate lengths=3,3]")
    return (
        "create refused with 500 before any vendor call, GET 200, readyz 503; works again when there is room"
    )


async def asked_to_stop(world: World) -> str:
    """SIGTERM during calls that last as long as the song: they end, are stored, and nothing new begins."""
    ids = [await create(world, ELEVEN, f"running {number} [emulate latency_s=30]") for number in range(2)]
    waiting = [await create(world, ELEVEN, f"waiting {number} [emulate latency_s=30]") for number in range(2)]
    started = time.monotonic()
    code = await world.stop(signal.SIGTERM)
    took_s = time.monotonic() - started
    expect(code == 0, f"exit code {code}")
    expect(len(world.vendors["elevenlabs"].books.creates) == len(ids), "a waiting call was begun")
    stored = {job.id: job for job in all_jobs(world)}
    expect(all(stored[job].tracks for job in ids), "a call that ended was not stored")
    expect(
        all(stored[job].attempts[-1].outcome == "planned" for job in waiting),
        "a waiting job is no longer planned",
    )
    await world.start()
    await until(lambda: not open_jobs(world))
    expect(
        all(job.state == "completed" for job in all_jobs(world)), "not all were completed after the restart"
    )
    return f"2 running calls ended and were stored, 2 waiting ones stayed planned; stopped in {took_s:.1f} s; all completed after restart"


async def hanging_vendor(world: World) -> str:
    """One vendor takes every poll and never answers: jobs at the others are not held up."""
    for number in range(150):
        await create(world, KIE, f"hangs {number} [emulate lengths=3,3]")
    world.vendors["suno_kie"].hold_polls_s = 25.0
    started = time.monotonic()
    ids = [await create(world, APIIN, f"goes on {number} [emulate song_s=3]") for number in range(20)]
    await until(lambda: all(job.state.is_final for job in all_jobs(world) if job.id in ids))
    took_s = time.monotonic() - started
    expect(
        all(job.state == "completed" for job in all_jobs(world) if job.id in ids),
        "a job at another vendor failed",
    )
    return f"150 polls hang at one vendor; 20 jobs at another completed in {took_s:.1f} s"


async def many_at_once(world: World) -> str:
    """A thousand creates in one moment: each is a job, and each is made once."""
    count = 1000
    started = time.monotonic()
    wish = {**KIE, "prompt": "request-0- [emulate lengths=3,3 callbacks=off]"}
    answers = await asyncio.gather(*(world.post(wish, f"many-{number}") for number in range(count)))
    took_s = time.monotonic() - started
    good = [body["id"] for status, body in answers if status == 200]
    expect(
        len(good) == count,
        f"{count - len(good)} were refused: {[body for status, body in answers if status != 200][:1]}",
    )
    expect(len(set(good)) == count, "two requests share a job")
    await until(lambda: not open_jobs(world), patience_s=240)
    done_s = time.monotonic() - started
    made = len(world.vendors["suno_kie"].books.creates)
    expect(made == count, f"{made} were made")
    expect(all(job.state == "completed" for job in all_jobs(world)), "not all were completed")
    return f"{count} creates answered in {took_s:.1f} s, each made once within the vendor's window, all completed after {done_s:.0f} s"


async def slow_event_readers(world: World) -> str:
    """Fifty readers of a job's events who never read: jobs go on."""
    job_id = await create(world, KIE, "watched [emulate lengths=3,3]")
    path = f"/v1/music/generate/{job_id}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    readers = [await asyncio.open_connection("127.0.0.1", world.port, limit=1) for _ in range(50)]
    for _, writer in readers:
        writer.write(request)
    ids = [await create(world, KIE, f"beside {number} [emulate lengths=3,3]") for number in range(10)]
    await until(lambda: all(job.state == "completed" for job in all_jobs(world) if job.id in {*ids, job_id}))
    for _, writer in readers:
        writer.close()
    return "50 event streams that nobody reads; 11 jobs completed, and the server takes new ones"


async def slow_receivers(world: World) -> str:
    """A receiver that takes five seconds for each message: jobs are not held up, and every message arrives."""
    world.receiver.delay_s = 5.0
    started = time.monotonic()
    ids = [await create(world, APIIN, f"told {number} [emulate song_s=3]") for number in range(8)]
    await until(lambda: all(job.state == "completed" for job in all_jobs(world) if job.id in ids))
    took_s = time.monotonic() - started
    await until(lambda: all(len(world.receiver.jobs.get(job, ())) == 1 for job in ids))
    return f"8 jobs completed in {took_s:.1f} s while each message takes 5 s; all 8 were told, each with one message id"


async def clock_jump(world: World) -> str:
    """The machine's clock is set while the server is away, eight hours ahead and then back: jobs go on, and none expires."""
    ids = []
    for hours in (8, -8):
        ids.append(
            await create(
                world, KIE, f"before the jump by {hours} [emulate lengths=3,3 done_s=60 callbacks=off]"
            )
        )
        world.executioner.kill()
        await world.gone()
        shift(world, timedelta(hours=-hours))
        await world.start()
    await until(lambda: not open_jobs(world))
    ends = {job.id: job.state for job in all_jobs(world)}
    expect(all(ends[job] == "completed" for job in ids), f"ended as {ends}")
    return "8 h ahead and 8 h back while the server was down: both jobs completed"


async def locked_store(world: World) -> str:
    """Another program holds the database while queued jobs get their slots: none is orphaned."""
    callers = Callers(world)
    await crowd_and_lock(world, callers)
    found = await callers.verdict()
    expect_none(found)
    return (
        f"database locked for {LOCK_S:g} s while {CROWD - WINDOW} jobs waited for a slot; {callers.summary()}"
    )


async def told_while_locked(world: World) -> str:
    """The same while the callers wait as well: what they are told is true, also after a restart."""
    callers = Callers(world)
    await crowd_and_lock(world, callers)
    await callers.answered()
    world.executioner.kill()
    await world.gone()
    await world.start()
    found = await callers.verdict()
    expect_none(found)
    return (
        f"callers waited for a slot while the database was locked, then kill and restart; {callers.summary()}"
    )


async def crowd_and_lock(world: World, callers: Callers) -> None:
    """More calls than the vendor's window takes, and the database locked when it opens again."""
    for _ in range(CROWD):
        callers.ask(KIE, "[emulate lengths=3,3]")
    await until(lambda: len(all_jobs(world)) == CROWD)
    await lock_store(world, LOCK_S)


async def plugin_raises(world: World) -> str:
    """Hooks raise what they may not, or give back odd values, a few times or always: every job ends by its deadline."""
    callers = Callers(world)
    cancelled: list[int] = []
    for hook in HOOKS:
        for how in (*ERRORS, "odd"):
            for times in ("1", "ever"):
                # Only apiin.one can be told to stop; and what has ended already cannot be stopped.
                is_cancel = hook == "cancel_request"
                words = "done_s=100000" if is_cancel else "lengths=3,3 callbacks=off"
                callers.ask(APIIN if is_cancel else KIE, f"[break {hook}:{how}:{times}] [emulate {words}]")
                cancelled += [callers.numbers] * is_cancel
    await callers.answered()
    for number in cancelled:
        await callers.cancel(number)
    # A slot or a reservation that is lost shows when the next ones wait for ever.
    for _ in range(3):
        callers.ask(KIE, "[emulate lengths=3,3]")
        callers.ask(ELEVEN, "[emulate default_length_s=3]")
    found = await callers.verdict()
    expect_none(found)
    return f"{len(HOOKS)} hooks x {len(ERRORS) + 1} faults x 2; {callers.summary()}"


async def nonsense_for_ever(world: World) -> str:
    """Vendors answer nothing that can be understood, to creates and then to polls: no second song, and every job ends in time."""
    callers = Callers(world)
    for is_create in (False, True):
        for _ in range(3):
            callers.ask(KIE, "[emulate stop=PENDING callbacks=off]")
            callers.ask(APIIN, "[emulate done_s=100000]")
        if not is_create:
            await callers.answered()
            for vendor in world.vendors.values():
                vendor.nonsense_left = 1_000_000
    callers.ask(ELEVEN, "[emulate default_length_s=3]")
    found = await callers.verdict()
    told = sum(vendor.nonsense_told for vendor in world.vendors.values())
    expect_none(found)
    return f"{told} answers of nonsense; {callers.summary()}"


async def stopped_past_deadlines(world: World) -> str:
    """SIGSTOP for so long that a song is done and a deadline passes meanwhile: nothing is lost, and the deadline is noticed at once."""
    callers = Callers(world)
    done = callers.ask(KIE, "[emulate lengths=3,3 callbacks=off]")
    late = callers.ask(KIE, "[emulate stop=PENDING callbacks=off]")
    await asyncio.gather(done, late)
    await stop_for_a_while(world, DEADLINE_S + 5)
    started = time.monotonic()
    await until(lambda: not open_jobs(world), patience_s=20)
    ends = sorted(job.state.value for job in all_jobs(world))
    expect(ends == ["completed", "failed"], f"ended as {ends}")
    return f"stopped for {DEADLINE_S + 5:g} s: one completed, one expired, {time.monotonic() - started:.1f} s after SIGCONT"


class Callers:
    """Callers who ask once, and what they were told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.answers = Answers()
        self.owners = OwnerCheck()
        self.numbers = 0
        self._calls: list[asyncio.Task[None]] = []

    def ask(self, request: dict[str, object], words: str) -> asyncio.Task[None]:
        """One create call without a key, beside all others."""
        self.numbers += 1
        task = asyncio.create_task(self._call(self.numbers, request, words))
        self._calls.append(task)
        return task

    async def _call(self, number: int, request: dict[str, object], words: str) -> None:
        body = {
            **request,
            "prompt": f"request-{number}- {words}",
            "metadata": {"request": str(number)},
        }
        asked_at = datetime.now(UTC)
        try:
            status, said = await self.world.post(body, None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return
        told = read_answer(status, said, asked_at, datetime.now(UTC), is_only_call=True)
        self.answers.note(number, told)

    async def cancel(self, number: int) -> None:
        """Have a job cancelled, and remember what is said."""
        for told in list(self.answers.told[number]):
            if told.job_id is not None:
                asked_at = datetime.now(UTC)
                status, said = await self.world.cancel(told.job_id)
                if status < 400:
                    self.answers.note(number, read_answer(status, said, asked_at, datetime.now(UTC)))

    async def answered(self) -> None:
        """Wait until every call has an answer."""
        await asyncio.gather(*self._calls)

    async def verdict(self) -> list[str]:
        """Wait until every job has ended, or should have; then everything that is wrong."""
        await self.answered()
        with contextlib.suppress(TimeoutError):
            await until(lambda: not open_jobs(self.world))
        await self.owners.check(self.world)
        jobs: dict[int, list[Job]] = {}
        for job in all_jobs(self.world):
            jobs.setdefault(number_of(job), []).append(job)
        found = list(self.owners.found)
        late = set(self.owners.late)
        found += [f"{shown(job)} is still {job.state}" for job in open_jobs(self.world) if job.id not in late]
        for number in range(1, self.numbers + 1):
            made = [task for vendor in self.world.vendors.values() for task in vendor.made_for[number]]
            if len(made) > 1:
                found.append(f"request {number} was made {len(made)} times")
            told = self.answers.contradictions(number, jobs.get(number, []), len(made))
            found += [f"request {number}: {complaint}" for complaint in told]
        return found

    def summary(self) -> str:
        """How the jobs ended."""
        ends = Counter(job.state.value for job in all_jobs(self.world))
        said = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        return f"{self.numbers} calls, {len(self.answers)} answers, jobs: {said}; owners: {self.owners}"


#: Fault, settings of the server, and what is done and seen.
SCENARIOS: tuple[tuple[str, dict[str, Any], Callable[[World], Awaitable[str]]], ...] = (
    ("store full", {}, full_disk),
    ("SIGTERM", {}, asked_to_stop),
    ("clock jumps", {}, clock_jump),
    ("upstream hangs", {}, hanging_vendor),
    ("1,000 concurrent creates", {}, many_at_once),
    ("slow SSE readers", {}, slow_event_readers),
    ("slow webhook receivers", {}, slow_receivers),
    ("store locked", {"speed": SLOW}, locked_store),
    ("store locked while told", {"speed": SLOW, "create_wait_s": 20.0}, told_while_locked),
    ("hooks raise", {}, plugin_raises),
    ("vendor talks nonsense", {}, nonsense_for_ever),
    ("SIGSTOP past deadlines", {}, stopped_past_deadlines),
)


def expect(holds: object, otherwise: str) -> None:
    """Complain unless something holds."""
    if not holds:
        raise Disagreement(otherwise)


def expect_none(found: list[str]) -> None:
    """Complain of what was found, the first few of it in full."""
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    expect(not found, "; ".join(found[:3]) + more)


async def create(world: World, request: dict[str, object], prompt: str) -> str:
    """The id of a new job."""
    status, body = await world.post({**request, "prompt": prompt, "metadata": {"request": "0"}}, prompt)
    expect(status == 200, f"create said {status} {json.dumps(body)[:200]}")
    return str(body["id"])


async def until(holds: Callable[[], object], *, patience_s: float = DEADLINE_S + 15) -> None:
    """Wait until something holds, by default as long as a job may take."""
    async with asyncio.timeout(patience_s):
        while True:
            answer = holds()
            if await answer if asyncio.iscoroutine(answer) else answer:
                return
            await asyncio.sleep(0.2)


def shift(world: World, by: timedelta) -> None:
    """Move every time of the open jobs, as a clock that is set moves them against the new time."""
    moved = ("created_at", "updated_at", "deadline_at")
    with contextlib.closing(sqlite3.connect(world.database)) as connection, connection:
        for job in open_jobs(world):
            later = attrs.evolve(job, **{name: getattr(job, name) + by for name in moved})
            connection.execute("UPDATE jobs SET doc = ? WHERE id = ?", (dump_job(later), job.id))


def pid_of(world: World) -> int:
    """The server's process."""
    assert world.process is not None
    return world.process.pid
