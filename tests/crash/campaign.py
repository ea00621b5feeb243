"""Kills and disturbs the server again and again at chosen moments, reproducibly by a seed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import aiohttp
import attrs

from musicgate.model import AttemptOutcome
from tests.crash.answers import Answers, read_answer
from tests.crash.faults import FAULTS
from tests.crash.owners import OwnerCheck

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from musicgate.model import Job
    from tests.crash.harness import Harness

#: When the server is killed or disturbed: "asked" = before the other side acts, "done" = before it answers.
MOMENTS = (
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
#: Switches of the emulators, by the name of the request.
_SWITCHES = {
    "kie": "song_s=3,3",
    "kie, noise": "song_s=3,3 poll=429:1,html:1,500:1",
    "kie, answer lost": "song_s=3,3 create=drop",
    "kie, links late": "song_s=3,3 media=403:2,empty:1",
    "apiin": "song_s=3",
    "apiin, then kie": "song_s=3 apiin_one.create=402",
    "elevenlabs": "song_s=3",
    "minimax": "song_s=3",
    "minimax, link": "song_s=3",
}
#: The faults of successive rounds. Their number and that of `MOMENTS` are coprime, so they meet in every
#: pair.
ROUNDS: tuple[str | None, ...] = (
    *(None, "SIGSTOP", "vendor nonsense", None, "SIGSTOP", "disk full"),
    *(None, "SIGSTOP", "vendor nonsense", None, "SIGSTOP", "store locked"),
)
#: Number of rounds between two checks of the owners and deadlines of jobs.
_QUIET_EVERY = 4
_TIMEOUT_S = 4.0
_RETRY_S = 0.05


@attrs.define
class Campaign:
    """The requests and answers of callers, and the steps at which jobs were caught by kills."""

    harness: Harness
    seed: int
    #: True if there are other faults than kills.
    faults: bool = False
    requests: dict[int, str] = attrs.field(factory=dict)
    #: Requests of careful callers that have their answer.
    settled: set[int] = attrs.field(factory=set)
    answers: Answers = attrs.field(factory=Answers)
    owners: OwnerCheck = attrs.field(factory=OwnerCheck)
    kills: Counter[str] = attrs.field(factory=Counter)
    #: Faults by name and moment.
    disturbed: Counter[str] = attrs.field(factory=Counter)
    #: Steps at which open jobs were caught by a kill.
    caught: Counter[str] = attrs.field(factory=Counter)
    _callers: set[asyncio.Task[None]] = attrs.field(factory=set)

    async def run(self, kills: int, *, requests_per_kill: int = 2) -> None:
        """Kill so many times; at the end the server runs and every careful caller has an answer."""
        rng = random.Random(self.seed)  # noqa: S311 - a reproducible campaign, not a secret
        for number in range(kills):
            await self.harness.start()
            if self.faults and (fault := ROUNDS[number % len(ROUNDS)]):
                await self._disturb(fault, MOMENTS[(number * 5 + self.seed) % len(MOMENTS)], rng)
            if number % _QUIET_EVERY == _QUIET_EVERY - 1:
                await self.owners.check(self.harness)
            # Every moment is chosen equally often.
            await self._kill(MOMENTS[(number + self.seed) % len(MOMENTS)], rng, requests_per_kill)
            self.caught.update(step_of(job) for job in await self.harness.books.open_jobs())
        await self.harness.start()
        async with asyncio.timeout(90):
            await asyncio.gather(*self._callers)

    async def settle(self, timeout_s: float) -> None:
        """Wait until no job is open and every webhook has been received, then read each job."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self.harness.books.open_jobs() or not await self._all_received():  # noqa: ASYNC110 - it is in other processes
                    await asyncio.sleep(0.2)
        await self.owners.check(self.harness)
        await self._read_all()

    async def _kill(self, moment: str, rng: random.Random, requests: int) -> None:
        delay_s = rng.choice((0.0, 0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.2)))
        self.harness.trigger.arm(moment, delay_s, self.harness.kill)
        for _ in range(requests):
            self._create(rng.choice(REQUESTS)[0])
        try:
            async with asyncio.timeout(rng.uniform(0.1, 1.5) if moment == "any moment" else _TIMEOUT_S):
                await self.harness.trigger.done.wait()
        except TimeoutError:
            self.harness.trigger.act()
            moment = moment if moment == "any moment" else f"did not come: {moment}"
        await self.harness.gone()
        self.kills[moment] += 1

    async def _disturb(self, fault: str, moment: str, rng: random.Random) -> None:
        """Disturb the server at a moment while callers create jobs, and wait until it is over."""
        act, longest_s = FAULTS[fault]
        seconds = longest_s if fault == "store locked" else rng.uniform(0.3, longest_s)
        running: list[asyncio.Task[None]] = []

        def begin(_: str) -> None:
            running.append(asyncio.create_task(_awaited(act(self.harness, seconds, None))))

        self.harness.trigger.arm(moment, 0.0, begin)
        self._create(rng.choice(REQUESTS)[0])
        self._create(rng.choice(REQUESTS)[0], only_once=True)
        try:
            async with asyncio.timeout(rng.uniform(0.1, 0.5) if moment == "any moment" else 2.0):
                await self.harness.trigger.done.wait()
        except TimeoutError:
            self.harness.trigger.act()
            moment = "any moment"
        for _ in range(2):
            self._create(rng.choice(REQUESTS)[0], only_once=True)
        await asyncio.gather(*running)
        self.disturbed[f"{fault} at: {moment}"] += 1
        await self._read_all(at_most=5)

    async def _all_received(self) -> bool:
        return all(job.id in self.harness.receiver.jobs for job in await self.harness.books.jobs())

    def _create(self, name: str, *, only_once: bool = False) -> None:
        number = len(self.requests)
        self.requests[number] = name
        body = dict(REQUESTS)[name] | {
            "prompt": f"request-{number}- [emulate {_SWITCHES[name]}]",
            "metadata": {"request": str(number)},
        }
        self._callers.add(asyncio.create_task(self._caller(number, body, only_once=only_once)))

    async def _caller(self, number: int, body: dict[str, object], *, only_once: bool) -> None:
        """Repeat a create call with one key until it is answered; or make it once, without a key."""
        if only_once:
            await self._call(number, body, None)
            return
        while number not in self.settled:
            self.harness.trigger.reached("caller asked")
            if await self._call(number, body, f"request-{number}"):
                self.settled.add(number)
            else:
                await asyncio.sleep(_RETRY_S)

    async def _call(self, number: int, body: dict[str, object], key: str | None) -> bool:
        """Make one create call; True if it need not be repeated."""
        asked_at = datetime.now(UTC)
        try:
            status, answered = await self.harness.post(body, key)
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return False
        answer = read_answer(status, answered, asked_at, datetime.now(UTC), is_only_call=key is None)
        self.answers.add(number, answer)
        return not answer.is_refusal or status < 429

    async def _read_all(self, at_most: int = 0) -> None:
        """Read jobs, the newest first, and record the answers."""
        for job in (await self.harness.books.jobs())[-at_most:]:
            asked_at = datetime.now(UTC)
            try:
                status, body = await self.harness.get(f"/v1/music/generate/{job.id}")
                answer = read_answer(status, json.loads(body), asked_at, datetime.now(UTC))
            except (aiohttp.ClientError, TimeoutError, ValueError):
                return
            if status == 200:
                self.answers.add(number_of(job), answer)


async def _awaited(work: Awaitable[None]) -> None:
    await work


def number_of(job: Job) -> int:
    """The number of the request that a job was made for."""
    return int(str(job.request.metadata["request"]))


def description(job: Job) -> str:
    """A job's id and the beginning of its prompt, which names its faults."""
    return f"{job.id} ({(job.request.prompt or '')[:70]})"


def step_of(job: Job) -> str:
    """The step of an open job."""
    outcome = job.attempt.outcome if job.attempt else AttemptOutcome.PLANNED
    if job.delivered_at is not None:
        return "settling" if any(track.asset for track in job.tracks) else "archiving"
    if outcome is AttemptOutcome.ACCEPTED:
        return "polling" if job.native_status else "accepted"
    return outcome.value
