"""Measure the SQLite job store: durable inserts, replaces and reads by id per second.

Run: python benchmarks/store.py --jobs 20000 --callers 64 --rounds 5
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs

from musicgate.codec import dump_job
from musicgate.model import (
    Attempt,
    AttemptOutcome,
    EventKind,
    Job,
    JobEvent,
    JobState,
    MusicRequest,
    RoutingOptions,
    Track,
)
from musicgate.store.sqlite import SqliteJobStore

_NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
_EVENT = JobEvent(kind=EventKind.STATE, at=_NOW, data={"from": "queued", "to": "in_progress"})


def make_job(number: int) -> Job:
    """A job while Suno works on it."""
    request = MusicRequest(
        model="suno/v4.5plus",
        prompt="Warm jazz trio with brushed drums",
        duration_s=8,
        routing=RoutingOptions(only=("suno",)),
        blocks={"suno": {"customMode": False, "instrumental": False}},
    )
    attempt = Attempt(
        plugin="suno_kie",
        provider="suno",
        model="suno/v4.5plus",
        native_model="V4_5PLUS",
        outcome=AttemptOutcome.SENT,
        planned_at=_NOW,
    )
    return Job(
        id=f"job-{number:010}",
        account="default",
        generation_id=f"G-{number:026}",
        request=request,
        state=JobState.QUEUED,
        created_at=_NOW,
        updated_at=_NOW,
        deadline_at=_NOW + timedelta(minutes=20),
        callback_token=f"token-{number}",
        attempts=(attempt,),
    )


def accepted(job: Job) -> Job:
    """The same job once the vendor has accepted it and shown a track."""
    attempt = attrs.evolve(job.attempts[0], outcome=AttemptOutcome.ACCEPTED, native_id=f"native-{job.id}")
    track = Track(
        index=0,
        native_id=f"track-{job.id}",
        audio_url="https://cdn.example.com/songs/one.mp3",
        title="Row On",
    )
    return attrs.evolve(job, state=JobState.IN_PROGRESS, attempts=(attempt,), tracks=(track,))


async def rate(action: Callable[[Job], Awaitable[object]], jobs: Sequence[Job], callers: int) -> float:
    """Operations per second with that many callers at a time."""
    waiting = iter(jobs)

    async def work(source: Iterable[Job]) -> None:
        for job in source:
            await action(job)

    started = time.perf_counter()
    await asyncio.gather(*(work(waiting) for _ in range(callers)))
    return len(jobs) / (time.perf_counter() - started)


async def measure(folder: Path, count: int, callers: int) -> dict[str, float]:
    """One round on a new database."""
    jobs = [make_job(number) for number in range(count)]
    async with SqliteJobStore.open(folder / "store.db") as store:
        return {
            "inserts/s": await rate(lambda job: store.add(job, [_EVENT]), jobs, callers),
            "replaces/s": await rate(lambda job: store.replace(job, accepted(job), [_EVENT]), jobs, callers),
            "reads/s": await rate(lambda job: store.get(job.id), jobs, callers),
        }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs in each round")
    parser.add_argument("--callers", type=int, default=64, help="coroutines at a time")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="where the database is made; default: the temporary folder"
    )
    options = parser.parse_args()
    rounds = []
    for _ in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            rounds.append(asyncio.run(measure(Path(folder), options.jobs, options.callers)))
    size = len(dump_job(accepted(make_job(0))))
    print(
        f"{options.jobs} jobs of {size} bytes, one event per write, {options.callers} callers,"
        f" medians of {options.rounds}"
    )
    for name in rounds[0]:
        values = [measured[name] for measured in rounds]
        print(f"{name:12}{statistics.median(values):>10,.0f}   ({min(values):,.0f} to {max(values):,.0f})")


if __name__ == "__main__":
    main()
