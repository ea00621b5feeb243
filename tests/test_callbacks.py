"""A signed callback counts once; how many are remembered, and for which job."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from musicgate import Job
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, Rig, lost, rig_of

SIGNED = {"x-signature": "good"}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as rig:
        yield rig


async def call(
    rig: Rig, seen: SeenCallbacks, job: Job, body: bytes, headers: dict[str, str] = SIGNED
) -> bool:
    hint = await receive_callback(rig.context, seen, job.id, job.callback_token, headers, body)
    return hint is Hint.POLL


async def test_signed_callback_is_taken_once(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job, seen = await rig.submit(), SeenCallbacks()
    assert [await call(rig, seen, job, b'{"id": "n-1"}') for _ in range(3)] == [True, False, False]
    assert await call(rig, seen, job, b'{"id": "n-1", "stage": "first"}') is True


async def test_unsigned_callback_may_come_again(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job, seen = await rig.submit(), SeenCallbacks()
    assert [await call(rig, seen, job, b'{"id": "n-1"}', {}) for _ in range(2)] == [True, True]


async def test_same_body_for_another_job_is_no_replay(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"}, {"id": "n-2"})
    seen = SeenCallbacks()
    for job in (await rig.submit(), await rig.submit()):
        assert await call(rig, seen, job, b"{}") is True


async def test_callback_that_led_to_nothing_may_come_again(rig: Rig) -> None:
    """The callback came before the vendor's id was known, or for another task."""
    rig.transport.script("one", {"id": "n-1"})
    job, seen = await rig.submit(), SeenCallbacks()
    assert [await call(rig, seen, job, b'{"id": "n-other"}') for _ in range(2)] == [False, False]
    rig.transport.script("one", lost())
    unknown = await rig.submit()
    assert [await call(rig, seen, unknown, b"{}") for _ in range(2)] == [False, False]


def test_number_of_remembered_callbacks_is_bounded() -> None:
    seen = SeenCallbacks(capacity=2)
    for digest in (b"a", b"b", b"c"):
        seen.add(digest)
    assert [digest in seen for digest in (b"a", b"b", b"c")] == [False, True, True]
