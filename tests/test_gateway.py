import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import (
    FailureClass,
    HttpRequest,
    Job,
    JobState,
    RequestError,
    StorageError,
)
from musicgate.errors import AllCandidatesFailedError, InvalidRequestError
from musicgate.gateway import commit, send
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.gateway.context import GatewayContext
from musicgate.model import EventKind, OptionWarning, WarningCode
from musicgate.settings import ServerSettings
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import KEY, MODEL, START, FakeVendor, Rig, lost, rig_of, unreached

ONE = FakeVendor("one", priority=1)
TWO = FakeVendor("two", priority=2)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", ONE, TWO, store=MemoryJobStore()) as rig:
        yield rig


def outcomes(job: Job) -> list[tuple[str, str]]:
    return [(attempt.plugin, attempt.outcome.value) for attempt in job.attempts]


# --- store, then send ---


async def test_accepted_job_is_scheduled_and_keeps_the_vendors_id(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1", "status": "works"})
    job = await rig.submit()
    assert job.state is JobState.IN_PROGRESS
    assert (job.native_id, job.native_status, job.native_model) == ("n-1", "works", "one-native")
    assert outcomes(job) == [("one", "accepted")]
    assert job == await rig.stored(job)
    assert rig.gate.open_jobs == 1
    assert job.deadline_at == START + timedelta(seconds=600)


async def test_job_is_stored_as_sent_before_the_first_byte_leaves(rig: Rig) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def read_stored(_: HttpRequest) -> None:
        (job,) = await rig.store.open_jobs("", 10)
        seen.append(outcomes(job))

    rig.transport.on_send = read_stored
    rig.transport.script("one", {"no": "credits"})
    rig.transport.script("two", {"id": "n-2"})
    await rig.submit()
    assert seen == [[("one", "sent")], [("one", "refused"), ("two", "sent")]]


async def test_job_that_cannot_be_stored_is_not_sent(rig: Rig) -> None:
    rig.store.trouble = "disk full"
    with pytest.raises(StorageError, match="disk full"):
        await rig.submit()
    assert rig.transport.sent == []


async def test_fallback_that_cannot_be_stored_is_not_sent_and_the_caller_gets_the_job(
    rig: Rig,
) -> None:
    async def break_disk(_: HttpRequest) -> None:
        rig.store.trouble = "disk full"

    rig.transport.on_send = break_disk
    rig.transport.script("one", {"no": "credits"})
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert rig.transport.hosts == ["one"]
    assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "sent")])
    assert (rig.gate.jobs_in_flight, rig.gate.jobs_scheduled) == (0, 1)


async def test_answer_is_stored_as_soon_as_the_disk_works_again(rig: Rig) -> None:
    async def break_disk(_: HttpRequest) -> None:
        rig.store.trouble = "disk full"

    def repair_disk_later() -> datetime:
        if moment() >= START + timedelta(seconds=44):
            rig.store.trouble = None
        return moment()

    moment = rig.clock.now
    rig.clock.now = repair_disk_later  # type: ignore[method-assign]  # the clock is all that changes
    rig.transport.on_send = break_disk
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    assert (job.native_id, outcomes(job)) == ("n-1", [("one", "accepted")])
    assert len(rig.transport.sent) == 1


async def test_key_is_added_when_sending_and_nowhere_else(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit(echo_upstream_request=True)
    assert rig.transport.sent[0].headers["Authorization"] == f"Bearer {KEY}"
    assert job.native_request == {"prompt": "jazz", "model": "one-native", "callback": None}
    assert KEY not in repr(job)


async def test_create_call_has_the_providers_create_time_out(rig: Rig) -> None:
    rig.transport.script("one", {"next": "https://one.test/more"}, {"id": "n-1"})
    await rig.submit()
    assert rig.transport.read_timeouts_s == [60.0, 30.0]


async def test_history_has_an_event_for_every_step(rig: Rig) -> None:
    rig.transport.script("one", {"no": "credits"})
    rig.transport.script("two", {"id": "n-2", "status": "works"})
    job = await rig.submit()
    events = [event for _, event in await rig.store.events(job.id)]
    assert [(event.kind, event.data.get("outcome") or event.data.get("to")) for event in events] == [
        (EventKind.CREATED, None),
        (EventKind.ATTEMPT, "sent"),
        (EventKind.ATTEMPT, "refused"),
        (EventKind.ATTEMPT, "planned"),
        (EventKind.ATTEMPT, "sent"),
        (EventKind.ATTEMPT, "accepted"),
        (EventKind.STATE, "in_progress"),
    ]


# --- refused, unknown, next ---

TRIES_NEXT = {
    FailureClass.AUTH: True,
    FailureClass.FORBIDDEN: True,
    FailureClass.CREDITS: True,
    FailureClass.RATE_LIMITED: True,
    FailureClass.UNAVAILABLE: True,
    FailureClass.INVALID: False,
    FailureClass.MODERATION: False,
    FailureClass.UNSUPPORTED: False,
    FailureClass.NOT_FOUND: False,
    FailureClass.CONFLICT: False,
    FailureClass.UPSTREAM_FAILED: False,
    FailureClass.TIMEOUT: False,
    FailureClass.PROTOCOL: False,
    FailureClass.UNKNOWN_OUTCOME: False,
    FailureClass.EXPIRED: False,
    FailureClass.CANCELLED: False,
    FailureClass.GATEWAY: False,
}


@pytest.mark.parametrize("reason", FailureClass)
@pytest.mark.parametrize("as_error", [False, True], ids=["returned", "raised"])
async def test_refusal_goes_to_the_next_provider_by_class_alone(
    rig: Rig, reason: FailureClass, as_error: bool
) -> None:
    answer = {"raise" if as_error else "no": reason.value, "code": "77"}
    rig.transport.script("one", (400, answer) if as_error else answer)
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert outcomes(job)[0] == ("one", "refused")
    assert job.attempts[0].failure is not None
    assert (job.attempts[0].failure.reason, job.attempts[0].failure.native_code) == (reason, "77")
    if TRIES_NEXT[reason]:
        assert rig.transport.hosts == ["one", "two"]
        assert (job.state, job.native_id, job.native_model) == (JobState.QUEUED, "n-2", "two-native")
    else:
        assert rig.transport.hosts == ["one"]
        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert job.failure.reason is reason
        assert rig.gate.open_jobs == 0


async def test_callback_that_adopts_a_refused_job_stops_the_fallback(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    note_refusal = send._note_refusal

    async def refused_then_adopted(context: GatewayContext, job: Job, *more: Any) -> Job:
        refused = await note_refusal(context, job, *more)
        body = b'{"id": "n-1"}'
        headers = {"x-signature": "good"}
        await receive_callback(context, SeenCallbacks(), job.id, job.callback_token, headers, body)
        return refused

    monkeypatch.setattr(send, "_note_refusal", refused_then_adopted)
    rig.transport.script("one", {"no": "rate_limited"})
    job = await rig.submit()
    assert rig.transport.hosts == ["one"]
    assert (job.native_id, outcomes(job)) == ("n-1", [("one", "accepted")])


@pytest.mark.parametrize("reason", FailureClass)
async def test_nothing_is_called_again_once_a_call_may_have_been_taken(
    rig: Rig, reason: FailureClass
) -> None:
    rig.transport.script("one", {"raise": reason.value, "maybe": True})
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert rig.transport.hosts == ["one"]
    assert outcomes(job) == [("one", "unknown")]
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (reason, True)


@pytest.mark.parametrize("status", [200, 202, 302, 500, 503])
async def test_error_about_an_unreadable_answer_never_leads_to_a_second_call(rig: Rig, status: int) -> None:
    rig.transport.script("one", (status, {"raise": "unavailable", "maybe": False}))
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert rig.transport.hosts == ["one"]
    assert outcomes(job) == [("one", "unknown")]
    assert job.failure is not None
    assert job.failure.costs


async def test_unreached_provider_is_refused_and_the_next_one_asked(rig: Rig) -> None:
    rig.transport.script("one", unreached())
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert outcomes(job) == [("one", "refused"), ("two", "accepted")]


async def test_job_that_all_providers_refuse_fails_with_the_last_refusal(rig: Rig) -> None:
    rig.transport.script("one", {"no": "credits"})
    rig.transport.script("two", {"no": "auth"})
    job = await rig.submit()
    assert outcomes(job) == [("one", "refused"), ("two", "refused")]
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.reason is FailureClass.AUTH


async def test_without_fallbacks_one_refusal_is_the_end(rig: Rig) -> None:
    rig.transport.script("one", {"no": "credits"})
    job = await rig.submit(provider={"allow_fallbacks": False})
    assert rig.transport.hosts == ["one"]
    assert job.state is JobState.FAILED


@pytest.mark.parametrize(
    "answer",
    [b"<html>bad gateway</html>", b"", b"[]", {"crash": KEY}, {"next": "https://one.test/more"}],
    ids=["html", "empty", "list", "plugin breaks", "endless calls"],
)
async def test_unreadable_answer_leaves_the_outcome_unknown(rig: Rig, answer: bytes | dict[str, str]) -> None:
    rig.transport.script("one", *[(200, answer)] * 4)
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert outcomes(job) == [("one", "unknown")]
    assert set(rig.transport.hosts) == {"one"}
    assert job.failure is not None
    assert job.failure.costs
    assert KEY not in repr(job)


async def test_vendor_that_fails_the_job_at_once_has_taken_it(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1", "no": "credits"})
    job = await rig.submit()
    assert outcomes(job) == [("one", "accepted")]
    assert rig.transport.hosts == ["one"]
    assert job.state is JobState.FAILED


async def test_second_call_of_a_create_that_does_not_get_through_hides_a_paid_song(rig: Rig) -> None:
    rig.transport.script("one", {"next": "https://one.test/more"}, unreached())
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert rig.transport.hosts == ["one", "one"]
    assert outcomes(job) == [("one", "unknown")]


async def test_map_status_that_raises_loses_no_song(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1", "status": "break"})
    job = await rig.submit()
    assert (job.native_id, job.native_status, job.state) == ("n-1", "break", JobState.QUEUED)
    assert rig.gate.open_jobs == 1


async def test_warnings_of_a_provider_that_refused_do_not_stay(rig: Rig) -> None:
    rig.transport.script("one", {"no": "credits"})
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit(seed=3, wobble=1)
    assert [(warning.code, warning.path, warning.plugin) for warning in job.warnings] == [
        (WarningCode.UNKNOWN_KEY, ("wobble",), None),
        (WarningCode.NOT_APPLIED, ("seed",), "two"),
    ]


async def test_deadline_of_the_next_provider_counts_from_its_own_call(rig: Rig) -> None:
    async def dawdle(request: HttpRequest) -> None:
        rig.clock.pass_s(100)

    rig.transport.on_send = dawdle
    rig.transport.script("one", {"no": "credits"})
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit()
    assert job.deadline_at == START + timedelta(seconds=700)


# --- before any sending ---


async def test_request_without_any_provider_key_is_refused(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", ONE, TWO, store=MemoryJobStore(), keyless=("one", "two")) as rig:
        with pytest.raises(AllCandidatesFailedError) as caught:
            await rig.submit()
        assert [(plugin, failure.reason, failure.message) for plugin, failure in caught.value.tries] == [
            ("one", FailureClass.AUTH, "one_key_missing: set ONE_KEY, or providers.one.api_key"),
            ("two", FailureClass.AUTH, "two_key_missing: set TWO_KEY, or providers.two.api_key"),
        ]
        assert caught.value.failure.status == 502
        assert await rig.store.count_open() == 0


async def test_provider_that_needs_no_key_is_asked_without_one(tmp_path: Path) -> None:
    vendor = FakeVendor("one", key_optional=True)
    async with rig_of(tmp_path / "a", vendor, store=MemoryJobStore(), keyless=("one",)) as rig:
        rig.transport.script("one", {"id": "n-1"})
        job = await rig.submit()
        assert job.native_id == "n-1"
        assert "Authorization" not in rig.transport.sent[0].headers
        assert [status.has_key for status in rig.gate.providers()] == [True]


async def test_provider_without_key_is_skipped(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", ONE, TWO, store=MemoryJobStore(), keyless=("one",)) as rig:
        rig.transport.script("two", {"id": "n-2"})
        assert outcomes(await rig.submit()) == [("two", "accepted")]


@pytest.mark.parametrize(
    ("fields", "code", "reason"),
    [
        ({"model": "fake/none"}, "unsupported_model_or_endpoint", None),
        ({"model": "   "}, "model_required", None),
        ({"provider": {"only": ["unknown"]}}, "unsupported_model_or_endpoint", "no_provider_matches"),
        ({"provider": {"ignore": ["fake"]}}, "unsupported_model_or_endpoint", "no_provider_matches"),
        ({"fake": {"invalid": True}}, "validation_error", "prompt_too_short"),
        ({"provider": {"only": ["one"]}, "fake": {"refuse": "one"}}, "not_supported", "unsupported_option"),
        ({"fake": 5}, "validation_error", "invalid_type"),
        ({"fake": {"unoffered": "one two"}}, "unsupported_model_or_endpoint", None),
        ({"fake": {"unoffered": "one", "invalid": "two"}}, "validation_error", "prompt_too_short"),
        ({"fake": {"crash": "one", "invalid": "two"}}, "validation_error", "prompt_too_short"),
    ],
)
async def test_request_without_a_candidate_is_not_stored_or_sent(
    rig: Rig, fields: dict[str, object], code: str, reason: str | None
) -> None:
    with pytest.raises(RequestError) as caught:
        await rig.submit(**fields)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert rig.transport.sent == []
    assert await rig.store.count_open() == 0


@pytest.mark.parametrize("fault", ["refuse", "crash"])
async def test_provider_whose_translation_fails_is_skipped_before_sending(rig: Rig, fault: str) -> None:
    rig.transport.script("two", {"id": "n-2"})
    job = await rig.submit(fake={fault: "one"})
    assert outcomes(job) == [("two", "accepted")]


async def test_pricing_required_excludes_offers_without_a_price(tmp_path: Path) -> None:
    free = attrs.evolve(ONE.declared.offers[0], prices=())
    vendor = FakeVendor("one", offers=(free,))
    server = ServerSettings(pricing_required=True)
    async with rig_of(tmp_path / "a", vendor, store=MemoryJobStore(), server=server) as rig:
        with pytest.raises(RequestError) as caught:
            await rig.submit()
        assert (caught.value.code, caught.value.reason) == ("pricing_not_configured", "no_provider_pricing")


async def test_strict_makes_every_warning_an_error(rig: Rig) -> None:
    unknown = rig.gate.read({"model": MODEL, "wobble": 1})
    with pytest.raises(InvalidRequestError) as caught:
        await rig.gate.submit(unknown, strict=True)
    assert [(item.path, item.code) for item in caught.value.violations] == [
        (("wobble",), "unrecognized_keys")
    ]
    with pytest.raises(RequestError) as refused:
        await rig.gate.submit(rig.gate.read({"model": MODEL, "seed": 3}), strict=True)
    assert (refused.value.code, refused.value.path) == ("not_supported", ("seed",))
    assert rig.transport.sent == []


async def test_provider_that_can_express_every_option_is_asked_first(tmp_path: Path) -> None:
    able = FakeVendor("able", priority=9, takes_seed=True)
    async with rig_of(tmp_path / "a", ONE, able, store=MemoryJobStore()) as rig:
        plan = rig.gate.plan(rig.gate.read({"model": MODEL, "seed": 1}))
        assert [candidate.installed.name for candidate in plan.candidates] == ["able", "one"]
        request = {"model": MODEL, "seed": 1, "provider": {"order": ["one"]}}
        assert [
            candidate.installed.name for candidate in rig.gate.plan(rig.gate.read(request)).candidates
        ] == [
            "one",
            "able",
        ]


async def test_plan_spends_nothing_and_hides_the_token(tmp_path: Path) -> None:
    server = ServerSettings(public_url="https://gate.test/")
    async with rig_of(tmp_path / "a", ONE, TWO, store=MemoryJobStore(), server=server) as rig:
        plan = rig.gate.plan(rig.gate.read({"model": f" {MODEL}:fast ", "provider": {"ignore": ["two"]}}))
        assert plan.model == MODEL
        (candidate,) = plan.candidates
        assert b'"callback":"https://gate.test/v1/callbacks/***/***"' in candidate.translation.request.body
        assert [(item.plugin, item.reason) for item in plan.excluded] == [("two", "ignored")]
        assert rig.transport.sent == []


# --- slots and blocking providers ---


async def hold(gate: asyncio.Event, answer: Mapping[str, object]) -> Mapping[str, object]:
    await gate.wait()
    return answer


async def settle_tasks() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_job_that_waits_for_a_slot_is_planned_and_sent_later(tmp_path: Path) -> None:
    slow = FakeVendor("one", max_parallel_creates=1, blocking=True, deadline_s=600.0)
    async with rig_of(tmp_path / "a", slow, store=MemoryJobStore()) as rig:
        free = asyncio.Event()
        rig.transport.script("one", lambda: hold(free, {"id": "n-1"}), {"id": "n-2"})
        request = rig.gate.read({"model": MODEL})
        first = await rig.gate.submit(request, wait_s=0)
        second = await rig.gate.submit(request, wait_s=0)
        assert (outcomes(first), outcomes(second)) == ([("one", "sent")], [("one", "planned")])
        assert second.state is JobState.QUEUED
        assert len(rig.transport.sent) == 1
        rig.clock.pass_s(50)
        free.set()
        await settle_tasks()
        second = await rig.stored(second)
        assert (second.native_id, outcomes(second)) == ("n-2", [("one", "accepted")])
        assert second.deadline_at == START + timedelta(seconds=650)
        assert len(rig.transport.sent) == 2


async def test_next_provider_that_lasts_as_long_as_a_song_is_in_progress(tmp_path: Path) -> None:
    slow = FakeVendor("slow", priority=2, blocking=True)
    async with rig_of(tmp_path / "a", ONE, slow, store=MemoryJobStore()) as rig:
        free = asyncio.Event()
        rig.transport.script("one", {"no": "credits"})
        rig.transport.script("slow", lambda: hold(free, {"no": "invalid"}))
        job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=0.01)
        assert (job.state, outcomes(job)) == (JobState.IN_PROGRESS, [("one", "refused"), ("slow", "sent")])


async def test_planned_job_is_stored_as_sent_when_it_gets_its_slot(tmp_path: Path) -> None:
    slow = FakeVendor("one", max_parallel_creates=1, blocking=True)
    async with rig_of(tmp_path / "a", slow, store=MemoryJobStore()) as rig:
        seen: list[set[tuple[str, str]]] = []

        async def read_stored(_: HttpRequest) -> None:
            seen.append({(job.attempts[-1].outcome.value, job.state.value) for job in rig.store._all()})

        rig.transport.on_send = read_stored
        free = asyncio.Event()
        rig.transport.script("one", lambda: hold(free, {"no": "invalid"}), {"no": "invalid"})
        request = rig.gate.read({"model": MODEL})
        await rig.gate.submit(request, wait_s=0)
        await rig.gate.submit(request, wait_s=0)
        free.set()
        await settle_tasks()
        assert seen == [{("sent", "in_progress")}, {("refused", "failed"), ("sent", "in_progress")}]


async def test_blocking_provider_answers_in_progress_after_a_short_wait(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", FakeVendor("one", blocking=True), store=MemoryJobStore()) as rig:
        free = asyncio.Event()
        audio = {"tracks": [{"url": "https://cdn.test/1"}], "status": "done"}
        rig.transport.script("one", lambda: hold(free, audio))
        job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=0)
        assert (job.state, outcomes(job)) == (JobState.IN_PROGRESS, [("one", "sent")])
        assert rig.gate.open_jobs == 1
        free.set()
        await settle_tasks()
        job = await rig.stored(job)
        assert job.delivered_at is not None
        assert outcomes(job) == [("one", "accepted")]


async def test_blocking_provider_that_is_quick_is_waited_for(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", FakeVendor("one", blocking=True), store=MemoryJobStore()) as rig:
        rig.transport.script("one", {"no": "moderation"})
        job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=5)
        assert job.state is JobState.FAILED


async def test_caller_who_hangs_up_does_not_stop_the_call(rig: Rig) -> None:
    free = asyncio.Event()
    rig.transport.script("one", lambda: hold(free, {"id": "n-1"}))
    calling = asyncio.create_task(rig.submit())
    await settle_tasks()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    free.set()
    await settle_tasks()
    (job,) = await rig.store.open_jobs("", 10)
    assert outcomes(job) == [("one", "accepted")]


# --- lost answers and callbacks ---

PUBLIC = ServerSettings(public_url="https://gate.test")


async def test_lost_answer_stays_open_where_the_vendor_calls_back(tmp_path: Path) -> None:
    vendor = FakeVendor("one", callbacks=True, priority=1)
    async with rig_of(tmp_path / "a", vendor, TWO, store=MemoryJobStore(), server=PUBLIC) as rig:
        rig.transport.script("one", lost())
        job = await rig.submit()
        assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "unknown")])
        assert rig.transport.hosts == ["one"]
        assert b"https://gate.test/v1/callbacks/music_0001/token-not-real" in rig.transport.sent[0].body
        assert rig.gate.open_jobs == 1


async def test_lost_answer_of_a_vendor_that_never_calls_back_ends_the_job(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=PUBLIC) as rig:
        rig.transport.script("one", lost())
        assert (await rig.submit()).state is JobState.FAILED


async def test_lost_answer_of_a_vendor_that_cannot_reach_us_ends_the_job(tmp_path: Path) -> None:
    vendor = FakeVendor("one", callbacks=True)
    async with rig_of(tmp_path / "a", vendor, store=MemoryJobStore()) as rig:
        rig.transport.script("one", lost())
        assert (await rig.submit()).state is JobState.FAILED


async def test_callback_token_is_not_shown(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=PUBLIC) as rig:
        rig.transport.script("one", {"id": "n-1", "words": "https://gate.test/token-not-real"})
        job = await rig.submit(echo_upstream_request=True, debug={"return_upstream_response": True})
        assert job.native_request == {
            "prompt": "jazz",
            "model": "one-native",
            "callback": "https://gate.test/v1/callbacks/music_0001/***",
        }
        assert job.native_response == {"id": "n-1", "words": "https://gate.test/***"}
        assert "token-not-real" not in repr(job)


async def test_callers_own_callback_url_makes_no_job_adoptable(tmp_path: Path) -> None:
    vendor = FakeVendor("one", callbacks=True, priority=1)
    async with rig_of(tmp_path / "a", vendor, store=MemoryJobStore(), server=PUBLIC) as rig:
        rig.transport.script("one", lost())
        job = await rig.submit(fake={"callback": "https://caller.test/hook"})
        assert job.state is JobState.FAILED


@pytest.mark.parametrize(
    "answer",
    [lost(), {"no": "credits"}, {"raise": "credits"}, {"crash": "x"}, {"id": "n-1"}],
    ids=["lost", "no", "error", "crash", "id"],
)
async def test_callback_that_beats_the_answer_adopts_the_job(tmp_path: Path, answer: object) -> None:
    vendor = FakeVendor("one", callbacks=True, priority=1)
    async with rig_of(tmp_path / "a", vendor, TWO, store=MemoryJobStore(), server=PUBLIC) as rig:

        async def call_back(_: HttpRequest) -> None:
            (job,) = await rig.store.open_jobs("", 10)
            hint = await receive_callback(
                rig.context, SeenCallbacks(), job.id, "token-not-real", {}, b'{"id": "n-1"}'
            )
            assert hint is Hint.POLL

        rig.transport.on_send = call_back
        rig.transport.script("one", answer)
        job = await rig.submit()
        assert rig.transport.hosts == ["one"]
        assert (outcomes(job), job.native_id) == ([("one", "accepted")], "n-1")
        assert not job.state.is_final


# --- no key leaks ---


@pytest.mark.parametrize(
    "answer",
    [
        {"no": "invalid", "message": f"bad key {KEY}", "words": f"{KEY}?", "suggestion": f"try {KEY}"},
        {"raise": "invalid", "message": f"bad key {KEY}", "words": f"{KEY}?", "suggestion": {"a": [KEY]}},
        {"raise": "auth", "maybe": True, "message": KEY, "code": KEY},
        {"id": "n-1", "status": f"works {KEY}", "words": KEY},
        {"id": "n-1", "tracks": [{"url": "https://cdn.test/1", "broken": f"no {KEY}"}]},
        {"crash": KEY},
    ],
)
async def test_key_that_a_vendor_quotes_is_masked_everywhere(
    rig: Rig, answer: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    rig.transport.script("one", answer)
    job = await rig.submit(debug={"return_upstream_response": True}, provider={"only": ["one"]})
    assert KEY not in repr(job)
    assert KEY not in caplog.text
    assert KEY not in str([event for _, event in await rig.store.events(job.id)])
    if "id" in answer:
        assert isinstance(job.native_response, dict)
        assert job.native_response["id"] == "n-1"


async def test_upstream_response_is_kept_only_when_asked_for(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    assert (await rig.submit()).native_response is None


# --- two at one time ---


def warned(name: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.CHANGED, path=(name,), message=name)


async def test_two_changes_at_once_lose_nothing(tmp_path: Path) -> None:
    async with (
        SqliteJobStore.open(tmp_path / "jobs.db") as store,
        rig_of(tmp_path / "a", ONE, store=store) as rig,
    ):
        rig.transport.script("one", {"id": "n-1"})
        job = await rig.submit()

        async def add(name: str) -> None:
            await commit.change(
                rig.context,
                job,
                lambda current: attrs.evolve(current, warnings=(*current.warnings, warned(name))),
            )

        names = [f"w{number}" for number in range(10)]
        await asyncio.gather(*map(add, names))
        stored = await rig.stored(job)
        assert sorted(warning.message for warning in stored.warnings) == names
        assert stored.version == job.version + 10


async def test_change_that_changes_nothing_is_not_written(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    assert await commit.change(rig.context, job, lambda current: current) is job
    assert (await rig.stored(job)).version == job.version


async def test_change_that_never_wins_is_an_error(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()

    async def lose(*_: object, **__: object) -> None:
        return None

    monkeypatch.setattr(rig.store, "replace", lose)
    with pytest.raises(StorageError, match="changed 50 times"):
        await commit.change(rig.context, job, lambda current: attrs.evolve(current, native_status="x"))


# --- finding a job ---


async def test_job_is_found_by_either_id_in_its_own_account_only(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.gate.submit(rig.gate.read({"model": MODEL}), account="alice")
    assert await rig.gate.find(job.id, account="alice") == job
    assert await rig.gate.find("n-1", account="alice") == job
    for wrong in (job.id, "n-1"):
        with pytest.raises(RequestError) as caught:
            await rig.gate.find(wrong, account="bob")
        assert (caught.value.code, caught.value.reason) == ("not_found", "music_not_found_or_not_owned")


async def test_job_keeps_the_id_of_the_key_that_made_it(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    request = rig.gate.read({"model": MODEL, "prompt": "jazz"})
    job = await rig.gate.submit(request, key_id="key-1")
    assert (await rig.stored(job)).key_id == "key-1"
