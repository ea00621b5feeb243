"""Write the SQL dump of a database as an earlier musicgate made it, with Alembic.

The dumps beside this file come from the sources of two commits:

    0001.sql  3e0f110^  the last commit before revision 0002
    0002.sql  ca8fd24   the last commit with Alembic

Run it with the sources of that commit and what it depends on: ``PYTHONPATH=<sources> python make_dump.py
0001.sql``.
"""

import asyncio
import contextlib
import importlib
import sqlite3
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs

from musicgate import model

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def job_store() -> Any:
    """The SQLite job store, from the module that it lived in then."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("musicgate.store.sqlite").SqliteJobStore
    return importlib.import_module("musicgate.adapters.sqlite").SqliteJobStore


def open_job() -> model.Job:
    attempt = model.Attempt(
        plugin="suno_kie",
        provider="suno",
        model="suno/v4",
        native_model="V4",
        outcome=model.AttemptOutcome.ACCEPTED,
        planned_at=NOW,
        native_id="native-1",
    )
    return model.Job(
        id="music_open",
        account="alice",
        generation_id="G-1",
        request=model.MusicRequest(model="suno/v4", prompt="Warm jazz trio", metadata={"a": "ü"}),
        state=model.JobState.IN_PROGRESS,
        created_at=NOW,
        updated_at=NOW,
        deadline_at=NOW + timedelta(minutes=20),
        callback_token="token-not-real-1",
        attempts=(attempt,),
    )


def completed(job: model.Job) -> model.Job:
    """The same job when it ended, with its price."""
    line = model.PriceLine(
        meter=model.Meter.REQUESTS,
        quantity=Decimal(1),
        unit_size=Decimal(1),
        price_per_unit_usd=Decimal("0.06"),
        price_usd_nanos=60_000_000,
    )
    finished = NOW + timedelta(seconds=90)
    usage = model.Usage(lines=(line,))
    return attrs.evolve(job, state=model.JobState.COMPLETED, completed_at=finished, usage=usage)


def message(job: model.Job) -> model.Delivery:
    return model.Delivery(
        id="msg_1",
        job_id=job.id,
        account=job.account,
        url="https://hooks.test/a",
        type="music.completed",
        created_at=NOW,
        next_try_at=NOW + timedelta(seconds=95),
    )


def second_job() -> model.Job:
    return attrs.evolve(
        open_job(),
        id="music_done",
        account="bob",
        generation_id="G-2",
        callback_token="token-not-real-2",
    )


async def fill(path: Path) -> None:
    """Store one open job, and one that ended, with everything that belongs to it."""
    first, second = open_job(), second_job()
    event = model.JobEvent(kind=model.EventKind.STATE, at=NOW, data={"from": "queued", "to": "in_progress"})
    claim = model.IdempotencyClaim(
        account="bob", route="create", key="key-1", fingerprint="f", job_id=second.id, created_at=NOW
    )
    async with job_store().open(path) as store:
        await store.add(first, [event])
        await store.add(second, [event], claim)
        await store.replace(second, completed(second), [event], [message(second)])
        await store.outbox.disable("bob", "https://gone.test/", NOW)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        asyncio.run(fill(path))
        with contextlib.closing(sqlite3.connect(path)) as connection:
            Path(sys.argv[1]).write_text("".join(f"{line}\n" for line in connection.iterdump()), "utf-8")


if __name__ == "__main__":
    main()
