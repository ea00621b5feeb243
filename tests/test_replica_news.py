"""What replicas tell each other: who waits is woken at once, and all goes on when no news comes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, aclosing
from pathlib import Path
from typing import Any
from uuid import uuid4

import attrs
import pytest

from musicgate import Job, JobNotFoundError, JobState, StorageError
from musicgate.engine import FIRST_SHARE, NoNews
from musicgate.errors import ConfigError, LimitReachedError
from musicgate.gateway import account_book, commit, key_admin, shared_assets
from musicgate.gateway.follow import advance
from musicgate.gateway.idempotency import IdempotencyKey
from musicgate.gateway.replication import replication
from musicgate.jobs import fail
from musicgate.model import AttemptOutcome, Failure, FailureClass, Secret
from musicgate.settings import Account, ServerSettings, StoreSettings, WebhookSettings
from musicgate.store.postgres_news import PostgresNews
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.webhooks.courier import Courier
from tests import sample_jobs
from tests.fake_vendor import MODEL, START, FakeVendor, Rig, ScriptedWebhooks, lost, rig_of, settings_for
from tests.test_replicas import ALL_SHARES, HandShares
from tests.waiting import until

CALLING = FakeVendor("one", callbacks=True)
SERVER = ServerSettings(drain_s=0.0, public_url="https://gate.test")
WEBHOOK = WebhookSettings(
    url="https://hooks.test/all",
    secret=Secret("whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="),
)
REFUSED = Failure(reason=FailureClass.MODERATION, message="no")
#: Seconds between two looks of a reader, where no news comes.
REREAD_S = 0.03


class Line:
    """Carries news between the replicas of a test, unless it is cut.

    Attributes:
        told: everything that was told, in order.
    """

    def __init__(self) -> None:
        self.is_cut = False
        self.told: list[tuple[str, str]] = []
        self.ends: list[LineNews] = []

    def carry(self, sender: "LineNews", what: str, *job_id: str) -> None:
        self.told.append((what, *job_id) if job_id else (what, ""))  # type: ignore[arg-type]
        for end in () if self.is_cut else self.ends:
            if end is not sender:
                end.hearing[what](*job_id)


class LineNews:
    """One end of a line."""

    def __init__(self, line: Line, reread_s: float | None) -> None:
        self.reread_s = reread_s
        self.hearing: dict[str, Callable[..., None]] = {}
        self._line = line

    def changed(self, job_id: str) -> None:
        self._line.carry(self, "changed", job_id)

    def due(self, job_id: str) -> None:
        self._line.carry(self, "due", job_id)

    def outbox(self) -> None:
        self._line.carry(self, "outbox")

    def keys(self) -> None:
        self._line.carry(self, "keys")

    async def start(self, **hearing: Callable[..., None]) -> None:
        self.hearing = hearing
        self._line.ends.append(self)

    async def close(self) -> None:
        self._line.ends.remove(self)


@attrs.frozen
class Pair:
    """Two replicas on one store, and the line between them; ``a`` follows every job, and is on duty."""

    a: Rig
    b: Rig
    line: Line

    def shares(self, rig: Rig) -> Any:
        return rig.context.shares


async def pair_of(folder: Path, *, reread_s: float | None = REREAD_S, **sections: Any) -> AsyncIterator[Pair]:
    store, line = MemoryJobStore(), Line()
    silences_s = {"a": 0.0, "b": 0.0}
    async with AsyncExitStack() as stack:
        rigs = []
        for name in "ab":
            rig = await stack.enter_async_context(
                rig_of(
                    folder,
                    CALLING,
                    store=store,
                    shares=HandShares(name, store, silences_s),
                    news=LineNews(line, reread_s),  # type: ignore[arg-type]
                    **{"server": SERVER, "webhooks": WEBHOOK, **sections},
                )
            )
            await rig.gate._runner.start()
            rigs.append(rig)
        pair = Pair(rigs[0], rigs[1], line)
        await pair.shares(pair.a).take(ALL_SHARES)
        line.told.clear()
        yield pair


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async for pair in pair_of(tmp_path):
        yield pair


@pytest.fixture
async def told_pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Readers look again after an hour only."""
    async for pair in pair_of(tmp_path, reread_s=3600.0):
        yield pair


@pytest.fixture(params=["told", "lost"])
async def any_pair(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Pair]:
    """News come at once, and nothing else helps; or they are lost."""
    is_lost = request.param == "lost"
    async for pair in pair_of(tmp_path, reread_s=REREAD_S if is_lost else 3600.0):
        pair.line.is_cut = is_lost
        yield pair


async def accepted(rig: Rig, **fields: Any) -> Job:
    rig.transport.script("one", {"id": "n-1", "status": "works"})
    return await rig.submit(**fields)


async def end(rig: Rig, job: Job) -> Job:
    return await commit.change(rig.context, job, lambda current: fail(current, REFUSED, rig.clock.now()))


def is_waiting(rig: Rig, job: Job) -> bool:
    return job.id in rig.gate._changes._flags


# --- readers ---


async def test_a_reader_at_another_replica_sees_the_end_of_a_job(any_pair: Pair) -> None:
    job = await accepted(any_pair.a)
    waiting = asyncio.create_task(any_pair.b.gate.wait(job.id, 5))
    await until(lambda: is_waiting(any_pair.b, job))
    await end(any_pair.a, job)
    assert (await waiting).state is JobState.FAILED


async def test_a_reader_of_events_at_another_replica_sees_them_all(any_pair: Pair) -> None:
    job = await accepted(any_pair.a)

    async def read() -> list[str]:
        async with asyncio.timeout(5), aclosing(any_pair.b.gate.events(job.id, pause_s=60.0)) as events:
            return [item[1].kind.value async for item in events if item is not None]

    reading = asyncio.create_task(read())
    await until(lambda: is_waiting(any_pair.b, job))
    await end(any_pair.a, job)
    assert (await reading)[-1] == "settled"


async def test_a_reader_at_another_replica_learns_that_a_job_was_deleted(any_pair: Pair) -> None:
    job = await accepted(any_pair.a)
    waiting = asyncio.create_task(any_pair.b.gate.wait(job.id, 5))
    await until(lambda: is_waiting(any_pair.b, job))
    any_pair.a.transport.script("one", {})
    await any_pair.a.gate.delete(job.id)
    with pytest.raises(JobNotFoundError):
        await waiting


async def test_a_reader_wakes_when_news_may_have_been_lost(told_pair: Pair) -> None:
    job = await accepted(told_pair.a)
    waiting = asyncio.create_task(told_pair.b.gate.wait(job.id, 5))
    await until(lambda: is_waiting(told_pair.b, job))
    told_pair.line.is_cut = True
    await end(told_pair.a, job)
    told_pair.line.ends[1].hearing["missed"]()
    assert (await waiting).state is JobState.FAILED


async def test_a_store_that_is_away_for_a_moment_does_not_end_a_wait(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.line.is_cut = True
    job = await accepted(pair.a)
    head, failures = pair.b.store.head, 0

    async def fail_twice(account: str, job_id: str) -> Any:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise StorageError("PostgreSQL is being stopped")
        return await head(account, job_id)

    monkeypatch.setattr(pair.b.store, "head", fail_twice)
    waiting = asyncio.create_task(pair.b.gate.wait(job.id, 5))
    await until(lambda: failures >= 2)
    await end(pair.a, job)
    assert (await waiting).state is JobState.FAILED


async def test_a_quiet_reader_hears_its_heartbeat_in_time(pair: Pair) -> None:
    job = await accepted(pair.a)
    async with asyncio.timeout(5), aclosing(pair.b.gate.events(job.id, after=9, pause_s=0.1)) as events:
        assert [await anext(events), await anext(events)] == [None, None]


# --- who follows ---


async def test_a_job_that_is_due_is_followed_by_the_replica_that_holds_its_share(told_pair: Pair) -> None:
    job = await accepted(told_pair.b)
    assert told_pair.line.told[-1] == ("due", job.id)
    assert (told_pair.a.gate.jobs_scheduled, told_pair.b.gate.jobs_scheduled) == (1, 0)


async def test_each_change_is_told_once_and_a_new_job_is_not(told_pair: Pair) -> None:
    job = await accepted(told_pair.a)
    assert told_pair.line.told == [("changed", job.id)], "that it was accepted"
    await end(told_pair.a, job)
    assert told_pair.line.told == [("changed", job.id)] * 2


async def test_a_job_whose_share_is_not_held_is_not_taken(told_pair: Pair) -> None:
    told_pair.shares(told_pair.a).lose(ALL_SHARES)
    await accepted(told_pair.b)
    assert told_pair.a.gate.jobs_scheduled == 0


async def test_a_change_elsewhere_wakes_the_follower(told_pair: Pair) -> None:
    job = await accepted(told_pair.a)
    assert told_pair.a.gate.jobs_scheduled == 1
    await end(told_pair.b, job)
    await until(lambda: told_pair.a.gate.jobs_scheduled == 0)
    assert len(told_pair.a.transport.sent) == 1, "it was not polled"


async def test_a_change_elsewhere_ends_the_memory_of_a_poll(told_pair: Pair) -> None:
    job = await accepted(told_pair.a)
    memory: Any = object()
    for what in ("changed", "due"):
        told_pair.a.context.quiet_polls._polls[job.id] = memory
        told_pair.line.ends[0].hearing[what](job.id)
        assert told_pair.a.context.quiet_polls._polls == {}


async def test_a_job_adopted_by_a_callback_elsewhere_is_found_without_news(pair: Pair) -> None:
    pair.line.is_cut = True
    pair.a.transport.script("one", lost())
    job = await pair.a.submit()
    assert job.outcome is AttemptOutcome.UNKNOWN
    assert await advance(pair.a.context, job.id) == 30.0
    await pair.b.gate.callback(job.id, job.callback_token, {"x-signature": "good"}, b'{"id": "n-7"}')
    pair.a.transport.script("one", {"status": "works"})
    await advance(pair.a.context, job.id)
    assert (await pair.a.stored(job)).state is JobState.IN_PROGRESS


async def test_a_deletion_is_told(told_pair: Pair) -> None:
    job = await end(told_pair.a, await accepted(told_pair.a))
    told_pair.line.told.clear()
    await told_pair.b.gate.delete(job.id)
    assert told_pair.line.told == [("changed", job.id)]


async def test_an_end_that_is_found_late_is_told(told_pair: Pair) -> None:
    job = await end(told_pair.a, await accepted(told_pair.a))
    told_pair.line.told.clear()
    told_pair.a.context.ended(job)
    assert told_pair.line.told == [("changed", job.id)]


# --- duplicates ---

KEY = IdempotencyKey.of("k", {})


async def calling(pair: Pair, **fields: Any) -> tuple[asyncio.Task[Job], asyncio.Event]:
    """A create call with a key that is in flight at ``a``: its submission, and what lets it go on."""
    going_on, began = asyncio.Event(), asyncio.Event()

    async def wait(_: object) -> None:
        began.set()
        await going_on.wait()

    pair.a.transport.on_send = wait
    pair.a.transport.script("one", {"id": "n-1", "status": "works"})
    submission = asyncio.create_task(submit(pair.a, **fields))
    await began.wait()
    return submission, going_on


async def submit(rig: Rig, **fields: Any) -> Job:
    request = rig.gate.read({"model": MODEL, "prompt": "jazz"})
    return await rig.gate.submit(request, idempotency=KEY, **fields)


async def test_a_duplicate_waits_for_the_call_of_another_replica(any_pair: Pair) -> None:
    submission, going_on = await calling(any_pair)
    duplicate = asyncio.create_task(submit(any_pair.b))
    await until(lambda: any_pair.b.gate._changes._flags)
    assert not duplicate.done()
    going_on.set()
    assert (await duplicate).native_id == (await submission).native_id == "n-1"
    assert any_pair.b.transport.sent == []


async def test_a_duplicate_waits_for_a_call_that_is_sent_whatever_its_own_wait(told_pair: Pair) -> None:
    submission, going_on = await calling(told_pair)
    duplicate = asyncio.create_task(submit(told_pair.b, wait_s=0.0))
    await until(lambda: told_pair.b.gate._changes._flags or duplicate.done())
    going_on.set()
    assert (await duplicate).id == (await submission).id
    assert (await duplicate).native_id == "n-1"


async def test_a_duplicate_does_not_wait_for_a_call_that_should_have_ended_long_ago(pair: Pair) -> None:
    submission, going_on = await calling(pair)
    pair.b.clock.pass_s(600)
    async with asyncio.timeout(3):
        assert (await submit(pair.b)).outcome is AttemptOutcome.SENT
    going_on.set()
    await submission


async def test_a_duplicate_waits_no_longer_than_its_call_may_take(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.gateway.runner.create_budget_s", lambda _, wait_s: wait_s)
    submission, going_on = await calling(pair)
    assert (await submit(pair.b, wait_s=0.05)).outcome is AttemptOutcome.SENT
    going_on.set()
    await submission


async def test_a_duplicate_of_a_dead_replica_s_call_does_not_wait(pair: Pair) -> None:
    submission, going_on = await calling(pair)
    pair.shares(pair.b)._silences_s["a"] = 1_000.0
    assert (await submit(pair.b)).outcome is AttemptOutcome.SENT
    going_on.set()
    await submission


async def test_a_duplicate_beyond_the_limit_gets_the_job_of_another_replica(tmp_path: Path) -> None:
    account = Account(name="local", max_open_jobs=1)
    async for pair in pair_of(tmp_path, accounts=(account,)):
        submission, going_on = await calling(pair)
        going_on.set()
        first = await submission
        find, is_first_time = pair.b.store.find_claim, True

        async def stored_meanwhile(*key: str) -> Any:
            nonlocal is_first_time
            was_first, is_first_time = is_first_time, False
            return None if was_first else await find(*key)  # noqa: B023

        pair.b.store.find_claim = stored_meanwhile
        pair.b.context.quota.note(first)
        assert (await submit(pair.b)).id == first.id
        with pytest.raises(LimitReachedError):
            await pair.b.submit()


async def test_a_change_of_keys_reaches_the_other_replica(any_pair: Pair) -> None:
    made = await key_admin(any_pair.a.gate).add_key("ops", is_admin=True)
    book = account_book(any_pair.b.gate)
    await until(lambda: book.knows_id(made.key.id))


# --- duties ---


def webhooks_of(rig: Rig) -> ScriptedWebhooks:
    scripted = rig.context.webhooks
    assert isinstance(scripted, ScriptedWebhooks)
    return scripted


async def test_messages_of_every_replica_are_sent_by_the_one_on_duty(any_pair: Pair) -> None:
    any_pair.a.context.outbox_changed.clear()
    await end(any_pair.b, await accepted(any_pair.b))
    await until(lambda: webhooks_of(any_pair.a).sent)
    assert webhooks_of(any_pair.b).sent == []
    assert ("outbox", "") in any_pair.line.told


async def test_the_replica_on_duty_tells_nobody_of_its_messages(told_pair: Pair) -> None:
    await end(told_pair.a, await accepted(told_pair.a))
    assert ("outbox", "") not in told_pair.line.told


async def test_a_replay_at_any_replica_is_told_to_the_one_on_duty(told_pair: Pair) -> None:
    job = await end(told_pair.a, await accepted(told_pair.a))
    await until(lambda: webhooks_of(told_pair.a).sent)
    (message,) = await told_pair.b.gate.webhooks.log(job)
    told_pair.line.told.clear()
    await told_pair.b.gate.webhooks.replay(job, message.id)
    await until(lambda: len(webhooks_of(told_pair.a).sent) == 2)
    assert told_pair.line.told == [("outbox", "")]


async def test_a_courier_takes_over_with_the_share(told_pair: Pair) -> None:
    told_pair.shares(told_pair.a).lose([FIRST_SHARE])
    await end(told_pair.b, await accepted(told_pair.b))
    await until(lambda: not told_pair.b.context.outbox_changed.is_set())
    assert webhooks_of(told_pair.b).sent == []
    await told_pair.shares(told_pair.b).take([FIRST_SHARE])
    await until(lambda: webhooks_of(told_pair.b).sent)


async def test_a_courier_that_loses_its_share_starts_no_message(told_pair: Pair) -> None:
    told_pair.shares(told_pair.a).lose(ALL_SHARES)
    await end(told_pair.b, await accepted(told_pair.b))
    await told_pair.shares(told_pair.b).take([FIRST_SHARE])
    (message,) = await told_pair.b.store.outbox.pending(9)
    courier = Courier(told_pair.a.context)
    await courier._try(message.id)
    assert (await courier._start_due(), courier._running) == (30.0, {})
    assert webhooks_of(told_pair.a).sent == []


async def test_the_courier_reads_the_outbox_of_other_replicas_without_news(pair: Pair) -> None:
    assert await Courier(pair.a.context)._start_due() == REREAD_S


async def test_the_sweeper_begins_when_the_replica_gets_on_duty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.gateway.sweep._OFF_DUTY_S", 0.001)
    store, swept = MemoryJobStore(), asyncio.Event()
    shares = HandShares("a", store, {})
    async with rig_of(tmp_path, CALLING, store=store, shares=shares) as rig:
        sweeper = rig.gate._runner.sweeper

        async def sweep() -> None:
            swept.set()

        sweeper.sweep = sweep  # type: ignore[method-assign]
        running = asyncio.create_task(sweeper.run())
        await asyncio.sleep(0.005)
        assert not swept.is_set()
        shares.held = {FIRST_SHARE}
        async with asyncio.timeout(5):
            await swept.wait()
        running.cancel()


async def test_a_sweeper_that_loses_its_share_stops_and_what_it_deletes_is_told(told_pair: Pair) -> None:
    old = sample_jobs.job(JobState.FAILED, id="music_0", completed_at=START, created_at=START)
    for number in range(3):
        await told_pair.a.store.add(attrs.evolve(old, id=f"music_{number}"), ())
    delete, sweeper = told_pair.a.store.delete, told_pair.a.gate._runner.sweeper

    async def delete_and_lose(job_id: str, **rest: Any) -> bool:
        told_pair.shares(told_pair.a).lose([FIRST_SHARE])
        return bool(await delete(job_id, **rest))

    told_pair.a.store.delete = delete_and_lose
    told_pair.line.told.clear()
    await sweeper._remove_jobs(old.account, told_pair.a.clock.now().replace(year=2090))
    assert len(await told_pair.a.store.finished_jobs(old.account, None, START.replace(year=2090), 9)) == 2
    assert told_pair.line.told == [("changed", "music_0")]


# --- one store of audio ---


async def start(folder: Path, store: MemoryJobStore, *, is_first: bool = False) -> None:
    shares = HandShares(uuid4().hex, store, {})
    shares.is_first = is_first
    async with rig_of(folder, CALLING, store=store, shares=shares) as rig:
        await rig.gate._runner.start()


async def test_replicas_with_one_store_of_audio_start_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(shared_assets, "_RETRY_S", ())
    store = MemoryJobStore()
    await start(tmp_path / "a", store)
    await start(tmp_path / "a", store)
    with pytest.raises(ConfigError, match=r"^assets\.url: names another store of audio"):
        await start(tmp_path / "b", store)
    assert "than before" not in caplog.text
    await start(tmp_path / "b", store, is_first=True)
    assert "names another store of audio than before" in caplog.text
    with pytest.raises(ConfigError):
        await start(tmp_path / "a", store)


async def test_of_two_first_replicas_with_different_folders_one_starts(tmp_path: Path) -> None:
    store, together = MemoryJobStore(), asyncio.Barrier(2)
    swap = store.swap_mark

    async def swap_together(*values: Any) -> str:
        await together.wait()
        return await swap(*values)

    store.swap_mark = swap_together  # type: ignore[assignment, method-assign]
    ends = await asyncio.gather(
        start(tmp_path / "a", store), start(tmp_path / "b", store), return_exceptions=True
    )
    assert sorted(type(end).__name__ for end in ends) == ["ConfigError", "NoneType"]
    assert len(await asyncio.to_thread(lambda: [*tmp_path.glob("*/replicas/*")])) == 1


async def test_a_store_of_audio_that_is_away_does_not_stop_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> int:
        raise StorageError("the bucket gives no answer")

    store = MemoryJobStore()
    await store.set_mark(shared_assets.MARK, "store_1")
    monkeypatch.setattr("tests.fake_vendor.FolderAssets.size", away)
    await start(tmp_path, store)


async def test_one_process_marks_nothing(tmp_path: Path) -> None:
    store = MemoryJobStore()
    async with rig_of(tmp_path, CALLING, store=store) as rig:
        await rig.gate._runner.start()
        assert await store.mark(shared_assets.MARK) is None


async def test_no_job_is_followed_before_the_store_of_audio_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryJobStore()
    shares = HandShares("x", store, {})
    order: list[str] = []

    async def check(_: object) -> None:
        taking.append(asyncio.create_task(shares.take({1})))
        await asyncio.sleep(0.005)
        order.append("checked")

    async def recover(_runner: object, share: int) -> None:
        order.append(f"share {share}")

    taking: list[asyncio.Task[None]] = []
    monkeypatch.setattr("musicgate.gateway.runner.check_shared_assets", check)
    monkeypatch.setattr("musicgate.gateway.owners.Owners._recover", recover)
    async with rig_of(tmp_path, CALLING, store=store, shares=shares) as rig:
        await rig.gate._runner.start()
        await asyncio.gather(*taking)
    assert order == ["checked", "share 1"]


# --- which news ---

DIRECT = "postgresql://user@direct/music"


@pytest.mark.parametrize(
    ("store", "kind", "reread_s"),
    [
        (StoreSettings(), NoNews, None),
        (StoreSettings(url="postgresql://user@host/music"), PostgresNews, 2.0),
        (StoreSettings(url="postgresql://user@pooler/music", pgbouncer=True), NoNews, 2.0),
        (
            StoreSettings(url="postgresql://user@pooler/music", pgbouncer=True, session_url=DIRECT),
            PostgresNews,
            2.0,
        ),
    ],
)
async def test_news_need_replicas_and_a_session(
    store: StoreSettings, kind: type, reread_s: float | None
) -> None:
    shares, news = replication(settings_for(CALLING, store=store))
    assert (type(news), news.reread_s) == (kind, reread_s)
    if isinstance(news, PostgresNews):
        assert (news._url, news._replica) == (store.session_url or store.url, shares.replica)
