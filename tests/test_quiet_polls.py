"""Polls that change nothing: repeated without the store, as long as nothing else changes the job."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import attrs
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from musicgate import HttpRequest, HttpResponse, Job, JobState
from musicgate.errors import ProviderError
from musicgate.gateway import vendor_call
from musicgate.gateway.cancel import cancel
from musicgate.gateway.follow import advance
from musicgate.gateway.quiet_polls import READ_AGAIN_S, QuietPolls
from musicgate.gateway.vendor_call import Exchange, repeat_poll
from musicgate.model import Failure, FailureClass
from musicgate.testing.memory_store import MemoryJobStore
from tests import sample_jobs
from tests.fake_vendor import KEY, START, FakeVendor, Rig, rig_of, unreached

ONE, TWO = FakeVendor("one"), FakeVendor("two")
WORKS = {"status": "works"}
DONE = {"status": "done", "tracks": [{"id": "t1", "url": "https://cdn.test/1.wav"}]}


class CountingStore(MemoryJobStore):
    """Counts how often a job is read."""

    reads = 0

    async def get(self, job_id: str) -> Job | None:
        self.reads += 1
        return await super().get(job_id)


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", ONE, TWO, store=CountingStore()) as rig:
        yield rig


async def step(rig: Rig, job: Job, *answers: object) -> float | None:
    rig.transport.script("one", *answers)
    return await advance(rig.context, job.id)


async def quiet(rig: Rig) -> Job:
    """A job whose last poll changed nothing."""
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    rig.clock.pass_s(10)
    for _ in range(2):
        await step(rig, job, WORKS)
    rig.store.reads = 0
    return job


def polls_of(rig: Rig) -> QuietPolls:
    return rig.context.quiet_polls


async def test_every_poll_of_a_traced_job_is_logged(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit(debug={"trace": True})
    rig.clock.pass_s(10)
    caplog.set_level(logging.INFO, "musicgate.gateway.trace")
    for _ in range(3):
        await step(rig, job, WORKS)
    assert len([record for record in caplog.records if "step=poll" in record.message]) == 3


async def test_poll_that_repeats_its_answer_reads_no_store_and_calls_no_hook(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await quiet(rig)

    def called(*_: object) -> None:
        raise AssertionError("a hook was called")

    plugin = rig.context.providers["one"].plugin
    for hook in ("poll", "parse", "map_status"):
        monkeypatch.setattr(plugin, hook, called)
    for _ in range(3):
        assert await step(rig, job, WORKS) == 5.0
    assert rig.store.reads == 0
    first, *others = rig.transport.sent[-4:]
    assert all(sent == first for sent in others)
    assert first.headers["Authorization"] == f"Bearer {KEY}"


async def test_trace_shows_a_poll_that_learns_something_and_counts_those_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    async with rig_of(tmp_path / "audio", ONE, store=CountingStore()) as rig:
        with provider.get_tracer("test").start_as_current_span("caller"):
            job = await quiet(rig)
        exporter.clear()
        for _ in range(3):
            await step(rig, job, WORKS)
        assert exporter.get_finished_spans() == ()
        await step(rig, job, ProviderError(Failure(reason=FailureClass.UNKNOWN_OUTCOME, message="secret")))
        await step(rig, job, {**WORKS, "at": 1})
    facts = {"musicgate.job": job.id, "musicgate.plugin": "one", "musicgate.repeated_polls": 3}
    failed, learned = exporter.get_finished_spans()
    assert (failed.name, learned.name) == ("vendor poll", "vendor poll")
    assert failed.attributes == {**facts, "error.type": "ProviderError"}
    assert learned.attributes == {**facts, "http.response.status_code": 200}


async def test_pause_grows_with_the_age_of_the_job(rig: Rig) -> None:
    job = await quiet(rig)
    rig.clock.pass_s(40)
    assert await step(rig, job, WORKS) == 7.5
    assert rig.store.reads == 0


async def test_first_answer_that_differs_is_folded(rig: Rig) -> None:
    job = await quiet(rig)
    rig.transport.media = {}
    await step(rig, job, DONE)
    stored = await rig.stored(job)
    assert stored.delivered_at is not None
    assert len(rig.transport.sent) == 4  # it was not asked a second time
    assert len(polls_of(rig)) == 0


async def test_answers_that_always_differ_cost_one_read_and_are_remembered_anew(rig: Rig) -> None:
    job = await quiet(rig)
    for number in range(3):
        assert await step(rig, job, {**WORKS, "at": number}) == 5.0
    assert rig.store.reads == 3
    assert await step(rig, job, {**WORKS, "at": 2}) == 5.0
    assert rig.store.reads == 3


async def test_job_that_was_cancelled_is_not_polled_again(rig: Rig) -> None:
    job = await quiet(rig)
    sent = len(rig.transport.sent)
    await cancel(rig.context, await rig.stored(job))
    assert len(polls_of(rig)) == 0
    assert await step(rig, job) is None
    assert len(rig.transport.sent) == sent


async def test_job_that_was_deleted_is_not_polled_again(rig: Rig) -> None:
    job = await quiet(rig)
    sent = len(rig.transport.sent)
    await rig.gate.delete(job.id)
    assert await rig.store.get(job.id) is None
    assert await step(rig, job) is None
    assert len(rig.transport.sent) == sent
    assert len(polls_of(rig)) == 0


async def test_change_during_a_repeated_poll_is_seen(rig: Rig) -> None:
    job = await quiet(rig)

    async def cancel_it(_: HttpRequest) -> None:
        rig.transport.on_send = None
        await cancel(rig.context, await rig.stored(job))

    rig.transport.on_send = cancel_it
    assert await step(rig, job, WORKS) is None
    assert (await rig.stored(job)).state is JobState.FAILED


async def test_change_while_a_poll_goes_on_keeps_it_from_being_remembered(rig: Rig) -> None:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit()
    await step(rig, job, WORKS)

    async def change(_: HttpRequest) -> None:
        rig.context.changed(job, job)

    rig.transport.on_send = change
    await step(rig, job, WORKS)
    assert polls_of(rig).of(job.id) is None
    assert len(polls_of(rig)) == 0


async def test_job_is_read_again_after_a_while(rig: Rig) -> None:
    job = await quiet(rig)
    rig.clock.pass_s(READ_AGAIN_S - 1)
    await step(rig, job, WORKS)
    assert rig.store.reads == 0
    rig.clock.pass_s(READ_AGAIN_S + 1)
    await step(rig, job, WORKS)
    assert rig.store.reads == 1
    rig.clock.pass_s(READ_AGAIN_S - 1)
    await step(rig, job, WORKS)
    assert rig.store.reads == 1


def test_jobs_that_are_polled_together_are_read_again_at_times_of_their_own() -> None:
    polls, job = QuietPolls(), sample_jobs.job(JobState.IN_PROGRESS)
    exchange = Exchange(
        HttpRequest.get("https://one.test/job/n"), HttpResponse(status=200, body=b"{}"), calls=1
    )
    installed: Any = SimpleNamespace(name="one")
    times = []
    for number in range(50):
        one = attrs.evolve(job, id=f"m{number}")
        with polls.begun(one.id) as mark:
            polls.remember(mark, one, installed, exchange, START)
        found = polls.of(one.id)
        assert found is not None
        times.append((found.read_again_at - START).total_seconds())
    assert min(times) >= READ_AGAIN_S
    assert max(times) <= 2 * READ_AGAIN_S
    assert max(times) - min(times) > READ_AGAIN_S / 2


async def test_job_past_its_deadline_is_polled_once_more_and_expires(rig: Rig) -> None:
    job = await quiet(rig)
    rig.clock.pass_s(540)
    await step(rig, job, WORKS)
    rig.clock.pass_s(50)
    sent = len(rig.transport.sent)
    assert await step(rig, job, WORKS) is None
    assert len(rig.transport.sent) == sent + 1
    failure = (await rig.stored(job)).failure
    assert failure is not None
    assert failure.reason is FailureClass.EXPIRED


@pytest.mark.parametrize("answer", [WORKS, {**WORKS, "other": 1}, unreached()])
async def test_poll_that_goes_on_over_the_deadline_is_followed_by_a_last_one(
    rig: Rig, answer: object
) -> None:
    job = await quiet(rig)
    rig.clock.pass_s(545)
    await step(rig, job, WORKS)
    rig.clock.pass_s(44)

    async def last(_: HttpRequest) -> None:
        rig.clock.pass_s(5)

    rig.transport.on_send = last
    assert await step(rig, job, answer) == 0.0
    assert not (await rig.stored(job)).state.is_final
    rig.transport.on_send = None
    assert await step(rig, job, WORKS) is None
    assert (await rig.stored(job)).state is JobState.FAILED


async def test_next_repeated_poll_is_not_after_the_deadline(rig: Rig) -> None:
    job = await quiet(rig)
    rig.clock.pass_s(540)
    await step(rig, job, WORKS)
    rig.clock.pass_s(47)
    assert await step(rig, job, WORKS) == 3.0


async def test_lasting_doubt_is_never_repeated_in_silence(rig: Rig) -> None:
    job = await quiet(rig)
    doubt = {"doubt": "not_found"}
    for pass_s in (0, 10, 10):
        rig.clock.pass_s(pass_s)
        await step(rig, job, doubt)
        assert polls_of(rig).of(job.id) is None
    rig.clock.pass_s(10)
    assert await step(rig, job, doubt) is None
    assert (await rig.stored(job)).state is JobState.FAILED


async def test_answer_of_another_status_is_given_to_the_plugin_each_time(rig: Rig) -> None:
    job = await quiet(rig)
    for _ in range(2):
        await step(rig, job, (202, b'{"status": "works"}'))
    assert rig.store.reads == 2
    limited = (429, b'{"raise": "rate_limited", "retry_after_s": 40}')
    assert await step(rig, job, WORKS) == 5.0
    assert await step(rig, job, limited) == 40.0
    assert await step(rig, job, limited) == 40.0


async def test_answer_that_needs_a_further_call_is_not_remembered(rig: Rig) -> None:
    job = await quiet(rig)
    for _ in range(2):
        await step(rig, job, {"next": "https://one.test/more"}, WORKS)
    assert rig.store.reads == 2
    assert polls_of(rig).of(job.id) is None


async def test_failed_repeated_poll_leaves_the_memory(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    job = await quiet(rig)
    assert await step(rig, job, unreached()) == 5.0
    assert f"poll failed: job={job.id} plugin=one error=connection refused" in caplog.text
    assert await step(rig, job, WORKS) == 5.0
    assert rig.store.reads == 0


async def test_equal_headers_of_polls_are_kept_once(rig: Rig) -> None:
    first, second = await quiet(rig), await quiet(rig)
    of_first, of_second = polls_of(rig).of(first.id), polls_of(rig).of(second.id)
    assert of_first is not None
    assert of_second is not None
    assert of_first.request.headers is of_second.request.headers
    assert len(polls_of(rig)) == 2


# --- errors of a repeated poll ---


async def repeated(rig: Rig, *answers: Any) -> ProviderError:
    job = await quiet(rig)
    last = polls_of(rig).of(job.id)
    assert last is not None
    rig.transport.script("one", *answers)
    with pytest.raises(ProviderError) as caught:
        await repeat_poll(rig.context, job.id, last)
    return caught.value


@pytest.mark.parametrize("error", [TypeError("x"), RuntimeError("x"), asyncio.CancelledError()], ids=repr)
async def test_repeated_poll_that_breaks_is_a_provider_error(rig: Rig, error: BaseException) -> None:
    def breaks() -> None:
        raise error

    failed = await repeated(rig, breaks)
    assert str(failed) == f"the call to one broke on the way ({type(error).__name__})"


async def test_repeated_poll_that_hangs_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendor_call, "_longest_call_s", lambda *_: 0.01)
    failed = await repeated(rig, lambda: asyncio.sleep(60))
    assert str(failed) == "the call to one hung"


async def test_error_of_a_repeated_poll_is_masked(rig: Rig) -> None:
    error = unreached()
    quoting = ProviderError(type(error.failure)(reason=FailureClass.UNAVAILABLE, message=f"no {KEY}"))
    assert str(await repeated(rig, quoting)) == "no ***"
