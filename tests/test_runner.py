"""The runner passes a callback on to the owner of the job: a call in flight, or the scheduler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from musicgate import JobState
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.gateway.follow import advance
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import FakeVendor, Rig, rig_of

TOKEN = "token-not-real"
CALLBACK = b'{"id": "n-1"}'


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path, FakeVendor(), store=MemoryJobStore()) as made:
        made.transport.script("one", {"id": "n-1", "status": "waits"})
        yield made


async def test_callbacks_of_a_job_that_was_just_polled_do_not_shorten_the_gap_between_polls(rig: Rig) -> None:
    """Whatever a vendor sends, and however often, costs at most one poll a second at normal speed."""
    job = await rig.submit()
    entry = rig.gate._runner.owners.scheduler._entries[job.id]
    entry.stepped_s = asyncio.get_running_loop().time()
    for _ in range(10):
        await rig.gate.callback(job.id, TOKEN, {}, CALLBACK)
    assert entry.due_s == pytest.approx(entry.stepped_s + 1.0, abs=0.05)


async def test_a_callback_gives_a_job_without_an_owner_to_the_scheduler(rig: Rig) -> None:
    job = await rig.submit()
    scheduler = rig.gate._runner.owners.scheduler
    del scheduler._entries[job.id]
    await rig.gate.callback(job.id, TOKEN, {}, CALLBACK)
    assert job.id in scheduler


async def test_a_callback_during_the_create_call_leaves_the_job_to_that_call(rig: Rig) -> None:
    runner = rig.gate._runner

    async def call_back(_: object) -> None:
        (job_id,) = runner.owners.in_flight._calls
        await rig.gate.callback(job_id, TOKEN, {}, CALLBACK)
        assert job_id not in runner.owners.scheduler

    rig.transport.on_send = call_back
    job = await rig.submit()
    assert job.id in runner.owners.scheduler


async def test_a_callback_for_a_job_that_has_ended_asks_for_nothing(rig: Rig) -> None:
    job = await rig.submit()
    rig.transport.script("one", {"no": "moderation"})
    await advance(rig.context, job.id)
    assert (await rig.stored(job)).state is JobState.FAILED
    hint = await receive_callback(rig.context, SeenCallbacks(), job.id, TOKEN, {}, CALLBACK)
    assert hint is Hint.NOTHING
