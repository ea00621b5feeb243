"""Idempotency keys: valid keys, the fingerprint, and one call per key whatever happens."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from musicgate import (
    FailureClass,
    HttpRequest,
    Job,
    JobNotFoundError,
    JobState,
    RequestError,
    StorageError,
)
from musicgate.gateway.idempotency import IdempotencyKey, fingerprint
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.web.idempotency_key import read_key
from tests.fake_vendor import MODEL, FakeVendor, Rig, lost, rig_of

ROUTE = "POST /somewhere"
ONE = FakeVendor("one", priority=1)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", ONE, store=MemoryJobStore()) as rig:
        yield rig


# --- the header ---


@pytest.mark.parametrize(
    ("header", "key"),
    [
        ("abc", "abc"),
        ('"abc"', "abc"),
        ('  "abc"  ', "abc"),
        ('"two words"', "two words"),
        (r'"with \" and \\"', 'with " and \\'),
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ("a/b+c=;,~", "a/b+c=;,~"),
        ("x" * 255, "x" * 255),
        (f'"{"x" * 255}"', "x" * 255),
    ],
)
def test_key_is_read_quoted_or_bare(header: str, key: str) -> None:
    read = read_key(header, ROUTE, {})
    assert read is not None
    assert (read.route, read.key) == (ROUTE, key)


@pytest.mark.parametrize(
    "header",
    [
        *("", "   ", '""', '"', '"abc', 'abc"', 'a"b', "two words", "a\tb", "\x7f", "x" * 256),
        *("schlüssel", '"schlüssel"', '"a", "b"', r'"lost \ slash"', '"tab\there"'),
    ],
)
def test_invalid_key_is_refused(header: str) -> None:
    with pytest.raises(RequestError) as caught:
        read_key(header, ROUTE, {})
    assert (caught.value.code, caught.value.reason) == ("validation_error", "invalid_idempotency_key")


def test_no_header_is_no_key() -> None:
    assert read_key(None, ROUTE, {}) is None


# --- the same request ---

BODY = {"model": "m", "prompt": "é", "suno": {"styleWeight": 0.5, "tags": [1, 2]}}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"suno": {"tags": [1, 2], "styleWeight": 0.5}, "prompt": "é", "model": "m"}, True),
        ({**BODY, "suno": {"styleWeight": 0.5, "tags": [2, 1]}}, False),
        ({**BODY, "prompt": "e"}, False),
        ({**BODY, "prompt": None}, False),
        ({**BODY, "more": None}, False),
        ({"model": "m"}, False),
        ([], False),
    ],
)
def test_fingerprint_ignores_key_order_and_white_space(other: object, *, same: bool) -> None:
    assert (fingerprint(other) == fingerprint(BODY)) is same


def test_fingerprint_takes_text_that_is_not_unicode() -> None:
    assert fingerprint({"a": "\ud800"}) != fingerprint({"a": "\ud801"})


# --- one key, one call ---


async def submit(
    rig: Rig, header: str = "k", account: str = "local", route: str = ROUTE, **fields: Any
) -> Job:
    body = {"model": MODEL, "prompt": "jazz", **fields}
    return await rig.gate.submit(
        rig.gate.read(body), account=account, idempotency=read_key(header, route, body)
    )


async def test_second_call_gets_the_job_of_the_first_and_nothing_is_sent(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    first = await submit(rig)
    again = await submit(rig)
    assert again == first
    assert len(rig.transport.sent) == 1


async def test_another_body_under_the_key_is_refused(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    await submit(rig)
    with pytest.raises(RequestError) as caught:
        await submit(rig, prompt="blues")
    error = caught.value
    assert (error.code, error.reason, error.http_status) == (
        "validation_error",
        "idempotency_key_reused",
        422,
    )
    assert len(rig.transport.sent) == 1


@pytest.mark.parametrize(
    "more", [{"header": "k2"}, {"account": "other"}, {"route": "POST /elsewhere"}], ids=str
)
async def test_key_belongs_to_its_account_and_route(rig: Rig, more: dict[str, str]) -> None:
    rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    first = await submit(rig)
    second = await submit(rig, **more)
    assert (first.native_id, second.native_id) == ("n-1", "n-2")


async def test_replay_of_a_refused_job_returns_it(rig: Rig) -> None:
    rig.transport.script("one", {"no": "moderation"})
    first = await submit(rig)
    again = await submit(rig)
    assert again == first
    assert again.failure is not None
    assert again.failure.reason is FailureClass.MODERATION
    assert len(rig.transport.sent) == 1


async def test_replay_after_a_lost_answer_sends_nothing(rig: Rig) -> None:
    rig.transport.script("one", lost())
    await submit(rig)
    again = await submit(rig)
    assert again.failure is not None
    assert again.failure.reason is FailureClass.UNKNOWN_OUTCOME
    assert len(rig.transport.sent) == 1


async def test_key_of_a_request_that_was_not_stored_can_be_used_again(rig: Rig) -> None:
    rig.store.trouble = "disk full"
    with pytest.raises(StorageError):
        await submit(rig)
    assert (rig.gate.jobs_in_flight, rig.gate._runner.owners.in_flight._claims) == (0, {})
    rig.store.trouble = None
    rig.transport.script("one", {"id": "n-1"})
    assert (await submit(rig)).native_id == "n-1"


async def test_duplicates_wait_for_the_one_call_and_get_its_job(rig: Rig) -> None:
    answer = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await answer.wait()

    rig.transport.on_send = hold
    rig.transport.script("one", {"no": "moderation"})
    duplicates = [asyncio.create_task(submit(rig)) for _ in range(50)]
    await asyncio.sleep(0.02)
    assert not any(duplicate.done() for duplicate in duplicates)
    answer.set()
    jobs = await asyncio.gather(*duplicates)
    assert {(job.id, job.state) for job in jobs} == {(jobs[0].id, JobState.FAILED)}
    assert len(rig.transport.sent) == 1
    assert (rig.gate.jobs_in_flight, rig.gate._runner.owners.in_flight._claims) == (0, {})


async def test_duplicate_waits_no_longer_than_the_first_caller(tmp_path: Path) -> None:
    never = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await never.wait()

    async with rig_of(tmp_path / "audio", FakeVendor("one", blocking=True), store=MemoryJobStore()) as rig:
        rig.transport.on_send = hold
        rig.transport.script("one", {"id": "n-1"})
        body = {"model": MODEL}
        request, key = rig.gate.read(body), IdempotencyKey(route=ROUTE, key="k", fingerprint="f")
        async with asyncio.timeout(5):
            first = await rig.gate.submit(request, wait_s=0.05, idempotency=key)
            again = await rig.gate.submit(request, wait_s=60.0, idempotency=key)
        assert (again.id, again.state) == (first.id, JobState.IN_PROGRESS)


async def test_duplicate_of_a_job_that_waits_for_a_slot_gets_it(tmp_path: Path) -> None:
    """The first provider refuses, and the only slot of the second one is taken for a long time."""
    vendors = FakeVendor("one", priority=1), FakeVendor("two", priority=2, max_parallel_creates=1)
    async with rig_of(tmp_path / "audio", *vendors, store=MemoryJobStore()) as rig:
        never = asyncio.Event()

        async def hold(request: HttpRequest) -> None:
            if "two" in request.url:
                await never.wait()

        rig.transport.on_send = hold
        rig.transport.script("two", {"id": "n-1"})
        served = asyncio.create_task(rig.submit(provider={"only": ["two"]}))
        await asyncio.sleep(0.01)
        rig.transport.script("one", {"no": "credits"})
        request, key = rig.gate.read({"model": MODEL}), IdempotencyKey(route=ROUTE, key="k", fingerprint="f")
        async with asyncio.timeout(5):
            first, again = await asyncio.gather(
                *(rig.gate.submit(request, wait_s=0.05, idempotency=key) for _ in range(2))
            )
        assert (again.id, again.state) == (first.id, JobState.QUEUED)
        served.cancel()


async def test_caller_who_goes_away_before_the_job_is_stored_does_not_stop_it(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    stored, add = asyncio.Event(), rig.store.add

    async def slow_add(*arguments: Any) -> Any:
        await stored.wait()
        return await add(*arguments)

    rig.store.add = slow_add
    caller = asyncio.create_task(submit(rig))
    await asyncio.sleep(0.01)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    stored.set()
    again = await submit(rig)
    assert again.native_id == "n-1"
    assert len(rig.transport.sent) == 1


async def test_key_of_a_deleted_job_is_free_again(rig: Rig) -> None:
    rig.transport.script("one", {"no": "moderation"}, {"id": "n-2"})
    first = await submit(rig)
    await rig.gate.delete(first.id)
    with pytest.raises(JobNotFoundError):
        await rig.gate.find(first.id)
    assert (await submit(rig)).native_id == "n-2"
