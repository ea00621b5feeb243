"""Cancel and delete: allowed states, what may be billed, and nothing sent or kept afterwards."""

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
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
    hookimpl,
)
from musicgate.assets.audio import riff_wav
from musicgate.gateway.follow import advance
from musicgate.gateway.settle import settle
from musicgate.jobs import as_settled
from musicgate.model import ProviderSettings
from musicgate.settings import ServerSettings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import MODEL, FakeVendor, Rig, broken_link, lost, rig_of

SONG = riff_wav(bytes(8_000), sample_rate_hz=8_000, channels=1)
LINK = "https://cdn.test/1.wav"


class StoppableVendor(FakeVendor):
    """A vendor that can be asked to stop."""

    @hookimpl
    def cancel_request(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """A GET, so that the script distinguishes it from a create call."""
        return HttpRequest.get(f"{settings.base_url}/stop/{job.native_id}")


NEVER_SENT = "cancelled before it was sent; nothing is billed"
STOPPED = "cancelled; the vendor was asked to stop, and may bill what it had done"
NOT_STOPPED = "cancelled here; the vendor could not be asked to stop, so it may finish the song and bill it"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as rig:
        yield rig


@pytest.fixture
async def stoppable(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", StoppableVendor("one"), store=MemoryJobStore()) as rig:
        yield rig


def holding(rig: Rig) -> asyncio.Event:
    """The vendor answers when the event is set."""
    answer = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await answer.wait()

    rig.transport.on_send = hold
    return answer


async def open_jobs(rig: Rig, count: int) -> list[Job]:
    """The open jobs, once there are so many."""
    async with asyncio.timeout(5):
        while len(jobs := await rig.store.open_jobs("", 10)) < count:  # noqa: ASYNC110 - a store sends no signal
            await asyncio.sleep(0.001)
    return list(jobs)


def verdict_of(job: Job) -> tuple[str, str, str, bool]:
    assert job.failure is not None
    return job.state.value, job.failure.reason.value, job.failure.message, job.failure.costs


@pytest.mark.parametrize("answer", [{}, {"no": "cancelled"}], ids=["taken", "its new status"])
async def test_vendor_that_can_stop_is_asked_to_stop(stoppable: Rig, answer: Any) -> None:
    stoppable.transport.script("one", {"id": "n-1"}, answer)
    job = await stoppable.gate.cancel((await stoppable.submit()).id)
    assert verdict_of(job) == ("failed", "cancelled", STOPPED, True)
    assert stoppable.transport.sent[-1].url == "https://one.test/stop/n-1"
    assert await advance(stoppable.context, job.id) is None


@pytest.mark.parametrize(
    "answer",
    [{"no": "not_found"}, {"doubt": "not_found"}, lost(), {"crash": 1}],
    ids=["no", "doubt", "lost", "odd"],
)
async def test_vendor_that_refuses_to_stop_counts_as_not_stopped(stoppable: Rig, answer: Any) -> None:
    stoppable.transport.script("one", {"id": "n-1"}, answer)
    job = await stoppable.gate.cancel((await stoppable.submit()).id)
    assert verdict_of(job) == ("failed", "cancelled", NOT_STOPPED, True)


async def test_vendor_that_cannot_stop_may_bill(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.gate.cancel((await rig.submit()).id)
    assert verdict_of(job) == ("failed", "cancelled", NOT_STOPPED, True)
    assert len(rig.transport.sent) == 1


async def test_native_id_names_the_job_to_cancel(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    assert (await rig.gate.cancel("n-1")).id == job.id


async def test_cancelling_again_changes_nothing(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.gate.cancel((await rig.submit()).id)
    assert await rig.gate.cancel(job.id) == job


async def test_job_of_another_account_cannot_be_cancelled_or_deleted(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    for use in (rig.gate.cancel, rig.gate.delete):
        for name in (job.id, "n-1", "music_none"):
            with pytest.raises(JobNotFoundError):
                await use(name, account="other")
    assert await rig.stored(job) == job


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        (({"no": "moderation"},), "failed"),
        (({"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]},), "finished"),
    ],
)
async def test_job_that_has_ended_or_is_delivered_cannot_be_cancelled(
    rig: Rig, answers: tuple[Any, ...], word: str
) -> None:
    rig.transport.script("one", *answers)
    job = await rig.submit()
    with pytest.raises(RequestError, match=f"is {word}; it cannot be cancelled") as caught:
        await rig.gate.cancel(job.id)
    assert (caught.value.code, caught.value.reason, caught.value.http_status) == (
        "not_supported",
        "already_final",
        409,
    )
    assert await rig.stored(job) == job


@asynccontextmanager
async def queue(folder: Path) -> AsyncIterator[tuple[Rig, Job]]:
    """One job is being sent, the other waits for a slot; at the end both callers are answered."""
    narrow = FakeVendor("one", max_parallel_creates=1)
    async with rig_of(folder, narrow, store=MemoryJobStore()) as rig:
        answer = holding(rig)
        rig.transport.script("one", {"id": "n-1"})
        running = asyncio.create_task(rig.submit(prompt="runs"))
        await open_jobs(rig, 1)
        waiting = asyncio.create_task(rig.submit(prompt="waits"))
        jobs = await open_jobs(rig, 2)
        yield rig, next(job for job in jobs if job.request.prompt == "waits")
        answer.set()
        await asyncio.gather(running, waiting)
        assert len(rig.transport.sent) == 1


async def test_job_cancelled_while_it_waits_for_a_slot_is_never_sent(tmp_path: Path) -> None:
    async with queue(tmp_path / "audio") as (rig, planned):
        job = await rig.gate.cancel(planned.id)
        assert verdict_of(job) == ("failed", "cancelled", NEVER_SENT, False)
    assert await rig.stored(job) == job


async def test_job_deleted_while_it_waits_for_a_slot_is_never_sent(tmp_path: Path) -> None:
    async with queue(tmp_path / "audio") as (rig, planned):
        await rig.gate.delete(planned.id)
    assert await rig.store.get(planned.id) is None
    assert await rig.store.events(planned.id) == []


Stop = Callable[[Rig, str], Awaitable[object]]


@pytest.mark.parametrize("stop", [lambda h, i: h.gate.cancel(i), lambda h, i: h.gate.delete(i)])
async def test_audio_that_comes_after_a_cancel_or_delete_is_not_kept(tmp_path: Path, stop: Stop) -> None:
    blocking = FakeVendor("one", blocking=True)
    async with rig_of(tmp_path / "audio", blocking, store=MemoryJobStore()) as rig:
        answer = holding(rig)
        song = {"id": "n-1", "state": "completed", "tracks": [{"audio": base64.b64encode(SONG).decode()}]}
        rig.transport.script("one", song)
        job = await rig.gate.submit(rig.gate.read({"model": MODEL}), wait_s=0)
        await stop(rig, job.id)
        answer.set()
        async with asyncio.timeout(5):
            while rig.gate.jobs_in_flight:  # noqa: ASYNC110 - calls send no signal
                await asyncio.sleep(0.001)
        left = await rig.store.get(job.id)
        assert left is None or verdict_of(left)[:2] == ("failed", "cancelled")
        assert list((tmp_path / "audio").glob("music_*")) == []


async def test_audio_that_is_fetched_while_its_job_is_deleted_is_not_kept(rig: Rig, tmp_path: Path) -> None:
    done = {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]}
    rig.transport.script("one", done)
    job = await rig.submit()
    assert job.delivered_at is not None
    rig.transport.media[LINK] = SONG
    fetch = rig.transport.download

    async def deleted_meanwhile(*arguments: Any, **more: Any) -> Any:
        await rig.gate.delete(job.id)
        return await fetch(*arguments, **more)

    rig.transport.download = deleted_meanwhile  # type: ignore[method-assign]  # a delete during the download
    assert await settle(rig.context, job) is None
    assert list((tmp_path / "audio").glob("??/*")) == []
    assert await rig.store.get(job.id) is None


async def test_deleted_job_is_gone_with_its_history_and_its_audio(rig: Rig, tmp_path: Path) -> None:
    rig.transport.media[LINK] = SONG
    done = {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]}
    rig.transport.script("one", done)
    job = await rig.submit()
    await settle(rig.context, job)
    path = rig.gate.audio_path(await rig.stored(job))
    assert path is not None
    assert path.exists()
    await rig.gate.delete(job.id)
    assert not path.exists()
    assert await rig.store.get(job.id) is None
    assert await rig.store.events(job.id) == []
    with pytest.raises(JobNotFoundError):
        await rig.gate.delete(job.id)


async def test_watchers_of_a_deleted_job_get_an_error(rig: Rig) -> None:
    rig.transport.media[LINK] = broken_link("HTTP 503")
    rig.transport.script("one", {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]})
    job = await rig.submit()
    waiting = asyncio.create_task(rig.gate.wait(job.id, 5))
    await asyncio.sleep(0.01)
    await rig.gate.delete(job.id)
    with pytest.raises(JobNotFoundError):
        await waiting


async def test_open_job_that_is_deleted_ends_for_its_watchers(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    waiting = asyncio.create_task(rig.gate.wait(job.id, 5))
    await asyncio.sleep(0.01)
    await rig.gate.delete(job.id)
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    if isinstance(outcome, Job):
        assert outcome.state is JobState.FAILED
        assert outcome.failure is not None
        assert outcome.failure.reason is FailureClass.CANCELLED
    else:
        assert isinstance(outcome, JobNotFoundError)


async def test_id_that_comes_after_a_cancel_is_kept_and_the_vendor_is_asked_to_stop(stoppable: Rig) -> None:
    answer = holding(stoppable)
    stoppable.transport.script("one", {"id": "n-1"}, {})
    creating = asyncio.create_task(stoppable.submit())
    (job,) = await open_jobs(stoppable, 1)
    cancelled = await stoppable.gate.cancel(job.id)
    assert verdict_of(cancelled) == ("failed", "cancelled", NOT_STOPPED, True)
    stoppable.clock.pass_s(1)
    answer.set()
    answered = await creating
    assert (answered.state, answered.native_id) == (JobState.FAILED, "n-1")
    assert stoppable.transport.sent[-1].url == "https://one.test/stop/n-1"
    stored = await stoppable.stored(job)
    assert (stored.native_id, stored.attempts[-1].outcome.value) == ("n-1", "accepted")
    kinds = [event.kind.value for _, event in await stoppable.store.events(job.id)]
    assert kinds[-1] == "settled"  # nothing follows the end
    assert as_settled(stored).native_id is None


async def test_callback_id_after_a_cancel_is_kept_and_the_vendor_is_asked_to_stop(
    tmp_path: Path,
) -> None:
    server = ServerSettings(public_url="https://gate.test")
    vendor = StoppableVendor("one", callbacks=True)
    async with rig_of(tmp_path / "audio", vendor, store=MemoryJobStore(), server=server) as rig:
        rig.transport.script("one", lost(), {})
        job = await rig.submit()
        await rig.gate.cancel(job.id)
        assert len(rig.transport.sent) == 1
        await rig.gate.callback(job.id, job.callback_token, {}, b'{"id": "n-1"}')
        async with asyncio.timeout(5):
            while len(rig.transport.sent) < 2:  # noqa: ASYNC110 - a transport sends no signal
                await asyncio.sleep(0.001)
        assert rig.transport.sent[-1].url == "https://one.test/stop/n-1"
        assert (await rig.stored(job)).native_id == "n-1"


@pytest.mark.parametrize(
    ("media", "state"), [(SONG, JobState.COMPLETED), (broken_link("HTTP 403"), JobState.IN_PROGRESS)]
)
async def test_song_delivered_while_the_vendor_is_asked_to_stop_is_kept(
    stoppable: Rig, media: bytes | Exception, state: JobState
) -> None:
    done = {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]}
    stoppable.transport.script("one", {"id": "n-1"})
    job = await stoppable.submit()
    stoppable.transport.media[LINK] = media

    async def deliver_meanwhile(request: HttpRequest) -> None:
        if "/stop/" in request.url:
            stoppable.transport.on_send = None
            stoppable.transport.script("one", done, {})
            await advance(stoppable.context, job.id)

    stoppable.transport.on_send = deliver_meanwhile
    with pytest.raises(RequestError, match="is finished; it cannot be cancelled") as caught:
        await stoppable.gate.cancel(job.id)
    assert caught.value.http_status == 409
    stored = await stoppable.stored(job)
    assert (stored.state, stored.delivered_at is not None) == (state, True)
