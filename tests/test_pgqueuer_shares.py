"""Shares over pgqueuer: dealt out, handed over, and taken over from replicas that die or stall."""

import asyncio
import contextlib
import hashlib
import inspect
import json
import math
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from pgqueuer.core import buffers, qm
from pgqueuer.db import AsyncpgDriver
from pgqueuer.domain.settings import DBSettings
from pgqueuer.models import Job
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries
from pgqueuer.types import JobId, QueueEntrypoint, QueueManagerId

from musicgate.engine import pgqueuer_queries, pgqueuer_run, pgqueuer_tables, pgqueuer_worker
from musicgate.engine.pgqueuer_queries import SETTINGS, FencedQueries
from musicgate.engine.pgqueuer_run import Held
from musicgate.engine.pgqueuer_shares import PgqueuerShares
from musicgate.engine.replicas import SEEN_AGAIN_S, Neighbours, Replica, Sign
from musicgate.errors import ConfigError, StorageError
from musicgate.store.postgres import PostgresJobStore
from tests.postgres_servers import Postgres, emptied, execute
from tests.waiting import until

ALL = set(range(64))
HEARTBEAT_S = 2.0
NO_CONNECTION: Any = None


@pytest.fixture
async def url(postgres: Postgres) -> str:
    """The URL of a migrated database without rows; the tables of pgqueuer are made by the first replica."""
    await emptied(postgres.url)  # of a lease, too, which would refuse the store
    async with PostgresJobStore.open(postgres.url):
        pass
    await execute(
        postgres.url, pgqueuer_queries.plain_queries(AsyncpgDriver(NO_CONNECTION)).qbe.build_uninstall_query()
    )
    return await emptied(postgres.url)


class Told:
    """A replica and what it was told."""

    def __init__(self, url: str, replica: str = "", heartbeat_s: float = HEARTBEAT_S) -> None:
        self.shares = PgqueuerShares(
            url, software="1.2.3", schema_version=2, heartbeat_s=heartbeat_s, replica=replica or uuid4().hex
        )
        self.taken: list[set[int]] = []
        self.lost: list[set[int]] = []
        #: Every share with the term under which it was taken.
        self.terms: list[tuple[int, int]] = []

    async def take(self, shares: Collection[int]) -> None:
        self.taken.append(set(shares))
        self.terms += [(share, self.shares.term_of(share) or 0) for share in shares]

    def lose(self, shares: Collection[int]) -> None:
        self.lost.append(set(shares))

    @property
    def held(self) -> set[int]:
        return set(self.shares.held)

    async def start(self) -> None:
        await self.shares.start(self.take, self.lose)


@contextlib.asynccontextmanager
async def replica(url: str, name: str = "", heartbeat_s: float = HEARTBEAT_S) -> AsyncIterator[Told]:
    """A replica of this process, on the loop of the test."""
    told = Told(url, name, heartbeat_s)
    await told.start()
    try:
        yield told
    finally:
        await told.shares.close()


class Process:
    """A replica of its own process, and the lines that it has printed."""

    def __init__(self, url: str, name: str) -> None:
        script = Path(__file__).with_name("share_replica.py")
        self.process = subprocess.Popen(  # noqa: S603 - our own script
            [sys.executable, str(script), url, name, str(HEARTBEAT_S)], stdout=subprocess.PIPE, text=True
        )
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            self.lines += (json.loads(line) for line in iter(lines.readline, ""))

    @property
    def held(self) -> set[int]:
        """What it said that it holds, when it said so last."""
        return set(next((line["held"] for line in reversed(self.lines) if "held" in line), ()))

    @property
    def is_seen(self) -> bool:
        """Whether the others could see it, when it said so last."""
        return next((line["seen"] for line in reversed(self.lines) if "seen" in line), False)

    @property
    def terms(self) -> list[tuple[int, int]]:
        return [(int(share), term) for line in self.lines for share, term in line.get("taken", {}).items()]

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(20)
        self._reader.join()


@pytest.fixture
def processes() -> Iterator[Callable[[str, str], Process]]:
    """Starts replicas of their own processes, which are killed at the end."""
    started: list[Process] = []

    def start(url: str, name: str) -> Process:
        started.append(Process(url, name))
        return started[-1]

    yield start
    for process in started:
        process.end(signal.SIGKILL)


async def test_a_replica_alone_takes_every_share_and_tells_them_together(url: str) -> None:
    async with replica(url, "a") as a:
        assert await execute(url, "SELECT id, software, schema_version FROM musicgate.replicas") == [
            ("a", "1.2.3", 2)
        ]
        assert a.shares.is_first
        await until(lambda: sum(map(len, a.taken)) == 64)
        assert a.held == ALL
        assert len(a.taken) < 4
        assert {a.shares.term_of(share) for share in ALL} == {1}
        assert await execute(url, "SELECT DISTINCT term, replica FROM musicgate.shares") == [(1, "a")]
    assert a.held == set()
    assert set.union(*a.lost) == ALL
    assert await execute(url, "SELECT DISTINCT status::text FROM musicgate.pgqueuer") == [("queued",)]
    assert await execute(url, "SELECT * FROM musicgate.replicas") == []


async def test_a_new_replica_gets_its_part_and_gives_it_back_when_it_ends(url: str) -> None:
    async with replica(url, "a") as a:
        await until(lambda: sum(map(len, a.taken)) == 64)
        async with replica(url, "b") as b:
            assert (a.shares.is_first, b.shares.is_first) == (True, False)
            assert (a.shares.is_seen, b.shares.is_seen) == (True, True)
            await until(lambda: len(a.held) == len(b.held) == 32)
            assert a.held | b.held == ALL
            assert 0 in a.held
            assert {b.shares.term_of(share) for share in b.held} == {2}
            await until(lambda: a.shares.silence_s("b") < HEARTBEAT_S)
            assert [found.state()[:2] for found in (a.shares, b.shares)] == [(32, 2), (32, 2)]
            await until(lambda: a.shares.state().heartbeat_age_s < HEARTBEAT_S)
            assert a.shares.silence_s("a") == 0.0
            await until(lambda: a.shares.silence_s("c") == math.inf)

            await b.shares.hand_over()
            assert b.held == set()
            await until(lambda: a.held == ALL)
            # It may have calls to make, so that the others have to know that it lives.
            await asyncio.sleep(HEARTBEAT_S)
            assert (b.held, a.held) == (set(), ALL)
            await until(lambda: a.shares.silence_s("b") < HEARTBEAT_S)

            await b.shares.close()
            await until(lambda: a.shares.silence_s("b") == math.inf)
    terms = [*a.terms, *b.terms]
    assert len(terms) == len(set(terms))


async def test_shares_of_a_killed_replica_are_taken_over(
    url: str, processes: Callable[[str, str], Process]
) -> None:
    other = processes(url, "killed")
    async with replica(url) as mine:
        await until(lambda: len(mine.held) == len(other.held) == 32)
        other.end(signal.SIGKILL)
        await until(lambda: mine.held == ALL)
    terms = [*mine.terms, *other.terms]
    assert len(terms) == len(set(terms))


async def test_a_stopped_replica_holds_nothing_when_it_goes_on_and_is_told(
    url: str, processes: Callable[[str, str], Process]
) -> None:
    other = processes(url, "stopped")
    async with replica(url) as mine:
        await until(lambda: len(mine.held) == len(other.held) == 32)
        theirs = other.held
        other.process.send_signal(signal.SIGSTOP)
        await until(lambda: mine.held == ALL)
        before = len(other.lines)
        other.process.send_signal(signal.SIGCONT)
        await until(lambda: len(mine.held) == len(other.held) == 32)

        later = other.lines[before:]
        # A line may have been on its way when it was stopped.
        held = [line["held"] for line in later if "held" in line][1:]
        assert held[0] == []
        seen = [line["seen"] for line in later if "held" in line][1:]
        assert not any(seen[: seen.index(True) if True in seen else None])
        assert not seen[0]
        await until(lambda: other.is_seen)
        assert {share for line in later for share in line.get("lost", ())} == theirs
        other.end(signal.SIGTERM)
        assert other.lines[-1] == {"closed": True}
        await until(lambda: all((share, mine.shares.term_of(share)) in mine.terms for share in ALL))
    terms = [*mine.terms, *other.terms]
    assert len(terms) == len(set(terms))
    highest = [max(term for share, term in terms if share == one) for one in range(64)]
    rows = await execute(url, "SELECT term FROM musicgate.shares ORDER BY share")
    assert [term for (term,) in rows] == highest


async def test_every_share_is_taken_anew_when_postgresql_was_restarted_at_once(
    url: str, postgres: Postgres
) -> None:
    if postgres.server is None:
        pytest.skip("a named server is not ours to stop")
    async with replica(url) as a, replica(url) as b:
        await until(lambda: len(a.held) == len(b.held) == 32)
        postgres.stop(at_once=True)
        await until(lambda: not a.held and not b.held)
        postgres.start()
        await until(lambda: a.held | b.held == ALL and len(a.held) == 32)
        assert not a.held & b.held
        # Each may still show the other's last sign of life before the restart.
        await until(lambda: a.shares.silence_s(b.shares.replica) < HEARTBEAT_S)
    terms = [*a.terms, *b.terms]
    assert len(terms) == len(set(terms))
    assert await execute(url, "SELECT count(*) FROM musicgate.pgqueuer") == [(64,)]


async def test_every_share_is_taken_anew_long_before_its_heartbeat_when_a_connection_is_killed(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with replica(url, heartbeat_s=600.0) as a:
        await until(lambda: sum(map(len, a.taken)) == 64)
        await execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'musicgate shares'",
        )
        await until(lambda: sum(map(len, a.taken)) == 128)
        assert set.union(*a.lost) == ALL
        assert {a.shares.term_of(share) for share in ALL} == {2}
    assert "reason=the connection was lost" in caplog.text


async def test_a_blocked_event_loop_loses_no_share(url: str) -> None:
    async with replica(url) as a, replica(url) as b:
        await until(lambda: len(a.held) == len(b.held) == 32)
        before = list(a.lost)
        time.sleep(2 * HEARTBEAT_S)  # noqa: ASYNC251 - that is what is tested
        assert (len(a.held), len(b.held)) == (32, 32)
        await asyncio.sleep(0.2)
        assert (a.lost, b.lost) == (before, [])


async def test_a_row_that_was_held_elsewhere_meanwhile_begins_another_term(url: str) -> None:
    async with replica(url, heartbeat_s=600.0) as a:
        await until(lambda: a.held == ALL)
        # Another replica has picked it and died: it is picked here before a heartbeat could tell of it.
        await execute(
            url,
            "UPDATE musicgate.pgqueuer SET queue_manager_id = gen_random_uuid(), heartbeat = '-infinity'"
            " WHERE payload = '7'",
        )
        await until(lambda: a.shares.term_of(7) == 2)
        assert a.lost == [{7}]


async def test_a_statement_that_fails_lets_every_share_go_until_it_works_again(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgqueuer_run, "_MOST_MISSED_POLLS", 1_000_000)
    async with replica(url, heartbeat_s=600.0) as a:
        await until(lambda: a.held == ALL)
        await execute(url, "ALTER TABLE musicgate.pgqueuer RENAME TO away;")
        await until(lambda: not a.held)
        await execute(url, "ALTER TABLE musicgate.away RENAME TO pgqueuer;")
        await until(lambda: a.held == ALL)


async def test_an_engine_that_is_stuck_is_begun_anew(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pgqueuer_run, "_MOST_MISSED_POLLS", 1)
    original, calls = pgqueuer_run.Run.may_hold, []

    async def may_hold(self: pgqueuer_run.Run) -> int:
        calls.append(self)
        if calls[0] is self:
            await asyncio.Event().wait()
        return await original(self)

    monkeypatch.setattr(pgqueuer_run.Run, "may_hold", may_hold)
    async with replica(url) as a:
        await until(lambda: a.held == ALL)


async def test_a_share_whose_row_was_deleted_is_lost_and_gets_another(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgqueuer_run, "_SEED_EVERY_S", 0.5)
    async with replica(url, heartbeat_s=1.0) as a:
        await until(lambda: a.held == ALL)
        await execute(url, "DELETE FROM musicgate.pgqueuer WHERE payload = '7'")
        await until(lambda: a.shares.term_of(7) == 2)
        assert {7} in a.lost


async def test_old_rows_of_the_log_and_of_dead_replicas_are_deleted(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pgqueuer_run, "_CLEAN_EVERY_S", 0.5)
    async with replica(url) as a:
        await until(lambda: a.held == ALL)
        ((newest,),) = await execute(url, "SELECT max(id) FROM musicgate.pgqueuer_log")
        await execute(
            url, "UPDATE musicgate.pgqueuer_log SET created = now() - interval '2 days' WHERE job_id > 1"
        )
        await execute(
            url,
            "INSERT INTO musicgate.replicas (id, host, software, schema_version, started_at, seen_at) VALUES"
            " ('new', '', '', 2, now(), now() - interval '23 hours'),"
            " ('old', '', '', 2, now(), now() - interval '25 hours')",
        )
        await until(
            lambda: a.shares.silence_s("old") == math.inf and 0.0 < a.shares.silence_s("new") < math.inf
        )

        async def only_the_rows_of_job_1_are_left() -> bool:
            # Newer ones may come: a replica that is stopped or read of late makes shares change hands.
            left = f"SELECT DISTINCT job_id FROM musicgate.pgqueuer_log WHERE id <= {newest}"  # noqa: S608 - a number
            return await execute(url, left) == [(1,)]

        await until(only_the_rows_of_job_1_are_left)


async def test_a_callback_that_fails_does_not_end_the_others(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    told = Told(url)

    async def take(shares: Collection[int]) -> None:
        await told.take(shares)
        raise ValueError(shares)

    def lose(shares: Collection[int]) -> None:
        told.lose(shares)
        raise ValueError(shares)

    await told.shares.start(take, lose)
    await until(lambda: sum(map(len, told.taken)) == 64)
    await told.shares.close()
    assert set.union(*told.lost) == ALL
    assert {record.message.partition(",")[0] for record in caplog.records if record.levelname == "ERROR"} == {
        "shares taken",
        "shares lost",
    }


async def test_replicas_that_start_at_once_make_the_tables_once(url: str) -> None:
    replicas = [Replica(id=str(n), host="", software="", schema_version=2) for n in range(4)]
    are_alone = await asyncio.gather(*(pgqueuer_worker.prepare(url, one) for one in replicas))
    assert sorted(are_alone) == [False, False, False, True]
    assert await execute(url, "SELECT count(*) FROM musicgate.pgqueuer") == [(0,)]


async def test_tables_of_another_pgqueuer_are_replaced_unless_a_replica_uses_them(url: str) -> None:
    first, second = (Replica(id=name, host="", software="", schema_version=2) for name in "ab")
    await pgqueuer_worker.prepare(url, first)
    await execute(url, "ALTER TABLE musicgate.pgqueuer DROP COLUMN slot;")
    with pytest.raises(ConfigError, match="another version of pgqueuer"):
        await pgqueuer_worker.prepare(url, second)
    await execute(url, "DELETE FROM musicgate.replicas")
    await pgqueuer_worker.prepare(url, second)
    assert await execute(url, "SELECT slot FROM musicgate.pgqueuer") == []


@pytest.mark.parametrize(
    ("url", "error", "message"),
    [
        ("postgresql://127.0.0.1:1/x", StorageError, "cannot be reached"),
        ("postgresql://127.0.0.1:secret/x", ConfigError, "is no URL of PostgreSQL"),
    ],
)
async def test_a_start_that_is_not_possible_is_refused(
    url: str, error: type[Exception], message: str
) -> None:
    told = Told(url)
    with pytest.raises(error, match=message) as caught:
        await told.start()
    assert "secret" not in str(caught.value)
    await told.shares.close()


async def test_nothing_is_held_while_a_heartbeat_is_overdue_and_terms_are_still_known() -> None:
    shares = Told("").shares
    shares._worker.held = Held(terms={3: 7}, until_s=time.monotonic() + 60)
    assert set(shares.held) == {3}
    shares._worker.held = Held(terms={3: 7}, until_s=time.monotonic())
    assert set(shares.held) == set()
    assert (shares.term_of(3), shares.term_of(4)) == (7, None)


async def test_a_share_that_is_lost_is_told_at_once_and_is_not_told_as_taken_later() -> None:
    told = Told("")
    shares, going_on = told.shares, asyncio.Event()

    async def take(found: Collection[int]) -> None:
        told.taken.append(set(found))
        await going_on.wait()

    shares._taken, shares._lost = take, told.lose
    shares._note_taken(1)
    shares._note_taken(2)
    shares._note_lost(frozenset({1}))
    await until(lambda: told.taken == [{2}])
    assert told.lost == [{1}]
    shares._note_lost(frozenset({2}))
    shares._note_taken(2)
    assert (told.taken, told.lost) == ([{2}], [{1}, {2}])
    going_on.set()
    await until(lambda: told.taken == [{2}, {2}])


def row(name: str, silence_s: float, uptime_s: float = 9999.0) -> dict[str, Any]:
    return {"id": name, "silence_s": silence_s, "uptime_s": uptime_s, "takes_shares": True}


def test_a_pause_in_which_the_others_could_not_be_seen_is_hardly_a_silence() -> None:
    seen = Neighbours().read([row("dead", 500.0), row("b", 1.0)], 1000.0, 5.0)
    assert (seen.silence_s("dead"), seen.silence_s("b"), seen.silence_s("none")) == (500.0, 1.0, math.inf)
    seen = seen.read([row("dead", 530.0), row("b", 31.0), row("new", 9.0)], 1030.0, 5.0)
    assert (seen.silence_s("dead"), seen.silence_s("b"), seen.silence_s("new")) == (502.5, 3.5, 0.0)
    assert seen.live(5.0) == {"b", "new"}
    seen = seen.read([row("dead", 533.0), row("b", 34.0), row("new", 0.5)], 1033.0, 5.0)
    assert (seen.silence_s("dead"), seen.silence_s("b"), seen.silence_s("new")) == (505.5, 6.5, 0.5)
    assert seen.live(5.0) == {"new"}
    seen = seen.read([row("b", 37.0)], 1036.0, 5.0)
    assert (seen.silence_s("b"), seen.silence_s("new")) == (9.5, math.inf)


def test_a_dead_replica_is_dead_although_every_reading_is_late() -> None:
    seen = Neighbours().read([row("dead", 0.0), row("b", 0.0)], 1000.0, 5.0)
    for number in range(1, 4):
        seen = seen.read([row("dead", 6.0 * number), row("b", 0.5)], 1000.0 + 6.0 * number, 5.0)
    assert seen.live(5.0) == {"b"}


def test_the_time_before_postgresql_was_started_is_no_silence_for_a_new_replica() -> None:
    seen = Neighbours().read([row("a", 500.0, 3.0)], 1000.0, 5.0)
    assert seen.silence_s("a") == 3.0
    assert seen.read([row("a", 502.0, 5.0)], 1002.0, 5.0).silence_s("a") == 5.0


def test_a_replica_that_was_silent_is_seen_only_when_the_others_have_read_of_it() -> None:
    sign = Sign(max_pause_s=20.0)
    assert not sign.is_seen(1000.0)
    sign = sign.renewed(1000.0, 1000.5)  # nothing was decided about one that is new
    assert [sign.is_seen(at_s) for at_s in (1000.5, 1020.0, 1020.1)] == [True, True, False]
    sign = sign.renewed(1019.0, 1020.0)
    assert sign.is_seen(1020.0)
    # It was begun in time; when the others could see it is unknown.
    sign = sign.renewed(1038.0, 1040.0)
    assert not sign.is_seen(1040.0)
    sign = sign.renewed(1041.0, 1041.5)
    assert [sign.is_seen(1040.0 + SEEN_AGAIN_S + late_s) for late_s in (-0.1, 0.0)] == [False, True]


async def test_an_old_reading_says_nothing_about_the_others(url: str) -> None:
    told = Told(url)
    shares, worker = told.shares, told.shares._worker
    now_s = time.monotonic()
    worker.neighbours = Neighbours().read([row("dead", 500.0)], now_s, 5.0, now_s)
    assert shares.silence_s("dead") == 500.0
    worker.neighbours = Neighbours().read([row("dead", 500.0)], now_s, 5.0, now_s - 2.1)
    assert shares.silence_s("dead") == 0.0


class Noted:
    """A holder that notes what it is told."""

    is_stopping = False

    def __init__(self) -> None:
        self.lost: set[JobId] = set()

    async def may_hold(self) -> int:
        return 1

    def picked(self, jobs: Sequence[Job], asked_s: float) -> list[Job]:
        return list(jobs)

    def confirmed(self, sent: Iterable[JobId], found: Iterable[JobId], asked_s: float) -> None:
        self.lost = set(sent) - set(found)


async def test_the_rows_of_another_owner_are_left_alone(url: str) -> None:
    await pgqueuer_worker.prepare(url, Replica(id="a", host="", software="", schema_version=2))
    connection = await asyncpg.connect(url)
    try:
        noted = Noted()
        queries = FencedQueries(AsyncpgDriver(connection), noted)
        queries.owner = QueueManagerId(uuid4())
        await pgqueuer_tables.seed(queries)
        entrypoints = {QueueEntrypoint("share"): EntrypointExecutionParameter(concurrency_limit=0)}
        (job,) = await queries.dequeue(9, entrypoints, queries.owner, None, timedelta(seconds=9))
        of_job = f"SELECT * FROM musicgate.pgqueuer WHERE id = {job.id}"  # noqa: S608 - a number
        before = await execute(url, of_job)
        await queries.update_heartbeat([job.id])
        assert noted.lost == set()
        assert await execute(url, of_job) != before

        await execute(
            url, "UPDATE musicgate.pgqueuer SET queue_manager_id = gen_random_uuid(), status = 'picked'"
        )
        before = await execute(url, of_job)
        await queries.update_heartbeat([job.id])
        assert noted.lost == {job.id}
        await queries.retry_job(job, timedelta(0), None)
        await queries.log_jobs([(job, "successful", None)])
        assert await execute(url, of_job) == before
        await connection.execute("UPDATE musicgate.pgqueuer SET queue_manager_id = $1", queries.owner)
        await queries.log_jobs([(job, "successful", None)])
        queued = "SELECT id FROM musicgate.pgqueuer WHERE status = 'queued'"
        assert await execute(url, queued) == [(job.id,)]
        await queries.give_back_all([queries.owner])
        assert len(await execute(url, queued)) == 64
    finally:
        connection.terminate()


def test_pgqueuer_takes_no_name_from_the_environment() -> None:
    assert SETTINGS.model_fields_set == set(DBSettings.model_fields)


def digest(text: str) -> str:
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]


#: What pgqueuer_queries fences or relies on, as it is in pgqueuer 1.6.0. Where one differs after an upgrade,
#: read the new text, bring pgqueuer_queries in line, run all tests of this file, and note the new digest.
STATEMENTS = {
    "dequeue": "0d1819d6bb4d06f4",
    "heartbeat": "0252d272eb423121",
    "log": "18e40c46fdd5cac4",
    "retry": "717072d19aa3ab1a",
}


def test_the_statements_that_are_fenced_are_those_of_the_pgqueuer_that_is_installed() -> None:
    queries = pgqueuer_queries.plain_queries(AsyncpgDriver(NO_CONNECTION))
    dequeue = queries.qbq.build_dequeue_query(
        batch_size=1,
        entrypoints=[QueueEntrypoint("share")],
        concurrency_limits=[0],
        queue_manager_id=QueueManagerId(uuid4()),
        global_concurrency_limit=1,
        heartbeat_timeout=timedelta(1),
    )
    texts = {
        "dequeue": dequeue.sql,
        "heartbeat": queries.qbq.build_update_heartbeat_query(),
        "log": queries.qbq.build_log_job_query(),
        "retry": queries.qbq.build_retry_job_query(),
    }
    assert {name: digest(text) for name, text in texts.items()} == STATEMENTS


@pytest.mark.parametrize("name", ["dequeue", "log_jobs", "retry_job", "update_heartbeat"])
def test_the_methods_that_are_fenced_are_called_as_those_of_pgqueuer(name: str) -> None:
    def parameters(kind: type[Queries]) -> list[str]:
        return list(inspect.signature(getattr(kind, name)).parameters)

    assert parameters(FencedQueries) == parameters(Queries)
    assert inspect.iscoroutinefunction(getattr(Queries, name))


def test_pgqueuer_runs_no_other_statement_while_shares_are_held() -> None:
    # Those of the schema, which write nothing, and those that are fenced.
    used = {
        name
        for module in (qm, buffers)
        for name in re.findall(r"(?:queries|repository)\.(\w+)\(", inspect.getsource(module))
    }
    assert used - {"dequeue", "log_jobs", "retry_job", "update_heartbeat"} == {
        "aggregate_logs",
        "eligible_queued_work",
        "has_table",
        "has_user_defined_enum",
        "next_deferred_eta",
        "notify_health_check",
        "queued_work",
        "table_has_column",
        "table_has_index",
    }
