"""What a wish waits for, and what lets it in: limits of accounts, turns at vendors, busy vendors, circuit breakers."""

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
    Attempt,
    AttemptOutcome,
    FailureClass,
    MusicRequest,
    RateWindow,
)
from musicgate.model.health import BreakerState
from musicgate.settings import FollowSettings
from musicgate.settings.limits import AccountLimits
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.views.plan import render_plan
from tests.fake_vendor import (
    MODEL,
    START,
    FakeVendor,
    FolderAssets,
    House,
    ScriptedTransport,
    host_of,
    house_of,
    lost,
    open_context_with,
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


def outcomes(job: Job) -> list[tuple[str, str]]:
    return [(attempt.plugin, attempt.outcome.value) for attempt in job.attempts]


async def let_others_run() -> None:
    for _ in range(60):
        await asyncio.sleep(0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audio"


# -------------------------------------------------------------------------------------------- limits of accounts


async def test_calls_of_a_minute(folder: Path) -> None:
    limits = AccountLimits(requests_per_minute=2)
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        house.transport.script("one", *({"id": f"n-{number}"} for number in range(3)))
        await house.submit()
        house.clock.pass_s(20)
        await house.submit()
        with pytest.raises(LimitReachedError) as caught:
            await house.submit()
        error = caught.value
        assert (error.code, error.reason, error.retry_after_s) == (
            *("key_limit_exceeded", "requests_per_minute", 40),
        )
        assert error.reset_at == START + timedelta(seconds=60)
        assert len(house.transport.sent) == 2
        house.clock.pass_s(40)
        await house.submit()


async def test_open_jobs_are_counted_until_they_end(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=2)
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        house.transport.script("one", {"id": "n-1"}, {"id": "n-2"}, {"id": "n-3"}, {"id": "n-4"})
        first, second = await house.submit(), await house.submit()
        with pytest.raises(LimitReachedError, match="2 jobs are open, 2 may be") as caught:
            await house.submit()
        assert (caught.value.reason, caught.value.retry_after_s) == ("max_open_jobs", 10)
        await house.gate.cancel(first.id)
        third = await house.submit()
        await house.gate.delete(second.id)
        await house.submit()
        with pytest.raises(LimitReachedError):
            await house.submit()
        house.clock.moment = third.deadline_at
        house.transport.script("one", {"status": "works"})
        await advance(house.context, third.id)
        house.transport.script("one", {"id": "n-5"})
        await house.submit()


async def test_a_job_that_is_deleted_while_its_audio_is_fetched_is_no_open_job(folder: Path) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as house:
        house.transport.script("one", {"id": "n-1"}, DONE, {"id": "n-2"})
        job = await house.submit()
        await advance(house.context, job.id)  # the link gives nothing yet
        assert (await house.stored(job)).delivered_at is not None
        await house.gate.delete(job.id)
        await house.submit()


async def test_a_crowd_does_not_slip_past(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=3)
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        house.transport.script("one", *({"id": f"n-{number}"} for number in range(3)))
        ends = await asyncio.gather(*(house.submit() for _ in range(30)), return_exceptions=True)
        assert sum(isinstance(end, Job) for end in ends) == 3
        assert sum(isinstance(end, LimitReachedError) for end in ends) == 27
        assert await house.store.count_open("local") == 3


async def test_a_crowd_does_not_slip_past_the_real_store(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=5)
    async with (
        SqliteJobStore.open(folder.parent / "jobs.db") as store,
        house_of(folder, ONE, store=store, limits=limits) as house,
    ):
        house.transport.script("one", *({"id": f"n-{number}"} for number in range(5)))
        ends = await asyncio.gather(*(house.submit() for _ in range(50)), return_exceptions=True)
        assert sum(isinstance(end, Job) for end in ends) == 5
        assert await store.count_open("local") == 5


@pytest.mark.parametrize("wish", [{"fake": {"invalid": True}}, {"model": "nobody/song"}])
async def test_a_wish_that_is_refused_later_leaves_no_open_job_behind(
    folder: Path, wish: Mapping[str, Any]
) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as house:
        for _ in range(3):
            with pytest.raises(RequestError) as caught:
                await house.submit(**wish)
            assert not isinstance(caught.value, LimitReachedError)
        house.transport.script("one", {"no": "credits"}, {"id": "n-1"})
        assert (await house.submit()).state is JobState.FAILED
        await house.submit()


async def test_a_wish_that_could_not_be_stored_leaves_no_open_job_behind(folder: Path) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as house:
        house.store.trouble = "disk full"
        with pytest.raises(StorageError):
            await house.submit()
        house.store.trouble = None
        house.transport.script("one", {"id": "n-1"})
        await house.submit()


async def test_limits_come_before_routing_and_after_the_schema(folder: Path) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_open_jobs=1)) as house:
        house.transport.script("one", {"id": "n-1"})
        await house.submit()
        with pytest.raises(LimitReachedError):
            await house.submit(model="nobody/song")
        with pytest.raises(RequestError, match="must be"):
            await house.submit(duration=0)


async def test_the_days_money_counts_what_is_open_and_what_has_ended(folder: Path) -> None:
    limits = AccountLimits(max_usd_per_day=0.13)
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        house.transport.media[LINK] = SONG
        house.transport.script("one", {"id": "n-1"}, {"id": "n-2"}, DONE)
        first = await house.submit()
        await house.submit()
        with pytest.raises(LimitReachedError) as caught:
            await house.submit()
        error = caught.value
        assert (error.code, error.reason, error.min_usd, error.retry_after_s) == (
            *("insufficient_funds", "max_usd_per_day", 0.06, None),
        )
        assert error.reset_at == datetime(2026, 11, 21, tzinfo=UTC)
        await advance(house.context, first.id)
        assert (await house.stored(first)).state is JobState.COMPLETED
        with pytest.raises(LimitReachedError):
            await house.submit()
        # Tomorrow the first one is forgotten; the second one is still open.
        house.clock.pass_s(86_400)
        house.transport.script("one", {"id": "n-3"})
        await house.submit()
        with pytest.raises(LimitReachedError):
            await house.submit()


async def test_a_wish_is_let_in_if_its_cheapest_offer_can_be_paid(folder: Path) -> None:
    (offer,) = ONE.declared.offers
    dear = attrs.evolve(offer, prices=(attrs.evolve(offer.prices[0], price_usd=Decimal(5)),))
    unknown = attrs.evolve(offer, prices=())
    vendors = (
        FakeVendor("dear", priority=1, offers=(dear,)),
        FakeVendor("unknown", priority=2, offers=(unknown,)),
        FakeVendor("one", priority=3),
    )
    limits = AccountLimits(max_usd_per_day=1.0)
    async with house_of(folder, *vendors, store=MemoryJobStore(), limits=limits) as house:
        house.transport.script("one", {"id": "n-1"})
        await house.submit(provider={"order": ["one"]})
        house.transport.script("dear", {"id": "n-2"})
        await house.submit()  # what the first one costs is known once it is chosen
        with pytest.raises(LimitReachedError, match="0 of 1 USD are left"):
            await house.submit()


async def test_a_failed_job_costs_nothing(folder: Path) -> None:
    async with house_of(
        folder, ONE, store=MemoryJobStore(), limits=AccountLimits(max_usd_per_day=0.07)
    ) as house:
        house.transport.script("one", {"no": "credits"}, {"id": "n-1"})
        assert (await house.submit()).state is JobState.FAILED
        await house.submit()


async def test_accounts_do_not_take_each_others_places(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=1, requests_per_minute=1)
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        house.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        wish = house.gate.read({"model": MODEL})
        await house.gate.submit(wish, account="a")
        await house.gate.submit(wish, account="b")
        with pytest.raises(LimitReachedError):
            await house.gate.submit(wish, account="a")


async def test_windows_of_accounts_that_went_away_are_thrown_away(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("musicgate.engine.quota._MAX_IDLE_WINDOWS", 3)
    limits = AccountLimits(requests_per_minute=5)
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        wish = house.gate.read({"model": MODEL})
        for number in range(10):
            house.clock.pass_s(30)
            house.transport.script("one", {"id": f"n-{number}"})
            await house.gate.submit(wish, account=f"account {number}")
        assert len(house.context.quota._windows) <= 3


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

    async with house_of(
        folder, ONE, store=MemoryJobStore(), limits=AccountLimits(requests_per_minute=5)
    ) as house:
        asked = house.gate.read({"model": MODEL})
        house.transport.script("one", *({"id": f"n-{number}"} for number in range(64)))
        monkeypatch.setattr(CallWindow, "left", counted)
        for number in range(64):
            await house.gate.submit(asked, account=f"account {number}")
    assert len(house.context.quota._windows) == 64
    assert looked_at < 64 * 4  # one look per request, and each window a few times in all


async def test_a_repeated_key_costs_nothing(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=2, requests_per_minute=2)
    key = IdempotencyKey(route="create", key="a", fingerprint="f")
    async with house_of(folder, ONE, store=MemoryJobStore(), limits=limits) as house:
        house.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        wish = house.gate.read({"model": MODEL})
        # Twins that come together: the second one is let in, and taken back when the store knows its key.
        twins = await asyncio.gather(*(house.gate.submit(wish, idempotency=key) for _ in range(2)))
        again = await house.gate.submit(wish, idempotency=key)
        assert len({job.id for job in (*twins, again)}) == 1
        await house.gate.submit(wish)
        with pytest.raises(LimitReachedError):
            await house.gate.submit(wish)
        assert (await house.gate.submit(wish, idempotency=key)).id == again.id


async def test_twins_of_one_key_share_the_last_place(folder: Path) -> None:
    limits = AccountLimits(max_open_jobs=1, requests_per_minute=1)
    key, other = (IdempotencyKey(route="create", key=name, fingerprint="f") for name in "ab")
    async with (
        SqliteJobStore.open(folder.parent / "jobs.db") as store,
        house_of(folder, ONE, store=store, limits=limits) as house,
    ):
        house.transport.script("one", {"id": "n-1"})
        wish = house.gate.read({"model": MODEL})
        twins = await asyncio.gather(*(house.gate.submit(wish, idempotency=key) for _ in range(50)))
        assert {job.native_id for job in twins} == {"n-1"}
        with pytest.raises(LimitReachedError):
            await house.gate.submit(wish, idempotency=other)


# ------------------------------------------------------------------------------------------------ turns at vendors


@pytest.fixture
async def windowed(folder: Path) -> AsyncIterator[House]:
    vendor = FakeVendor("one", create_window=RateWindow(calls=2, per_s=10.0))
    async with house_of(folder, vendor, store=MemoryJobStore()) as house:
        yield house


async def test_a_call_that_would_be_too_many_waits_for_its_turn(windowed: House) -> None:
    sent_at: list[timedelta] = []

    async def note(_: HttpRequest) -> None:
        sent_at.append(windowed.clock.now() - START)

    windowed.transport.on_send = note
    windowed.transport.script("one", *({"id": f"n-{number}"} for number in range(5)))
    jobs = [await windowed.submit() for _ in range(5)]
    await let_others_run()
    assert [moment.total_seconds() for moment in sent_at] == [0, 0, 10, 10, 20]
    assert [(await windowed.stored(job)).native_id for job in jobs] == [f"n-{number}" for number in range(5)]


async def test_who_has_its_turn_at_once_is_stored_as_sent(windowed: House) -> None:
    seen: list[str] = []

    async def look(_: HttpRequest) -> None:
        seen.extend(job.attempts[-1].outcome.value for job in await windowed.store.open_jobs("", 10))

    windowed.transport.on_send = look
    windowed.transport.script("one", {"id": "n-1"})
    job = await windowed.submit()
    assert seen == ["sent"]
    assert job.version == 1  # two writes: stored, accepted


async def test_a_turn_that_was_not_used_is_given_back(folder: Path) -> None:
    vendor = FakeVendor("one", max_parallel_creates=1)
    key = IdempotencyKey(route="create", key="a", fingerprint="f")
    async with house_of(folder, vendor, store=MemoryJobStore()) as house:
        house.store.trouble = "disk full"
        with pytest.raises(StorageError):
            await house.submit()
        house.store.trouble = None
        house.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
        wish = house.gate.read({"model": MODEL})
        # Of twins that come together one has the turn, and one of them stores the key; they need not be the same.
        await asyncio.gather(*(house.gate.submit(wish, idempotency=key) for _ in range(3)))
        job = await asyncio.wait_for(house.submit(), timeout=5)
        assert (job.native_id, outcomes(job)) == ("n-2", [("one", "accepted")])


async def stand_still(house: House, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Time goes on only when the event is set."""
    goes_on = asyncio.Event()

    async def sleep(delay_s: float) -> None:
        await goes_on.wait()
        house.clock.pass_s(delay_s)

    monkeypatch.setattr(house.clock, "sleep", sleep)
    return goes_on


async def test_a_waiting_job_is_queued_and_can_be_cancelled(
    windowed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on = await stand_still(windowed, monkeypatch)
    windowed.transport.script("one", {"id": "n-1"}, {"id": "n-2"}, {"id": "n-4"})
    wish = windowed.gate.read({"model": MODEL})
    await windowed.submit(), await windowed.submit()
    third, fourth = [await windowed.gate.submit(wish, wait_s=0) for _ in range(2)]
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


async def test_a_fallback_that_has_to_wait_lets_its_caller_go(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = FakeVendor("two", priority=2, create_window=RateWindow(calls=1, per_s=10.0))
    async with house_of(folder, ONE, two, store=MemoryJobStore()) as house:
        await stand_still(house, monkeypatch)
        house.transport.script("one", {"no": "credits"}, {"no": "credits"})
        house.transport.script("two", {"id": "n-1"})
        wish = house.gate.read({"model": MODEL})
        await house.gate.submit(wish)
        job = await asyncio.wait_for(house.gate.submit(wish, wait_s=0.01), timeout=5)
        assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "refused"), ("two", "planned")])


async def test_nobody_waits_in_a_queue_that_is_full(windowed: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("musicgate.engine.create_queue.MAX_WAITING", 1)
    await stand_still(windowed, monkeypatch)
    windowed.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    wish = windowed.gate.read({"model": MODEL})
    for _ in range(3):
        await windowed.gate.submit(wish, wait_s=0)
    await let_others_run()
    with pytest.raises(ProviderError, match="1 jobs wait for one already") as caught:
        await windowed.gate.submit(wish, wait_s=0)
    assert caught.value.failure.reason is FailureClass.RATE_LIMITED
    assert await windowed.store.count_open() == 3


# ------------------------------------------------------------------------------------------------------ busy vendors


async def answered_then(house: House, *answers: object) -> Job:
    """A job whose create call is answered before the vendor says anything; then it says all of this."""
    goes_on = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await goes_on.wait()

    house.transport.on_send = hold
    house.transport.script("one", *answers)
    job = await house.gate.submit(house.gate.read({"model": MODEL}), wait_s=0)
    assert outcomes(job) == [("one", "sent")]
    goes_on.set()
    await let_others_run()
    return await house.stored(job)


async def test_a_busy_vendor_is_asked_again_when_nobody_waits(folder: Path) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        job = await answered_then(house, {**BUSY, "retry_after_s": 7}, {"no": "unavailable"}, {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("one", "refused"), ("one", "accepted")]
        waits = [
            attempt.not_before and (attempt.not_before - START).total_seconds() for attempt in job.attempts
        ]
        assert waits == [None, 7, 17]
        assert job.state is JobState.IN_PROGRESS  # it never goes back
        assert job.deadline_at == START + timedelta(seconds=617)


async def test_a_caller_who_waits_is_told_at_once(folder: Path) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore()) as house:
        house.transport.script("one", {**BUSY, "retry_after_s": 7})
        job = await house.submit()
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "refused")])
        assert job.failure is not None
        assert (job.failure.status, job.failure.retry_after_s) == (429, 7)


async def test_a_busy_vendor_is_asked_three_times_more(folder: Path) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        job = await answered_then(house, BUSY, BUSY, BUSY, {**BUSY, "message": "the last one"})
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
async def test_a_refusal_that_does_not_allow_it_is_the_end(
    folder: Path, refusal: Mapping[str, object]
) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        job = await answered_then(house, refusal)
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "refused")])


async def test_unknown_outcome_is_never_asked_again(folder: Path) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        job = await answered_then(house, lost())
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "unknown")])


async def test_vendor_that_cannot_be_reached_is_asked_again(folder: Path) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        job = await answered_then(house, unreached(), {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("one", "accepted")]


async def test_others_are_asked_first_and_then_whoever_is_free_first(folder: Path) -> None:
    async with house_of(folder, SLOW, TWO, store=MemoryJobStore()) as house:
        house.transport.script("two", {**BUSY, "retry_after_s": 30})
        job = await answered_then(house, {**BUSY, "retry_after_s": 20}, {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("two", "refused"), ("one", "accepted")]
        assert job.attempts[2].not_before == START + timedelta(seconds=20)


async def test_a_wish_that_another_vendor_calls_wrong_is_not_asked_for_again(folder: Path) -> None:
    async with house_of(folder, SLOW, TWO, store=MemoryJobStore()) as house:
        house.transport.script("two", {"no": "invalid"})
        job = await answered_then(house, BUSY)
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "refused"), ("two", "refused")])
        assert job.failure is not None
        assert job.failure.reason is FailureClass.INVALID


async def test_speed_divides_the_wait_for_a_busy_vendor(folder: Path) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore(), follow=FollowSettings(speed=20.0)) as house:
        job = await answered_then(house, {**BUSY, "retry_after_s": 500}, {"id": "n-1"})
        assert outcomes(job) == [("one", "refused"), ("one", "accepted")]
        assert job.attempts[1].not_before == START + timedelta(seconds=25)


async def test_a_job_that_waits_for_a_busy_vendor_can_be_cancelled(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        goes_on = await stand_still(house, monkeypatch)
        job = await answered_then(house, BUSY)
        assert outcomes(job) == [("one", "refused"), ("one", "planned")]
        job = await house.gate.cancel(job.id)
        assert job.failure is not None
        assert not job.failure.costs
        goes_on.set()
        await let_others_run()
        assert len(house.transport.sent) == 1


async def test_a_job_that_waits_for_a_busy_vendor_does_not_hold_up_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house_of(folder, SLOW, store=MemoryJobStore()) as house:
        await stand_still(house, monkeypatch)
        job = await answered_then(house, BUSY)
        await asyncio.wait_for(house.gate.close(), timeout=5)
        assert outcomes(await house.stored(job)) == [("one", "refused"), ("one", "planned")]


# -------------------------------------------------------------------------------------------------- circuit breakers


async def fail_often(house: House, times: int = 8) -> None:
    for _ in range(times):
        house.transport.script("one", {"no": "unavailable"})
        house.transport.script("two", {"id": "n-2"})
        await house.submit()


async def test_a_failing_provider_is_asked_after_the_others(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house_of(folder, ONE, TWO, store=MemoryJobStore()) as house:
        await fail_often(house)
        report = house.context.health["one"].report(house.clock.now())
        assert (report.state, report.calls, report.error_rate) == (BreakerState.OPEN, 8, 1.0)
        assert report.opens_until == START + timedelta(seconds=30)
        assert "one fails: 8 of 8 calls in a minute; until 2026-11-20T10:00:30+00:00" in caplog.text
        house.transport.sent.clear()
        # The second one refuses: the failing one is still there to be asked.
        house.transport.script("two", {"no": "credits"})
        house.transport.script("one", {"id": "n-1"})
        job = await house.submit()
        assert (outcomes(job), house.transport.hosts) == (
            *([("two", "refused"), ("one", "accepted")], ["two", "one"]),
        )


async def test_speed_divides_the_open_time(folder: Path) -> None:
    follow = FollowSettings(speed=10.0)
    async with house_of(folder, ONE, TWO, store=MemoryJobStore(), follow=follow) as house:
        await fail_often(house)
        report = house.context.health["one"].report(house.clock.now())
        assert report.opens_until == START + timedelta(seconds=3)


async def test_a_plan_shows_who_fails(folder: Path) -> None:
    async with house_of(folder, ONE, TWO, store=MemoryJobStore()) as house:
        await fail_often(house)
        wish = house.gate.read({"model": MODEL})
        plan: dict[str, Any] = render_plan(wish, house.gate.plan(wish))
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
async def test_the_callers_word_beats_the_breaker(
    folder: Path, routing: Mapping[str, object], hosts: list[str]
) -> None:
    async with house_of(folder, ONE, TWO, store=MemoryJobStore()) as house:
        await fail_often(house)
        house.transport.sent.clear()
        house.transport.script(hosts[0], {"id": "n-3"})
        await house.submit(provider=routing)
        assert house.transport.hosts == hosts


async def test_a_provider_that_is_back_is_asked_in_its_place(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with house_of(folder, ONE, TWO, store=MemoryJobStore()) as house:
        await fail_often(house)
        house.clock.pass_s(30)
        house.transport.sent.clear()
        house.transport.script("one", *({"id": f"n-{number}"} for number in range(7)))
        house.transport.script("two", *({"id": f"m-{number}"} for number in range(19)))
        for _ in range(20):
            await house.submit()
        assert house.transport.hosts == ["one", *["two"] * 19]  # one probe in twenty
        for _ in range(4):
            await house.submit(provider={"only": ["one"]})
        assert "one is back" in caplog.text
        await house.submit()
        assert house.transport.hosts[-1] == "one"


@pytest.mark.parametrize(
    "answer", [{"no": "invalid"}, {"no": "moderation"}, {"no": "rate_limited"}, {"crash": 1}]
)
async def test_a_vendor_that_says_no_is_there(folder: Path, answer: object) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore()) as house:
        house.transport.script("one", *[answer] * 12)
        for _ in range(12):
            await house.submit()
        assert house.context.health["one"].report(START).state is BreakerState.CLOSED


@pytest.mark.parametrize("answer", [{"raise": "protocol"}, {"raise": "upstream_failed"}, lost()])
async def test_a_vendor_that_cannot_be_understood_is_not(folder: Path, answer: object) -> None:
    async with house_of(folder, ONE, store=MemoryJobStore()) as house:
        house.transport.script("one", *[answer] * 8)
        for _ in range(8):
            await house.submit()
        assert house.context.health["one"].report(START).state is BreakerState.OPEN


# ------------------------------------------------------------------------------------------------- after a restart


def left(job_id: str, outcome: AttemptOutcome, **more: Any) -> Job:
    now = datetime.now(UTC)
    attempt = Attempt(
        plugin="one",
        provider="fake",
        model=MODEL,
        native_model="one-native",
        outcome=outcome,
        planned_at=now,
        **more,
    )
    return Job(
        id=job_id,
        account="local",
        generation_id="G-1",
        request=MusicRequest(model=MODEL, prompt=job_id),
        state=JobState.QUEUED,
        created_at=now,
        updated_at=now,
        deadline_at=now + timedelta(seconds=600),
        callback_token="token-not-real",
        attempts=(attempt,),
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


async def test_open_jobs_of_an_earlier_process_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
        assert gate._context.quota._usd_nanos_of == {"local": 60_000_000}
