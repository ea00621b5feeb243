"""Single faults and what they do to a gateway, seen from outside.

A scenario returns what it saw, or raises. Each has a harness of its own, and they run one after another, so
no fault is blamed for another.
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
from tests import waiting
from tests.crash.answers import Answers, read_answer
from tests.crash.broken_hooks import ERRORS, HOOKS
from tests.crash.campaign import description, number_of
from tests.crash.faults import limit_file_size, lock_store, stop_for_a_while
from tests.crash.harness import DEADLINE_S, Harness, make_harness
from tests.crash.outside import KEY
from tests.crash.owners import OwnerCheck

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection
    from pathlib import Path

    from musicgate.hosting.discovery import PluginHost
    from musicgate.model import Job

KIE: dict[str, object] = {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}
APIIN: dict[str, object] = {"model": "suno/v5", "provider": {"only": ["apiin_one"]}}
ELEVEN: dict[str, object] = {"model": "elevenlabs/music"}
#: Creates that kie.ai accepts within its window, and the number that is made at once to exceed it.
WINDOW, CREATES = 20, 28
#: Speed of a gateway at which that window is 4 s.
SLOW = 2.5
#: Longer than two successive writes wait for the database lock: a poll's, and that of jobs that get a slot.
LOCK_S = 13.0


class Disagreement(Exception):  # noqa: N818 - not an error of the program
    """The gateway broke a promise."""


@attrs.frozen
class Finding:
    """The result of one scenario."""

    fault: str
    result: str
    is_good: bool


async def run_all(folder: Path, plugins: PluginHost, only: Collection[str] = ()) -> list[Finding]:
    """Run every scenario in order, or those that are named."""
    findings = []
    for number, (fault, server, scenario) in enumerate(SCENARIOS):
        if only and fault not in only:
            continue
        own = folder / str(number)
        own.mkdir()
        try:
            async with make_harness(own, plugins, **server) as harness:
                await harness.start()
                findings.append(Finding(fault, await scenario(harness), is_good=True))
        except (Disagreement, TimeoutError, AssertionError) as error:
            findings.append(Finding(fault, f"{type(error).__name__}: {error}", is_good=False))
    return findings


async def full_disk(harness: Harness) -> str:
    """The store cannot grow: no vendor is called, stored jobs can be read, and later all is well."""
    kept = await create(harness, KIE, "kept [emulate song_s=3,3]")
    await until(lambda: none_open(harness))
    made = len(harness.vendors["suno_kie"].books.creates)
    limit_file_size(pid_of(harness), 1)
    status, body = await harness.post({**KIE, "prompt": "no room"}, "full")
    expect(status == 500 and body["error"] == "gateway_error", f"create answered {status} {body}")
    expect(
        len(harness.vendors["suno_kie"].books.creates) == made,
        "a vendor was called although the job was not stored",
    )
    status, _ = await harness.get(f"/v1/music/generate/{kept}")
    expect(status == 200, f"reading a stored job answered {status}")
    expect(not await harness.is_ready(), "readyz answers 200")
    limit_file_size(pid_of(harness), resource.RLIM_INFINITY)
    await until(harness.is_ready)
    await create(harness, KIE, "room again [emulate song_s=3,3]")
    return (
        "create refused with 500 before any vendor call, GET 200, readyz 503; works again when there is room"
    )


async def asked_to_stop(harness: Harness) -> str:
    """SIGTERM during calls that last as long as the song: they end, and no other one begins."""
    ids = [await create(harness, ELEVEN, f"running {number} [emulate done_s=30]") for number in range(2)]
    waiting = [await create(harness, ELEVEN, f"waiting {number} [emulate done_s=30]") for number in range(2)]
    started = time.monotonic()
    code = await harness.stop(signal.SIGTERM)
    took_s = time.monotonic() - started
    expect(code == 0, f"exit code {code}")
    expect(len(harness.vendors["elevenlabs"].books.creates) == len(ids), "a waiting call was started")
    stored = {job.id: job for job in await harness.books.jobs()}
    expect(all(stored[job].tracks for job in ids), "a call that ended was not stored")
    expect(
        all(stored[job].attempts[-1].outcome == "planned" for job in waiting),
        "a waiting job is no longer planned",
    )
    await harness.start()
    await until(lambda: none_open(harness))
    ends = {job.state for job in await harness.books.jobs()}
    expect(ends == {"completed"}, f"after the restart they ended as {ends}")
    return f"2 running calls ended, 2 waiting ones stayed planned; stopped in {took_s:.1f} s; all completed after restart"


async def hanging_vendor(harness: Harness) -> str:
    """One vendor accepts every poll and never answers: jobs at other vendors are not delayed."""
    for number in range(150):
        await create(harness, KIE, f"hangs {number} [emulate song_s=3,3]")
    harness.vendors["suno_kie"].hold_polls_s = 25.0
    started = time.monotonic()
    ids = [await create(harness, APIIN, f"goes on {number} [emulate song_s=3]") for number in range(20)]
    await until(lambda: are_completed(harness, ids))
    took_s = time.monotonic() - started
    return f"150 polls hang at one vendor; 20 jobs at another completed in {took_s:.1f} s"


async def many_at_once(harness: Harness) -> str:
    """A thousand creates at once: each is a job, and each song is made once."""
    count = 1000
    started = time.monotonic()
    request = {**KIE, "prompt": "request-0- [emulate song_s=3,3 callbacks=off]"}
    answers = await asyncio.gather(*(harness.post(request, f"many-{number}") for number in range(count)))
    took_s = time.monotonic() - started
    good = [body["id"] for status, body in answers if status == 200]
    expect(
        len(good) == count,
        f"{count - len(good)} were refused: {[body for status, body in answers if status != 200][:1]}",
    )
    expect(len(set(good)) == count, "two requests share a job")
    await until(lambda: none_open(harness), timeout_s=240)
    done_s = time.monotonic() - started
    made = len(harness.vendors["suno_kie"].books.creates)
    expect(made == count, f"{made} were made")
    expect(all(job.state == "completed" for job in await harness.books.jobs()), "not all were completed")
    return (
        f"{count} creates answered in {took_s:.1f} s, each song made once, all completed after {done_s:.0f} s"
    )


async def slow_event_readers(harness: Harness) -> str:
    """Fifty event streams whose clients never read: jobs go on."""
    job_id = await create(harness, KIE, "watched [emulate song_s=3,3]")
    path = f"/v1/music/generate/{job_id}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n\r\n".encode()
    readers = [await asyncio.open_connection("127.0.0.1", harness.port, limit=1) for _ in range(50)]
    for _, writer in readers:
        writer.write(request)
    ids = [await create(harness, KIE, f"beside {number} [emulate song_s=3,3]") for number in range(10)]
    await until(lambda: are_completed(harness, {*ids, job_id}))
    for _, writer in readers:
        writer.close()
    return "50 event streams were not read; 11 jobs completed, and the server accepts new ones"


async def slow_receivers(harness: Harness) -> str:
    """A webhook receiver takes five seconds a message: no job is delayed, and every message arrives."""
    harness.receiver.delay_s = 5.0
    started = time.monotonic()
    ids = [await create(harness, APIIN, f"webhook {number} [emulate song_s=3]") for number in range(8)]
    await until(lambda: are_completed(harness, ids))
    took_s = time.monotonic() - started
    await until(lambda: all(len(harness.receiver.jobs.get(job, ())) == 1 for job in ids))
    return f"8 jobs completed in {took_s:.1f} s at 5 s a message; all 8 messages arrived, each with one id"


async def clock_jump(harness: Harness) -> str:
    """The clock is set by eight hours while the server is down: jobs go on, and none expires."""
    ids = []
    for hours in (8, -8):
        ids.append(
            await create(
                harness, KIE, f"before the jump by {hours} [emulate song_s=3,3 done_s=60 callbacks=off]"
            )
        )
        harness.kill()
        await harness.gone()
        await shift(harness, timedelta(hours=-hours))
        await harness.start()
    await until(lambda: none_open(harness))
    ends = {job.id: job.state for job in await harness.books.jobs()}
    expect(all(ends[job] == "completed" for job in ids), f"ended as {ends}")
    return "8 h ahead and 8 h back while the server was down: both jobs completed"


async def locked_store(harness: Harness) -> str:
    """Another program holds the database while queued jobs get their slots: none is orphaned."""
    callers = Callers(harness)
    await fill_window_and_lock(harness, callers)
    found = await callers.verdict()
    expect_none(found)
    return f"database locked for {LOCK_S:g} s while {CREATES - WINDOW} jobs waited for a slot; {await callers.summary()}"


async def answers_while_locked(harness: Harness) -> str:
    """The same while callers wait: their answers are true, also after a restart."""
    callers = Callers(harness)
    await fill_window_and_lock(harness, callers)
    await callers.answered()
    harness.kill()
    await harness.gone()
    await harness.start()
    found = await callers.verdict()
    expect_none(found)
    return f"callers waited for a slot while the database was locked, then kill and restart; {await callers.summary()}"


async def fill_window_and_lock(harness: Harness, callers: Callers) -> None:
    """Create more jobs than the window allows, and lock the database before it opens again."""
    for _ in range(CREATES):
        callers.ask(KIE, "[emulate song_s=3,3]")
    await until(lambda: has_jobs(harness, CREATES))
    await lock_store(harness, LOCK_S)


async def plugin_raises(harness: Harness) -> str:
    """Hooks raise forbidden errors or return odd values: every job ends by its deadline."""
    callers = Callers(harness)
    cancelled: list[int] = []
    for hook in HOOKS:
        for how in (*ERRORS, "odd"):
            for times in ("1", "ever"):
                # Only apiin.one has a cancel call, and a job that has ended cannot be cancelled.
                is_cancel = hook == "cancel_request"
                words = "done_s=100000" if is_cancel else "song_s=3,3 callbacks=off"
                callers.ask(APIIN if is_cancel else KIE, f"[break {hook}:{how}:{times}] [emulate {words}]")
                cancelled += [callers.numbers] * is_cancel
    await callers.answered()
    for number in cancelled:
        await callers.cancel(number)
    # A lost slot or reservation would make these wait for ever.
    for _ in range(3):
        callers.ask(KIE, "[emulate song_s=3,3]")
        callers.ask(ELEVEN, "[emulate song_s=3]")
    found = await callers.verdict()
    expect_none(found)
    return f"{len(HOOKS)} hooks x {len(ERRORS) + 1} faults x 2; {await callers.summary()}"


async def nonsense_for_ever(harness: Harness) -> str:
    """Vendors send nonsense to polls and creates: no second song, and every job ends in time."""
    callers = Callers(harness)
    for is_create in (False, True):
        for _ in range(3):
            callers.ask(KIE, "[emulate stuck=PENDING callbacks=off]")
            callers.ask(APIIN, "[emulate done_s=100000]")
        if not is_create:
            await callers.answered()
            for vendor in harness.vendors.values():
                vendor.nonsense_left = 1_000_000
    callers.ask(ELEVEN, "[emulate song_s=3]")
    found = await callers.verdict()
    sent = sum(vendor.nonsense_sent for vendor in harness.vendors.values())
    expect_none(found)
    return f"{sent} answers of nonsense; {await callers.summary()}"


async def stopped_past_deadlines(harness: Harness) -> str:
    """SIGSTOP until a song is done and a deadline has passed: nothing is lost."""
    callers = Callers(harness)
    done = callers.ask(KIE, "[emulate song_s=3,3 callbacks=off]")
    late = callers.ask(KIE, "[emulate stuck=PENDING callbacks=off]")
    await asyncio.gather(done, late)
    await stop_for_a_while(harness, DEADLINE_S + 5)
    started = time.monotonic()
    await until(lambda: none_open(harness), timeout_s=20)
    ends = sorted(job.state.value for job in await harness.books.jobs())
    expect(ends == ["completed", "failed"], f"ended as {ends}")
    return f"stopped for {DEADLINE_S + 5:g} s: one completed, one expired, {time.monotonic() - started:.1f} s after SIGCONT"


class Callers:
    """Callers who make each call once, and their answers."""

    def __init__(self, harness: Harness) -> None:
        self.harness = harness
        self.answers = Answers()
        self.owners = OwnerCheck()
        self.numbers = 0
        self._calls: list[asyncio.Task[None]] = []

    def ask(self, request: dict[str, object], words: str) -> asyncio.Task[None]:
        """Start a create call without an idempotency key."""
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
            status, answered = await self.harness.post(body, None)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return
        answer = read_answer(status, answered, asked_at, datetime.now(UTC), is_only_call=True)
        self.answers.add(number, answer)

    async def cancel(self, number: int) -> None:
        """Cancel a job and record the answer."""
        for answer in list(self.answers.by_request[number]):
            if answer.job_id is not None:
                asked_at = datetime.now(UTC)
                status, cancelled = await self.harness.cancel(answer.job_id)
                if status < 400:
                    self.answers.add(number, read_answer(status, cancelled, asked_at, datetime.now(UTC)))

    async def answered(self) -> None:
        """Wait until every call has an answer."""
        await asyncio.gather(*self._calls)

    async def verdict(self) -> list[str]:
        """Wait until every job has ended, or should have; then every complaint."""
        await self.answered()
        with contextlib.suppress(TimeoutError):
            await until(lambda: none_open(self.harness))
        await self.owners.check(self.harness)
        jobs: dict[int, list[Job]] = {}
        for job in await self.harness.books.jobs():
            jobs.setdefault(number_of(job), []).append(job)
        found = list(self.owners.found)
        late = set(self.owners.late)
        found += [
            f"{description(job)} is still {job.state}"
            for job in await self.harness.books.open_jobs()
            if job.id not in late
        ]
        for number in range(1, self.numbers + 1):
            made = [task for vendor in self.harness.vendors.values() for task in vendor.made_for[number]]
            if len(made) > 1:
                found.append(f"request {number} was made {len(made)} times")
            complaints = self.answers.contradictions(number, jobs.get(number, []), len(made))
            found += [f"request {number}: {complaint}" for complaint in complaints]
        return found

    async def summary(self) -> str:
        """How the jobs ended."""
        ends = Counter(job.state.value for job in await self.harness.books.jobs())
        counts = ", ".join(f"{count} {end}" for end, count in sorted(ends.items()))
        return f"{self.numbers} calls, {len(self.answers)} answers, jobs: {counts}; owners: {self.owners}"


#: Fault, settings of the server, scenario.
SCENARIOS: tuple[tuple[str, dict[str, Any], Callable[[Harness], Awaitable[str]]], ...] = (
    ("store full", {}, full_disk),
    ("SIGTERM", {}, asked_to_stop),
    ("clock jumps", {}, clock_jump),
    ("upstream hangs", {}, hanging_vendor),
    ("1,000 concurrent creates", {}, many_at_once),
    ("slow SSE readers", {}, slow_event_readers),
    ("slow webhook receivers", {}, slow_receivers),
    ("store locked", {"speed": SLOW}, locked_store),
    ("store locked, callers wait", {"speed": SLOW, "create_wait_s": 20.0}, answers_while_locked),
    ("hooks raise", {}, plugin_raises),
    ("vendors send nonsense", {}, nonsense_for_ever),
    ("SIGSTOP past deadlines", {}, stopped_past_deadlines),
)


def expect(holds: object, otherwise: str) -> None:
    """Raise unless something holds."""
    if not holds:
        raise Disagreement(otherwise)


def expect_none(found: list[str]) -> None:
    """Raise with the first few complaints, if there are any."""
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    expect(not found, "; ".join(found[:3]) + more)


async def create(harness: Harness, request: dict[str, object], prompt: str) -> str:
    """The id of a new job."""
    status, body = await harness.post({**request, "prompt": prompt, "metadata": {"request": "0"}}, prompt)
    expect(status == 200, f"create answered {status} {json.dumps(body)[:200]}")
    return str(body["id"])


async def none_open(harness: Harness) -> bool:
    """True if no job is open."""
    return not await harness.books.open_jobs()


async def has_jobs(harness: Harness, count: int) -> bool:
    """True if there are so many jobs."""
    return len(await harness.books.jobs()) == count


async def are_completed(harness: Harness, ids: Collection[str]) -> bool:
    """True if all of these jobs have ended; and none may have failed."""
    states = {job.state for job in await harness.books.jobs() if job.id in ids}
    expect("failed" not in states, "a job failed")
    return states == {"completed"}


async def until(holds: Callable[[], object], *, timeout_s: float = DEADLINE_S + 15) -> None:
    """Wait until something holds, by default for as long as a job may take."""
    await waiting.until(holds, timeout_s, pause_s=0.2)


async def shift(harness: Harness, by: timedelta) -> None:
    """Shift the times of the open jobs, which has the effect of setting the clock."""
    moved = ("created_at", "updated_at", "deadline_at")
    with contextlib.closing(sqlite3.connect(harness.database)) as connection, connection:
        for job in await harness.books.open_jobs():
            later = attrs.evolve(job, **{name: getattr(job, name) + by for name in moved})
            connection.execute("UPDATE jobs SET doc = ? WHERE id = ?", (dump_job(later), job.id))


def pid_of(harness: Harness) -> int:
    """The process id of the server."""
    assert harness.process is not None
    return harness.process.pid
