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
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate.codec import dump_job
from tests.crash.campaign import all_jobs, open_jobs
from tests.crash.world import DEADLINE_S, KEY, World, make_world

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from musicgate.plugins import PluginHost

KIE: dict[str, object] = {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}
APIIN: dict[str, object] = {"model": "suno/v5", "provider": {"only": ["apiin_one"]}}
ELEVEN: dict[str, object] = {"model": "elevenlabs/music"}


class Disagreement(Exception):  # noqa: N818 - the harness's own word
    """What was seen is not what was promised."""


@attrs.frozen
class Finding:
    """What a fault did."""

    fault: str
    result: str
    is_good: bool


async def run_all(folder: Path, plugins: PluginHost) -> list[Finding]:
    """Every scenario, in order."""
    findings = []
    for number, (fault, server, scenario) in enumerate(SCENARIOS):
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
    limit_file_size(world, 1)
    status, body = await world.post({**KIE, "prompt": "no room"}, "full")
    expect(status == 500 and body["error"] == "gateway_error", f"create said {status} {body}")
    expect(
        len(world.vendors["suno_kie"].books.creates) == made,
        "a vendor was asked although the job was not stored",
    )
    status, _ = await world.get(f"/v1/music/generate/{kept}")
    expect(status == 200, f"status of a stored job said {status}")
    expect(not await world.is_ready(), "readyz says that new work can be taken")
    limit_file_size(world, resource.RLIM_INFINITY)
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
    """One vendor takes every look and never answers: jobs at the others are not held up."""
    for number in range(150):
        await create(world, KIE, f"hangs {number} [emulate lengths=3,3]")
    world.vendors["suno_kie"].hold_looks_s = 25.0
    started = time.monotonic()
    ids = [await create(world, APIIN, f"goes on {number} [emulate song_s=3]") for number in range(20)]
    await until(lambda: all(job.state.is_final for job in all_jobs(world) if job.id in ids))
    took_s = time.monotonic() - started
    expect(
        all(job.state == "completed" for job in all_jobs(world) if job.id in ids),
        "a job at another vendor failed",
    )
    return f"150 looks hang at one vendor; 20 jobs at another completed in {took_s:.1f} s"


async def many_at_once(world: World) -> str:
    """A thousand creates in one moment: each is a job, and each is made once."""
    count = 1000
    started = time.monotonic()
    wish = {**KIE, "prompt": "wish-0- [emulate lengths=3,3 callbacks=off]"}
    answers = await asyncio.gather(*(world.post(wish, f"many-{number}") for number in range(count)))
    took_s = time.monotonic() - started
    good = [body["id"] for status, body in answers if status == 200]
    expect(
        len(good) == count,
        f"{count - len(good)} were refused: {[body for status, body in answers if status != 200][:1]}",
    )
    expect(len(set(good)) == count, "two wishes share a job")
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


#: Fault, settings of the server, and what is done and seen.
SCENARIOS: tuple[tuple[str, dict[str, object], Callable[[World], Awaitable[str]]], ...] = (
    ("store full", {}, full_disk),
    ("SIGTERM", {}, asked_to_stop),
    ("clock jumps", {}, clock_jump),
    ("upstream hangs", {}, hanging_vendor),
    ("1,000 concurrent creates", {}, many_at_once),
    ("slow SSE readers", {}, slow_event_readers),
    ("slow webhook receivers", {}, slow_receivers),
)


def expect(holds: object, otherwise: str) -> None:
    """Complain unless something holds."""
    if not holds:
        raise Disagreement(otherwise)


async def create(world: World, wish: dict[str, object], prompt: str) -> str:
    """The id of a new job."""
    status, body = await world.post({**wish, "prompt": prompt, "metadata": {"wish": "0"}}, prompt)
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


def limit_file_size(world: World, size: int) -> None:
    """Let no file of the server grow beyond a size: its disk is full."""
    assert world.process is not None
    _, hard = resource.prlimit(world.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(world.process.pid, resource.RLIMIT_FSIZE, (size, hard))
