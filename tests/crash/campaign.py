"""Kills the server again and again, at chosen moments of its jobs' lives, while customers go on asking; seeded, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from typing import TYPE_CHECKING

import aiohttp
import attrs

from musicgate.codec import load_job
from musicgate.model import AttemptOutcome

if TYPE_CHECKING:
    from musicgate.model import Job
    from tests.crash.world import World

#: Moments at which the server is killed. "asked" = before the other side acts, "done" = before its answer leaves.
OCCASIONS = (
    "customer asked",
    "create asked",
    "create done",
    "look asked",
    "look done",
    "media asked",
    "media done",
    "callback",
    "webhook asked",
    "webhook done",
    "any moment",
)
#: Wishes, and whether a lost song is to be expected of them even without a crash.
WISHES: tuple[tuple[str, dict[str, object]], ...] = (
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
#: Magic words for the emulators, by the name of the wish.
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
_PATIENCE_S = 4.0
_RETRY_S = 0.05


@attrs.define
class Campaign:
    """One run: who asked for what, and where the jobs stood at each kill."""

    world: World
    seed: int
    wishes: dict[int, str] = attrs.field(factory=dict)
    answers: dict[int, tuple[int, dict[str, object]]] = attrs.field(factory=dict)
    kills: Counter[str] = attrs.field(factory=Counter)
    #: In which steps of their lives jobs were caught by a kill.
    caught: Counter[str] = attrs.field(factory=Counter)
    _customers: set[asyncio.Task[None]] = attrs.field(factory=set)

    async def run(self, kills: int, *, wishes_per_kill: int = 2) -> None:
        """Kill so many times; at the end the server is up and every customer has an answer."""
        dice = random.Random(self.seed)  # noqa: S311 - a reproducible campaign, not a secret
        for number in range(kills):
            await self.world.start()
            # Every occasion comes up equally often, whatever the dice say about the order.
            occasion = OCCASIONS[(number + self.seed) % len(OCCASIONS)]
            delay_s = dice.choice((0.0, 0.0, dice.uniform(0, 0.02), dice.uniform(0, 0.2)))
            self.world.executioner.arm(occasion, delay_s)
            for _ in range(wishes_per_kill):
                self._ask(dice.choice(WISHES)[0])
            try:
                async with asyncio.timeout(
                    dice.uniform(0.1, 1.5) if occasion == "any moment" else _PATIENCE_S
                ):
                    await self.world.executioner.killed.wait()
            except TimeoutError:
                self.world.executioner.kill()
                occasion = occasion if occasion == "any moment" else f"waited in vain: {occasion}"
            await self.world.gone()
            self.kills[occasion] += 1
            self.caught.update(step_of(job) for job in open_jobs(self.world))
        await self.world.start()
        async with asyncio.timeout(60):
            await asyncio.gather(*self._customers)

    async def settle(self, patience_s: float) -> None:
        """Wait until no job is open, and every webhook of a final job has been taken once at least."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while open_jobs(self.world) or not self._all_told():  # noqa: ASYNC110 - another process tells no event
                    await asyncio.sleep(0.2)

    def _all_told(self) -> bool:
        return all(job.id in self.world.receiver.jobs for job in all_jobs(self.world))

    def _ask(self, name: str) -> None:
        number = len(self.wishes)
        self.wishes[number] = name
        task = asyncio.create_task(self._customer(number, name))
        self._customers.add(task)

    async def _customer(self, number: int, name: str) -> None:
        """Ask with one key until there is an answer: what a careful customer does."""
        wish = dict(WISHES)[name] | {
            "prompt": f"wish-{number}- [emulate {_WORDS[name]}]",
            "metadata": {"wish": str(number)},
        }
        while number not in self.answers:
            try:
                self.world.executioner.saw("customer asked")
                self.answers[number] = await self.world.post(wish, f"wish-{number}")
            except (aiohttp.ClientError, TimeoutError, ValueError):
                await asyncio.sleep(_RETRY_S)


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


def step_of(job: Job) -> str:
    """Where in its life an open job stands."""
    outcome = job.attempt.outcome if job.attempt else AttemptOutcome.PLANNED
    if job.delivered_at is not None:
        return "settling" if any(track.asset for track in job.tracks) else "archiving"
    if outcome is AttemptOutcome.ACCEPTED:
        return "polling" if job.native_status else "accepted"
    return outcome.value
