"""The contract of job stores, run by the stores that are here; and that it finds what is broken."""

import asyncio
import functools
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from musicgate.model import AuditEntry, Delivery, IdempotencyClaim, Job, JobEvent, JobQuery
from musicgate.store import JobStore
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.testing.store_contract import CHECKS, JobStoreContract, StoreUnderTest, name_of
from tests.postgres_servers import Postgres, emptied, run

Opening = Callable[[], AbstractAsyncContextManager[JobStore]]


@asynccontextmanager
async def in_memory(kind: type[MemoryJobStore] = MemoryJobStore) -> AsyncIterator[JobStore]:
    yield kind()


class TestMemory(JobStoreContract):
    is_durable = False

    @pytest.fixture
    def open_store(self) -> Opening:
        return in_memory

    async def damage(self, store: JobStore, job_ids: Sequence[str]) -> None:
        assert isinstance(store, MemoryJobStore)
        for job_id in job_ids:
            store._jobs[job_id] = "{}"
            store._events[job_id][0] = "{}"

    async def take_share(self, store: JobStore, share: int) -> int:
        assert isinstance(store, MemoryJobStore)
        store.terms[share] = store.terms.get(share, 0) + 1
        return store.terms[share]


class TestSqlite(JobStoreContract):
    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Opening:
        return lambda: SqliteJobStore.open(tmp_path / "store.db")

    async def damage(self, store: JobStore, job_ids: Sequence[str]) -> None:
        assert isinstance(store, SqliteJobStore)
        ids = [(job_id,) for job_id in job_ids]
        for statement in (
            "UPDATE jobs SET doc = '{}' WHERE id = ?",
            "UPDATE jobs SET events = '{}' || substr(events, instr(events, char(10))) WHERE id = ?",
        ):
            await store._writer.write(functools.partial(_damage_rows, statement=statement, ids=ids))


def _damage_rows(connection: sqlite3.Connection, statement: str, ids: list[tuple[str]]) -> None:
    connection.executemany(statement, ids)


class TestPostgres(JobStoreContract):
    @pytest.fixture
    def open_store(self, postgres: Postgres) -> Opening:
        run(emptied(postgres.url))
        return lambda: PostgresJobStore.open(postgres.url)

    async def damage(self, store: JobStore, job_ids: Sequence[str]) -> None:
        assert isinstance(store, PostgresJobStore)
        await store._connections.write(
            "UPDATE musicgate.jobs SET doc = '{}', events = '{}' || substr(events, strpos(events, E'\\n'))"
            " WHERE id = ANY($1::text[])",
            list(job_ids),
        )

    async def take_share(self, store: JobStore, share: int) -> int:
        assert isinstance(store, PostgresJobStore)
        ((term,),) = await store._connections.write(
            "UPDATE musicgate.shares SET term = term + 1, replica = 'r' WHERE share = $1 RETURNING term",
            share,
        )
        return int(term)


# --- another author's store ---

_TEN_LINES = """
import contextlib
import pytest
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.testing.store_contract import JobStoreContract

class TestContract(JobStoreContract):
    is_durable = False

    @pytest.fixture
    def open_store(self):
        return lambda: contextlib.nullcontext(MemoryJobStore())
"""


def test_ten_lines_run_the_contract_with_pytest_alone(tmp_path: Path) -> None:
    (tmp_path / "test_third.py").write_text(_TEN_LINES)
    (tmp_path / "pytest.ini").write_text("[pytest]")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_third.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    # Of durability, damage and terms.
    assert f"{len(CHECKS) - 10} passed, 10 skipped" in done.stdout


# --- broken stores ---


class TwoWinners(MemoryJobStore):
    async def replace(
        self,
        old: Job,
        new: Job,
        events: Sequence[JobEvent],
        deliveries: Sequence[Delivery] = (),
        *,
        term: int | None = None,
        audit: AuditEntry | None = None,
    ) -> Job | None:
        current = await self.get(old.id)
        return await super().replace(current or old, new, events, deliveries, term=term, audit=audit)


class NoTerms(MemoryJobStore):
    async def replace(
        self,
        old: Job,
        new: Job,
        events: Sequence[JobEvent],
        deliveries: Sequence[Delivery] = (),
        *,
        term: int | None = None,
        audit: AuditEntry | None = None,
    ) -> Job | None:
        return await super().replace(old, new, events, deliveries, audit=audit)


class ForgetsClaims(MemoryJobStore):
    async def add(
        self,
        job: Job,
        events: Sequence[JobEvent],
        claim: IdempotencyClaim | None = None,
        audit: AuditEntry | None = None,
    ) -> IdempotencyClaim | None:
        return await super().add(job, events, audit=audit)


class LosesEvents(MemoryJobStore):
    async def events(
        self, job_id: str, after: int = 0, limit: int | None = None
    ) -> Sequence[tuple[int, JobEvent]]:
        return (await super().events(job_id, after, limit))[:2]


class AllShares(MemoryJobStore):
    async def open_jobs(self, after_id: str, limit: int, share: int | None = None) -> Sequence[Job]:
        return await super().open_jobs(after_id, limit)


class AllAccounts(MemoryJobStore):
    async def list_jobs(self, account: str | None, query: JobQuery) -> Sequence[Job]:
        return await super().list_jobs(None, query)


class LeavesReferences(MemoryJobStore):
    async def delete(self, job_id: str, *, audit: AuditEntry | None = None) -> bool:
        found = job_id in self._jobs
        self._jobs.pop(job_id, None)
        return found


@pytest.mark.parametrize(
    ("kind", "found_by"),
    [
        (TwoWinners, {"late_replacement_changes_nothing", "one_racing_replacement_wins"}),
        (NoTerms, {"lost_share_writes_nothing", "terms_of_one_batch"}),
        (ForgetsClaims, {"one_of_concurrent_duplicates_is_stored", "old_keys_are_forgotten"}),
        (LosesEvents, {"events_are_numbered", "line_breaks_do_not_end_an_event"}),
        (AllShares, {"open_jobs_of_a_share"}),
        (AllAccounts, {"lists_are_newest_first", "lists_are_filtered"}),
        (LeavesReferences, {"deletion_is_complete", "deleting_releases", "message_is_deleted_with_its_job"}),
    ],
)
def test_a_broken_store_is_found_out(kind: type[MemoryJobStore], found_by: set[str]) -> None:
    checks = [check for check in CHECKS if name_of(check) in found_by]
    assert len(checks) == len(found_by)
    for check in checks:
        with pytest.raises(AssertionError):
            asyncio.run(performed(check, kind))


async def performed(check: Callable[[StoreUnderTest], Any], kind: type[MemoryJobStore]) -> None:
    subject = StoreUnderTest(lambda: in_memory(kind), TestMemory())
    async with subject.opened():
        await check(subject)


def test_the_contract_has_no_check_twice_and_each_says_what_it_proves() -> None:
    names = [name_of(check) for check in CHECKS]
    assert len(names) == len(set(names))
    assert [name for name, check in zip(names, CHECKS, strict=True) if not check.__doc__] == []


def test_a_check_is_turned_off_by_its_name_and_reason() -> None:
    contract = TestMemory()
    contract.skip_checks = {"ping_passes": "only to see it skipped"}
    ping = next(check for check in CHECKS if name_of(check) == "ping_passes")
    with pytest.raises(pytest.skip.Exception, match="turned off: only to see it skipped"):
        contract.test_contract(ping, in_memory)
    contract.skip_checks = {"ping_pases": "a typing error"}
    with pytest.raises(AssertionError, match=r"there are no checks \['ping_pases'\]; docs/testing.md"):
        contract.test_contract(ping, in_memory)
