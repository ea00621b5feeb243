"""The ledger: limits of accounts and of vendors that no number of replicas exceeds."""

import asyncio
import contextlib
import itertools
import math
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import attrs
import pytest

from musicgate.aio import SystemClock
from musicgate.engine import limits
from musicgate.engine.shared_queue import SharedCreateQueue
from musicgate.errors import LimitReachedError, StorageError
from musicgate.model import RateWindow
from musicgate.planning import NANOS_PER_USD
from musicgate.settings import AccountLimits
from musicgate.store import AccountAnswer, AccountRequest, JobStore, Ledger, SlotRequest, postgres_ledger
from musicgate.store.postgres import PostgresJobStore
from musicgate.store.postgres_statements import ADD_JOBS, REPLACE_JOBS
from musicgate.testing.memory_ledger import MemoryLedger
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, HandClock, Rig, rig_of
from tests.job_samples import ended, make_job
from tests.postgres_servers import Postgres, emptied, execute
from tests.waiting import until

NUMBERS = itertools.count()
#: Sums of an account as they are kept, and as its rows say.
SUMS = """
SELECT (SELECT ARRAY[coalesce(sum(calls), 0), coalesce(sum(open_jobs), 0), coalesce(sum(usd_nanos), 0)]
    FROM (SELECT calls, open_jobs, usd_nanos FROM musicgate.account_usage
        UNION ALL SELECT calls, open_jobs, usd_nanos FROM musicgate.account_changes) AS kept),
    ARRAY[(SELECT count(*) FROM musicgate.account_calls), (SELECT count(*) FROM musicgate.reservations),
        (SELECT coalesce(sum(usd_nanos), 0) FROM musicgate.reservations)]
"""


def asks(account: str = "a", *, calls: int = 0, **fields: Any) -> AccountRequest:
    known: dict[str, Any] = {
        "account": account,
        "id": f"r{next(NUMBERS)}",
        "requests_per_minute": calls,
    }
    return AccountRequest(**(known | fields))


def wants(
    plugin: str = "p",
    *,
    parallel: int | None = None,
    calls: int | None = None,
    per_s: float | None = None,
    held: str | None = None,
) -> SlotRequest:
    slot = f"s{next(NUMBERS)}"
    return SlotRequest(plugin=plugin, id=slot, parallel=parallel, calls=calls, per_s=per_s, held=held)


async def answer_to(ledger: Ledger, request: AccountRequest) -> AccountAnswer:
    answer = (await ledger.ask(request)).account
    assert answer is not None
    return answer


async def is_admitted(ledger: Ledger, request: AccountRequest) -> bool:
    return (await answer_to(ledger, request)).is_admitted


async def slot_of(ledger: Ledger, request: SlotRequest) -> str | None:
    return (await ledger.ask(None, request)).slot


async def end(store: JobStore, job_id: str) -> None:
    job = await store.get(job_id)
    assert job is not None
    assert await store.replace(job, ended(job), [])


@pytest.fixture
async def url(postgres: Postgres) -> str:
    return await emptied(postgres.url)


@attrs.frozen
class Replica:
    """A store with connections of its own, and its ledger."""

    store: JobStore
    ledger: Ledger


async def all_told(replicas: list[Replica]) -> None:
    """Wait until what was given back is stored."""

    async def is_so() -> bool:
        return not any(replica.ledger._back for replica in replicas)  # type: ignore[attr-defined]

    await until(is_so)


@contextlib.asynccontextmanager
async def replica_of(url: str, name: str, *dead: str) -> AsyncIterator[Replica]:
    """A replica that takes those for dead."""
    async with PostgresJobStore.open(url) as store:
        yield Replica(store, store.ledger(name, lambda replica: replica in dead))


@pytest.fixture(params=["memory", "postgres"])
async def one(request: pytest.FixtureRequest) -> AsyncIterator[Replica]:
    """Each ledger: a test with this fixture runs once for every one."""
    if request.param == "memory":
        store = MemoryJobStore()
        yield Replica(store, MemoryLedger(store, SystemClock()))
        return
    postgres: Postgres = request.getfixturevalue("postgres")
    async with replica_of(await emptied(postgres.url), "a") as replica:
        yield replica


@pytest.fixture
async def three(url: str) -> AsyncIterator[list[Replica]]:
    async with (
        replica_of(url, "a", "dead") as a,
        replica_of(url, "b", "dead") as b,
        replica_of(url, "c") as c,
    ):
        yield [a, b, c]


# --- the contract of every ledger ---


async def test_calls_beyond_the_limit_are_refused_and_not_counted(one: Replica) -> None:
    answers = [await answer_to(one.ledger, asks(calls=2)) for _ in range(4)]
    assert [(answer.is_admitted, answer.calls) for answer in answers] == [
        *((True, 0), (True, 1), (False, 2), (False, 2))
    ]
    # Said with the last call that is left, too: then none is left.
    assert [59 < answer.calls_wait_s <= 60 for answer in answers] == [False, True, True, True]
    assert await is_admitted(one.ledger, asks("b", calls=2))


async def test_a_call_that_is_given_back_is_free_again(one: Replica) -> None:
    request = asks(calls=1)
    answer = await answer_to(one.ledger, request)
    one.ledger.uncount("a", answer.at, request.id)
    one.ledger.uncount("a", answer.at, request.id)
    assert [await is_admitted(one.ledger, asks(calls=1)) for _ in range(2)] == [True, False]


async def test_a_job_is_open_from_its_admission_to_its_end(one: Replica) -> None:
    fields: dict[str, Any] = {"max_open_jobs": 2, "reserved_usd_nanos": 5}
    for job_id in ("m1", "m2"):
        assert await is_admitted(one.ledger, asks(id=job_id, **fields))
        await one.store.add(make_job(job_id, account="a"), [])
    assert not await is_admitted(one.ledger, asks(**fields))
    await end(one.store, "m1")
    assert await is_admitted(one.ledger, asks(id="m3", **fields))
    assert not await is_admitted(one.ledger, asks(**fields))
    await one.store.delete("m2")
    one.ledger.release("m3")
    one.ledger.release("m3")
    assert (await answer_to(one.ledger, asks(**fields))).open_jobs == 0


async def test_a_request_that_makes_no_job_reserves_nothing(one: Replica) -> None:
    assert await is_admitted(one.ledger, asks(max_open_jobs=1))
    assert await is_admitted(one.ledger, asks(max_open_jobs=1))


async def test_the_budget_counts_what_ended_today_and_what_is_open(one: Replica) -> None:
    budget: dict[str, Any] = {"budget_usd_nanos": 100, "price_usd_nanos": 30}
    today = datetime.now(UTC)
    for job_id, days, price in (("m1", 0, 25), ("m2", -2, 1_000)):
        job = make_job(job_id, account="a")
        await one.store.add(job, [])
        done = attrs.evolve(ended(job, price_usd_nanos=price), completed_at=today + timedelta(days=days))
        assert await one.store.replace(job, done, [])
    answer = await answer_to(one.ledger, asks(id="m3", reserved_usd_nanos=50, **budget))
    assert (answer.is_admitted, answer.usd_nanos) == (True, 25)
    answer = await answer_to(one.ledger, asks(reserved_usd_nanos=30, **budget))
    assert (answer.is_admitted, answer.usd_nanos) == (False, 75)
    one.ledger.set_price("m3", 45)
    answer = await answer_to(one.ledger, asks(reserved_usd_nanos=30, **budget))
    assert (answer.is_admitted, answer.usd_nanos) == (True, 70)


async def test_an_open_job_without_a_reservation_gets_one(one: Replica) -> None:
    for job_id in ("m1", "m2"):
        await one.store.add(make_job(job_id, account="a"), [])
    await end(one.store, "m2")

    async def is_noted() -> bool:
        answer = await answer_to(one.ledger, asks(max_open_jobs=9))
        return (answer.open_jobs, answer.usd_nanos) == (1, 7)

    for _ in range(2):
        for job_id in ("m1", "m2", "unknown"):
            one.ledger.note_job(job_id, 7)
        await until(is_noted)
    await end(one.store, "m1")
    assert (await answer_to(one.ledger, asks(max_open_jobs=9))).open_jobs == 0


async def test_only_so_many_calls_run_at_a_time(one: Replica) -> None:
    first = await slot_of(one.ledger, wants(parallel=2))
    assert first is not None
    assert await slot_of(one.ledger, wants(parallel=2))
    answer = await one.ledger.ask(None, wants(parallel=2))
    assert (answer.slot, answer.slot_wait_s) == (None, math.inf)
    assert await slot_of(one.ledger, wants("q", parallel=2))
    one.ledger.end_slot(first, has_called=True)
    assert await slot_of(one.ledger, wants(parallel=2))


async def test_a_call_counts_in_the_window_from_its_beginning_until_that_long_after_its_end(
    one: Replica,
) -> None:
    limit: dict[str, Any] = {"calls": 2, "per_s": 0.8}
    called, unused = await slot_of(one.ledger, wants(**limit)), await slot_of(one.ledger, wants(**limit))
    assert called is not None
    assert unused is not None
    assert (await one.ledger.ask(None, wants(**limit))).slot_wait_s == math.inf
    await asyncio.sleep(0.05)
    one.ledger.end_slot(unused, has_called=False)
    one.ledger.end_slot(called, has_called=True)
    assert await slot_of(one.ledger, wants(**limit))
    answer = await one.ledger.ask(None, wants(**limit))
    assert answer.slot is None
    assert 0 < answer.slot_wait_s <= 0.8
    await asyncio.sleep(answer.slot_wait_s + 0.002)
    assert await slot_of(one.ledger, wants(**limit))


async def test_a_slot_that_is_held_is_confirmed_and_another_one_is_taken_for_one_that_is_not(
    one: Replica,
) -> None:
    held = await slot_of(one.ledger, wants(parallel=1))
    assert held is not None
    assert await slot_of(one.ledger, wants(parallel=1, held=held)) == held
    one.ledger.end_slot(held, has_called=True)
    again = wants(parallel=1, held=held)
    assert await slot_of(one.ledger, again) == again.id


async def test_who_is_refused_by_an_account_gets_no_slot(one: Replica) -> None:
    assert (await one.ledger.ask(asks(calls=1), wants(parallel=1))).slot
    assert (await one.ledger.ask(asks(calls=1), wants(parallel=9))).slot is None
    assert await slot_of(one.ledger, wants(parallel=2))
    assert await slot_of(one.ledger, wants(parallel=2)) is None


# --- PostgreSQL ---


async def test_the_ledger_decides_by_the_same_rules_as_one_process(url: str) -> None:
    pick = random.Random(12)  # noqa: S311 - for tests
    async with replica_of(url, "a") as one:
        cases: list[tuple[str, int, int, int, int, int, int, int]] = [
            (
                f"account {number}",
                *(pick.choice([0, 0, 1, 2, 5]), pick.choice([0, 0, 1, 2, 5])),
                *(pick.choice([0, 1, 2, 4, 5, 6]), pick.choice([0, 1, 2, 4, 5, 6])),
                *(
                    pick.choice([0, 0, 60, 100]),
                    pick.choice([0, 59, 60, 99, 100, 130]),
                    pick.choice([0, 1, 40]),
                ),
            )
            for number in range(300)
        ]
        values = ", ".join(
            f"('{account}', {calls}, {jobs}, {usd})" for account, _, _, calls, jobs, _, usd, _ in cases
        )
        await execute(url, f"INSERT INTO musicgate.account_usage VALUES {values}")  # noqa: S608 - numbers
        answers = await asyncio.gather(
            *(
                answer_to(
                    one.ledger,
                    asks(
                        *(account,),
                        calls=most_calls,
                        max_open_jobs=most_jobs,
                        budget_usd_nanos=budget * NANOS_PER_USD,
                        price_usd_nanos=price * NANOS_PER_USD,
                    ),
                )
                for account, most_calls, most_jobs, _, _, budget, _, price in cases
            )
        )
    for (_, most_calls, most_jobs, calls, jobs, budget, usd, price), answer in zip(
        cases, answers, strict=True
    ):
        allowed = AccountLimits(
            requests_per_minute=most_calls, max_open_jobs=most_jobs, max_usd_per_day=budget
        )
        usage = limits.AccountUsage(requests_left=most_calls - calls, open_jobs=jobs, usd_nanos=usd)
        reached = limits.reached_limit(allowed, usage, price * NANOS_PER_USD, answer.at)
        assert answer.is_admitted == (reached is None)
    assert {answer.is_admitted for answer in answers} == {True, False}


#: What each account of the burst may use.
MOST: dict[str, Any] = {"calls": 60, "max_open_jobs": 7, "budget_usd_nanos": 1_000}


class Burst:
    """Callers at three replicas. Jobs are stored, ended, deleted or never stored; callers give up.

    Attributes:
        open: jobs that are open for certain, by account.
        spent: what they and the ended ones cost for certain, by account.
        calls: admitted calls, by account.
        most: the highest number of open jobs, and the highest spend, of any account at any time.
    """

    def __init__(self, replicas: list[Replica]) -> None:
        self.pick = random.Random(3)  # noqa: S311 - for tests
        self.open = Counter[str]()
        self.spent = Counter[str]()
        self.calls = Counter[str]()
        self.most = (0, 0)
        self._replicas = replicas

    async def run(self) -> None:
        await asyncio.gather(*(self._call_at(replica) for replica in self._replicas * 6))

    async def _call_at(self, replica: Replica) -> None:
        for _ in range(40):
            account, price = self.pick.choice("abc"), self.pick.choice([20, 50, 90])
            request = asks(account, **MOST, price_usd_nanos=price, reserved_usd_nanos=price)
            asking = asyncio.ensure_future(answer_to(replica.ledger, request))
            if self.pick.random() < 0.1:
                await asyncio.sleep(0)
                asking.cancel()
            with contextlib.suppress(asyncio.CancelledError, StorageError):
                if (await asking).is_admitted:
                    await self._go_on(replica, request)
            await asyncio.sleep(self.pick.random() / 50)

    async def _go_on(self, replica: Replica, request: AccountRequest) -> None:
        account, price = request.account, request.price_usd_nanos
        self.open[account] += 1
        self.calls[account] += 1
        self.spent[account] += price
        self.most = max(self.most[0], self.open[account]), max(self.most[1], self.spent[account])
        fate = self.pick.choice(["lost", "deleted", "ended"])
        try:
            job = make_job(request.id, account=account)
            if fate != "lost":
                await replica.store.add(job, [])
            await asyncio.sleep(self.pick.random() / 50)
        finally:
            self.open[account] -= 1
            self.spent[account] -= price
        if fate == "lost":
            replica.ledger.release(request.id)
        elif fate == "deleted":
            await self.pick.choice(self._replicas).store.delete(request.id)
        else:  # it costs what was expected
            self.spent[account] += price
            done = attrs.evolve(ended(job, price_usd_nanos=price), completed_at=datetime.now(UTC))
            await self.pick.choice(self._replicas).store.replace(job, done, [])


async def test_no_burst_at_three_replicas_exceeds_a_limit(url: str, three: list[Replica]) -> None:
    burst = Burst(three)
    running = asyncio.create_task(burst.run())
    while not running.done():
        await asyncio.sleep(0.1)
        await execute(
            url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%ask_ledger%'"
            " AND pid <> pg_backend_pid() AND random() < 0.3",
        )
    await running
    open_jobs, spent = burst.most
    assert 4 < open_jobs <= 7
    assert 800 < spent <= 1_000
    assert max(burst.calls.values()) <= 60
    await all_told(three)
    ((kept, counted),) = await execute(url, SUMS)
    assert kept == counted


@pytest.mark.parametrize(
    ("parallel", "window"),
    [(3, None), (None, RateWindow(calls=5, per_s=0.2)), (3, RateWindow(calls=5, per_s=0.1))],
)
async def test_no_window_of_a_vendor_is_exceeded_by_three_replicas(
    url: str,
    three: list[Replica],
    parallel: int | None,
    window: RateWindow | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres_ledger, "_RETRY_S", (0.02,))
    pick = random.Random(4)  # noqa: S311 - for tests
    queues = [
        SharedCreateQueue(
            SystemClock(),
            replica.ledger,
            plugin="p",
            replica=name,
            is_seen=lambda: True,
            fresh_s=5,
            parallel=parallel,
            window=window,
        )
        for name, replica in zip("abc", three, strict=True)
    ]
    # A replica that died in two calls.
    async with replica_of(url, "dead") as dead:
        for _ in range(2):
            assert await slot_of(dead.ledger, wants(parallel=parallel))
    running, most, called_s = 0, 0, list[float]()

    async def caller(queue: SharedCreateQueue) -> None:
        nonlocal running, most
        for _ in range(4):
            with await queue.slot() as slot:
                if pick.random() < 0.2:
                    continue
                slot.call()
                running += 1
                most = max(most, running)
                before_s = time.monotonic()
                await asyncio.sleep(pick.random() / 30)
                # The vendor counts it at any time in between.
                called_s.append(pick.choice([before_s, time.monotonic()]))
                running -= 1

    async def fail() -> None:
        """Lose answers about what is given back."""
        write = three[0].store._connections.write  # type: ignore[attr-defined]

        async def failing(statement: str, *values: Any) -> Any:
            if "give_back" in statement and pick.random() < 0.5:
                raise StorageError("away")
            return await write(statement, *values)

        monkeypatch.setattr(three[0].store._connections, "write", failing)  # type: ignore[attr-defined]

    await fail()
    async with asyncio.timeout(30):
        await asyncio.gather(*(caller(queue) for queue in queues * 3))
    if parallel is not None:
        assert 1 < most <= parallel
    if window is not None:
        called_s.sort()
        spans_s = [last - first for first, last in zip(called_s, called_s[window.calls :], strict=False)]
        assert min(spans_s) >= window.per_s
    assert [queue.waiting for queue in queues] == [0, 0, 0]


@pytest.mark.parametrize("held", [None, "one that was lost"])
async def test_a_caller_that_gives_up_leaves_nothing_behind(
    url: str, three: list[Replica], held: str | None
) -> None:
    fields: dict[str, Any] = {"max_open_jobs": 1, "reserved_usd_nanos": 1}
    asking = asyncio.create_task(three[0].ledger.ask(asks(**fields), wants(parallel=1, held=held)))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)

    async def is_free() -> Any:
        return (await execute(url, "SELECT count(*) FROM musicgate.reservations"))[0] == (0,) and (
            await execute(url, "SELECT count(*) FROM musicgate.create_slots")
        )[0] == (0,)

    await asyncio.sleep(0.1)
    await until(is_free)
    assert (await three[1].ledger.ask(asks(**fields), wants(parallel=1))).slot


async def test_a_question_whose_answer_is_lost_leaves_nothing_behind(
    url: str, three: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Any] = {"max_open_jobs": 1, "reserved_usd_nanos": 1}
    connections = three[0].store._connections  # type: ignore[attr-defined]
    write = connections.write

    async def losing(statement: str, *values: Any) -> Any:
        found = await write(statement, *values)
        if statement == postgres_ledger.ASK:
            raise StorageError("away", maybe_stored=True)
        return found

    monkeypatch.setattr(connections, "write", losing)
    with pytest.raises(StorageError):
        await three[0].ledger.ask(asks(**fields), wants(parallel=1))
    await all_told(three)
    assert (await three[1].ledger.ask(asks(**fields), wants(parallel=1))).slot


async def test_what_is_given_back_is_told_until_it_was_heard(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_ledger, "_RETRY_S", (0.02,))
    async with replica_of(url, "a") as one, replica_of(url, "b") as other:
        slot = await slot_of(one.ledger, wants(parallel=1))
        assert slot is not None
        connections = one.store._connections  # type: ignore[attr-defined]
        write, failures = connections.write, iter(range(3))

        async def failing(statement: str, *values: Any) -> Any:
            if next(failures, None) is not None:
                raise StorageError("away")
            return await write(statement, *values)

        monkeypatch.setattr(connections, "write", failing)
        one.ledger.end_slot(slot, has_called=True)

        async def is_free() -> bool:
            return await slot_of(other.ledger, wants(parallel=1)) is not None

        await until(is_free)
        assert next(failures, None) is None


async def test_what_is_left_is_given_back_when_the_store_closes(url: str) -> None:
    async with replica_of(url, "a") as one:
        slot = await slot_of(one.ledger, wants(parallel=1))
        assert slot is not None
        one.ledger.end_slot(slot, has_called=True)
    async with replica_of(url, "b") as other:
        assert await slot_of(other.ledger, wants(parallel=1))


async def test_calls_of_a_dead_replica_count_as_ended_when_their_places_are_needed(
    url: str, three: list[Replica]
) -> None:
    limit: dict[str, Any] = {"parallel": 1, "calls": 2, "per_s": 60.0}
    async with replica_of(url, "dead") as dead:
        assert await slot_of(dead.ledger, wants(**limit))
    assert await slot_of(three[2].ledger, wants(**limit)) is None  # it knows of no dead replica
    assert await slot_of(three[0].ledger, wants(**limit)) is None
    assert await slot_of(three[0].ledger, wants(**limit))
    limit["parallel"] = 9
    assert 59 < (await three[0].ledger.ask(None, wants(**limit))).slot_wait_s <= 60
    await all_told(three)
    await execute(url, "UPDATE musicgate.create_slots SET ended_at = ended_at - interval '60 s'")
    assert await slot_of(three[0].ledger, wants(**limit))


async def test_what_ends_the_calls_of_a_dead_replica_is_told_at_once_or_not_at_all(
    url: str, three: list[Replica], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with replica_of(url, "dead") as dead:
        assert await slot_of(dead.ledger, wants(parallel=1))
    # By the time that it can be told, that replica may have gone on, and call.
    monkeypatch.setattr(postgres_ledger, "_DEAD_S", 0.0)
    assert await slot_of(three[0].ledger, wants(parallel=1)) is None
    await all_told(three)
    assert await slot_of(three[0].ledger, wants(parallel=1)) is None
    await all_told(three)
    monkeypatch.setattr(postgres_ledger, "_DEAD_S", 9.0)
    assert await slot_of(three[0].ledger, wants(parallel=1)) is None
    await all_told(three)
    assert await slot_of(three[0].ledger, wants(parallel=1))


async def test_a_replica_that_the_others_do_not_see_takes_and_confirms_no_slot(three: list[Replica]) -> None:
    seen, clock = [False], HandClock()
    queue = SharedCreateQueue(
        clock,
        three[0].ledger,
        plugin="p",
        replica="a",
        is_seen=lambda: seen[-1],
        fresh_s=5,
        parallel=2,
    )
    assert queue.wanted() is None
    waiting = asyncio.create_task(queue.slot())
    await asyncio.sleep(0.05)
    assert (waiting.done(), queue.running) == (False, 0)
    seen.append(True)
    assert queue.wanted() is None  # another one waits
    while not waiting.done():
        clock.pass_s(0.1)
        await asyncio.sleep(0.01)
    slot = waiting.result()
    assert queue.wanted() is not None
    clock.pass_s(6)
    seen.append(False)
    confirming = asyncio.create_task(slot.confirm())
    await asyncio.sleep(0.05)
    assert not confirming.done()
    seen.append(True)
    while not confirming.done():
        clock.pass_s(0.1)
        await asyncio.sleep(0.01)
    assert slot.is_fresh
    slot.release()
    await all_told(three)


async def test_a_slot_is_confirmed_before_the_call_where_its_replica_was_stalled(
    url: str, three: list[Replica]
) -> None:
    clock = HandClock()
    queue, other = (
        SharedCreateQueue(
            clock,
            replica.ledger,
            plugin="p",
            replica=name,
            is_seen=lambda: True,
            fresh_s=5,
            parallel=1,
        )
        for name, replica in zip("ab", three, strict=False)
    )
    slot = await queue.slot()
    freshness = [slot.is_fresh]
    clock.pass_s(6)
    freshness.append(slot.is_fresh)
    await slot.confirm()
    assert [*freshness, slot.is_fresh] == [True, False, True]
    # Now it is taken for dead, and its place is another's: it waits.
    await execute(url, "UPDATE musicgate.create_slots SET ended_at = now()")
    taken = await other.slot()
    clock.pass_s(6)
    confirming = asyncio.create_task(slot.confirm())
    await asyncio.sleep(0.1)
    assert not confirming.done()
    taken.release()
    await asyncio.wait_for(confirming, 5)
    slot.release()
    assert (queue.running, other.running) == (0, 0)
    await all_told(three)
    assert await execute(url, "SELECT count(*) FROM musicgate.create_slots WHERE ended_at IS NULL") == [(0,)]


async def test_the_sweeper_forgets_reservations_whose_replica_died_before_the_job(
    url: str, three: list[Replica]
) -> None:
    one = three[0]
    fields: dict[str, Any] = {"calls": 9, "max_open_jobs": 9, "reserved_usd_nanos": 1}
    for job_id in ("stored", "lost", "young"):
        assert await is_admitted(one.ledger, asks(id=job_id, **fields))
    await one.store.add(make_job("stored", account="a"), [])
    await execute(
        url,
        "UPDATE musicgate.reservations SET reserved_at = now() - interval '11 min' WHERE job_id <> 'young'",
    )
    await execute(
        url, "UPDATE musicgate.account_calls SET called_at = now() - interval '61 s' WHERE id <> 'young'"
    )
    for _ in range(2):
        await one.ledger.sweep()
        answer = await answer_to(one.ledger, asks(calls=9, max_open_jobs=2))
        assert (answer.is_admitted, answer.open_jobs, answer.calls) == (False, 2, 1)
    ((kept, counted),) = await execute(url, SUMS)
    assert kept == counted


async def test_the_reservation_of_a_job_that_is_open_cannot_be_released(
    url: str, three: list[Replica]
) -> None:
    fields: dict[str, Any] = {"max_open_jobs": 1, "reserved_usd_nanos": 1}
    assert await is_admitted(three[0].ledger, asks(id="m1", **fields))
    await three[0].store.add(make_job("m1", account="a"), [])
    three[0].ledger.release("m1")
    assert not await is_admitted(three[0].ledger, asks(**fields))


async def test_a_job_that_ends_while_it_is_noted_keeps_no_reservation(url: str, three: list[Replica]) -> None:
    await three[0].store.add(make_job("m1", account="a"), [])
    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.execute("UPDATE musicgate.jobs SET state = 'completed', finished_at_us = 1")
        three[0].ledger.note_job("m1", 1)
        await asyncio.sleep(0.2)
    await other.close()
    await all_told(three)
    assert await execute(url, "SELECT count(*) FROM musicgate.reservations") == [(0,)]


async def test_a_call_is_free_again_after_a_minute(url: str, three: list[Replica]) -> None:
    for _ in range(3):
        assert await is_admitted(three[0].ledger, asks(calls=3))
    earlier = "UPDATE musicgate.account_calls SET called_at = called_at - interval '{} s'"
    await execute(url, earlier.format(59))
    assert 0 < (await answer_to(three[1].ledger, asks(calls=3))).calls_wait_s <= 1
    # A limit that is lower than it was is reached until enough calls have passed.
    assert 0 < (await answer_to(three[1].ledger, asks(calls=1))).calls_wait_s <= 1
    await execute(url, earlier.format(1))
    answers = [await answer_to(three[1].ledger, asks(calls=3)) for _ in range(4)]
    assert [answer.calls for answer in answers] == [0, 1, 2, 3]


async def test_a_clock_that_is_set_back_costs_a_window_at_most(url: str, three: list[Replica]) -> None:
    one = three[0]
    assert await is_admitted(one.ledger, asks(calls=1))
    slot = await slot_of(one.ledger, wants(calls=1, per_s=60.0))
    assert slot is not None
    one.ledger.end_slot(slot, has_called=True)
    assert await slot_of(one.ledger, wants(calls=1, per_s=60.0)) is None
    await all_told(three)
    await execute(url, "UPDATE musicgate.account_calls SET called_at = now() + interval '1 hour'")
    await execute(url, "UPDATE musicgate.create_slots SET ended_at = now() + interval '1 hour'")
    assert 59 < (await answer_to(one.ledger, asks(calls=1))).calls_wait_s <= 60
    wait_s = (await one.ledger.ask(None, wants(calls=1, per_s=60.0))).slot_wait_s
    assert 59 < wait_s <= 60


async def test_while_the_store_is_away_nothing_is_admitted(url: str, three: list[Replica]) -> None:
    await three[0].store.close()
    with pytest.raises(StorageError):
        await three[0].ledger.ask(asks(calls=1))


# --- gateways ---

NARROW = FakeVendor("one", max_parallel_creates=1, create_window=RateWindow(calls=9, per_s=60.0))
WIDE = FakeVendor("one")
LIMITED = AccountLimits(requests_per_minute=9, max_open_jobs=9, max_usd_per_day=9.0)


@contextlib.asynccontextmanager
async def gateway_of(
    url: str, folder: Path, vendor: FakeVendor, **sections: Any
) -> AsyncIterator[tuple[Rig, list[str]]]:
    """A gateway of a replica, and the statements that it has run."""
    async with PostgresJobStore.open(url) as store:
        statements: list[str] = []
        with pytest.MonkeyPatch.context() as patch:
            connections = store._connections
            fetch = connections._fetch

            async def spy(connection: Any, statement: str, values: tuple[Any, ...]) -> Any:
                statements.append(statement)
                return await fetch(connection, statement, values)

            patch.setattr(connections, "_fetch", spy)
            patch.setattr("tests.fake_vendor.ledger_of", lambda *_: store.ledger("a", lambda _: False))
            async with rig_of(folder, vendor, store=store, **sections) as rig:
                yield rig, statements


@pytest.mark.parametrize(
    ("vendor", "allowed", "more"),
    [
        (WIDE, AccountLimits(), []),
        (WIDE, LIMITED, [postgres_ledger.ASK]),
        (NARROW, AccountLimits(), [postgres_ledger.ASK]),
        (NARROW, LIMITED, [postgres_ledger.ASK]),
    ],
)
async def test_limits_cost_one_round_trip_a_create(
    url: str, tmp_path: Path, vendor: FakeVendor, allowed: AccountLimits, more: list[str]
) -> None:
    async with gateway_of(url, tmp_path, vendor, limits=allowed) as (rig, statements):
        rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        for _ in range(2):
            statements.clear()
            await rig.submit()
            assert statements == [*more, ADD_JOBS, REPLACE_JOBS]
            await asyncio.sleep(0.1)
        # A slot is given back when its caller has been answered, and those of others with it.
        assert statements[len(more) + 2 :] == ([postgres_ledger.GIVE_BACK] if vendor is NARROW else [])


async def test_two_gateways_count_together(url: str, tmp_path: Path) -> None:
    allowed = AccountLimits(requests_per_minute=3, max_open_jobs=2)
    async with (
        gateway_of(url, tmp_path, WIDE, limits=allowed) as (one, _),
        gateway_of(url, tmp_path, WIDE, limits=allowed) as (other, _),
    ):
        other.context.new_id("music_")  # their ids count from 1
        other.context.new_id("music_")
        one.transport.script("one", {"id": "n-1"})
        other.transport.script("one", {"id": "n-2"}, {"id": "n-3"})
        first = await one.submit()
        assert (
            one.gate.rate_limit_headers("local")["RateLimit"] == '"requests-per-minute";r=2, "open-jobs";r=1'
        )
        assert "RateLimit" not in other.gate.rate_limit_headers("local")
        await other.submit()
        with pytest.raises(LimitReachedError, match="2 jobs are open, 2 may be"):
            await other.submit()
        await other.gate.cancel(first.id)
        await other.submit()
        with pytest.raises(LimitReachedError, match="more than 3 create calls in a minute"):
            await one.submit(model="unknown/song")
        with pytest.raises(LimitReachedError):
            await one.context.count_call("local")
        assert (
            one.gate.rate_limit_headers("local")["RateLimit"]
            == '"requests-per-minute";r=0;t=60, "open-jobs";r=0'
        )
        one.clock.pass_s(60)
        assert "RateLimit" not in one.gate.rate_limit_headers("local")


async def test_a_job_that_was_stored_late_has_its_reservation_all_the_same(url: str, tmp_path: Path) -> None:
    async with gateway_of(url, tmp_path, WIDE, limits=AccountLimits(max_open_jobs=1)) as (rig, _):
        rig.transport.script("one", {"id": "n-1"})
        add = rig.store.add

        async def stalled(*values: Any) -> Any:
            rig.clock.pass_s(601)
            await execute(url, "DELETE FROM musicgate.reservations")  # as the sweeper of another replica does
            return await add(*values)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rig.store, "add", stalled)
            await rig.submit()

        async def is_reserved() -> bool:
            return await execute(url, "SELECT count(*) FROM musicgate.reservations") == [(1,)]

        await until(is_reserved)
