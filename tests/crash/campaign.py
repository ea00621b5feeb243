"""Kills and disturbs the server again and again, at chosen moments of its jobs' lives, while callers go on asking; seeded, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sqlite3
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import attrs

from musicgate.codec import load_job
from musicgate.model import AttemptOutcome
from tests.crash.answers import Answers, read_answer
from tests.crash.faults import FAULTS
from tests.crash.owners import OwnerCheck

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from musicgate.model import Job
    from tests.crash.world import World

#: Moments at which the server is killed or disturbed. "asked" = before the other side acts, "done" = before its answer leaves.
OCCASIONS = (
    "caller asked",
    "create asked",
    "create done",
    "poll asked",
    "poll done",
    "media asked",
    "media done",
    "callback",
    "webhook asked",
    "webhook done",
    "any moment",
)
#: Requests by name.
REQUESTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("kie", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("kie, noise", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("kie, answer lost", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("kie, links late", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("apiin", {"model": "suno/v5", "provider": {"only": ["apiin_one"]}}),
    ("apiin, then kie", {"model": "suno/v5", "provider": {"order": ["apiin_one", "suno_kie"]}}),
    ("elevenlabs", {"model": "elevenlabs/music"}),
    ("minimax", {"model": "minimax/music-2.6"}),
    ("minimax, link", {"model": "minimax/music-2.6", "minimax": {"output_format": "url"}}),
)
#: Magic words for the emulators, by the name of the request.
_WORDS = {
    "kie": "lengths=3,3",
    "kie, noise": "lengths=3,3 read=429:1,html:1,500:1",
    "kie, answer lost": "lengths=3,3 create=drop",
    "kie, links late": "lengths=3,3 media=403:2,empty:1",
    "apiin": "song_s=3",
    "apiin, then kie": "song_s=3 lengths=3,3 create_fault=402",
    "elevenlabs": "default_length_s=3",
    "minimax": "length_s=3",
    "minimax, link": "length_s=3",
}
#: The faults of the rounds, in turn. Their number has no divisor in common with that of the occasions, so that every fault meets every one.
ROUNDS: tuple[str | None, ...] = (
    *(None, "SIGSTOP", "vendor nonsense", None, "SIGSTOP", "disk full"),
    *(None, "SIGSTOP", "vendor nonsense", None, "SIGSTOP", "store locked"),
)
#: Every so many rounds, the jobs' owners and deadlines are looked at before the kill.
_QUIET_EVERY = 4
_PATIENCE_S = 4.0
_RETRY_S = 0.05


@attrs.define
class Campaign:
    """One run: who asked for what, what they were told, and where the jobs stood at each kill."""

    world: World
    seed: int
    #: Are there other faults than kills?
    faults: bool = False
    requests: dict[int, str] = attrs.field(factory=dict)
    #: The last answer to each request of a caller who asks until there is one.
    settled: set[int] = attrs.field(factory=set)
    answers: Answers = attrs.field(factory=Answers)
    owners: OwnerCheck = attrs.field(factory=OwnerCheck)
    kills: Counter[str] = attrs.field(factory=Counter)
    #: Faults by name and occasion.
    disturbed: Counter[str] = attrs.field(factory=Counter)
    #: In which steps of their lives jobs were caught by a kill.
    caught: Counter[str] = attrs.field(factory=Counter)
    _callers: set[asyncio.Task[None]] = attrs.field(factory=set)

    async def run(self, kills: int, *, requests_per_kill: int = 2) -> None:
        """Kill so many times; at the end the server is up and every careful caller has an answer."""
        dice = random.Random(self.seed)  # noqa: S311 - a reproducible campaign, not a secret
        for number in range(kills):
            await self.world.start()
            if self.faults and (fault := ROUNDS[number % len(ROUNDS)]):
                await self._disturb(fault, OCCASIONS[(number * 5 + self.seed) % len(OCCASIONS)], dice)
            if number % _QUIET_EVERY == _QUIET_EVERY - 1:
                await self.owners.check(self.world)
            # Every occasion comes up equally often, whatever the dice say about the order.
            await self._kill(OCCASIONS[(number + self.seed) % len(OCCASIONS)], dice, requests_per_kill)
            self.caught.update(step_of(job) for job in open_jobs(self.world))
        await self.world.start()
        async with asyncio.timeout(90):
            await asyncio.gather(*self._callers)

    async def settle(self, patience_s: float) -> None:
        """Wait until no job is open, and every webhook of a final job has been taken once at least; then ask how each stands."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while open_jobs(self.world) or not self._all_told():  # noqa: ASYNC110 - another process tells no event
                    await asyncio.sleep(0.2)
        await self.owners.check(self.world)
        await self._read_all()

    async def _kill(self, occasion: str, dice: random.Random, requests: int) -> None:
        delay_s = dice.choice((0.0, 0.0, dice.uniform(0, 0.02), dice.uniform(0, 0.2)))
        self.world.executioner.arm(occasion, delay_s)
        for _ in range(requests):
            self._ask(dice.choice(REQUESTS)[0])
        try:
            async with asyncio.timeout(dice.uniform(0.1, 1.5) if occasion == "any moment" else _PATIENCE_S):
                await self.world.executioner.done.wait()
        except TimeoutError:
            self.world.executioner.act()
            occasion = occasion if occasion == "any moment" else f"waited in vain: {occasion}"
        await self.world.gone()
        self.kills[occasion] += 1

    async def _disturb(self, fault: str, occasion: str, dice: random.Random) -> None:
        """Do something else than killing at an occasion, while callers ask, and wait until it is over."""
        act, longest_s = FAULTS[fault]
        seconds = longest_s if fault == "store locked" else dice.uniform(0.3, longest_s)
        running: list[asyncio.Task[None]] = []

        def begin() -> None:
            running.append(asyncio.create_task(_awaited(act(self.world, seconds))))

        self.world.executioner.arm(occasion, 0.0, begin)
        self._ask(dice.choice(REQUESTS)[0])
        self._ask(dice.choice(REQUESTS)[0], only_once=True)
        try:
            async with asyncio.timeout(dice.uniform(0.1, 0.5) if occasion == "any moment" else 2.0):
                await self.world.executioner.done.wait()
        except TimeoutError:
            self.world.executioner.act()
            occasion = "any moment"
        for _ in range(2):
            self._ask(dice.choice(REQUESTS)[0], only_once=True)
        await asyncio.gather(*running)
        self.disturbed[f"{fault} at: {occasion}"] += 1
        await self._read_all(at_most=5)

    def _all_told(self) -> bool:
        return all(job.id in self.world.receiver.jobs for job in all_jobs(self.world))

    def _ask(self, name: str, *, only_once: bool = False) -> None:
        number = len(self.requests)
        self.requests[number] = name
        body = dict(REQUESTS)[name] | {
            "prompt": f"request-{number}- [emulate {_WORDS[name]}]",
            "metadata": {"request": str(number)},
        }
        self._callers.add(asyncio.create_task(self._caller(number, body, only_once=only_once)))

    async def _caller(self, number: int, body: dict[str, object], *, only_once: bool) -> None:
        """Ask with one key until there is an answer: what a careful caller does. Another one asks once, without a key."""
        if only_once:
            await self._call(number, body, None)
            return
        while number not in self.settled:
            self.world.executioner.saw("caller asked")
            if await self._call(number, body, f"request-{number}"):
                self.settled.add(number)
            else:
                await asyncio.sleep(_RETRY_S)

    async def _call(self, number: int, body: dict[str, object], key: str | None) -> bool:
        """One create call; True if its answer is worth no other call."""
        asked_at = datetime.now(UTC)
        try:
            status, said = await self.world.post(body, key)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        told = read_answer(status, said, asked_at, datetime.now(UTC), is_only_call=key is None)
        self.answers.note(number, told)
        return not told.is_refusal or status < 429

    async def _read_all(self, at_most: int = 0) -> None:
        """Ask how jobs stand, the newest first, and remember what is said."""
        for job in all_jobs(self.world)[-at_most:]:
            asked_at = datetime.now(UTC)
            try:
                status, body = await self.world.get(f"/v1/music/generate/{job.id}")
                told = read_answer(status, json.loads(body), asked_at, datetime.now(UTC))
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return
            if status == 200:
                self.answers.note(number_of(job), told)


async def _awaited(work: Awaitable[None]) -> None:
    await work


def number_of(job: Job) -> int:
    """The number of the request that a job was made for."""
    return int(str(job.request.metadata["request"]))


def all_jobs(world: World) -> list[Job]:
    """Every job, read from the database file."""
    with contextlib.closing(sqlite3.connect(world.database, timeout=10)) as connection:
        try:
            rows = connection.execute("SELECT doc FROM jobs").fetchall()
        except sqlite3.OperationalError:  # killed before the tables were made
            return []
    return [load_job(doc) for (doc,) in rows]


def open_jobs(world: World) -> list[Job]:
    """Those that have not ended."""
    return [job for job in all_jobs(world) if not job.state.is_final]


def shown(job: Job) -> str:
    """A job's id and how its prompt begins, which says what was done to it."""
    return f"{job.id} ({(job.request.prompt or '')[:70]})"


def step_of(job: Job) -> str:
    """Where in its life an open job stands."""
    outcome = job.attempt.outcome if job.attempt else AttemptOutcome.PLANNED
    if job.delivered_at is not None:
        return "settling" if any(track.asset for track in job.tracks) else "archiving"
    if outcome is AttemptOutcome.ACCEPTED:
        return "polling" if job.native_status else "accepted"
    return outcome.value
