"""Signed callbacks count once: what is remembered, of whom, and how much."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from musicgate import Job
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, House, house_of, lost

SIGNED = {"x-signature": "good"}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as house:
        yield house


async def call(
    house: House, seen: SeenCallbacks, job: Job, body: bytes, headers: dict[str, str] = SIGNED
) -> bool:
    hint = await receive_callback(house.context, seen, job.id, job.callback_token, headers, body)
    return hint is Hint.POLL


async def test_signed_callback_is_taken_once(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job, seen = await house.submit(), SeenCallbacks()
    assert [await call(house, seen, job, b'{"id": "n-1"}') for _ in range(3)] == [True, False, False]
    assert await call(house, seen, job, b'{"id": "n-1", "stage": "first"}') is True


async def test_unsigned_callback_may_come_again(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job, seen = await house.submit(), SeenCallbacks()
    assert [await call(house, seen, job, b'{"id": "n-1"}', {}) for _ in range(2)] == [True, True]


async def test_same_body_for_another_job_is_no_replay(house: House) -> None:
    house.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    seen = SeenCallbacks()
    for job in (await house.submit(), await house.submit()):
        assert await call(house, seen, job, b"{}") is True


async def test_callback_that_led_to_nothing_may_come_again(house: House) -> None:
    """It came before the vendor's id was known, or for another task."""
    house.transport.script("one", {"id": "n-1"})
    job, seen = await house.submit(), SeenCallbacks()
    assert [await call(house, seen, job, b'{"id": "n-other"}') for _ in range(2)] == [False, False]
    house.transport.script("one", lost())
    unknown = await house.submit()
    assert [await call(house, seen, unknown, b"{}") for _ in range(2)] == [False, False]


def test_only_so_many_are_remembered() -> None:
    seen = SeenCallbacks(capacity=2)
    for digest in (b"a", b"b", b"c"):
        seen.add(digest)
    assert [digest in seen for digest in (b"a", b"b", b"c")] == [False, True, True]
