import asyncio
import base64
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import (
    Failure,
    FailureClass,
    HttpRequest,
    Job,
    JobNotFoundError,
    JobState,
    StorageError,
    UnauthorisedError,
    jobs,
)
from musicgate.assets.audio import riff_wav
from musicgate.gateway.callbacks import Hint, SeenCallbacks, receive_callback
from musicgate.gateway.follow import advance
from musicgate.model import (
    AttemptOutcome,
    Delivery,
    EventKind,
    JobEvent,
    Meter,
)
from musicgate.settings import AssetSettings, FollowSettings, ServerSettings
from musicgate.testing.memory_store import MemoryJobStore
from tests.fake_vendor import KEY, START, FakeVendor, Rig, broken_link, lost, quota_of, rig_of, unreached

#: One and a half seconds of silence, and two seconds.
SHORT = riff_wav(bytes(24_000), sample_rate_hz=8_000, channels=1)
LONG = riff_wav(bytes(32_000), sample_rate_hz=8_000, channels=1)
LINK, OTHER, SPARE = "https://cdn.test/1.wav", "https://cdn.test/2.wav", "https://spare.test/1.wav"
ONE = FakeVendor("one", callbacks=True)
DONE = {"status": "done", "tracks": [{"id": "t1", "url": LINK}, {"id": "t2", "url": OTHER}]}


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", ONE, store=MemoryJobStore()) as rig:
        yield rig


async def accepted(rig: Rig, **fields: Any) -> Job:
    rig.transport.script("one", {"id": "n-1"})
    job = await rig.submit(**fields)
    rig.clock.pass_s(10)
    return job


async def step(rig: Rig, job: Job, *answers: object) -> tuple[Job, float | None]:
    rig.transport.script("one", *answers)
    pause_s = await advance(rig.context, job.id)
    return await rig.stored(job), pause_s


# --- polling ---


async def test_finished_job_is_fetched_measured_and_priced(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: LONG}
    job, pause_s = await step(rig, job, DONE)
    assert pause_s is None
    assert job.state is JobState.COMPLETED
    assert [track.asset and (track.asset.duration_s, track.asset.content_type) for track in job.tracks] == [
        (1.5, "audio/wav"),
        (2.0, "audio/wav"),
    ]
    assert job.usage is not None
    assert (job.usage.output_audio_count, job.usage.output_audio_seconds) == (2, 3.5)
    assert job.usage.lines is not None
    assert [(line.meter, line.price_usd_nanos) for line in job.usage.lines] == [(Meter.REQUESTS, 60_000_000)]
    assert rig.assets.parts == []
    path = rig.gate.audio_path(job, 1)
    assert path is not None
    assert path.read_bytes() == LONG
    assert rig.gate.audio_path(job, 7) is None
    assert await step(rig, job) == (job, None)
    assert len(rig.transport.sent) == 2


async def test_poll_sends_the_vendors_id_and_the_key(rig: Rig) -> None:
    job = await accepted(rig)
    await step(rig, job, {"status": "works"})
    assert rig.transport.sent[-1].url == "https://one.test/job/n-1"
    assert rig.transport.sent[-1].headers["Authorization"] == f"Bearer {KEY}"
    assert rig.transport.read_timeouts_s == [60.0, 30.0]


@pytest.mark.parametrize(
    ("answer", "pause_s"),
    [
        ((200, b"<html>"), 5.0),
        (unreached(), 5.0),
        (lost(), 5.0),
        ({"crash": KEY}, 5.0),
        ({"raise": "rate_limited", "retry_after_s": 40, "message": KEY}, 40.0),
        ({"raise": "unavailable", "retry_after_s": 1}, 5.0),
        ({"raise": "not_found", "retry_after_s": 9999}, 590.0),
    ],
)
async def test_failed_poll_leaves_the_job_unchanged(
    rig: Rig, answer: object, pause_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    job = await accepted(rig)
    after, pause = await step(rig, job, answer)
    assert after == job
    assert pause == pause_s
    assert "poll failed" in caplog.text
    assert KEY not in caplog.text


async def test_poll_request_that_raises_leaves_the_job_open(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    job = await accepted(rig)
    job, _ = await step(rig, job, {"status": "mute"})
    assert await step(rig, job) == (job, 5.0)
    assert "plugin one: poll_request raised RuntimeError: poll broke" in caplog.text


async def test_unknown_status_leaves_the_job_open(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    job = await accepted(rig)
    job, pause_s = await step(rig, job, {"status": "ZWISCHENSTAND"})
    assert (job.state, job.native_status, pause_s) == (JobState.QUEUED, "ZWISCHENSTAND", 5.0)
    assert "status='ZWISCHENSTAND'" in caplog.text


async def test_map_status_that_raises_counts_as_an_unknown_status(rig: Rig) -> None:
    job = await accepted(rig)
    job, pause_s = await step(rig, job, {"status": "break"})
    assert (job.state, job.native_status, pause_s) == (JobState.QUEUED, "break", 5.0)


async def test_vendors_failure_ends_the_job_with_its_message(rig: Rig) -> None:
    job = await accepted(rig)
    job, pause_s = await step(rig, job, {"no": "moderation", "code": "413", "words": "rude"})
    assert pause_s is None
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.reason, job.failure.native_code, job.failure.native_message) == (
        FailureClass.MODERATION,
        "413",
        "rude",
    )
    assert job.completed_at == START + timedelta(seconds=10)


async def test_doubt_ends_a_job_only_when_it_lasts(rig: Rig) -> None:
    job = await accepted(rig)
    for pass_s, failed in ((0, False), (29, False), (1, True)):
        rig.clock.pass_s(pass_s)
        job, _ = await step(rig, job, {"doubt": "not_found", "message": f"no {KEY}"})
        assert (job.state is JobState.FAILED) is failed
    assert job.failure is not None
    assert (job.failure.reason, job.failure.message) == (FailureClass.NOT_FOUND, "no ***")


async def test_body_is_kept_and_renewed_when_asked_for(rig: Rig) -> None:
    job = await accepted(rig, debug={"return_upstream_response": True})
    job, _ = await step(rig, job, {"status": "works", "words": f"key {KEY}"})
    assert job.native_response == {"status": "works", "words": "key ***"}


async def test_body_that_is_nested_without_end_is_cut(rig: Rig) -> None:
    job = await accepted(rig, debug={"return_upstream_response": True})
    body = b'{"status": "works", "x": ' + b"[" * 900 + b"]" * 900 + b"}"
    job, _ = await step(rig, job, (200, body))
    assert job.native_status == "works"


async def test_step_of_a_deleted_job_is_the_last(rig: Rig) -> None:
    assert await advance(rig.context, "music_none") is None


# --- deadlines ---


async def test_deadline_ends_a_job_and_names_its_last_status(rig: Rig) -> None:
    job = await accepted(rig)
    job, _ = await step(rig, job, {"status": "works"})
    rig.clock.pass_s(590)
    job, pause_s = await step(rig, job, {"status": "works"})
    assert pause_s is None
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (FailureClass.EXPIRED, True)
    assert (
        job.failure.message == "not finished when its time was up; the last thing the vendor said was 'works'"
    )
    assert len(rig.transport.sent) == 3


@pytest.mark.parametrize("answer", [{"raise": "unavailable"}, lost()])
async def test_deadline_ends_a_job_whose_last_poll_fails(rig: Rig, answer: object) -> None:
    job = await accepted(rig)
    rig.clock.pass_s(600)
    job, pause_s = await step(rig, job, answer)
    assert pause_s is None
    assert job.failure is not None
    assert job.failure.reason is FailureClass.EXPIRED


async def test_song_finished_since_the_last_poll_is_fetched_after_the_deadline(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: LONG}
    rig.clock.pass_s(100_000)
    job, pause_s = await step(rig, job, DONE)
    assert (job.state, pause_s) == (JobState.COMPLETED, None)


async def test_deadline_delivers_what_has_audio(rig: Rig) -> None:
    job = await accepted(rig)
    job, _ = await step(
        rig, job, {"status": "works", "tracks": [{"url": LINK}, {"stream": "https://s.test/2"}]}
    )
    rig.transport.media = {LINK: SHORT}
    rig.clock.pass_s(590)
    job, pause_s = await step(rig, job, {"status": "works"})
    assert (job.state, pause_s) == (JobState.COMPLETED, None)
    assert [track.has_audio for track in job.tracks] == [True, False]
    assert job.tracks[1].failure_message is not None
    assert len(rig.transport.sent) == 3


async def test_next_poll_is_not_after_the_deadline(rig: Rig) -> None:
    job = await accepted(rig)
    rig.clock.pass_s(588)
    assert (await step(rig, job, {"status": "works"}))[1] == 2.0


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lost(), FailureClass.UNKNOWN_OUTCOME),
        ({"raise": "unavailable", "maybe": True}, FailureClass.UNAVAILABLE),
    ],
)
async def test_unknown_outcome_ends_as_such_at_the_deadline(
    tmp_path: Path, answer: object, reason: FailureClass
) -> None:
    server = ServerSettings(public_url="https://gate.test")
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=server) as rig:
        rig.transport.script("one", answer)
        job = await rig.submit()
        rig.clock.pass_s(599)
        assert await advance(rig.context, job.id) == 1.0
        rig.clock.pass_s(1)
        job, pause_s = await step(rig, job)
        assert pause_s is None
        assert job.failure is not None
        assert (job.failure.reason, job.failure.costs) == (reason, True)
        assert len(rig.transport.sent) == 1


async def test_job_of_a_plugin_that_is_gone_waits_for_its_deadline(rig: Rig) -> None:
    job = await accepted(rig)
    context = attrs.evolve(rig.context, providers={})
    assert await advance(context, job.id) == 590.0
    rig.clock.pass_s(590)
    assert await advance(context, job.id) is None
    assert (await rig.stored(job)).state is JobState.FAILED


async def test_delivered_job_is_fetched_even_after_its_deadline(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT}
    job, _ = await step(rig, job, DONE)
    assert job.delivered_at is not None
    rig.clock.pass_s(700)
    job, pause_s = await step(rig, job)
    assert (job.state, pause_s) == (JobState.COMPLETED, None)


# --- settling ---


async def test_one_broken_track_of_two_is_retried_and_then_reported(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: b"<html>no audio</html>"}
    job, pause_s = await step(rig, job, DONE)
    assert (job.state, pause_s) == (JobState.IN_PROGRESS, 2.0)
    assert [bool(track.asset) for track in job.tracks] == [True, False]
    rig.clock.pass_s(80)
    job, pause_s = await step(rig, job)
    assert (job.state, pause_s) == (JobState.IN_PROGRESS, 20.0)
    assert rig.transport.fetched == [LINK, OTHER, OTHER]
    rig.clock.pass_s(520)
    job, pause_s = await step(rig, job)
    assert (job.state, pause_s) == (JobState.COMPLETED, None)
    assert job.tracks[1].failure_message == "the bytes are no audio format that we know"
    assert job.tracks[1].audio_url == OTHER
    assert job.usage is not None
    assert (job.usage.output_audio_count, job.usage.output_audio_seconds) == (1, 1.5)
    assert rig.assets.parts == []


async def test_speed_divides_every_pause_and_grace(tmp_path: Path) -> None:
    follow = FollowSettings(speed=10.0)
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), follow=follow) as rig:
        job = await accepted(rig)
        assert (await step(rig, job, {"raise": "unavailable", "retry_after_s": 40}))[1] == 4.0
        assert (await step(rig, job, {"status": "works"}))[1] == 1.5
        job, pause_s = await step(rig, job, DONE)
        assert pause_s == 0.2
        rig.clock.pass_s(59)
        job, pause_s = await step(rig, job)
        assert pause_s == 6.0
        rig.clock.pass_s(1)
        job, pause_s = await step(rig, job)
        assert (job.state, pause_s) == (JobState.FAILED, None)


async def test_track_whose_link_works_in_time_is_kept(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: broken_link("HTTP 403")}
    job, _ = await step(rig, job, DONE)
    rig.transport.media[OTHER] = LONG
    job, pause_s = await step(rig, job)
    assert (job.state, pause_s) == (JobState.COMPLETED, None)
    assert job.usage is not None
    assert job.usage.output_audio_count == 2


async def test_job_without_a_playable_track_fails(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: broken_link("HTTP 403"), OTHER: b""}
    job, _ = await step(rig, job, DONE)
    rig.clock.pass_s(600)
    job, pause_s = await step(rig, job)
    assert (job.state, pause_s, job.usage) == (JobState.FAILED, None, None)
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (FailureClass.UPSTREAM_FAILED, True)
    assert job.failure.message == (
        "the vendor reported success but its audio could not be kept: HTTP 403; the file is empty"
    )
    assert [track.audio_url for track in job.tracks] == [LINK, OTHER]


async def test_spare_links_are_tried_in_order(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: b"junk", SPARE: SHORT}
    job, _ = await step(rig, job, {"status": "done", "tracks": [{"url": LINK, "more": [OTHER, SPARE]}]})
    assert job.state is JobState.COMPLETED
    assert rig.transport.fetched == [LINK, OTHER, SPARE]
    assert rig.assets.parts == []


async def test_full_disk_delays_a_job_and_does_not_end_it(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: LONG}
    rig.assets.troubles = [StorageError("disk full")] * 4
    job, pause_s = await step(rig, job, DONE)
    assert (job.state, pause_s) == (JobState.IN_PROGRESS, 2.0)
    await step(rig, job)
    told = [event.data for _, event in await rig.store.events(job.id) if event.kind is EventKind.STORAGE]
    assert told == [{"reason": "disk full"}], "once, not at every try"
    job, _ = await step(rig, job)
    assert job.state is JobState.COMPLETED


async def test_end_of_a_job_that_was_stored_without_a_report_is_reported_by_the_next_step(rig: Rig) -> None:
    job = await accepted(rig)
    reported: list[JobState] = []
    context = attrs.evolve(
        rig.context, on_change=lambda _, after: reported.append(after.state), outbox_changed=asyncio.Event()
    )
    ended = jobs.fail(job, Failure(reason=FailureClass.EXPIRED, message="too late"), rig.clock.now())
    assert await rig.store.replace(await rig.stored(job), ended, ()) is not None
    assert quota_of(context).open_jobs == 1
    assert await advance(context, job.id) is None
    assert (reported, quota_of(context).open_jobs, context.outbox_changed.is_set()) == (
        [JobState.FAILED],
        0,
        True,
    )


async def test_full_disk_ends_no_job_for_an_hour(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: LONG}
    rig.assets.troubles = [StorageError("disk full"), StorageError("disk full")]
    job, _ = await step(rig, job, DONE)
    rig.clock.pass_s(3500)
    rig.assets.troubles = [StorageError("disk full"), StorageError("disk full")]
    job, _ = await step(rig, job)
    assert job.state is JobState.IN_PROGRESS
    job, _ = await step(rig, job)
    assert job.state is JobState.COMPLETED
    assert [track.failure_message for track in job.tracks] == [None, None]


async def test_delivered_job_that_cannot_be_settled_ends_by_its_deadline_with_the_vendors_links(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def overflow(*_: object) -> None:
        raise OverflowError("a price that no integer holds")

    monkeypatch.setattr("musicgate.planning.measure_usage", overflow)
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT, OTHER: LONG}
    with pytest.raises(OverflowError):
        await step(rig, job, DONE)
    rig.clock.pass_s(3599)
    with pytest.raises(OverflowError):
        await step(rig, job)
    assert (await rig.stored(job)).state is JobState.IN_PROGRESS
    rig.clock.pass_s(1)
    with pytest.raises(OverflowError):
        await step(rig, job)
    job = await rig.stored(job)
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert (job.failure.reason, job.failure.costs) == (FailureClass.GATEWAY, True)
    assert [track.audio_url for track in job.tracks] == [LINK, OTHER]


async def test_without_archive_the_vendors_links_are_the_output(tmp_path: Path) -> None:
    assets = AssetSettings(archive=False)
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), assets=assets) as rig:
        job = await accepted(rig)
        tracks = [{"url": LINK, "duration_s": 12.5}, {"url": OTHER}]
        job, _ = await step(rig, job, {"status": "done", "tracks": tracks})
        assert job.state is JobState.COMPLETED
        assert rig.transport.fetched == []
        assert [track.asset for track in job.tracks] == [None, None]
        assert job.usage is not None
        assert (job.usage.output_audio_count, job.usage.output_audio_seconds) == (2, 12.5)


# --- audio as bytes ---


def as_bytes(content: bytes, **more: object) -> dict[str, object]:
    return {"audio": base64.b64encode(content).decode(), **more}


@pytest.mark.parametrize("archive", [True, False])
async def test_audio_that_comes_as_bytes_is_kept_at_once(tmp_path: Path, *, archive: bool) -> None:
    assets = AssetSettings(archive=archive)
    vendor = FakeVendor("one", blocking=True)
    async with rig_of(tmp_path / "a", vendor, store=MemoryJobStore(), assets=assets) as rig:
        rig.transport.script("one", {"status": "done", "tracks": [as_bytes(SHORT)]})
        job = await rig.gate.submit(rig.gate.read({"model": "fake/song"}), wait_s=5)
        assert job.tracks[0].asset is not None
        assert job.attempt is not None
        assert job.attempt.outcome is AttemptOutcome.ACCEPTED
        assert job.state is JobState.COMPLETED
        assert job.usage is not None
        assert job.usage.output_audio_seconds == 1.5
        assert rig.assets.parts == []
        assert rig.gate.open_jobs == 0


async def test_delivered_job_that_cannot_be_settled_yet_is_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryJobStore()
    replace = store.replace

    async def replace_unless_completed(
        old: Job,
        new: Job,
        events: Sequence[JobEvent],
        deliveries: Sequence[Delivery],
        **more: Any,
    ) -> Job | None:
        if new.state is JobState.COMPLETED:
            raise StorageError("disk full")
        return await replace(old, new, events, deliveries, **more)

    monkeypatch.setattr(store, "replace", replace_unless_completed)
    async with rig_of(tmp_path / "a", FakeVendor("one", blocking=True), store=store) as rig:
        rig.transport.script("one", {"status": "done", "tracks": [as_bytes(SHORT)]})
        job = await rig.gate.submit(rig.gate.read({"model": "fake/song"}), wait_s=5)
        assert (job.state, job.delivered_at) == (JobState.IN_PROGRESS, START)
        assert rig.gate.open_jobs == 1
        monkeypatch.undo()
        job, _ = await step(rig, job)
        assert job.state is JobState.COMPLETED


async def test_one_track_may_come_as_a_link_and_another_as_bytes(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.media = {LINK: SHORT}
    job, _ = await step(
        rig, job, {"status": "done", "tracks": [{"id": "a", "url": LINK}, as_bytes(LONG, id="b")]}
    )
    assert job.state is JobState.COMPLETED
    assert [track.has_audio for track in job.tracks] == [True, True]
    assert job.usage is not None
    assert job.usage.output_audio_seconds == 3.5


async def test_inline_bytes_that_do_not_play_fail_the_job(rig: Rig) -> None:
    job = await accepted(rig)
    job, _ = await step(rig, job, {"status": "done", "tracks": [as_bytes(b"junk")]})
    assert job.state is JobState.FAILED
    assert job.failure is not None
    assert "the vendor's audio does not play" in job.failure.message
    assert job.failure.message.endswith("the delivered bytes are kept for the gateway's operator")
    assert job.tracks[0].rejected is not None
    assert (rig.assets.folder / job.tracks[0].rejected.name).read_bytes() == b"junk"
    assert rig.assets.parts == []


async def test_bytes_of_a_create_answer_survive_a_disk_that_is_full_for_a_while(tmp_path: Path) -> None:
    async with rig_of(tmp_path / "a", FakeVendor("one", blocking=True), store=MemoryJobStore()) as rig:
        rig.assets.troubles = [StorageError("disk full")] * 5
        rig.transport.script("one", {"status": "done", "tracks": [as_bytes(SHORT)]})
        job = await rig.gate.submit(rig.gate.read({"model": "fake/song"}), wait_s=5)
        assert job.tracks[0].asset is not None
        assert rig.clock.now() == START + timedelta(seconds=1 + 3 + 10 + 30 + 30)
        assert len(rig.transport.sent) == 1
        assert rig.assets.parts == []


async def test_bytes_belong_to_the_track_of_their_id(rig: Rig) -> None:
    job = await accepted(rig)
    job, _ = await step(rig, job, {"status": "works", "tracks": [{"id": "a", "title": "A"}, {"id": "b"}]})
    job, _ = await step(rig, job, {"status": "done", "tracks": [as_bytes(LONG, id="b")]})
    assert [(track.native_id, track.asset and track.asset.duration_s) for track in job.tracks] == [
        ("a", None),
        ("b", 2.0),
    ]


# --- callbacks ---

TOKEN = "token-not-real"


async def call_back(
    rig: Rig, job: Job, token: str = TOKEN, signature: str = "", body: bytes = b'{"id": "n-1"}'
) -> bool:
    headers = {"x-signature": signature}
    return await receive_callback(rig.context, SeenCallbacks(), job.id, token, headers, body) is Hint.POLL


@pytest.mark.parametrize(
    ("signature", "body", "polls"),
    [
        ("", b'{"id": "n-1"}', True),
        ("good", b'{"id": "n-1"}', True),
        ("good", b"{}", True),
        ("good", b"not json", True),
        ("good", b'{"id": "n-other"}', False),
    ],
)
async def test_valid_callback_is_a_hint_to_poll(
    rig: Rig, signature: str, body: bytes, *, polls: bool
) -> None:
    job = await accepted(rig)
    assert await call_back(rig, job, signature=signature, body=body) is polls
    assert await rig.stored(job) == job


async def test_callback_adopts_a_job_whose_answer_was_lost(tmp_path: Path) -> None:
    server = ServerSettings(public_url="https://gate.test")
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=server) as rig:
        rig.transport.script("one", lost())
        job = await rig.submit()
        assert not await call_back(rig, job, body=b"{}")
        assert not await call_back(rig, job, body=b"not json")
        assert await call_back(rig, job)
        job = await rig.stored(job)
        assert job.attempt is not None
        assert (job.native_id, job.attempt.outcome) == ("n-1", AttemptOutcome.ACCEPTED)
        rig.transport.media = {LINK: SHORT, OTHER: SHORT}
        job, _ = await step(rig, job, DONE)
        assert job.state is JobState.COMPLETED


@pytest.mark.parametrize("token", ["", "token-not-rea", "ключ"])
async def test_callback_with_a_wrong_token_finds_no_job(rig: Rig, token: str) -> None:
    job = await accepted(rig)
    with pytest.raises(JobNotFoundError):
        await call_back(rig, job, token=token)


async def test_callback_for_an_unknown_job_is_refused(rig: Rig) -> None:
    with pytest.raises(JobNotFoundError):
        await receive_callback(rig.context, SeenCallbacks(), "music_none", TOKEN, {}, b"{}")


async def test_callback_with_a_bad_signature_changes_nothing(tmp_path: Path) -> None:
    server = ServerSettings(public_url="https://gate.test")
    async with rig_of(tmp_path / "a", ONE, store=MemoryJobStore(), server=server) as rig:
        rig.transport.script("one", lost())
        job = await rig.submit()
        with pytest.raises(UnauthorisedError) as caught:
            await call_back(rig, job, signature="bad")
        assert caught.value.reason == "invalid_signature"
        assert (await rig.stored(job)).native_id is None


async def test_callback_for_a_final_job_or_a_plugin_that_is_gone_is_ignored(rig: Rig) -> None:
    job = await accepted(rig)
    gone = attrs.evolve(rig.context, providers={})
    hint = await receive_callback(gone, SeenCallbacks(), job.id, TOKEN, {}, b'{"id": "n-1"}')
    assert hint is Hint.NOTHING
    job, _ = await step(rig, job, {"no": "moderation"})
    assert not await call_back(rig, job)


async def test_callback_makes_the_next_poll_due(rig: Rig) -> None:
    job = await accepted(rig)
    entry = rig.gate._runner.owners.scheduler._entries[job.id]
    due_before = entry.due_s
    assert due_before is not None
    await rig.gate.callback(job.id, TOKEN, {}, b'{"id": "n-1"}')
    assert entry.due_s is not None
    assert entry.due_s < due_before


async def test_another_tasks_callback_leaves_the_next_poll_where_it_is(rig: Rig) -> None:
    job = await accepted(rig)
    due_before = rig.gate._runner.owners.scheduler._entries[job.id].due_s
    await rig.gate.callback(job.id, TOKEN, {}, b'{"id": "n-other"}')
    assert rig.gate._runner.owners.scheduler._entries[job.id].due_s == due_before


async def test_callback_during_a_poll_does_no_harm(rig: Rig) -> None:
    job = await accepted(rig)

    async def call(_: HttpRequest) -> None:
        assert await call_back(rig, job)

    rig.transport.on_send = call
    job, _ = await step(rig, job, {"status": "works"})
    assert (job.state, job.native_id) == (JobState.IN_PROGRESS, "n-1")
