import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import (
    FailureClass,
    Gateway,
    HttpRequest,
    Job,
    JobNotFoundError,
    JobState,
    MusicRequest,
)
from musicgate.assets.audio import riff_wav
from musicgate.gateway import facade
from musicgate.gateway.recover import recovery_spread_s
from musicgate.model import (
    AttemptOutcome,
    Failure,
    RoutingOptions,
    Stage,
    Track,
)
from musicgate.settings import FollowSettings, ServerSettings
from musicgate.store.sqlite import SqliteJobStore
from tests import sample_jobs
from tests.fake_vendor import (
    MODEL,
    FakeVendor,
    FolderAssets,
    Observer,
    ScriptedTransport,
    host_of,
    lost,
    open_context_with,
    settings_for,
)

SONG = riff_wav(bytes(8_000), sample_rate_hz=8_000, channels=1)
LINK = "https://cdn.test/1.wav"
DONE = {"status": "done", "tracks": [{"id": "t1", "url": LINK}]}
ONE = FakeVendor("one", priority=1)
TWO = FakeVendor("two", priority=2)
QUICK = FollowSettings(speed=100.0)
PUBLIC = ServerSettings(public_url="https://gate.test", drain_s=0.0)

Opener = Callable[..., AbstractAsyncContextManager[Gateway]]


@attrs.frozen(kw_only=True)
class Machine:
    """What outlives a process: the disk and the vendors."""

    folder: Path
    transport: ScriptedTransport
    monkeypatch: pytest.MonkeyPatch

    @property
    def path(self) -> Path:
        return self.folder / "jobs.db"

    @asynccontextmanager
    async def start(
        self, *vendors: FakeVendor, others: dict[str, object] | None = None, **sections: Any
    ) -> AsyncIterator[Gateway]:
        open_context = open_context_with(self.transport, FolderAssets(self.folder / "audio"), self.path)
        self.monkeypatch.setattr(facade, "open_context", open_context)
        settings = settings_for(*vendors, **{"follow": QUICK, **sections})
        async with Gateway.open(settings, plugins=host_of(*vendors, **(others or {}))) as gate:
            yield gate

    async def leave(self, *jobs: Job) -> None:
        """Store jobs as an earlier process left them."""
        async with SqliteJobStore.open(self.path) as store:
            for job in jobs:
                await store.add(job, ())


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    transport = ScriptedTransport()
    transport.media = {LINK: SONG}
    return Machine(folder=tmp_path, transport=transport, monkeypatch=monkeypatch)


def left(outcome: AttemptOutcome, job_id: str = "music_a", plugin: str = "one", **more: Any) -> Job:
    now = datetime.now(UTC)
    facts = {name: more.pop(name) for name in ("native_id", "failure", "calls_back") if name in more}
    attempt = sample_jobs.attempt(
        outcome, plugin=plugin, native_model=f"{plugin}-native", planned_at=now, **facts
    )
    job = sample_jobs.job(
        id=job_id,
        request=MusicRequest(model=MODEL, prompt="jazz"),
        created_at=now,
        updated_at=now,
        deadline_at=now + timedelta(seconds=600),
        attempts=(attempt,),
    )
    return attrs.evolve(job, **more)


def outcomes(job: Job) -> list[tuple[str, str]]:
    return [(attempt.plugin, attempt.outcome.value) for attempt in job.attempts]


async def test_whole_life_from_request_to_song(machine: Machine) -> None:
    machine.transport.script("one", {"id": "n-1"}, {"status": "works"}, (503, b"busy"), DONE)
    async with machine.start(ONE) as gate:
        job = await gate.generate("jazz", model=MODEL)
        assert job.state is JobState.COMPLETED
        assert job.tracks[0].asset is not None
        path = gate.audio_path(job)
        assert path is not None
        assert path.read_bytes() == SONG
        kinds = [event.kind.value for _, event in await gate._context.store.events(job.id)]
    assert kinds == ["created", "attempt", "attempt", "state", "track", "output", "state", "settled"]
    assert machine.transport.hosts == ["one"] * 4


async def test_job_sent_and_not_answered_is_never_sent_again(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.SENT))
    async with machine.start(ONE, TWO) as gate:
        job = await gate.wait("music_a", timeout_s=20)
        assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "unknown")])
        assert job.failure is not None
        assert (job.failure.reason, job.failure.costs) == (FailureClass.UNKNOWN_OUTCOME, True)
        assert gate.open_jobs == 0
    assert machine.transport.sent == []


async def test_lost_answer_of_a_vendor_without_the_callback_url_ends_the_job(
    machine: Machine,
) -> None:
    await machine.leave(left(AttemptOutcome.SENT))
    async with machine.start(FakeVendor("one", callbacks=True), server=PUBLIC) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "unknown")])


async def test_lost_answer_waits_for_a_callback_after_a_restart(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.SENT, calls_back=True))
    machine.transport.script("one", DONE)
    async with machine.start(FakeVendor("one", callbacks=True), server=PUBLIC) as gate:
        job = await gate.find("music_a")
        assert (job.state, outcomes(job)) == (JobState.QUEUED, [("one", "unknown")])
        assert machine.transport.sent == []
        await gate.callback("music_a", "token-not-real", {}, b'{"id": "n-1"}')
        job = await gate.wait("music_a", timeout_s=20)
    assert (job.state, outcomes(job)) == (JobState.COMPLETED, [("one", "accepted")])
    assert [request.method for request in machine.transport.sent] == ["GET"]


async def test_unknown_outcome_stays_open_after_a_restart(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.UNKNOWN))
    async with machine.start(FakeVendor("one", callbacks=True), server=PUBLIC) as gate:
        assert gate.open_jobs == 1
        assert (await gate.find("music_a")).state is JobState.QUEUED
    assert machine.transport.sent == []


async def test_planned_job_is_sent_after_a_restart(machine: Machine) -> None:
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    await machine.leave(left(AttemptOutcome.PLANNED, deadline_at=long_ago))
    machine.transport.script("one", {"id": "n-1"}, DONE)
    async with machine.start(ONE, TWO) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert (job.state, outcomes(job)) == (JobState.COMPLETED, [("one", "accepted")])
    assert [request.method for request in machine.transport.sent] == ["POST", "GET"]


async def test_planned_plugin_is_asked_first_whatever_the_order_is_now(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.PLANNED, plugin="two"))
    machine.transport.script("two", {"id": "n-2"}, DONE)
    async with machine.start(ONE, TWO) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert outcomes(job) == [("two", "accepted")]


async def test_planned_beta_provider_stays_open_to_the_job_after_a_restart(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.PLANNED))
    machine.transport.script("one", {"id": "n-1"}, DONE)
    async with machine.start(FakeVendor("one", stage=Stage.BETA)) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert outcomes(job) == [("one", "accepted")]


async def test_job_planned_at_a_plugin_without_a_key_goes_to_another(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.PLANNED))
    machine.transport.script("two", {"id": "n-2"}, DONE)
    async with machine.start(ONE, TWO, keyless=("one",)) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert outcomes(job) == [("one", "planned"), ("two", "accepted")]
    assert (job.plugin, job.native_model, job.native_id) == ("two", "two-native", "n-2")
    assert machine.transport.hosts == ["two", "two"]


async def test_planned_job_without_a_candidate_after_a_restart_fails(machine: Machine) -> None:
    none = left(AttemptOutcome.PLANNED)
    filtered = left(AttemptOutcome.PLANNED, "music_b")
    request = attrs.evolve(filtered.request, routing=RoutingOptions(only=("unknown",)))
    await machine.leave(none, attrs.evolve(filtered, request=request))
    async with machine.start(ONE, keyless=("one",)) as gate:
        job = await gate.wait("music_a", timeout_s=20)
        other = await gate.wait("music_b", timeout_s=20)
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (FailureClass.AUTH, False)
    assert other.failure is not None
    assert other.failure.reason is FailureClass.GATEWAY
    assert machine.transport.sent == []


@pytest.mark.parametrize("outcome", [AttemptOutcome.ACCEPTED, AttemptOutcome.SENT])
async def test_job_with_an_id_is_followed_after_a_restart(machine: Machine, outcome: AttemptOutcome) -> None:
    machine.monkeypatch.setattr("musicgate.gateway.recover.recovery_spread_s", lambda _: 0.0)
    await machine.leave(left(outcome, native_id="n-1"))
    machine.transport.script("one", DONE)
    async with machine.start(ONE) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert job.state is JobState.COMPLETED
    assert [request.url for request in machine.transport.sent] == ["https://one.test/job/n-1"]


async def test_recovered_jobs_of_one_provider_do_not_hold_up_those_of_another(machine: Machine) -> None:
    machine.monkeypatch.setattr("musicgate.gateway.recover.recovery_spread_s", lambda _: 0.0)
    await machine.leave(
        left(AttemptOutcome.ACCEPTED, "music_a", native_id="n-1"),
        left(AttemptOutcome.ACCEPTED, "music_b", "two", native_id="n-2"),
    )
    machine.transport.script("one", DONE)
    machine.transport.script("two", DONE)
    may_answer = asyncio.Event()

    async def hang_at_one(request: HttpRequest) -> None:
        if "one.test" in request.url:
            await may_answer.wait()

    machine.transport.on_send = hang_at_one
    follow = attrs.evolve(QUICK, concurrency=1)
    async with machine.start(ONE, FakeVendor("two"), follow=follow) as gate:
        assert (await gate.wait("music_b", timeout_s=10)).state is JobState.COMPLETED
        may_answer.set()
        assert (await gate.wait("music_a", timeout_s=10)).state is JobState.COMPLETED


async def test_down_time_of_the_gateway_does_not_expire_a_job(machine: Machine) -> None:
    machine.monkeypatch.setattr("musicgate.gateway.recover.recovery_spread_s", lambda _: 0.0)
    now = datetime.now(UTC)
    late = left(AttemptOutcome.ACCEPTED, native_id="n-1")
    await machine.leave(
        attrs.evolve(late, created_at=now - timedelta(hours=9), deadline_at=now - timedelta(hours=8))
    )
    machine.transport.script("one", {"raise": "unavailable"}, DONE)
    async with machine.start(ONE) as gate:
        assert (await gate.find("music_a")).deadline_at > now
        job = await gate.wait("music_a", timeout_s=30)
    assert job.state is JobState.COMPLETED
    assert len(machine.transport.sent) == 2


@pytest.mark.parametrize(
    ("outcome", "native_id"), [(AttemptOutcome.ACCEPTED, "n-1"), (AttemptOutcome.SENT, None)]
)
async def test_delivered_job_is_settled_after_a_restart(
    machine: Machine, outcome: AttemptOutcome, native_id: str | None
) -> None:
    delivered = left(outcome, native_id=native_id, delivered_at=datetime.now(UTC), state=JobState.IN_PROGRESS)
    await machine.leave(attrs.evolve(delivered, tracks=(Track(index=0, audio_url=LINK),)))
    async with machine.start(ONE) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert job.state is JobState.COMPLETED
    assert machine.transport.sent == []
    assert machine.transport.fetched == [LINK]


async def test_refused_job_fails_with_its_refusal_after_a_restart(machine: Machine) -> None:
    refusal = Failure(reason=FailureClass.CREDITS, message="no credits")
    await machine.leave(left(AttemptOutcome.REFUSED, failure=refusal))
    async with machine.start(ONE) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert job.failure == refusal
    assert machine.transport.sent == []


async def test_refused_job_goes_on_with_a_provider_that_was_not_asked(machine: Machine) -> None:
    refusal = Failure(reason=FailureClass.CREDITS, message="no credits")
    await machine.leave(left(AttemptOutcome.REFUSED, failure=refusal))
    machine.transport.script("two", {"id": "n-2", **DONE})
    async with machine.start(ONE, TWO) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert job.state is JobState.COMPLETED
    assert outcomes(job) == [("one", "refused"), ("two", "accepted")]
    assert len(machine.transport.sent) == 1


async def test_job_refused_for_good_is_not_sent_to_another_provider(machine: Machine) -> None:
    refusal = Failure(reason=FailureClass.MODERATION, message="not this text")
    await machine.leave(left(AttemptOutcome.REFUSED, failure=refusal))
    async with machine.start(ONE, TWO) as gate:
        job = await gate.wait("music_a", timeout_s=20)
    assert job.failure == refusal
    assert machine.transport.sent == []


@pytest.mark.parametrize(
    ("hours", "expected_s"), [(-9_000.0, 3.0), (0.0, 3.0), (0.1, 360.0), (120_000.0, 600.0)]
)
async def test_deadline_that_a_wrong_clock_put_too_far_ahead_is_clamped(
    machine: Machine, hours: float, expected_s: float
) -> None:
    deadline = datetime.now(UTC) + timedelta(hours=hours)
    await machine.leave(left(AttemptOutcome.ACCEPTED, native_id="n-1", deadline_at=deadline))
    async with machine.start(ONE, follow=FollowSettings(speed=100.0)) as gate:
        job = await gate.find("music_a")
    left_s = (job.deadline_at - datetime.now(UTC)).total_seconds()
    assert left_s == pytest.approx(expected_s, abs=1.0)


async def test_final_jobs_are_left_alone(machine: Machine) -> None:
    final = left(AttemptOutcome.ACCEPTED, native_id="n-1", state=JobState.FAILED)
    await machine.leave(final)
    async with machine.start(ONE) as gate:
        assert gate.open_jobs == 0
        assert await gate.find("music_a") == final


async def test_job_of_a_plugin_that_is_gone_stays_open(machine: Machine) -> None:
    await machine.leave(left(AttemptOutcome.ACCEPTED, plugin="gone", native_id="n-1"))
    async with machine.start(ONE) as gate:
        assert (await gate.find("music_a")).state is JobState.QUEUED
        assert gate.open_jobs == 1
    assert machine.transport.sent == []


async def test_process_that_stops_during_a_call_never_makes_it_again(machine: Machine) -> None:
    called = asyncio.Event()

    async def hang(_: HttpRequest) -> None:
        called.set()
        await asyncio.Event().wait()

    machine.transport.on_send = hang
    async with machine.start(FakeVendor("one", blocking=True)) as gate:
        job = await gate.submit(gate.read({"model": MODEL}), wait_s=0)
        await called.wait()
        assert outcomes(job) == [("one", "sent")]
    machine.transport.on_send = None
    async with machine.start(FakeVendor("one", blocking=True)) as gate:
        job = await gate.wait(job.id, timeout_s=20)
    assert (job.state, outcomes(job)) == (JobState.FAILED, [("one", "unknown")])
    assert len(machine.transport.sent) == 1


async def test_stopping_gateway_lets_a_running_call_end_and_begins_no_other(machine: Machine) -> None:
    called, answered = asyncio.Event(), asyncio.Event()

    async def hold(_: HttpRequest) -> None:
        called.set()
        await answered.wait()

    vendor = FakeVendor("one", blocking=True, max_parallel_creates=1)
    machine.transport.on_send = hold
    machine.transport.script("one", DONE)
    async with machine.start(vendor, server=ServerSettings(drain_s=20.0)) as gate:
        running = await gate.submit(gate.read({"model": MODEL}), wait_s=0)
        waiting = await gate.submit(gate.read({"model": MODEL}), wait_s=0)
        await called.wait()
        assert outcomes(waiting) == [("one", "planned")]
        asyncio.get_running_loop().call_later(0.05, answered.set)
    assert len(machine.transport.sent) == 1
    machine.transport.script("one", DONE)
    async with machine.start(vendor) as gate:
        jobs = [await gate.wait(job.id, timeout_s=20) for job in (running, waiting)]
    assert [job.state for job in jobs] == [JobState.COMPLETED] * 2
    assert len(machine.transport.sent) == 2


async def test_many_open_jobs_are_all_recovered(machine: Machine) -> None:
    machine.monkeypatch.setattr("musicgate.gateway.recover._PAGE", 2)
    await machine.leave(*(left(AttemptOutcome.SENT, f"music_{number}") for number in range(5)))
    async with machine.start(ONE) as gate:
        states = [(await gate.find(f"music_{number}")).state for number in range(5)]
    assert states == [JobState.FAILED] * 5


async def test_observers_get_every_version_and_cannot_stop_a_job(
    machine: Machine, caplog: pytest.LogCaptureFixture
) -> None:
    quiet, loud = Observer(), Observer(fails=True)
    machine.transport.script("one", {"id": "n-1"}, DONE)
    async with machine.start(ONE, others={"quiet": quiet, "loud": loud}) as gate:
        job = await gate.generate("jazz", model=MODEL)
    assert quiet.versions == loud.versions
    assert quiet.versions[0] == (None, 0)
    assert quiet.versions[-1] == (job.version - 1, job.version)
    assert "plugin raised in job_changed: plugin=loud" in caplog.text


async def test_watchers_see_the_job_go_forward_until_the_last_version(machine: Machine) -> None:
    machine.transport.script("one", {"id": "n-1"}, {"status": "works"}, DONE)
    async with machine.start(ONE) as gate:
        job = await gate.submit(gate.read({"model": MODEL}))
        seen = [version async for version in gate.watch(job.id)]
        assert [version.version for version in seen] == list(range(job.version, job.version + len(seen)))
        assert [version.state.value for version in seen][-1] == "completed"
        assert gate._changes._flags == {}
        with pytest.raises(JobNotFoundError):
            await gate.wait("music_none")


async def test_waiting_times_out_and_the_job_goes_on(machine: Machine) -> None:
    machine.transport.script("one", lost())
    async with machine.start(FakeVendor("one", callbacks=True), server=PUBLIC) as gate:
        job = await gate.submit(gate.read({"model": MODEL}))
        with pytest.raises(TimeoutError):
            await gate.wait(job.id, timeout_s=0.01)
        assert (await gate.find(job.id)).state is JobState.QUEUED


def test_first_polls_after_a_restart_are_spread() -> None:
    delays_s = {
        recovery_spread_s(left(AttemptOutcome.ACCEPTED, f"music_{number:02}")) for number in range(40)
    }
    assert len(delays_s) > 10
    assert all(0 <= delay_s < 5 for delay_s in delays_s)
