"""Cancel and delete: what each state allows, what is said of the bill, and that nothing is sent or kept for a job that is gone."""

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
from tests.fake_vendor import MODEL, FakeVendor, House, broken_link, house_of, lost

SONG = riff_wav(bytes(8_000), sample_rate_hz=8_000, channels=1)
LINK = "https://cdn.test/1.wav"


class StoppableVendor(FakeVendor):
    """A vendor that can be told to stop."""

    @hookimpl
    def cancel_request(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """A GET, so that the script tells it from a create call."""
        return HttpRequest.get(f"{settings.base_url}/stop/{job.native_id}")


NEVER_SENT = "cancelled before it was sent; nothing is billed"
STOPPED = "cancelled; the vendor was asked to stop, and may bill what it had done"
NOT_STOPPED = "cancelled here; the vendor could not be asked to stop, so it may finish the song and bill it"


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", FakeVendor("one"), store=MemoryJobStore()) as house:
        yield house


@pytest.fixture
async def stoppable(tmp_path: Path) -> AsyncIterator[House]:
    async with house_of(tmp_path / "audio", StoppableVendor("one"), store=MemoryJobStore()) as house:
        yield house


def holding(house: House) -> asyncio.Event:
    """The vendor answers when the event is set."""
    answer = asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        await answer.wait()

    house.transport.on_send = hold
    return answer


async def open_jobs(house: House, count: int) -> list[Job]:
    """The open jobs, once there are so many."""
    async with asyncio.timeout(5):
        while len(jobs := await house.store.open_jobs("", 10)) < count:  # noqa: ASYNC110 - a store tells nobody
            await asyncio.sleep(0.001)
    return list(jobs)


def said(job: Job) -> tuple[str, str, str, bool]:
    assert job.failure is not None
    return job.state.value, job.failure.reason.value, job.failure.message, job.failure.costs


async def test_vendor_that_can_be_told_is_told(stoppable: House) -> None:
    stoppable.transport.script("one", {"id": "n-1"}, {})
    job = await stoppable.gate.cancel((await stoppable.submit()).id)
    assert said(job) == ("failed", "cancelled", STOPPED, True)
    assert stoppable.transport.sent[-1].url == "https://one.test/stop/n-1"
    assert await advance(stoppable.context, job.id) is None


@pytest.mark.parametrize("answer", [{"no": "not_found"}, lost(), {"crash": 1}], ids=["no", "lost", "odd"])
async def test_vendor_that_does_not_take_the_word_counts_as_not_told(stoppable: House, answer: Any) -> None:
    stoppable.transport.script("one", {"id": "n-1"}, answer)
    job = await stoppable.gate.cancel((await stoppable.submit()).id)
    assert said(job) == ("failed", "cancelled", NOT_STOPPED, True)


async def test_vendor_that_cannot_be_told_may_bill(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.gate.cancel((await house.submit()).id)
    assert said(job) == ("failed", "cancelled", NOT_STOPPED, True)
    assert len(house.transport.sent) == 1


async def test_native_id_names_the_job_to_cancel(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    assert (await house.gate.cancel("n-1")).id == job.id


async def test_cancelling_again_changes_nothing(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.gate.cancel((await house.submit()).id)
    assert await house.gate.cancel(job.id) == job


async def test_nobody_elses_job_can_be_cancelled_or_deleted(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    for use in (house.gate.cancel, house.gate.delete):
        for name in (job.id, "n-1", "music_none"):
            with pytest.raises(JobNotFoundError):
                await use(name, account="other")
    assert await house.stored(job) == job


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        (({"no": "moderation"},), "failed"),
        (({"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]},), "finished"),
    ],
)
async def test_job_that_has_ended_or_is_delivered_cannot_be_cancelled(
    house: House, answers: tuple[Any, ...], word: str
) -> None:
    house.transport.script("one", *answers)
    job = await house.submit()
    with pytest.raises(RequestError, match=f"is {word}; it cannot be cancelled") as caught:
        await house.gate.cancel(job.id)
    assert (caught.value.code, caught.value.reason, caught.value.status) == (
        "not_supported",
        "already_final",
        409,
    )
    assert await house.stored(job) == job


@asynccontextmanager
async def queue(folder: Path) -> AsyncIterator[tuple[House, Job]]:
    """One job is being sent, the other one waits for its turn; at the end both callers have their answer."""
    narrow = FakeVendor("one", max_parallel_creates=1)
    async with house_of(folder, narrow, store=MemoryJobStore()) as house:
        answer = holding(house)
        house.transport.script("one", {"id": "n-1"})
        running = asyncio.create_task(house.submit(prompt="runs"))
        await open_jobs(house, 1)
        waiting = asyncio.create_task(house.submit(prompt="waits"))
        jobs = await open_jobs(house, 2)
        yield house, next(job for job in jobs if job.request.prompt == "waits")
        answer.set()
        await asyncio.gather(running, waiting)
        assert len(house.transport.sent) == 1


async def test_job_that_waits_for_its_turn_costs_nothing_and_is_never_sent(tmp_path: Path) -> None:
    async with queue(tmp_path / "audio") as (house, planned):
        job = await house.gate.cancel(planned.id)
        assert said(job) == ("failed", "cancelled", NEVER_SENT, False)
    assert await house.stored(job) == job


async def test_job_that_is_deleted_while_it_waits_for_its_turn_is_never_sent(tmp_path: Path) -> None:
    async with queue(tmp_path / "audio") as (house, planned):
        await house.gate.delete(planned.id)
    assert await house.store.get(planned.id) is None
    assert await house.store.events(planned.id) == []


Stop = Callable[[House, str], Awaitable[object]]


@pytest.mark.parametrize("stop", [lambda h, i: h.gate.cancel(i), lambda h, i: h.gate.delete(i)])
async def test_audio_that_comes_after_a_cancel_or_delete_is_not_kept(tmp_path: Path, stop: Stop) -> None:
    blocking = FakeVendor("one", blocking=True)
    async with house_of(tmp_path / "audio", blocking, store=MemoryJobStore()) as house:
        answer = holding(house)
        song = {"id": "n-1", "state": "completed", "tracks": [{"audio": base64.b64encode(SONG).decode()}]}
        house.transport.script("one", song)
        job = await house.gate.submit(house.gate.read({"model": MODEL}), wait_s=0)
        await stop(house, job.id)
        answer.set()
        async with asyncio.timeout(5):
            while house.gate.jobs_in_flight:  # noqa: ASYNC110 - calls tell nobody that they have ended
                await asyncio.sleep(0.001)
        left = await house.store.get(job.id)
        assert left is None or said(left)[:2] == ("failed", "cancelled")
        assert list((tmp_path / "audio").glob("music_*")) == []


async def test_audio_that_is_fetched_while_its_job_is_deleted_is_not_kept(
    house: House, tmp_path: Path
) -> None:
    done = {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]}
    house.transport.script("one", done)
    job = await house.submit()
    assert job.delivered_at is not None
    house.transport.media[LINK] = SONG
    fetch = house.transport.download

    async def deleted_meanwhile(*arguments: Any, **more: Any) -> Any:
        await house.gate.delete(job.id)
        return await fetch(*arguments, **more)

    house.transport.download = deleted_meanwhile  # type: ignore[method-assign]  # a delete at the worst moment
    assert await settle(house.context, job) is None
    assert list((tmp_path / "audio").glob("music_*")) == []
    assert await house.store.get(job.id) is None


async def test_deleted_job_is_gone_with_its_history_and_its_audio(house: House, tmp_path: Path) -> None:
    house.transport.media[LINK] = SONG
    done = {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]}
    house.transport.script("one", done)
    job = await house.submit()
    await settle(house.context, job)
    path = house.gate.audio_path(await house.stored(job))
    assert path is not None
    assert path.exists()
    await house.gate.delete(job.id)
    assert not path.parent.exists()
    assert await house.store.get(job.id) is None
    assert await house.store.events(job.id) == []
    with pytest.raises(JobNotFoundError):
        await house.gate.delete(job.id)


async def test_whoever_watches_a_deleted_job_is_told(house: House) -> None:
    house.transport.media[LINK] = broken_link("HTTP 503")
    house.transport.script("one", {"id": "n-1", "status": "done", "tracks": [{"id": "t", "url": LINK}]})
    job = await house.submit()
    waiting = asyncio.create_task(house.gate.wait(job.id, 5))
    await asyncio.sleep(0.01)
    await house.gate.delete(job.id)
    with pytest.raises(JobNotFoundError):
        await waiting


async def test_open_job_that_is_deleted_ends_for_its_watchers(house: House) -> None:
    house.transport.script("one", {"id": "n-1"})
    job = await house.submit()
    waiting = asyncio.create_task(house.gate.wait(job.id, 5))
    await asyncio.sleep(0.01)
    await house.gate.delete(job.id)
    (outcome,) = await asyncio.gather(waiting, return_exceptions=True)
    if isinstance(outcome, Job):
        assert outcome.state is JobState.FAILED
        assert outcome.failure is not None
        assert outcome.failure.reason is FailureClass.CANCELLED
    else:
        assert isinstance(outcome, JobNotFoundError)


async def test_id_that_comes_after_a_cancel_is_kept_and_the_vendor_is_told(stoppable: House) -> None:
    answer = holding(stoppable)
    stoppable.transport.script("one", {"id": "n-1"}, {})
    creating = asyncio.create_task(stoppable.submit())
    (job,) = await open_jobs(stoppable, 1)
    cancelled = await stoppable.gate.cancel(job.id)
    assert said(cancelled) == ("failed", "cancelled", NOT_STOPPED, True)
    stoppable.clock.pass_s(1)
    answer.set()
    told = await creating
    assert (told.state, told.native_id) == (JobState.FAILED, "n-1")
    assert stoppable.transport.sent[-1].url == "https://one.test/stop/n-1"
    stored = await stoppable.stored(job)
    assert (stored.native_id, stored.attempts[-1].outcome.value) == ("n-1", "accepted")
    kinds = [event.kind.value for _, event in await stoppable.store.events(job.id)]
    assert kinds[-1] == "settled"  # nothing follows the end
    assert as_settled(stored).native_id is None


async def test_id_that_a_callback_brings_after_a_cancel_is_kept_and_the_vendor_is_told(
    tmp_path: Path,
) -> None:
    server = ServerSettings(public_url="https://gate.test")
    vendor = StoppableVendor("one", callbacks=True)
    async with house_of(tmp_path / "audio", vendor, store=MemoryJobStore(), server=server) as house:
        house.transport.script("one", lost(), {})
        job = await house.submit()
        await house.gate.cancel(job.id)
        assert len(house.transport.sent) == 1
        await house.gate.callback(job.id, job.callback_token, {}, b'{"id": "n-1"}')
        async with asyncio.timeout(5):
            while len(house.transport.sent) < 2:  # noqa: ASYNC110 - a transport tells nobody
                await asyncio.sleep(0.001)
        assert house.transport.sent[-1].url == "https://one.test/stop/n-1"
        assert (await house.stored(job)).native_id == "n-1"


@pytest.mark.parametrize(
    ("media", "state"), [(SONG, JobState.COMPLETED), (broken_link("HTTP 403"), JobState.IN_PROGRESS)]
)
async def test_song_that_is_delivered_while_the_vendor_is_told_to_stop_is_kept(
    stoppable: House, media: bytes | Exception, state: JobState
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
    assert caught.value.status == 409
    stored = await stoppable.stored(job)
    assert (stored.state, stored.delivered_at is not None) == (state, True)
