import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import attrs
import pytest

from musicgate import (
    FailureClass,
    HttpRequest,
    Job,
    JobState,
    ProviderError,
    RequestError,
    StorageError,
)
from musicgate.errors import AllCandidatesFailedError, InvalidRequestError
from musicgate.gateway import commit
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.model import EventKind, OptionWarning, WarningCode
from musicgate.settings import ServerSettings
from musicgate.store.sqlite import SqliteJobStore
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import KEY, MODEL, START, FakeVendor, House, house_of, lost, unreached

ONE = FakeVendor("one", priority=1)
TWO = FakeVendor("two", priority=2)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", ONE, TWO, store=MemoryJobStore()) as house:
        yield house


def outcomes(job: Job) -> list[tuple[str, str]]:
    return [(attempt.plugin, attempt.outcome.value) for attempt in job.attempts]


# ------------------------------------------------------------------------------------------- store, then send


async def test_accepted_job_is_followed_and_remembers_what_the_vendor_called_it(house: House) -> None:
    house.transport.script("one", {"id": "n-1", "status": "works"})
    job = await house.submit()
    assert job.state is JobState.IN_PROGRESS
    assert (job.native_id, job.native_status, job.native_model) == ("n-1", "works", "one-native")
    assert outcomes(job) == [("one", "accepted")]
    assert job == await house.stored(job)
    assert house.gate.open_jobs == 1
    assert job.deadline_at == START + timedelta(seconds=600)


async def test_job_is_stored_as_sent_before_the_first_byte_leaves(house: House) -> None:
    seen: list[list[tuple[str, str]]] = []

    async def look(_: HttpRequest) -> None:
        (job,) = await house.store.open_jobs("", 10)
        seen.append(outcomes(job))

    house.transport.on_send = look
    house.transport.script("one", {"no": "credits"})
    house.transport.script("two", {"id": "n-2"})
    await house.submit()
    assert seen == [[("one", "sent")], [("one", "refused"), ("two", "sent")]]


async def test_job_that_cannot_be_stored_is_not_sent(house: House) -> None:
    house.store.trouble = "disk full"
    with pytest.raises(StorageError, match="disk full"):
        await house.submit()
    assert house.transport.sent == []


async def test_next_provider_is_not_asked_when_that_cannot_be_stored_and_the_caller_gets_the_job(
    house: House,
) -> None:
    async def break_disk(_: HttpRequest) -> None:
        house.store.trouble = "disk full"

    house.transport.on_send = break_disk
    house.transport.script("one", {"no": "credits"})
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert house.transport.hosts == ["one"]
    assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "sent")])
    assert (house.gate.jobs_in_flight, house.gate.jobs_scheduled) == (0, 1)


async def test_answer_is_written_down_as_soon_as_the_disk_takes_it(house: House) -> None:
    async def break_disk(_: HttpRequest) -> None:
        house.store.trouble = "disk full"

    def mend_disk_later() -> datetime:
        if moment() >= START + timedelta(seconds=44):
            house.store.trouble = None
        return moment()

    moment = house.clock.now
    house.clock.now = mend_disk_later  # type: ignore[method-assign]  # the only thing that moves is time
    house.transport.on_send = break_disk
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    assert (job.native_id, outcomes(job)) == ("n-1", [("one", "accepted")])
    assert len(house.transport.sent) == 1


async def test_key_is_added_when_sending_and_nowhere_else(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit(echo_upstream_request=True)
    assert house.transport.sent[0].headers["Authorization"] == f"Bearer {KEY}"
    assert job.native_request == {"prompt": "jazz", "model": "one-native", "callback": None}
    assert KEY not in repr(job)


async def test_create_call_has_the_providers_create_time_out(house: House) -> None:
    house.transport.script("one", {"next": "https://one.test/more"}, {"id": "n-1"})
    await house.submit()
    assert house.transport.read_timeouts_s == [60.0, 30.0]


async def test_history_tells_every_step(house: House) -> None:
    house.transport.script("one", {"no": "credits"})
    house.transport.script("two", {"id": "n-2", "status": "works"})
    job = await house.submit()
    events = [event for _, event in await house.store.events(job.id)]
    assert [(event.kind, event.data.get("outcome") or event.data.get("to")) for event in events] == [
        (EventKind.CREATED, None),
        (EventKind.ATTEMPT, "sent"),
        (EventKind.ATTEMPT, "refused"),
        (EventKind.ATTEMPT, "planned"),
        (EventKind.ATTEMPT, "sent"),
        (EventKind.ATTEMPT, "accepted"),
        (EventKind.STATE, "in_progress"),
    ]


# -------------------------------------------------------------------------------------- refused, unknown, next

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
@pytest.mark.parametrize("as_error", [False, True], ids=["said", "raised"])
async def test_refusal_goes_to_the_next_provider_by_class_alone(
    house: House, reason: FailureClass, as_error: bool
) -> None:
    answer = {"raise" if as_error else "no": reason.value, "code": "77"}
    house.transport.script("one", (400, answer) if as_error else answer)
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert outcomes(job)[0] == ("one", "refused")
    assert job.attempts[0].failure is not None
    assert (job.attempts[0].failure.reason, job.attempts[0].failure.native_code) == (reason, "77")
    if TRIES_NEXT[reason]:
        assert house.transport.hosts == ["one", "two"]
        assert (job.state, job.native_id, job.native_model) == (JobState.QUEUED, "n-2", "two-native")
    else:
        assert house.transport.hosts == ["one"]
        assert job.state is JobState.FAILED
        assert job.failure is not None
        assert job.failure.reason is reason
        assert house.gate.open_jobs == 0


@pytest.mark.parametrize("reason", FailureClass)
async def test_nothing_is_called_again_once_a_call_may_have_been_taken(
    house: House, reason: FailureClass
) -> None:
    house.transport.script("one", {"raise": reason.value, "maybe": True})
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert house.transport.hosts == ["one"]
    assert outcomes(job) == [("one", "unknown")]
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (reason, True)


@pytest.mark.parametrize("status", [200, 202, 302, 500, 503])
async def test_error_about_an_answer_that_is_no_refusal_leads_to_no_second_call_whatever_it_says(
    house: House, status: int
) -> None:
    house.transport.script("one", (status, {"raise": "unavailable", "maybe": False}))
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert house.transport.hosts == ["one"]
    assert outcomes(job) == [("one", "unknown")]
    assert job.failure is not None
    assert job.failure.costs


async def test_unreached_provider_is_refused_and_the_next_one_asked(house: House) -> None:
    house.transport.script("one", unreached())
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert outcomes(job) == [("one", "refused"), ("two", "accepted")]


async def test_all_refuse_and_the_last_refusal_is_the_jobs(house: House) -> None:
    house.transport.script("one", {"no": "credits"})
    house.transport.script("two", {"no": "auth"})
    job = await house.submit()
    assert outcomes(job) == [("one", "refused"), ("two", "refused")]
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert job.failure.reason is FailureClass.AUTH


async def test_without_fallbacks_one_refusal_is_the_end(house: House) -> None:
    house.transport.script("one", {"no": "credits"})
    job = await house.submit(provider={"allow_fallbacks": False})
    assert house.transport.hosts == ["one"]
    assert job.state is JobState.FAILED


@pytest.mark.parametrize(
    "answer",
    [b"<html>bad gateway</html>", b"", b"[]", {"crash": KEY}, {"next": "https://one.test/more"}],
    ids=["html", "empty", "list", "plugin breaks", "endless calls"],
)
async def test_answer_that_nobody_can_read_is_unknown(house: House, answer: bytes | dict[str, str]) -> None:
    house.transport.script("one", *[(200, answer)] * 4)
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert outcomes(job) == [("one", "unknown")]
    assert set(house.transport.hosts) == {"one"}
    assert job.failure is not None
    assert job.failure.costs
    assert KEY not in repr(job)


async def test_vendor_that_fails_the_job_at_once_has_taken_it(house: House) -> None:
    house.transport.script("one", {"id": "n-1", "no": "credits"})
    job = await house.submit()
    assert outcomes(job) == [("one", "accepted")]
    assert house.transport.hosts == ["one"]
    assert job.state is JobState.FAILED


async def test_second_call_of_a_create_that_does_not_get_through_hides_a_paid_song(house: House) -> None:
    house.transport.script("one", {"next": "https://one.test/more"}, unreached())
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert house.transport.hosts == ["one", "one"]
    assert outcomes(job) == [("one", "unknown")]


async def test_plugin_that_breaks_over_a_status_word_loses_no_song(house: House) -> None:
    house.transport.script("one", {"id": "n-1", "status": "break"})
    job = await house.submit()
    assert (job.native_id, job.native_status, job.state) == ("n-1", "break", JobState.QUEUED)
    assert house.gate.open_jobs == 1


async def test_warnings_of_a_provider_that_refused_do_not_stay(house: House) -> None:
    house.transport.script("one", {"no": "credits"})
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit(seed=3, wobble=1)
    assert [(warning.code, warning.path, warning.plugin) for warning in job.warnings] == [
        (WarningCode.UNKNOWN_KEY, ("wobble",), None),
        (WarningCode.NOT_APPLIED, ("seed",), "two"),
    ]


async def test_deadline_of_the_next_provider_counts_from_its_own_call(house: House) -> None:
    async def dawdle(request: HttpRequest) -> None:
        house.clock.pass_s(100)

    house.transport.on_send = dawdle
    house.transport.script("one", {"no": "credits"})
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit()
    assert job.deadline_at == START + timedelta(seconds=700)


# ------------------------------------------------------------------------------------------ before any sending


async def test_nobody_has_a_key(tmp_path: Path) -> None:
    async with house_of(tmp_path / "a", ONE, TWO, store=MemoryJobStore(), keyless=("one", "two")) as house:
        with pytest.raises(AllCandidatesFailedError) as caught:
            await house.submit()
        assert [(plugin, failure.reason, failure.message) for plugin, failure in caught.value.tries] == [
            ("one", FailureClass.AUTH, "one_key_missing: set ONE_KEY, or providers.one.api_key"),
            ("two", FailureClass.AUTH, "two_key_missing: set TWO_KEY, or providers.two.api_key"),
        ]
        assert caught.value.failure.status == 502
        assert await house.store.count_open() == 0


async def test_provider_without_key_is_passed_over(tmp_path: Path) -> None:
    async with house_of(tmp_path / "a", ONE, TWO, store=MemoryJobStore(), keyless=("one",)) as house:
        house.transport.script("two", {"id": "n-2"})
        assert outcomes(await house.submit()) == [("two", "accepted")]


@pytest.mark.parametrize(
    ("wish", "code", "reason"),
    [
        ({"model": "fake/none"}, "unsupported_model_or_endpoint", None),
        ({"model": "   "}, "model_required", None),
        ({"provider": {"only": ["nobody"]}}, "unsupported_model_or_endpoint", "no_provider_matches"),
        ({"provider": {"ignore": ["fake"]}}, "unsupported_model_or_endpoint", "no_provider_matches"),
        ({"fake": {"invalid": True}}, "validation_error", "prompt_too_short"),
        ({"provider": {"only": ["one"]}, "fake": {"refuse": "one"}}, "not_supported", "unsupported_option"),
        ({"fake": 5}, "validation_error", None),
        ({"fake": {"unoffered": "one two"}}, "unsupported_model_or_endpoint", None),
        ({"fake": {"unoffered": "one", "invalid": "two"}}, "validation_error", "prompt_too_short"),
        ({"fake": {"crash": "one", "invalid": "two"}}, "validation_error", "prompt_too_short"),
    ],
)
async def test_wish_that_nobody_can_fulfil_costs_nothing(
    house: House, wish: dict[str, object], code: str, reason: str | None
) -> None:
    with pytest.raises(RequestError) as caught:
        await house.submit(**wish)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert house.transport.sent == []
    assert await house.store.count_open() == 0


@pytest.mark.parametrize("trouble", ["refuse", "crash"])
async def test_provider_that_cannot_be_told_is_passed_over_before_sending(house: House, trouble: str) -> None:
    house.transport.script("two", {"id": "n-2"})
    job = await house.submit(fake={trouble: "one"})
    assert outcomes(job) == [("two", "accepted")]


async def test_price_may_be_compulsory(tmp_path: Path) -> None:
    free = attrs.evolve(ONE.declared.offers[0], prices=())
    vendor = FakeVendor("one", offers=(free,))
    server = ServerSettings(pricing_required=True)
    async with house_of(tmp_path / "a", vendor, store=MemoryJobStore(), server=server) as house:
        with pytest.raises(RequestError) as caught:
            await house.submit()
        assert (caught.value.code, caught.value.reason) == ("pricing_not_configured", "no_provider_pricing")


async def test_strict_makes_every_warning_an_error(house: House) -> None:
    unknown = house.gate.read({"model": MODEL, "wobble": 1})
    with pytest.raises(InvalidRequestError) as caught:
        await house.gate.submit(unknown, strict=True)
    assert [(item.path, item.code) for item in caught.value.violations] == [
        (("wobble",), "unrecognized_keys")
    ]
    with pytest.raises(RequestError) as refused:
        await house.gate.submit(house.gate.read({"model": MODEL, "seed": 3}), strict=True)
    assert (refused.value.code, refused.value.path) == ("not_supported", ("seed",))
    assert house.transport.sent == []


async def test_provider_that_can_follow_the_whole_wish_is_asked_first(tmp_path: Path) -> None:
    able = FakeVendor("able", priority=9, takes_seed=True)
    async with house_of(tmp_path / "a", ONE, able, store=MemoryJobStore()) as house:
        plan = house.gate.plan(house.gate.read({"model": MODEL, "seed": 1}))
        assert [candidate.installed.name for candidate in plan.candidates] == ["able", "one"]
        wish = {"model": MODEL, "seed": 1, "provider": {"order": ["one"]}}
        assert [
            candidate.installed.name for candidate in house.gate.plan(house.gate.read(wish)).candidates
        ] == [
            "one",
            "able",
        ]


async def test_plan_spends_nothing_and_hides_the_token(tmp_path: Path) -> None:
    server = ServerSettings(public_url="https://gate.test/")
    async with house_of(tmp_path / "a", ONE, TWO, store=MemoryJobStore(), server=server) as house:
        plan = house.gate.plan(house.gate.read({"model": f" {MODEL}:fast ", "provider": {"ignore": ["two"]}}))
        assert plan.model == MODEL
        (candidate,) = plan.candidates
        assert b'"callback":"https://gate.test/v1/callbacks/***/***"' in candidate.translation.request.body
        assert [(item.plugin, item.reason) for item in plan.excluded] == [("two", "ignored")]
        assert house.transport.sent == []


# -------------------------------------------------------------------------------- slots and blocking providers


async def hold(gate: asyncio.Event, answer: Mapping[str, object]) -> Mapping[str, object]:
    await gate.wait()
    return answer


async def settle_tasks() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_wish_that_waits_for_a_slot_is_planned_and_sent_in_its_turn(tmp_path: Path) -> None:
    slow = FakeVendor("one", max_parallel_creates=1, blocking=True, deadline_s=600.0)
    async with house_of(tmp_path / "a", slow, store=MemoryJobStore()) as house:
        free = asyncio.Event()
        house.transport.script("one", lambda: hold(free, {"id": "n-1"}), {"id": "n-2"})
        wish = house.gate.read({"model": MODEL})
        first = await house.gate.submit(wish, wait_s=0)
        second = await house.gate.submit(wish, wait_s=0)
        assert (outcomes(first), outcomes(second)) == ([("one", "sent")], [("one", "planned")])
        assert second.state is JobState.QUEUED
        assert len(house.transport.sent) == 1
        house.clock.pass_s(50)
        free.set()
        await settle_tasks()
        second = await house.stored(second)
        assert (second.native_id, outcomes(second)) == ("n-2", [("one", "accepted")])
        assert second.deadline_at == START + timedelta(seconds=650)
        assert len(house.transport.sent) == 2


async def test_next_provider_that_lasts_as_long_as_a_song_is_in_progress(tmp_path: Path) -> None:
    slow = FakeVendor("slow", priority=2, blocking=True)
    async with house_of(tmp_path / "a", ONE, slow, store=MemoryJobStore()) as house:
        free = asyncio.Event()
        house.transport.script("one", {"no": "credits"})
        house.transport.script("slow", lambda: hold(free, {"no": "invalid"}))
        job = await house.gate.submit(house.gate.read({"model": MODEL}), wait_s=0.01)
        assert (job.state, outcomes(job)) == (JobState.IN_PROGRESS, [("one", "refused"), ("slow", "sent")])


async def test_planned_job_is_written_down_as_sent_when_its_turn_comes(tmp_path: Path) -> None:
    slow = FakeVendor("one", max_parallel_creates=1, blocking=True)
    async with house_of(tmp_path / "a", slow, store=MemoryJobStore()) as house:
        seen: list[set[tuple[str, str]]] = []

        async def look(_: HttpRequest) -> None:
            seen.append({(job.attempts[-1].outcome.value, job.state.value) for job in house.store._all()})

        house.transport.on_send = look
        free = asyncio.Event()
        house.transport.script("one", lambda: hold(free, {"no": "invalid"}), {"no": "invalid"})
        wish = house.gate.read({"model": MODEL})
        await house.gate.submit(wish, wait_s=0)
        await house.gate.submit(wish, wait_s=0)
        free.set()
        await settle_tasks()
        assert seen == [{("sent", "in_progress")}, {("refused", "failed"), ("sent", "in_progress")}]


async def test_blocking_provider_answers_in_progress_after_a_short_wait(tmp_path: Path) -> None:
    async with house_of(tmp_path / "a", FakeVendor("one", blocking=True), store=MemoryJobStore()) as house:
        free = asyncio.Event()
        audio = {"tracks": [{"url": "https://cdn.test/1"}], "status": "done"}
        house.transport.script("one", lambda: hold(free, audio))
        job = await house.gate.submit(house.gate.read({"model": MODEL}), wait_s=0)
        assert (job.state, outcomes(job)) == (JobState.IN_PROGRESS, [("one", "sent")])
        assert house.gate.open_jobs == 1
        free.set()
        await settle_tasks()
        job = await house.stored(job)
        assert job.delivered_at is not None
        assert outcomes(job) == [("one", "accepted")]


async def test_blocking_provider_that_is_quick_is_waited_for(tmp_path: Path) -> None:
    async with house_of(tmp_path / "a", FakeVendor("one", blocking=True), store=MemoryJobStore()) as house:
        house.transport.script("one", {"no": "moderation"})
        job = await house.gate.submit(house.gate.read({"model": MODEL}), wait_s=5)
        assert job.state is JobState.FAILED


async def test_caller_who_hangs_up_does_not_stop_the_call(house: House) -> None:
    free = asyncio.Event()
    house.transport.script("one", lambda: hold(free, {"id": "n-1"}))
    calling = asyncio.create_task(house.submit())
    await settle_tasks()
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)
    free.set()
    await settle_tasks()
    (job,) = await house.store.open_jobs("", 10)
    assert outcomes(job) == [("one", "accepted")]


# ------------------------------------------------------------------------- lost answers that can still be heard of

PUBLIC = ServerSettings(public_url="https://gate.test")


async def test_lost_answer_stays_open_where_the_vendor_calls_back(tmp_path: Path) -> None:
    vendor = FakeVendor("one", callbacks=True, priority=1)
    async with house_of(tmp_path / "a", vendor, TWO, store=MemoryJobStore(), server=PUBLIC) as house:
        house.transport.script("one", lost())
        job = await house.submit()
        assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "unknown")])
        assert house.transport.hosts == ["one"]
        assert b"https://gate.test/v1/callbacks/music_0001/token-not-real" in house.transport.sent[0].body
        assert house.gate.open_jobs == 1


async def test_lost_answer_of_a_vendor_that_never_calls_back_ends_the_job(tmp_path: Path) -> None:
    async with house_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=PUBLIC) as house:
        house.transport.script("one", lost())
        assert (await house.submit()).state is JobState.FAILED


async def test_lost_answer_of_a_vendor_that_cannot_reach_us_ends_the_job(tmp_path: Path) -> None:
    vendor = FakeVendor("one", callbacks=True)
    async with house_of(tmp_path / "a", vendor, store=MemoryJobStore()) as house:
        house.transport.script("one", lost())
        assert (await house.submit()).state is JobState.FAILED


async def test_callback_token_is_not_shown(tmp_path: Path) -> None:
    async with house_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=PUBLIC) as house:
        house.transport.script("one", {"id": "n-1", "words": "https://gate.test/token-not-real"})
        job = await house.submit(echo_upstream_request=True, debug={"return_upstream_response": True})
        assert job.native_request == {
            "prompt": "jazz",
            "model": "one-native",
            "callback": "https://gate.test/v1/callbacks/music_0001/***",
        }
        assert job.native_response == {"id": "n-1", "words": "https://gate.test/***"}
        assert "token-not-real" not in repr(job)


async def test_callback_url_of_the_callers_own_cannot_bring_a_job_back(tmp_path: Path) -> None:
    vendor = FakeVendor("one", callbacks=True, priority=1)
    async with house_of(tmp_path / "a", vendor, store=MemoryJobStore(), server=PUBLIC) as house:
        house.transport.script("one", lost())
        job = await house.submit(fake={"callback": "https://caller.test/hook"})
        assert job.state is JobState.FAILED


@pytest.mark.parametrize(
    "answer",
    [lost(), {"no": "credits"}, {"raise": "credits"}, {"crash": "x"}, {"id": "n-1"}],
    ids=["lost", "no", "error", "crash", "id"],
)
async def test_callback_that_is_faster_than_the_answer_holds_the_job(tmp_path: Path, answer: object) -> None:
    vendor = FakeVendor("one", callbacks=True, priority=1)
    async with house_of(tmp_path / "a", vendor, TWO, store=MemoryJobStore(), server=PUBLIC) as house:

        async def call_back(_: HttpRequest) -> None:
            (job,) = await house.store.open_jobs("", 10)
            hint = await receive_callback(
                house.context, SeenCallbacks(), job.id, "token-not-real", {}, b'{"id": "n-1"}'
            )
            assert hint is Hint.POLL

        house.transport.on_send = call_back
        house.transport.script("one", answer)
        job = await house.submit()
        assert house.transport.hosts == ["one"]
        assert (outcomes(job), job.native_id) == ([("one", "accepted")], "n-1")
        assert not job.state.is_final


# -------------------------------------------------------------------------------------------------- no key leaks


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
async def test_key_that_a_vendor_quotes_back_is_nowhere(
    house: House, answer: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    house.transport.script("one", answer)
    job = await house.submit(debug={"return_upstream_response": True}, provider={"only": ["one"]})
    assert KEY not in repr(job)
    assert KEY not in caplog.text
    assert KEY not in str([event for _, event in await house.store.events(job.id)])
    if "id" in answer:
        assert isinstance(job.native_response, dict)
        assert job.native_response["id"] == "n-1"


async def test_upstream_response_is_kept_only_when_asked_for(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    assert (await house.submit()).native_response is None


# ---------------------------------------------------------------------------------------------- two at one time


def warned(name: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.CHANGED, path=(name,), message=name)


async def test_two_changes_at_once_lose_nothing(tmp_path: Path) -> None:
    async with (
        SqliteJobStore.open(tmp_path / "jobs.db") as store,
        house_of(tmp_path / "a", ONE, store=store) as house,
    ):
        house.transport.script("one", {"id": "n-1"})
        job = await house.submit()

        async def add(name: str) -> None:
            await commit.change(
                house.context,
                job,
                lambda current: attrs.evolve(current, warnings=(*current.warnings, warned(name))),
            )

        names = [f"w{number}" for number in range(10)]
        await asyncio.gather(*map(add, names))
        stored = await house.stored(job)
        assert sorted(warning.message for warning in stored.warnings) == names
        assert stored.version == job.version + 10


async def test_change_that_changes_nothing_is_not_written(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    assert await commit.change(house.context, job, lambda current: current) is job
    assert (await house.stored(job)).version == job.version


async def test_change_that_never_wins_is_an_error(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()

    async def lose(*_: object) -> None:
        return None

    monkeypatch.setattr(house.store, "replace", lose)
    with pytest.raises(StorageError, match="changed 50 times"):
        await commit.change(house.context, job, lambda current: attrs.evolve(current, native_status="x"))


# -------------------------------------------------------------------------------------------------- finding a job


async def test_job_is_found_by_either_id_in_its_own_account_only(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.gate.submit(house.gate.read({"model": MODEL}), account="alice")
    assert await house.gate.find(job.id, account="alice") == job
    assert await house.gate.find("n-1", account="alice") == job
    for wrong in (job.id, "n-1"):
        with pytest.raises(RequestError) as caught:
            await house.gate.find(wrong, account="bob")
        assert (caught.value.code, caught.value.reason) == ("not_found", "music_not_found_or_not_owned")


async def test_generate_raises_the_vendors_no(house: House) -> None:
    house.transport.script("one", {"no": "moderation"})
    with pytest.raises(ProviderError) as caught:
        await house.gate.generate("jazz", model=MODEL)
    assert caught.value.failure.reason is FailureClass.MODERATION
