"""Quotas of accounts, create queues, retries at busy vendors, and circuit breakers."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import (
    Gateway,
    HttpRequest,
    Job,
    JobState,
    ProviderError,
    RequestError,
    StorageError,
)
from musicgate.assets.audio import riff_wav
from musicgate.engine.limits import CallWindow
from musicgate.errors import LimitReachedError
from musicgate.gateway import facade
from musicgate.gateway.follow import advance
from musicgate.gateway.idempotency import IdempotencyKey
from musicgate.model import (
    AttemptOutcome,
    FailureClass,
    MusicRequest,
    RateWindow,
)
from musicgate.model.health import BreakerState
from musicgate.settings import FollowSettings
from musicgate.settings.limits import AccountLimits
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_ledger import MemoryLedger
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.views.plan import render_plan
from tests import sample_jobs
from tests.fake_vendor import (
    MODEL,
    START,
    FakeVendor,
    FolderAssets,
    Rig,
    ScriptedTransport,
    host_of,
    lost,
    open_context_with,
    quota_of,
    rig_of,
    settings_for,
    unreached,
)

ONE = FakeVendor("one", priority=1)
TWO = FakeVendor("two", priority=2)
SLOW = FakeVendor("one", priority=1, blocking=True)
SONG = riff_wav(bytes(8_000), sample_rate_hz=8_000, channels=1)
LINK = "https://cdn.test/1.wav"
DONE = {"status": "done", "tracks": [{"id": "t1", "url": LINK}]}
BUSY = {"no": "rate_limited"}
#: For what only the counts in memory do.
ONE_PROCESS = pytest.mark.parametrize("counting", ["one process"], indirect=True)


def outcomes(job: Job) -> list[tuple[str, str]]:
    return [(attempt.plugin, attempt.outcome.value) for attempt in job.attempts]


async def let_others_run() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


@pytest.fixture(params=["one process", "replicas"], autouse=True)
def counting(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Every test here holds for counts in memory, and for those of a ledger."""
    if request.param == "replicas":
        monkeypatch.setattr("tests.fake_vendor.ledger_of", MemoryLedger)
    return str(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audio"


# --- limits of accounts ---


async def test_calls_of_a_minute(folder: Path) -> None:
    limits = AccountLimits(requests_per_minute=2)
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", *({"id": f"n-{number}"} for number in range(3)))
        await rig.submit()
        rig.clock.pass_s(20)
        await rig.submit()
        with pytest.raises(LimitReachedError) as caught:
            await rig.submit()
        error = caught.value
        assert (error.code, error.reason, error.retry_after_s) == (
            *("key_limit_exceeded", "requests_per_minute", 40),
        )
        assert error.reset_at == START + timedelta(seconds=60)
        assert len(rig.transport.sent) == 2
        rig.clock.pass_s(40)
        await rig.submit()


async def test_open_jobs_are_counted_until_they_end(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=2)
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"}, {"id": "n-3"}, {"id": "n-4"})
        first, second = await rig.submit(), await rig.submit()
        with pytest.raises(LimitReachedError, match="2 jobs are open, 2 may be") as caught:
            await rig.submit()
        assert (caught.value.reason, caught.value.retry_after_s) == ("max_open_jobs", 10)
        await rig.gate.cancel(first.id)
        third = await rig.submit()
        await rig.gate.delete(second.id)
        await rig.submit()
        with pytest.raises(LimitReachedError):
            await rig.submit()
        rig.clock.moment = third.deadline_at
        rig.transport.script("one", {"status": "works"})
        await advance(rig.context, third.id)
        rig.transport.script("one", {"id": "n-5"})
        await rig.submit()


async def test_a_job_that_is_deleted_while_its_audio_is_fetched_is_no_open_job(folder: Path) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as rig:
        rig.transport.script("one", {"id": "n-1"}, DONE, {"id": "n-2"})
        job = await rig.submit()
        await advance(rig.context, job.id)  # the link gives nothing yet
        assert (await rig.stored(job)).delivered_at is not None
        await rig.gate.delete(job.id)
        await rig.submit()


async def test_a_burst_of_requests_cannot_exceed_a_limit(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=3)
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", *({"id": f"n-{number}"} for number in range(3)))
        ends = await asyncio.gather(*(rig.submit() for _ in range(30)), return_exceptions=True)
        assert sum(isinstance(end, Job) for end in ends) == 3
        assert sum(isinstance(end, LimitReachedError) for end in ends) == 27
        assert await rig.store.count_open("local") == 3


async def test_a_burst_of_requests_cannot_exceed_a_limit_with_the_real_store(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=5)
    async with (
        SqliteJobStore.open(folder.parent / "jobs.db") as store,
        rig_of(folder, ONE, store=store, limits=limits) as rig,
    ):
        rig.transport.script("one", *({"id": f"n-{number}"} for number in range(5)))
        ends = await asyncio.gather(*(rig.submit() for _ in range(50)), return_exceptions=True)
        assert sum(isinstance(end, Job) for end in ends) == 5
        assert await store.count_open("local") == 5


@pytest.mark.parametrize("fields", [{"fake": {"invalid": True}}, {"model": "unknown/song"}])
async def test_a_request_that_is_refused_later_releases_its_reservation(
    folder: Path, fields: Mapping[str, Any]
) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as rig:
        for _ in range(3):
            with pytest.raises(RequestError) as caught:
                await rig.submit(**fields)
            assert not isinstance(caught.value, LimitReachedError)
        rig.transport.script("one", {"no": "credits"}, {"id": "n-1"})
        assert (await rig.submit()).state is JobState.FAILED
        await rig.submit()


async def test_a_request_that_could_not_be_stored_releases_its_reservation(folder: Path) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as rig:
        rig.store.trouble = "disk full"
        with pytest.raises(StorageError):
            await rig.submit()
        rig.store.trouble = None
        rig.transport.script("one", {"id": "n-1"})
        await rig.submit()


async def test_limits_come_before_routing_and_after_the_schema(folder: Path) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as rig:
        rig.transport.script("one", {"id": "n-1"})
        await rig.submit()
        with pytest.raises(LimitReachedError):
            await rig.submit(model="unknown/song")
        with pytest.raises(RequestError, match="must be"):
            await rig.submit(duration=0)


async def test_daily_spend_counts_open_and_ended_jobs(folder: Path) -> None:
    limits = AccountLimits(max_usd_per_day=0.13)
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.media[LINK] = SONG
        rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"}, DONE)
        first = await rig.submit()
        await rig.submit()
        with pytest.raises(LimitReachedError) as caught:
            await rig.submit()
        error = caught.value
        assert (error.code, error.reason, error.min_usd, error.retry_after_s) == (
            *("insufficient_funds", "max_usd_per_day", 0.06, None),
        )
        assert error.reset_at == datetime(2026, 11, 21, tzinfo=UTC)
        await advance(rig.context, first.id)
        assert (await rig.stored(first)).state is JobState.COMPLETED
        with pytest.raises(LimitReachedError):
            await rig.submit()
        # The next day the first job no longer counts; the second one is still open.
        rig.clock.pass_s(86_400)
        rig.transport.script("one", {"id": "n-3"})
        await rig.submit()
        with pytest.raises(LimitReachedError):
            await rig.submit()


async def test_a_request_is_admitted_if_its_cheapest_offer_fits_the_budget(folder: Path) -> None:
    (offer,) = ONE.declared.offers
    dear = attrs.evolve(offer, prices=(attrs.evolve(offer.prices[0], price_usd=Decimal(5)),))
    unknown = attrs.evolve(offer, prices=())
    vendors = (
        FakeVendor("dear", priority=1, offers=(dear,)),
        FakeVendor("unknown", priority=2, offers=(unknown,)),
        FakeVendor("one", priority=3),
    )
    limits = AccountLimits(max_usd_per_day=1.0)
    async with rig_of(folder, *vendors, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", {"id": "n-1"})
        await rig.submit(provider={"order": ["one"]})
        rig.transport.script("dear", {"id": "n-2"})
        await rig.submit()  # the price is known once the provider is chosen
        with pytest.raises(LimitReachedError, match="0 of 1 USD are left"):
            await rig.submit()


async def test_a_job_that_goes_on_to_a_dearer_provider_is_expected_to_cost_more(folder: Path) -> None:
    (offer,) = ONE.declared.offers
    dear = attrs.evolve(offer, prices=(attrs.evolve(offer.prices[0], price_usd=Decimal(5)),))
    vendors = (FakeVendor("one", priority=1), FakeVendor("dear", priority=2, offers=(dear,)))
    limits = AccountLimits(max_usd_per_day=1.0)
    async with rig_of(folder, *vendors, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", {"no": "credits"})
        rig.transport.script("dear", {"id": "n-1"})
        assert outcomes(await rig.submit()) == [("one", "refused"), ("dear", "accepted")]
        with pytest.raises(LimitReachedError, match="0 of 1 USD are left"):
            await rig.submit()


async def test_a_failed_job_costs_nothing(folder: Path) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_usd_per_day=0.07)) as rig:
        rig.transport.script("one", {"no": "credits"}, {"id": "n-1"})
        assert (await rig.submit()).state is JobState.FAILED
        await rig.submit()


async def test_limits_of_accounts_are_independent(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=1, requests_per_minute=1)
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        request = rig.gate.read({"model": MODEL})
        await rig.gate.submit(request, account="a")
        await rig.gate.submit(request, account="b")
        with pytest.raises(LimitReachedError):
            await rig.gate.submit(request, account="a")


@ONE_PROCESS
async def test_windows_of_idle_accounts_are_dropped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.engine.quota._MAX_IDLE_WINDOWS", 3)
    limits = AccountLimits(requests_per_minute=5)
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        request = rig.gate.read({"model": MODEL})
        for number in range(10):
            rig.clock.pass_s(30)
            rig.transport.script("one", {"id": f"n-{number}"})
            await rig.gate.submit(request, account=f"account {number}")
        assert len(quota_of(rig.context)._windows) <= 3


@ONE_PROCESS
async def test_windows_that_are_all_in_use_are_not_swept_for_each_new_account(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.engine.quota._MAX_IDLE_WINDOWS", 4)
    looked_at = 0
    left = CallWindow.left

    def counted(self: CallWindow, now: float) -> int:
        nonlocal looked_at
        looked_at += 1
        return left(self, now)

    async with rig_of(
        folder, ONE, store=MemoryJobStore(), limits=AccountLimits(requests_per_minute=5)
    ) as rig:
        asked = rig.gate.read({"model": MODEL})
        rig.transport.script("one", *({"id": f"n-{number}"} for number in range(64)))
        monkeypatch.setattr(CallWindow, "left", counted)
        for number in range(64):
            await rig.gate.submit(asked, account=f"account {number}")
    assert len(quota_of(rig.context)._windows) == 64
    assert looked_at < 64 * 4  # one access per request, and each window a few times in all


async def test_an_idempotent_replay_does_not_count(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=2, requests_per_minute=2)
    key = IdempotencyKey(route="create", key="a", fingerprint="f")
    async with rig_of(folder, ONE, store=MemoryJobStore(), limits=limits) as rig:
        rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        request = rig.gate.read({"model": MODEL})
        # Of two duplicates in flight the second one is admitted, and uncounted when the store knows its key.
        duplicates = await asyncio.gather(*(rig.gate.submit(request, idempotency=key) for _ in range(2)))
        again = await rig.gate.submit(request, idempotency=key)
        assert len({job.id for job in (*duplicates, again)}) == 1
        await rig.gate.submit(request)
        with pytest.raises(LimitReachedError):
            await rig.gate.submit(request)
        assert (await rig.gate.submit(request, idempotency=key)).id == again.id


async def test_duplicates_of_one_key_share_the_last_free_job(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=1, requests_per_minute=1)
    key, other = (IdempotencyKey(route="create", key=name, fingerprint="f") for name in "ab")
    async with (
        SqliteJobStore.open(folder.parent / "jobs.db") as store,
        rig_of(folder, ONE, store=store, limits=limits) as rig,
    ):
        rig.transport.script("one", {"id": "n-1"})
        request = rig.gate.read({"model": MODEL})
        duplicates = await asyncio.gather(*(rig.gate.submit(request, idempotency=key) for _ in range(50)))
        assert {job.native_id for job in duplicates} == {"n-1"}
        with pytest.raises(LimitReachedError):
            await rig.gate.submit(request, idempotency=other)


# --- create queues ---


@pytest.fixture
async def windowed(folder: Path) -> AsyncIterator[Rig]:
    vendor = FakeVendor("one", create_window=RateWindow(calls=2, per_s=10.0))
    async with rig_of(folder, vendor, store=MemoryJobStore()) as rig:
        yield rig


async def test_a_call_beyond_the_vendors_window_waits(windowed: Rig) -> None:
    sent_at: list[timedelta] = []

    async def note(_: HttpRequest) -> None:
        sent_at.append(windowed.clock.now() - START)

    windowed.transport.on_send = note
    windowed.transport.script("one", *({"id": f"n-{number}"} for number in range(5)))
    jobs = [await windowed.submit() for _ in range(5)]
    await let_others_run()
    assert [moment.total_seconds() for moment in sent_at] == [0, 0, 10, 10, 20]
    assert [(await windowed.stored(job)).native_id for job in jobs] == [f"n-{number}" for number in range(5)]


async def test_a_job_with_a_free_slot_is_stored_as_sent(windowed: Rig) -> None:
    seen: list[str] = []

    async def read_stored(_: HttpRequest) -> None:
        seen.extend(job.attempts[-1].outcome.value for job in await windowed.store.open_jobs("", 10))

    windowed.transport.on_send = read_stored
    windowed.transport.script("one", {"id": "n-1"})
    job = await windowed.submit()
    assert seen == ["sent"]
    assert job.version == 1  # two writes: stored, accepted


async def test_an_unused_slot_is_released(folder: Path) -> None:
    vendor = FakeVendor("one", max_parallel_creates=1)
    key = IdempotencyKey(route="create", key="a", fingerprint="f")
    async with rig_of(folder, vendor, store=MemoryJobStore()) as rig:
        rig.store.trouble = "disk full"
        with pytest.raises(StorageError):
            await rig.submit()
        rig.store.trouble = None
        rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        request = rig.gate.read({"model": MODEL})
        # Of duplicates in flight one has the slot and one stores the key; these may be two different ones.
        await asyncio.gather(*(rig.gate.submit(request, idempotency=key) for _ in range(3)))
        job = await asyncio.wait_for(rig.submit(), timeout=5)
        assert (job.native_id, outcomes(job)) == ("n-2", [("one", "accepted")])


async def freeze_clock(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Hold the clock until the event is set."""
    goes_on = asyncio.Event()

    async def sleep(delay_s: float) -> None:
        await goes_on.wait()
        rig.clock.pass_s(delay_s)

    monkeypatch.setattr(rig.clock, "sleep", sleep)
    return goes_on


async def test_a_waiting_job_is_queued_and_can_be_cancelled(
    windowed: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = await freeze_clock(windowed, monkeypatch)
    windowed.transport.script("one", {"id": "n-1"}, {"id": "n-2"}, {"id": "n-4"})
    request = windowed.gate.read({"model": MODEL})
    await windowed.submit(), await windowed.submit()
    third, fourth = [await windowed.gate.submit(request, wait_s=0) for _ in range(2)]
    assert (third.state, outcomes(third)) == (JobState.QUEUED, [("one", "planned")])
    assert windowed.context.create_queues["one"].waiting == 2
    cancelled = await windowed.gate.cancel(third.id)
    assert cancelled.failure is not None
    assert (cancelled.failure.reason, cancelled.failure.costs) == (FailureClass.CANCELLED, False)
    goes_on.set()
    await let_others_run()
    fourth = await windowed.stored(fourth)
    assert (fourth.native_id, fourth.deadline_at) == ("n-4", START + timedelta(seconds=610))
    assert len(windowed.transport.sent) == 3


async def test_a_fallback_that_waits_for_a_slot_answers_its_caller(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = FakeVendor("two", priority=2, create_window=RateWindow(calls=1, per_s=10.0))
    async with rig_of(folder, ONE, two, store=MemoryJobStore()) as rig:
        await freeze_clock(rig, monkeypatch)
        rig.transport.script("one", {"no": "credits"}, {"no": "credits"})
        rig.transport.script("two", {"id": "n-1"})
        request = rig.gate.read({"model": MODEL})
        await rig.gate.submit(request)
        job = await asyncio.wait_for(rig.gate.submit(request, wait_s=0.01), timeout=5)
        assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "refused"), ("two", "planned")])


async def test_a_full_create_queue_refuses_new_jobs(windowed: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.engine.create_queue.MAX_WAITING", 1)
    await freeze_clock(windowed, monkeypatch)
    windowed.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    request = windowed.gate.read({"model": MODEL})
    for _ in range(3):
        await windowed.gate.submit(request, wait_s=0)
    await let_others_run()
    with pytest.raises(ProviderError, match="1 jobs wait for one already") as caught:
        await windowed.gate.submit(request, wait_s=0)
    assert caught.value.failure.reason is FailureClass.RATE_LIMITED
    assert await windowed.store.count_open() == 3


# --- busy vendors ---


async def answered_then(rig: Rig, *answers: object) -> Job:
    """A job whose caller is answered before the vendor gives these answers."""
    goes_on = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await goes_on.wait()

    rig.transport.on_send = hold
    rig.transport.script("one", *answers)
    job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=0)
    assert outcomes(job) == [("one", "sent")]
    goes_on.set()
    await let_others_run()
    return await rig.stored(job)


async def test_a_busy_vendor_is_retried_when_no_caller_waits(folder: Path) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        job = await answered_then(rig, {**BUSY, "retry_after_s": 7}, {"no": "unavailable"}, {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("one", "refused"), ("one", "accepted")]
        waits = [
            attempt.not_before and (attempt.not_before - START).total_seconds() for attempt in job.attempts
        ]
        assert waits == [None, 7, 17]
        assert job.state is JobState.IN_PROGRESS  # it never goes back
        assert job.deadline_at == START + timedelta(seconds=617)


async def test_a_waiting_caller_gets_the_refusal_at_once(folder: Path) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore()) as rig:
        rig.transport.script("one", {**BUSY, "retry_after_s": 7})
        job = await rig.submit()
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "refused")])
        assert job.failure is not None
        assert (job.failure.status, job.failure.retry_after_s) == (429, 7)


async def test_a_busy_vendor_is_retried_three_times(folder: Path) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        job = await answered_then(rig, BUSY, BUSY, BUSY, {**BUSY, "message": "the last one"})
        assert (job.state, len(job.attempts)) == (JobState.FAILED, 4)
        assert job.failure is not None
        assert job.failure.message == "the last one"


@pytest.mark.parametrize(
    "refusal",
    [
        {**BUSY, "retry_after_s": 600},
        {"no": "credits"},
        {"no": "invalid"},
        {"no": "moderation"},
        {"no": "upstream_failed"},
    ],
)
async def test_a_refusal_of_a_final_class_is_not_retried(folder: Path, refusal: Mapping[str, object]) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        job = await answered_then(rig, refusal)
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "refused")])


async def test_a_call_of_unknown_outcome_is_never_retried(folder: Path) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        job = await answered_then(rig, lost())
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "unknown")])


async def test_an_unreachable_vendor_is_retried(folder: Path) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        job = await answered_then(rig, unreached(), {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("one", "accepted")]


async def test_other_candidates_are_asked_before_the_first_free_one_is_retried(folder: Path) -> None:
    async with rig_of(folder, SLOW, TWO, store=MemoryJobStore()) as rig:
        rig.transport.script("two", {**BUSY, "retry_after_s": 30})
        job = await answered_then(rig, {**BUSY, "retry_after_s": 20}, {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("two", "refused"), ("one", "accepted")]
        assert job.attempts[2].not_before == START + timedelta(seconds=20)


async def test_a_request_that_another_vendor_calls_invalid_is_not_retried(folder: Path) -> None:
    async with rig_of(folder, SLOW, TWO, store=MemoryJobStore()) as rig:
        rig.transport.script("two", {"no": "invalid"})
        job = await answered_then(rig, BUSY)
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "refused"), ("two", "refused")])
        assert job.failure is not None
        assert job.failure.reason is FailureClass.INVALID


async def test_speed_divides_the_wait_for_a_busy_vendor(folder: Path) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore(), follow=FollowSettings(speed=20.0)) as rig:
        job = await answered_then(rig, {**BUSY, "retry_after_s": 500}, {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("one", "accepted")]
        assert job.attempts[1].not_before == START + timedelta(seconds=25)


async def test_a_job_that_waits_for_a_busy_vendor_can_be_cancelled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        goes_on = await freeze_clock(rig, monkeypatch)
        job = await answered_then(rig, BUSY)
        assert outcomes(job) == [("one", "refused"), ("one", "planned")]
        job = await rig.gate.cancel(job.id)
        assert job.failure is not None
        assert not job.failure.costs
        goes_on.set()
        await let_others_run()
        assert len(rig.transport.sent) == 1


async def test_a_job_that_waits_for_a_busy_vendor_does_not_hold_up_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig_of(folder, SLOW, store=MemoryJobStore()) as rig:
        await freeze_clock(rig, monkeypatch)
        job = await answered_then(rig, BUSY)
        await asyncio.wait_for(rig.gate.close(), timeout=5)
        assert outcomes(await rig.stored(job)) == [("one", "refused"), ("one", "planned")]


# --- circuit breakers ---


async def fail_often(rig: Rig, times: int = 8) -> None:
    for _ in range(times):
        rig.transport.script("one", {"no": "unavailable"})
        rig.transport.script("two", {"id": "n-2"})
        await rig.submit()


async def test_a_failing_provider_is_asked_after_the_others(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig_of(folder, ONE, TWO, store=MemoryJobStore()) as rig:
        await fail_often(rig)
        report = rig.context.health["one"].report(rig.clock.now())
        assert (report.state, report.calls, report.error_rate) == (BreakerState.OPEN, 8, 1.0)
        assert report.opens_until == START + timedelta(seconds=30)
        assert "breaker opened: plugin=one errors=8 calls=8 until=2026-11-20T10:00:30+00:00" in caplog.text
        rig.transport.sent.clear()
        # The second provider refuses, so the failing one is asked after it.
        rig.transport.script("two", {"no": "credits"})
        rig.transport.script("one", {"id": "n-1"})
        job = await rig.submit()
        assert (outcomes(job), rig.transport.hosts) == (
            *([("two", "refused"), ("one", "accepted")], ["two", "one"]),
        )


async def test_speed_divides_the_open_time(folder: Path) -> None:
    follow = FollowSettings(speed=10.0)
    async with rig_of(folder, ONE, TWO, store=MemoryJobStore(), follow=follow) as rig:
        await fail_often(rig)
        report = rig.context.health["one"].report(rig.clock.now())
        assert report.opens_until == START + timedelta(seconds=3)


async def test_a_plan_shows_open_breakers(folder: Path) -> None:
    async with rig_of(folder, ONE, TWO, store=MemoryJobStore()) as rig:
        await fail_often(rig)
        request = rig.gate.read({"model": MODEL})
        plan: dict[str, Any] = render_plan(request, rig.gate.plan(request))
        two, one = plan["candidates"]
        assert (two["provider_plugin"], "health" in two) == ("two", False)
        assert one["health"] == {
            "state": "open",
            "error_rate": 1.0,
            "calls": 8,
            "opens_until": "2026-11-20T10:00:30.000Z",
        }


@pytest.mark.parametrize(
    ("routing", "hosts"),
    [
        ({"only": ["one"]}, ["one"]),
        ({"ignore": ["two"]}, ["one"]),
        ({"order": ["one"]}, ["one"]),
        ({"order": ["two"]}, ["two"]),
        ({"allow_fallbacks": False}, ["two"]),
        ({}, ["two"]),
    ],
)
async def test_the_callers_order_beats_the_breaker(
    folder: Path, routing: Mapping[str, object], hosts: list[str]
) -> None:
    async with rig_of(folder, ONE, TWO, store=MemoryJobStore()) as rig:
        await fail_often(rig)
        rig.transport.sent.clear()
        rig.transport.script(hosts[0], {"id": "n-3"})
        await rig.submit(provider=routing)
        assert rig.transport.hosts == hosts


async def test_a_provider_whose_breaker_closes_is_asked_in_its_place_again(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with rig_of(folder, ONE, TWO, store=MemoryJobStore()) as rig:
        await fail_often(rig)
        rig.clock.pass_s(30)
        rig.transport.sent.clear()
        rig.transport.script("one", *({"id": f"n-{number}"} for number in range(7)))
        rig.transport.script("two", *({"id": f"m-{number}"} for number in range(19)))
        for _ in range(20):
            await rig.submit()
        assert rig.transport.hosts == ["one", *["two"] * 19]  # one probe in twenty
        for _ in range(4):
            await rig.submit(provider={"only": ["one"]})
        assert "breaker closed: plugin=one" in caplog.text
        await rig.submit()
        assert rig.transport.hosts[-1] == "one"


@pytest.mark.parametrize(
    "answer", [{"no": "invalid"}, {"no": "moderation"}, {"no": "rate_limited"}, {"crash": 1}]
)
async def test_a_refusal_does_not_count_as_a_breaker_error(folder: Path, answer: object) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore()) as rig:
        rig.transport.script("one", *[answer] * 12)
        for _ in range(12):
            await rig.submit()
        assert rig.context.health["one"].report(START).state is BreakerState.CLOSED


@pytest.mark.parametrize("answer", [{"raise": "protocol"}, {"raise": "upstream_failed"}, lost()])
async def test_an_unreadable_answer_counts_as_a_breaker_error(folder: Path, answer: object) -> None:
    async with rig_of(folder, ONE, store=MemoryJobStore()) as rig:
        rig.transport.script("one", *[answer] * 8)
        for _ in range(8):
            await rig.submit()
        assert rig.context.health["one"].report(START).state is BreakerState.OPEN


# --- after a restart ---


def left(job_id: str, outcome: AttemptOutcome, **more: Any) -> Job:
    now = datetime.now(UTC)
    return sample_jobs.job(
        id=job_id,
        request=MusicRequest(model=MODEL, prompt=job_id),
        created_at=now,
        updated_at=now,
        deadline_at=now + timedelta(seconds=600),
        attempts=(sample_jobs.attempt(outcome, native_model="one-native", planned_at=now, **more),),
    )


async def reopened(
    folder: Path, monkeypatch: pytest.MonkeyPatch, transport: ScriptedTransport, jobs: list[Job]
) -> None:
    path = folder.parent / "jobs.db"
    async with SqliteJobStore.open(path) as store:
        for job in jobs:
            await store.add(job, ())
    open_context = open_context_with(transport, FolderAssets(folder), path)
    monkeypatch.setattr(facade, "open_context", open_context)


async def test_waiting_jobs_go_on_in_the_order_in_which_they_came(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = ScriptedTransport()
    transport.media[LINK] = SONG
    transport.script("one", *({"id": f"n-{number}", **DONE} for number in range(6)))
    jobs = [left(f"music_{number}", AttemptOutcome.PLANNED) for number in (3, 1, 5, 0, 4, 2)]
    await reopened(folder, monkeypatch, transport, jobs)
    vendor = FakeVendor("one", create_window=RateWindow(calls=2, per_s=10.0))
    settings = settings_for(vendor, follow=FollowSettings(speed=100.0))
    started = asyncio.get_running_loop().time()
    async with Gateway.open(settings, plugins=host_of(vendor)) as gate:
        ids = [(await gate.wait(f"music_{number}", timeout_s=20)).native_id for number in range(6)]
    assert ids == [f"n-{number}" for number in range(6)]
    assert asyncio.get_running_loop().time() - started >= 0.18  # two windows of 0.1 s


async def test_a_job_that_waits_for_a_busy_vendor_goes_on_waiting(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = ScriptedTransport()
    transport.script("one", {"id": "n-0"})
    not_before = datetime.now(UTC) + timedelta(seconds=0.3)
    await reopened(
        folder, monkeypatch, transport, [left("music_0", AttemptOutcome.PLANNED, not_before=not_before)]
    )
    sent_at = asyncio.get_running_loop().create_future()

    async def note(_: HttpRequest) -> None:
        sent_at.set_result(datetime.now(UTC))

    transport.on_send = note
    monkeypatch.setattr("musicgate.engine.scheduler.Scheduler.take", lambda *_: None)
    async with Gateway.open(settings_for(ONE), plugins=host_of(ONE)):
        assert await asyncio.wait_for(sent_at, timeout=20) >= not_before - timedelta(milliseconds=5)


async def test_open_jobs_of_an_earlier_process_count(
    folder: Path, monkeypatch: pytest.MonkeyPatch, counting: str
) -> None:
    await reopened(
        folder,
        monkeypatch,
        ScriptedTransport(),
        [left("music_0", AttemptOutcome.ACCEPTED, native_id="n-0")],
    )
    limits = AccountLimits(max_open_jobs=1, max_usd_per_day=0.1)
    async with Gateway.open(settings_for(ONE, limits=limits), plugins=host_of(ONE)) as gate:
        with pytest.raises(LimitReachedError):
            await gate.submit(gate.read({"model": MODEL}))
        if counting == "one process":
            assert quota_of(gate._context)._usd_nanos_of == {"local": 60_000_000}
