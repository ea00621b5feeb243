"""Two replicas on one store: who follows a job, who sends it, and who may write."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import Job, JobState, StorageError
from musicgate.engine import NoNews, ReplicaState, ShareLostError, own_id
from musicgate.engine.create_queue import Slot
from musicgate.gateway import accept, commit, measure_gateway, send
from musicgate.gateway.follow import advance
from musicgate.gateway.recover import SENDER_GRACE_S, recover
from musicgate.model import SHARES, AttemptOutcome, share_of
from musicgate.settings import ServerSettings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, Rig, rig_of

ALL_SHARES = frozenset(range(SHARES))
QUIET = FakeVendor("one")
#: It can call back, and is given the address.
CALLING = FakeVendor("one", callbacks=True)
WITH_ADDRESS = ServerSettings(drain_s=0.0, public_url="https://gate.test")
#: One call at a time.
NARROW = FakeVendor("one", max_parallel_creates=1)


class HandShares:
    """Shares that a test hands out, over the terms of a store in memory."""

    is_first = False
    is_seen = True

    def __init__(self, replica: str, store: MemoryJobStore, silences_s: dict[str, float]) -> None:
        self.replica = replica
        self.held: set[int] = set()
        self._store = store
        self._terms: dict[int, int] = {}
        self._silences_s = silences_s
        self._taken: Callable[[Collection[int]], Awaitable[None]] | None = None
        self._lost: Callable[[Collection[int]], None] | None = None

    def term_of(self, share: int) -> int | None:
        return self._terms.get(share)

    def silence_s(self, replica: str) -> float:
        return self._silences_s.get(replica, float("inf"))

    def state(self) -> ReplicaState:
        return ReplicaState(shares=len(self.held), replicas=1 + len(self._silences_s), heartbeat_age_s=0.5)

    async def start(
        self, taken: Callable[[Collection[int]], Awaitable[None]], lost: Callable[[Collection[int]], None]
    ) -> None:
        self._taken, self._lost = taken, lost

    async def take(self, shares: Collection[int]) -> None:
        """Take shares from the replica that has them, without telling it."""
        for share in shares:
            self._terms[share] = self._store.terms[share] = self._store.terms.get(share, 0) + 1
        self.held |= set(shares)
        if self._taken is not None:
            await self._taken(shares)

    def lose(self, shares: Collection[int]) -> None:
        self.held -= set(shares)
        for share in shares:
            self._terms.pop(share, None)
        self._terms = {share: term for share, term in self._terms.items() if share not in shares}
        if self._lost is not None:
            self._lost(shares)

    async def hand_over(self) -> None:
        self.held = set()

    async def close(self) -> None:
        pass


class ToldNews(NoNews):
    """Remembers what was told."""

    reread_s: float | None = 5.0

    def __init__(self) -> None:
        self.told: list[str] = []

    def due(self, job_id: str) -> None:
        self.told.append(job_id)


@attrs.frozen
class Pair:
    """Two replicas; the silence of each in seconds, by name."""

    a: Rig
    b: Rig
    silences_s: dict[str, float]

    def shares(self, rig: Rig) -> Any:
        return rig.context.shares

    def pass_s(self, seconds: float) -> None:
        self.a.clock.pass_s(seconds)
        self.b.clock.pass_s(seconds)


async def pair_of(folder: Path, vendor: FakeVendor, **sections: Any) -> AsyncIterator[Pair]:
    store, silences_s = MemoryJobStore(), {"a": 0.0, "b": 0.0}
    kinds = {"store": store, **sections}
    async with (
        rig_of(folder, vendor, shares=HandShares("a", store, silences_s), news=ToldNews(), **kinds) as a,
        rig_of(folder, vendor, shares=HandShares("b", store, silences_s), news=ToldNews(), **kinds) as b,
    ):
        pair = Pair(a, b, silences_s)
        await pair.shares(a).take(ALL_SHARES)
        await pair.shares(b).take(ALL_SHARES)
        yield pair


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async for pair in pair_of(tmp_path, QUIET):
        yield pair


@pytest.fixture
async def calling(tmp_path: Path) -> AsyncIterator[Pair]:
    async for pair in pair_of(tmp_path, CALLING, server=WITH_ADDRESS):
        yield pair


@pytest.fixture
async def narrow(tmp_path: Path) -> AsyncIterator[Pair]:
    async for pair in pair_of(tmp_path, NARROW):
        yield pair


async def being_sent(pair: Pair, answer: Any) -> tuple[asyncio.Task[Job], asyncio.Event, Job]:
    """A job whose create call is in flight at ``a``: its submission, what lets it go on, and the job."""
    going_on, began = asyncio.Event(), asyncio.Event()

    async def wait(_: object) -> None:
        began.set()
        await going_on.wait()

    pair.a.transport.on_send = wait
    pair.a.transport.script("one", answer)
    submission = asyncio.create_task(pair.a.submit())
    await began.wait()
    (job,) = await pair.a.store.open_jobs("", 9)
    return submission, going_on, job


async def until(rig: Rig, job: Job, fact: Callable[[Job], bool]) -> Job:
    """The stored job, once something is true of it."""
    async with asyncio.timeout(5):
        while not fact(job := await rig.stored(job)):  # noqa: ASYNC110 - a store sends no signal
            await asyncio.sleep(0.001)
    return job


async def test_figures_of_two_replicas_count_each_thing_once(pair: Pair) -> None:
    pair.a.transport.script("one", {"id": "n-1"}, {"code": 422})
    await pair.a.submit()
    await pair.a.submit()
    both = [await measure_gateway(pair.a.gate), await measure_gateway(pair.b.gate)]
    states = sum((measures.figures.states for measures in both), Counter[tuple[str, ...]]())
    assert states["one", "queued"] == 2
    creates = sum((measures.figures.creates for measures in both), Counter[tuple[str, ...]]())
    assert creates.total() == 2
    assert (
        sum(sum(measures.open_jobs.values()) for measures in both)
        == states["one", "queued"] - states["one", "failed"]
    )
    # Those who hold share 0 send; at a change of hands both may, so the larger figure counts.
    assert [measures.pending for measures in both] == [0, 0]
    pair.shares(pair.a).held.clear()
    both = [await measure_gateway(pair.a.gate), await measure_gateway(pair.b.gate)]
    assert [measures.pending for measures in both] == [None, 0]
    assert [measures.replica is None for measures in both] == [False, False]


# --- calls in flight elsewhere ---


async def test_a_call_of_a_living_replica_is_left_alone(pair: Pair) -> None:
    submission, going_on, job = await being_sent(pair, {"id": "n-1"})
    assert await advance(pair.b.context, job.id) == 5.0
    assert await pair.b.stored(job) == job
    going_on.set()
    assert (await submission).native_id == "n-1"


@pytest.mark.parametrize(("silence_s", "is_lost"), [(30.0, False), (31.0, True)])
async def test_a_lost_call_with_an_address_becomes_unknown_and_its_late_answer_is_adopted(
    calling: Pair, silence_s: float, is_lost: bool
) -> None:
    submission, going_on, job = await being_sent(calling, {"id": "n-1"})
    calling.silences_s["a"] = silence_s
    await advance(calling.b.context, job.id)
    assert ((await calling.b.stored(job)).outcome is AttemptOutcome.UNKNOWN) == is_lost
    going_on.set()
    assert (await submission).native_id == "n-1"
    assert (await calling.b.stored(job)).state is JobState.QUEUED


@pytest.mark.parametrize(("silence_s", "is_lost"), [(SENDER_GRACE_S, False), (SENDER_GRACE_S + 1, True)])
async def test_a_lost_call_without_an_address_gets_more_time(
    pair: Pair, silence_s: float, is_lost: bool
) -> None:
    submission, going_on, job = await being_sent(pair, {"id": "n-1"})
    pair.silences_s["a"] = silence_s
    await advance(pair.b.context, job.id)
    assert ((await pair.b.stored(job)).state is JobState.FAILED) == is_lost
    going_on.set()
    await submission


async def test_the_deadline_ends_a_job_however_long_its_sender_is_alive(pair: Pair) -> None:
    submission, going_on, job = await being_sent(pair, {"id": "n-1"})
    pair.pass_s((job.deadline_at - job.created_at).total_seconds() + 59)
    assert await advance(pair.b.context, job.id) == 5.0
    pair.pass_s(2)
    await advance(pair.b.context, job.id)
    assert (await pair.b.stored(job)).state is JobState.FAILED
    going_on.set()
    await submission


async def test_a_replica_that_was_stalled_before_the_first_byte_does_not_send_a_lost_job(
    calling: Pair,
) -> None:
    add = calling.a.store.add

    async def stall(job: Job, *rest: Any) -> Any:
        earlier = await add(job, *rest)
        calling.silences_s["a"] = 60.0
        calling.pass_s(60.0)
        await advance(calling.b.context, job.id)
        return earlier

    calling.a.store.add = stall
    job = await calling.a.submit()
    assert job.outcome is AttemptOutcome.UNKNOWN
    assert calling.a.transport.sent == []


async def test_a_replica_that_was_stalled_waits_for_its_store_and_sends_then(pair: Pair) -> None:
    add, get = pair.a.store.add, pair.a.store.get
    failures = [StorageError("away", is_away=True)] * 3

    async def stall(job: Job, *rest: Any) -> Any:
        earlier = await add(job, *rest)
        pair.pass_s(10.0)
        return earlier

    async def failing_get(job_id: str) -> Job | None:
        if failures:
            raise failures.pop()
        return await get(job_id)  # type: ignore[no-any-return]

    pair.a.store.add, pair.a.store.get = stall, failing_get
    pair.a.transport.script("one", {"id": "n-1"})
    assert (await pair.a.submit()).native_id == "n-1"
    assert failures == []


async def test_a_job_that_was_lost_while_its_slot_was_confirmed_is_not_sent(
    calling: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slot, "is_fresh", False)

    async def confirm(slot: Slot) -> None:
        (job,) = await calling.a.store.open_jobs("", 9)
        calling.silences_s["a"] = 60.0
        calling.pass_s(60.0)
        await advance(calling.b.context, job.id)
        monkeypatch.setattr(Slot, "is_fresh", True)

    monkeypatch.setattr(Slot, "confirm", confirm)
    job = await calling.a.submit()
    assert job.outcome is AttemptOutcome.UNKNOWN
    assert calling.a.transport.sent == []


async def test_a_replica_that_the_others_do_not_see_waits_and_reads_the_job_again_before_it_sends(
    calling: Pair,
) -> None:
    add, stored = calling.a.store.add, asyncio.Event()

    async def stall(job: Job, *rest: Any) -> Any:
        earlier = await add(job, *rest)
        calling.shares(calling.a).is_seen = False
        stored.set()
        return earlier

    calling.a.store.add = stall
    submission = asyncio.create_task(calling.a.submit())
    await stored.wait()
    (job,) = await calling.a.store.open_jobs("", 9)
    calling.silences_s["a"] = 60.0
    await advance(calling.b.context, job.id)
    assert not submission.done()
    calling.shares(calling.a).is_seen = True
    assert (await submission).outcome is AttemptOutcome.UNKNOWN
    assert calling.a.transport.sent == []


async def test_a_replica_that_the_others_do_not_see_takes_no_job(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accept, "_UNSEEN_S", 0.0)
    pair.shares(pair.a).is_seen = False
    with pytest.raises(StorageError, match="cannot see that this one is alive") as refused:
        async with asyncio.timeout(5):
            await pair.a.submit()
    assert (refused.value.http_status, refused.value.is_away) == (503, True)
    assert await pair.a.store.open_jobs("", 9) == []
    # Within its limit it waits.
    monkeypatch.setattr(accept, "_UNSEEN_S", 5.0)
    pair.a.transport.script("one", {"id": "n-1"})
    submission = asyncio.create_task(pair.a.submit())
    await asyncio.sleep(0.01)
    assert await pair.a.store.open_jobs("", 9) == []
    pair.shares(pair.a).is_seen = True
    assert (await submission).native_id == "n-1"


async def test_a_slot_that_is_stale_after_its_job_was_read_again_is_confirmed(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    add, get = pair.a.store.add, pair.a.store.get
    confirmed: list[int] = []

    async def stall(job: Job, *rest: Any) -> Any:
        earlier = await add(job, *rest)
        pair.pass_s(10.0)
        return earlier

    async def slow_get(job_id: str) -> Job | None:
        monkeypatch.setattr(Slot, "is_fresh", False)
        return await get(job_id)  # type: ignore[no-any-return]

    async def confirm(slot: Slot) -> None:
        confirmed.append(len(pair.a.transport.sent))
        monkeypatch.setattr(Slot, "is_fresh", True)

    pair.a.store.add, pair.a.store.get = stall, slow_get
    monkeypatch.setattr(Slot, "confirm", confirm)
    pair.a.transport.script("one", {"id": "n-1"})
    assert (await pair.a.submit()).native_id == "n-1"
    assert confirmed == [0]


# --- jobs that were not sent ---


async def test_a_silent_replica_s_planned_job_is_sent_by_the_follower_and_never_twice(narrow: Pair) -> None:
    submission, going_on, _ = await being_sent(narrow, {"id": "n-1"})
    waiting = await narrow.a.submit()
    assert waiting.outcome is AttemptOutcome.PLANNED
    narrow.a.transport.script("one", {"id": "n-2"})
    narrow.b.transport.script("one", {"id": "n-3"})
    assert await advance(narrow.b.context, waiting.id, narrow.b.gate._runner.owners.in_flight.resume) == 5.0
    narrow.silences_s["a"] = 31.0
    assert await advance(narrow.b.context, waiting.id, narrow.b.gate._runner.owners.in_flight.resume) is None
    job = await until(narrow.b, waiting, lambda found: found.native_id is not None)
    going_on.set()
    await submission
    await until(narrow.a, waiting, lambda _: not narrow.a.gate.jobs_in_flight)
    assert (job.native_id, job.sender) == ("n-3", "b")
    assert len(narrow.a.transport.sent) == 1
    assert len(narrow.b.transport.sent) == 1


async def test_a_planned_job_is_sent_once_however_many_calls_it_has(narrow: Pair) -> None:
    submission, going_on, _ = await being_sent(narrow, {"id": "n-1"})
    waiting = await narrow.a.submit()
    narrow.silences_s["a"] = 31.0
    job, candidates = await recover(narrow.b.context, waiting)
    narrow.b.context.create_queues["one"]._parallel = 2
    narrow.b.transport.script("one", {"id": "n-2"}, {"id": "n-3"})
    began = asyncio.Event()

    async def wait(_: object) -> None:
        began.set()
        await going_on.wait()

    narrow.b.transport.on_send = wait
    first = asyncio.create_task(send.run(narrow.b.context, job, candidates))
    await began.wait()
    narrow.pass_s(0.001)
    second = asyncio.create_task(send.run(narrow.b.context, job, candidates))
    await asyncio.wait([second], timeout=0.2)
    going_on.set()
    await asyncio.gather(first, second, submission)
    assert len(narrow.b.transport.sent) == 1


async def test_a_job_that_is_resumed_twice_has_one_call(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    pair.b.transport.script("one", {"id": "n-1"})
    job = await pair.b.submit()
    begun: list[str] = []
    in_flight = pair.b.gate._runner.owners.in_flight

    def spawn(name: str, work: Coroutine[Any, Any, None], _: object) -> None:
        begun.append(name)
        work.close()

    monkeypatch.setattr(in_flight._supervisor, "spawn", spawn)
    for _ in range(2):
        in_flight.resume(job, ())
    assert len(begun) == 1
    in_flight._calls.clear()


async def test_a_job_is_taken_over_once(narrow: Pair) -> None:
    submission, going_on, _ = await being_sent(narrow, {"id": "n-1"})
    waiting = await narrow.a.submit()
    narrow.silences_s["a"] = 31.0
    launched: list[Job] = []
    get = narrow.b.store.get
    read = asyncio.Event()

    async def together(job_id: str) -> Any:
        found = await get(job_id)
        await read.wait()
        return found

    narrow.b.store.get = together
    both = [
        asyncio.create_task(advance(context, waiting.id, lambda job, _: launched.append(job)))
        for context in (
            narrow.b.context,
            attrs.evolve(narrow.b.context, shares=_like(narrow.shares(narrow.b), "c")),
        )
    ]
    await asyncio.sleep(0)
    read.set()
    await asyncio.gather(*both)
    assert len(launched) == 1
    going_on.set()
    await submission


def _like(shares: Any, replica: str) -> Any:
    other = HandShares(replica, shares._store, shares._silences_s)
    other.held, other._terms = shares.held, shares._terms
    return other


# --- shares ---


async def test_a_follower_whose_share_was_taken_writes_nothing(pair: Pair) -> None:
    pair.a.transport.script("one", {"id": "n-1"})
    job = await pair.a.submit()
    pair.a.transport.script("one", {"status": "works"})
    assert await advance(pair.a.context, job.id) == 1.0  # b took every share after a
    assert await pair.b.stored(job) == job
    pair.b.transport.script("one", {"status": "works"})
    await advance(pair.b.context, job.id)
    assert (await pair.b.stored(job)).state is JobState.IN_PROGRESS


async def test_a_refused_write_of_a_follower_is_no_error_of_its_job(pair: Pair) -> None:
    pair.a.transport.script("one", {"id": "n-1"})
    job = await pair.a.submit()
    stale = pair.a.context.under(pair.shares(pair.a).term_of(share_of(job.id)))
    with pytest.raises(ShareLostError):
        await commit.change(stale, job, lambda current: attrs.evolve(current, native_status="x"))


async def test_a_repeated_poll_of_a_lost_share_is_no_error(pair: Pair) -> None:
    pair.b.transport.script(
        "one", {"id": "n-1"}, {"status": "works"}, {"status": "works"}, {"status": "done"}
    )
    job = await pair.b.submit()
    for _ in range(2):
        await advance(pair.b.context, job.id)
    assert pair.b.context.quiet_polls.of(job.id)
    before = await pair.b.stored(job)
    await pair.shares(pair.a).take(ALL_SHARES)
    assert await advance(pair.b.context, job.id) == 1.0
    assert await pair.b.stored(job) == before


async def test_a_job_whose_share_is_lost_while_it_is_read_is_not_polled(pair: Pair) -> None:
    pair.a.transport.script("one", {"id": "n-1"})
    job = await pair.a.submit()
    get, shares = pair.b.store.get, pair.shares(pair.b)

    async def slow_get(job_id: str) -> Job | None:
        found: Job | None = await get(job_id)
        shares.lose(ALL_SHARES)
        return found

    pair.b.store.get = slow_get
    assert await advance(pair.b.context, job.id) == 1.0
    assert pair.b.transport.sent == []
    # It may be taken again while the job is read: that begins another term.
    await shares.take(ALL_SHARES)

    async def slower_get(job_id: str) -> Job | None:
        found = await slow_get(job_id)
        pair.b.store.get = get
        await shares.take(ALL_SHARES)
        return found

    pair.b.store.get = slower_get
    assert await advance(pair.b.context, job.id) == 1.0
    assert pair.b.transport.sent == []


async def test_a_share_that_is_lost_at_this_moment_is_not_stepped(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.b.transport.script("one", {"id": "n-1"})
    job = await pair.b.submit()
    monkeypatch.setattr(pair.shares(pair.b), "term_of", lambda _: None)
    assert await advance(pair.b.context, job.id) == 1.0
    pair.b.gate._runner.owners.drop_shares(ALL_SHARES)
    await pair.b.gate._runner.owners.recover_shares([share_of(job.id)])
    assert (len(pair.b.transport.sent), pair.b.gate.jobs_scheduled) == (1, 0)


async def test_shares_that_are_not_certain_are_not_stepped(pair: Pair) -> None:
    pair.b.transport.script("one", {"id": "n-1"})
    job = await pair.b.submit()
    pair.shares(pair.b).held.clear()
    assert await advance(pair.b.context, job.id) == 1.0
    assert len(pair.b.transport.sent) == 1


async def test_a_share_that_is_taken_while_a_heartbeat_is_overdue_is_taken_up(pair: Pair) -> None:
    pair.b.transport.script("one", {"id": "n-1"})
    job = await pair.b.submit()
    pair.b.gate._runner.owners.drop_shares(ALL_SHARES)
    pair.shares(pair.b).held.clear()
    await pair.b.gate._runner.owners.recover_shares([share_of(job.id)])
    assert pair.b.gate.jobs_scheduled == 1


async def test_jobs_go_with_their_shares(pair: Pair) -> None:
    for rig in (pair.a, pair.b):
        await rig.context.shares.start(
            rig.gate._runner.owners.recover_shares, rig.gate._runner.owners.drop_shares
        )
    pair.a.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    jobs = [await pair.a.submit(), await pair.a.submit()]
    assert pair.a.gate.jobs_scheduled == 2
    for job in jobs:
        await pair.shares(pair.b).take([share_of(job.id)])
    assert pair.b.gate.jobs_scheduled == 2
    pair.shares(pair.a).lose(ALL_SHARES)
    assert pair.a.gate.jobs_scheduled == 0


async def test_a_job_of_another_s_share_is_told_when_it_is_stored_and_when_its_call_has_ended(
    pair: Pair,
) -> None:
    pair.shares(pair.a).lose(ALL_SHARES)
    pair.a.transport.script("one", {"id": "n-1"})
    job = await pair.a.submit()
    assert (pair.a.gate.open_jobs, pair.a.context.news.told) == (0, [job.id, job.id])  # type: ignore[attr-defined]


async def test_a_call_that_ends_without_an_outcome_is_left_to_the_follower(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise TypeError("a bug")

    monkeypatch.setattr("musicgate.gateway.send._note_answer", break_down)
    pair.shares(pair.a).lose(ALL_SHARES)
    pair.a.transport.script("one", {"id": "n-1"})
    job = await pair.a.submit()
    await until(pair.b, job, lambda found: not found.sender)
    await advance(pair.b.context, job.id)
    assert (await pair.b.stored(job)).state is JobState.FAILED


def test_new_ids_are_of_shares_that_are_held() -> None:
    shares = HandShares("a", MemoryJobStore(), {})
    ids = [f"music_{number}" for number in range(1_000)]
    shares.held = {7}
    assert share_of(own_id(shares, iter(ids).__next__)) == 7
    shares.held = set()
    assert own_id(shares, iter(ids).__next__) == "music_0"


def test_the_share_of_a_job_never_changes() -> None:
    assert [share_of(job_id) for job_id in ("music_1", "music_2", "music_ü", "\ud800")] == [46, 12, 55, 52]


async def test_a_share_that_cannot_be_read_keeps_no_other_one_waiting(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.gateway.owners._STORE_RETRY_S", (0.001,))
    runner = pair.b.gate._runner
    pair.a.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    jobs = sorted([await pair.a.submit(), await pair.a.submit()], key=lambda job: share_of(job.id))
    failures = [StorageError("away")]
    open_jobs = pair.b.store.open_jobs
    read: list[int] = []

    async def fails_once(after_id: str, limit: int, share: int) -> Any:
        if not after_id:
            read.append(share)
        if share == share_of(jobs[0].id) and failures:
            raise failures.pop()
        return await open_jobs(after_id, limit, share)

    monkeypatch.setattr(pair.b.store, "open_jobs", fails_once)
    await runner.owners.recover_shares({share_of(job.id) for job in jobs})
    first, second = (share_of(job.id) for job in jobs)
    assert read == [first, second, first]
    assert all(job.id in runner.owners.scheduler for job in jobs)
