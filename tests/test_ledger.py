"""The ledger: limits of accounts and of vendors that no number of replicas exceeds."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from musicgate.aio import SystemClock
from musicgate.engine import limits
from musicgate.errors import StorageError
from musicgate.model import JobState
from musicgate.settings import AccountLimits
from musicgate.store import AccountRequest, JobStore, Ledger, LedgerAnswer, SlotRequest
from musicgate.store import postgres_ledger as statements
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.postgres_ledger import PostgresLedger
from musicgate.testing.memory_ledger import MemoryLedger
from musicgate.testing.memory_store import MemoryJobStore
from tests.job_samples import ended, make_job
from tests.postgres_servers import Postgres, emptied, execute

NUMBERS = itertools.count()


def asks(account: str = "a", **fields: Any) -> AccountRequest:
    return AccountRequest(**{"account": account, "id": f"r{next(NUMBERS)}", "requests_per_minute": 0} | fields)


def wants(plugin: str = "p", **fields: Any) -> SlotRequest:
    known = {"plugin": plugin, "id": f"s{next(NUMBERS)}", "parallel": None, "calls": None, "per_s": None}
    return SlotRequest(**known | fields)


async def is_admitted(ledger: Ledger, request: AccountRequest) -> bool:
    answer = (await ledger.ask(request)).account
    assert answer is not None
    return answer.is_admitted


async def end(store: JobStore, job_id: str) -> None:
    """End a stored job."""
    job = await store.get(job_id)
    assert job is not None
    assert await store.replace(job, ended(job), [])


@pytest.fixture
async def url(postgres: Postgres) -> str:
    url = await emptied(postgres.url)
    await living(url, "a", "b", "c")
    return url


async def living(url: str, *replicas: str) -> None:
    for replica in replicas:
        await execute(
            url,
            f"INSERT INTO musicgate.replicas VALUES ('{replica}', 'host', '1', 3, now(), now() + interval '1 h')",
        )


@contextlib.asynccontextmanager
async def replica(url: str, name: str) -> AsyncIterator[tuple[PostgresJobStore, PostgresLedger]]:
    """A store with connections of its own, and its ledger."""
    async with PostgresJobStore.open(url) as store:
        ledger = store.ledger(name, silent_after_s=30.0)
        assert ledger is not None
        yield store, ledger
