"""Three ways to wait for a song: a handle, `Gateway.generate`, and `musicgate.generate`."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

import musicgate
from musicgate import (
    Gateway,
    JobFailedError,
    JobNotFoundError,
    JobState,
    JobTimeoutError,
    Settings,
    StorageError,
)
from musicgate.assets.audio import riff_wav
from musicgate.gateway import facade
from musicgate.model import AttemptOutcome
from musicgate.settings import FollowSettings
from tests.fake_vendor import (
    MODEL,
    FakeVendor,
    FolderAssets,
    ScriptedTransport,
    host_of,
    open_context_with,
    settings_for,
)

LINK = "https://media.test/song.wav"
DONE: dict[str, Any] = {"status": "done", "tracks": [{"id": "t-1", "url": LINK}]}
VENDOR = FakeVendor("one")


@pytest.fixture
def transport(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScriptedTransport:
    """The vendor's side of every gateway that the test opens."""
    scripted = ScriptedTransport()
    scripted.media[LINK] = riff_wav(bytes(8_000), sample_rate_hz=8_000, channels=1)
    opening = open_context_with(scripted, FolderAssets(tmp_path / "audio"), tmp_path / "jobs.db")
    monkeypatch.setattr(facade, "open_context", opening)
    return scripted


@pytest.fixture
def settings() -> Settings:
    """Polls follow each other quickly."""
    return settings_for(VENDOR, follow=FollowSettings(speed=200.0))


@pytest_asyncio.fixture
async def gate(transport: ScriptedTransport, settings: Settings) -> AsyncIterator[Gateway]:
    """An open gateway."""
    async with Gateway.open(settings, plugins=host_of(VENDOR)) as opened:
        yield opened


def hold_answers(transport: ScriptedTransport) -> asyncio.Event:
    """Hold every answer of the vendor until the event is set."""
    may_answer = asyncio.Event()

    async def hold(_: object) -> None:
        await may_answer.wait()

    transport.on_send = hold
    return may_answer


async def test_handle_has_its_id_before_the_vendor_has_answered(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    may_answer = hold_answers(transport)
    transport.script("one", {"id": "n-1"}, DONE)
    handle = await gate.start(gate.read({"model": MODEL}))
    stored = await gate.get(handle.id)
    assert stored is not None
    assert (handle.id, handle.job.state) == (stored.id, JobState.QUEUED)
    assert stored.attempt is not None
    assert stored.attempt.outcome is AttemptOutcome.SENT
    transport.on_send = None
    may_answer.set()
    job = await handle
    assert (job.id, job.state) == (handle.id, JobState.COMPLETED)


async def test_handle_that_is_awaited_twice_gives_the_same_job(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    transport.script("one", {"id": "n-1"}, DONE)
    handle = await gate.start(gate.read({"model": MODEL}))
    assert await handle == await handle.wait(timeout_s=5)


async def test_vendor_that_is_busy_is_asked_again_since_no_caller_waits_for_its_answer(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    transport.script("one", {"no": "rate_limited", "retry_after_s": 1}, {"id": "n-1"}, DONE)
    may_answer = hold_answers(transport)
    handle = await gate.start(gate.read({"model": MODEL}))
    transport.on_send = None
    may_answer.set()
    job = await handle
    assert [attempt.outcome for attempt in job.attempts] == [AttemptOutcome.REFUSED, AttemptOutcome.ACCEPTED]


async def test_handle_of_a_failed_job_gives_the_job_and_its_failure(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    transport.script("one", {"no": "moderation"})
    job = await (await gate.start(gate.read({"model": MODEL})))
    assert job.state is JobState.FAILED
    assert job.failure is not None


async def test_handle_of_a_deleted_job_says_so(gate: Gateway, transport: ScriptedTransport) -> None:
    transport.script("one", {"id": "n-1"})
    handle = await gate.start(gate.read({"model": MODEL}))
    await gate.delete(handle.id)
    with pytest.raises(JobNotFoundError):
        await handle


async def test_generate_that_takes_too_long_says_which_job_goes_on(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    transport.script("one", {"id": "n-1"}, *[{"status": "works"}] * 500)
    with pytest.raises(JobTimeoutError, match=r"not finished after 0\.5 s") as caught:
        await gate.generate("jazz", model=MODEL, timeout_s=0.5)
    job = await gate.get(caught.value.job_id)
    assert job is not None
    assert (job.native_id, job.state.is_final) == ("n-1", False)


async def test_generate_ends_in_time_while_the_create_call_hangs(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    may_answer = hold_answers(transport)
    transport.script("one", {"id": "n-1"}, DONE)
    async with asyncio.timeout(5):
        with pytest.raises(JobTimeoutError) as caught:
            await gate.generate("jazz", model=MODEL, timeout_s=0.1)
    transport.on_send = None
    may_answer.set()
    assert (await gate.wait(caught.value.job_id, timeout_s=10)).state is JobState.COMPLETED


async def test_generate_whose_job_is_not_stored_in_time_says_that_it_may_be(
    gate: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(gate._context.store, "add", hang)
    with pytest.raises(StorageError) as caught:
        await gate.generate("jazz", model=MODEL, timeout_s=0.1)
    assert caught.value.maybe_stored


async def test_generate_raises_the_vendors_refusal_with_the_job(
    gate: Gateway, transport: ScriptedTransport
) -> None:
    transport.script("one", {"no": "moderation"})
    with pytest.raises(JobFailedError) as caught:
        await gate.generate("jazz", model=MODEL)
    assert caught.value.failure is caught.value.job.failure


def test_synchronous_generate_gives_the_job_and_files_that_outlive_the_gateway(
    transport: ScriptedTransport, settings: Settings
) -> None:
    transport.script("one", {"id": "n-1"}, DONE)
    made = musicgate.generate("jazz", model=MODEL, settings=settings, plugins=host_of(VENDOR), timeout_s=20)
    assert made.job.state is JobState.COMPLETED
    assert [path.read_bytes()[:4] for path in made.paths] == [b"RIFF"]


async def test_synchronous_generate_works_where_an_event_loop_runs(
    transport: ScriptedTransport, settings: Settings
) -> None:
    transport.script("one", {"id": "n-1"}, DONE)
    made = musicgate.generate("jazz", model=MODEL, settings=settings, plugins=host_of(VENDOR), timeout_s=20)
    assert made.job.state is JobState.COMPLETED
