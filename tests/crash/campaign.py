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
from tests.crash.answers import Answer, Answers, read_answer
from tests.crash.faults import FAULTS
from tests.crash.owners import TIMEOUT_S, OwnerCheck

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from musicgate.model import Job
    from tests.crash.harness import Harness
    from tests.crash.server import Server

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
#: The vendor makes the song of this request, and its answer does not come.
ANSWER_LOST = "kie, answer lost"
#: Requests by name.
REQUESTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("kie", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("kie, noise", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    (ANSWER_LOST, {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("kie, links late", {"model": "suno/v5", "provider": {"only": ["suno_kie"]}}),
    ("apiin", {"model": "suno/v5", "provider": {"only": ["apiin_one"]}}),
    ("apiin, then kie", {"model": "suno/v5", "provider": {"order": ["apiin_one", "suno_kie"]}}),
    ("elevenlabs", {"model": "elevenlabs/music"}),
    ("minimax", {"model": "minimax/music-2.6"}),
    ("minimax, link", {"model": "minimax/music-2.6", "minimax": {"output_format": "url"}}),
)
#: Requests by name, also of some that are open for a while.
_BODIES = dict(REQUESTS) | dict.fromkeys(("apiin, slow", "apiin, long"), dict(REQUESTS)["apiin"])
#: Switches of the emulators, by the name of the request.
_SWITCHES = {
    "kie": "song_s=3,3",
    "kie, noise": "song_s=3,3 poll=429:1,html:1,500:1",
    ANSWER_LOST: "song_s=3,3 create=drop",
    "kie, links late": "song_s=3,3 media=403:2,empty:1",
    "apiin": "song_s=3",
    "apiin, slow": "song_s=3 done_s=60",
    "apiin, long": "song_s=3 done_s=300",
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
#: How long a moment is waited for.
MOMENT_TIMEOUT_S = 4.0

#: Answers to an account that has used what it may.
_AT_LIMIT = (402, 429)


@attrs.define
class Campaign:
    """The requests and answers of callers, and the steps at which jobs were caught by kills."""

    harness: Harness
    seed: int
    #: True if there are other faults than kills.
    faults: bool = False
    #: How soon each open job has to have an owner.
    owned_s: float = TIMEOUT_S
    #: Accounts with limits. Their callers give up when they are told so.
    limited: frozenset[str] = frozenset()
    #: Answers that were errors, by account and reason.
    reasons: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    #: Seconds that a caller waits for an answer.
    call_timeout_s: float = 30.0
    #: Seconds until a caller asks again.
    retry_s: float = 0.05
    requests: dict[int, str] = attrs.field(factory=dict)
    #: Requests of careful callers that have their answer.
    settled: set[int] = attrs.field(factory=set)
    #: When each request was made first.
    asked_at: dict[int, datetime] = attrs.field(factory=dict)
    #: Requests with a call that had no answer although its server was not killed: it may go on with it.
    unanswered: set[int] = attrs.field(factory=set)
    answers: Answers = attrs.field(factory=Answers)
    owners: OwnerCheck = attrs.field(factory=OwnerCheck)
    kills: Counter[str] = attrs.field(factory=Counter)
    #: Faults by name and moment.
    disturbed: Counter[str] = attrs.field(factory=Counter)
    #: Steps at which open jobs were caught by a kill.
    caught: Counter[str] = attrs.field(factory=Counter)
    #: How the jobs ended, and lines about what else was seen; set at the end.
    ends: dict[str, int] = attrs.field(factory=dict)
    report: list[str] = attrs.field(factory=list)
    callers: set[asyncio.Task[None]] = attrs.field(factory=set)

    async def run(self, kills: int, *, requests_per_kill: int = 2) -> None:
        """Kill so many times; at the end the server runs and every careful caller has an answer."""
        rng = random.Random(self.seed)  # noqa: S311 - a reproducible campaign, not a secret
        for number in range(kills):
            await self.harness.start()
            if self.faults and (fault := ROUNDS[number % len(ROUNDS)]):
                await self._disturb(fault, MOMENTS[(number * 5 + self.seed) % len(MOMENTS)], rng)
            if number % _QUIET_EVERY == _QUIET_EVERY - 1:
                await self.owners.check(self.harness, self.owned_s)
            # Every moment is chosen equally often.
            await self._kill(MOMENTS[(number + self.seed) % len(MOMENTS)], rng, requests_per_kill)
            self.caught.update(step_of(job) for job in await self.harness.books.open_jobs())
        await self.harness.start()
        async with asyncio.timeout(90):
            await asyncio.gather(*self.callers)

    async def settle(self, timeout_s: float) -> None:
        """Wait until no job is open and every webhook has been received, then read each job."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while await self.harness.books.open_jobs() or not await self._all_received():  # noqa: ASYNC110 - it is in other processes
                    await asyncio.sleep(0.2)
        await self.owners.check(self.harness, self.owned_s)
        await self.read_all()

    async def _kill(self, moment: str, rng: random.Random, requests: int) -> None:
        delay_s = rng.choice((0.0, 0.0, rng.uniform(0, 0.02), rng.uniform(0, 0.2)))
        self.harness.trigger.arm(moment, delay_s, self.harness.kill)
        for _ in range(requests):
            self.create(rng.choice(REQUESTS)[0])
        try:
            async with asyncio.timeout(rng.uniform(0.1, 1.5) if moment == "any moment" else MOMENT_TIMEOUT_S):
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
        self.create(rng.choice(REQUESTS)[0])
        self.create(rng.choice(REQUESTS)[0], only_once=True)
        try:
            async with asyncio.timeout(rng.uniform(0.1, 0.5) if moment == "any moment" else 2.0):
                await self.harness.trigger.done.wait()
        except TimeoutError:
            self.harness.trigger.act()
            moment = "any moment"
        for _ in range(2):
            self.create(rng.choice(REQUESTS)[0], only_once=True)
        await asyncio.gather(*running)
        self.disturbed[f"{fault} at: {moment}"] += 1
        await self.read_all(at_most=5)

    def excuses(self, job: Job) -> bool:
        """True if a job may be lost although its vendor accepted it."""
        return False

    def excuses_refusal(self, job: Job) -> bool:
        """True if its vendor may have refused a job that the servers had let through."""
        return False

    async def _all_received(self) -> bool:
        return all(job.id in self.harness.receiver.jobs for job in await self.harness.books.jobs())

    def chosen_server(self) -> Server:
        """The server that the next call goes to."""
        return self.harness.server

    def create(self, name: str, *, only_once: bool = False, account: str = "test") -> asyncio.Task[None]:
        """Start a caller that makes a request."""
        number = len(self.requests)
        self.requests[number] = name
        body = _BODIES[name] | {
            "prompt": f"request-{number}- [emulate {_SWITCHES[name]}]",
            "metadata": {"request": str(number)},
        }
        caller = asyncio.create_task(self._caller(number, body, account, only_once=only_once))
        self.callers.add(caller)
        return caller

    async def _caller(self, number: int, body: dict[str, object], account: str, *, only_once: bool) -> None:
        """Repeat a create call with one key until it is answered; or make it once, without a key."""
        if only_once:
            await self.call(number, body, None, account)
            return
        while number not in self.settled:
            self.harness.trigger.reached("caller asked")
            answer = await self.call(number, body, f"request-{number}", account)
            if answer is not None and account in self.limited and answer.status in _AT_LIMIT:
                return
            if answer is not None and (not answer.is_refusal or answer.status < 429):
                self.settled.add(number)
            else:
                await asyncio.sleep(self.retry_s)

    async def call(
        self, number: int, body: dict[str, object], key: str | None, account: str
    ) -> Answer | None:
        """Make one create call; None if it had no answer."""
        asked_at = datetime.now(UTC)
        self.asked_at.setdefault(number, asked_at)
        server = self.chosen_server()
        try:
            status, answered = await self.harness.post(
                body, key, server=server, account=account, timeout_s=self.call_timeout_s
            )
        except (aiohttp.ClientError, TimeoutError, ValueError):
            if server.is_up:
                self.unanswered.add(number)
            return None
        answer = read_answer(status, answered, asked_at, datetime.now(UTC), is_only_call=key is None)
        if number in self.unanswered:
            answer = attrs.evolve(answer, has_rival=True)
        self.answers.add(number, answer)
        self.reasons[account, str(answered.get("reason") or status)] += status >= 400
        return answer

    async def read_all(self, at_most: int = 0) -> None:
        """Read jobs, the newest first, and record the answers."""
        for job in (await self.harness.books.jobs())[-at_most:]:
            asked_at = datetime.now(UTC)
            try:
                status, body = await self.harness.get(
                    f"/v1/music/generate/{job.id}", server=self.chosen_server(), account=job.account
                )
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
