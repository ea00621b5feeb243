"""Secrets in what a vendor gives are looked for once, and masked where there is one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from musicgate import Job, JobUpdate, MusicRequest, NativeTrack, jobs
from musicgate.codec import dump_job, load_job
from musicgate.gateway.callbacks import SeenCallbacks, receive_callback
from musicgate.gateway.fold import _SHOWN, holds_secret
from musicgate.gateway.follow import advance
from musicgate.model import EventKind, JobEvent, Secret
from musicgate.testing.memory_store import MemoryJobStore
from musicgate.views import render_event, render_job
from musicgate.web.events import _Frames
from tests.fake_vendor import KEY, START, FakeVendor, Rig, rig_of

ONE = FakeVendor("one", callbacks=True)
TOKEN = "token-not-real"


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(tmp_path / "audio", ONE, store=MemoryJobStore()) as rig:
        yield rig


async def accepted(rig: Rig, native_id: str = "n-1") -> Job:
    rig.transport.script("one", {"id": native_id})
    return await rig.submit()


def shown(rig: Rig, job: Job) -> dict[str, Any]:
    return render_job(job, lambda *_: None, rig.gate.masker(job))


async def test_clean_job_is_shown_without_a_masker(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.script(
        "one", {"status": "works", "tracks": [{"id": "t", "title": "Song", "url": "https://a.test/"}]}
    )
    await advance(rig.context, job.id)
    job = await rig.stored(job)
    assert job.is_clean
    assert rig.gate.masker(job) is None
    assert shown(rig, job)["output"][0]["title"] == "Song"


@pytest.mark.parametrize("secret", [KEY, TOKEN, KEY.upper(), f"x{KEY}x"])
async def test_job_with_a_secret_in_a_title_is_marked_and_masked(rig: Rig, secret: str) -> None:
    job = await accepted(rig)
    rig.transport.script(
        "one", {"status": "works", "tracks": [{"id": "t", "title": secret, "stream": "https://a.test/"}]}
    )
    await advance(rig.context, job.id)
    job = await rig.stored(job)
    assert not job.is_clean
    (track,) = shown(rig, job)["output"]
    assert track["title"] == secret.lower().replace(KEY, "***").replace(TOKEN, "***")
    assert job.tracks[0].title == secret
    events = await rig.store.events(job.id, 0, 10)
    rendered = str([render_event(event, number, masker=rig.gate.masker(job)) for number, event in events])
    assert "***" in rendered
    assert secret not in rendered


async def frames_after(rig: Rig, frames: _Frames, job: Job, after: int) -> tuple[bytes, int]:
    """What a stream sends of the events after a number, and the number of the last one."""
    events = await rig.store.events(job.id, after, 20)
    return b"".join([await frames.write(number, event) for number, event in events]), events[-1][0]


async def test_secret_that_comes_after_a_stream_has_begun_is_masked(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await accepted(rig)
    assert job.is_clean
    frames = _Frames(rig.gate, job, lambda job: shown(rig, job))
    sent, last = await frames_after(rig, frames, job, 0)
    assert b'"native_id":"n-1"' in sent
    rig.transport.script(
        "one", {"status": "works", "tracks": [{"id": "t", "title": KEY, "stream": f"https://a.test/{TOKEN}"}]}
    )
    await advance(rig.context, job.id)
    reads: list[str] = []
    monkeypatch.setattr(rig.gate, "get", reads.append)
    sent, _ = await frames_after(rig, frames, job, last)
    assert b'"title":"***"' in sent
    assert b"https://a.test/***" in sent
    assert reads == []  # an event that is not the last one costs no read of the job


async def test_event_of_another_provider_is_masked_with_its_secrets(tmp_path: Path) -> None:
    secret = "other-key-not-real-either"
    two = FakeVendor("two")
    async with rig_of(tmp_path / "audio", ONE, two, store=MemoryJobStore()) as rig:
        rig.transport.script("one", {"id": "n-1"})
        job = await rig.submit()
        installed = rig.context.providers["two"]
        rig.context.providers["two"] = attrs.evolve(installed, key=Secret(secret))  # type: ignore[index]
        frames = _Frames(rig.gate, job, lambda job: shown(rig, job))
        moved = attrs.evolve(job, attempts=(*job.attempts, attrs.evolve(job.attempts[0], plugin="two")))
        assert await rig.store.replace(job, moved, ())
        data = {"plugin": "two", "outcome": "accepted", "native_id": secret}
        sent = await frames.write(5, JobEvent(kind=EventKind.ATTEMPT, at=START, data=data))
        assert b'"native_id":"***"' in sent


async def test_mark_stays_when_later_answers_hold_no_secret(rig: Rig) -> None:
    job = await accepted(rig)
    rig.transport.script("one", {"tracks": [{"id": KEY}]}, {"status": "works", "tracks": [{"id": "t"}]})
    for _ in range(2):
        await advance(rig.context, job.id)
    assert not (await rig.stored(job)).is_clean


async def test_id_of_a_created_task_with_a_secret_marks_its_job(rig: Rig) -> None:
    job = await accepted(rig, f"n-{KEY}")
    assert not job.is_clean
    assert shown(rig, job)["nativeResponseId"] == "n-***"
    assert job.native_id == f"n-{KEY}"


async def test_id_that_a_callback_brings_marks_its_job(rig: Rig) -> None:
    job = await accepted(rig)
    attempt = attrs.evolve(job.attempts[-1], native_id=None)
    await rig.store.add(attrs.evolve(job, id="music_lost", attempts=(attempt,)), ())
    body = f'{{"id": "n-{KEY}"}}'.encode()
    await receive_callback(rig.context, SeenCallbacks(), "music_lost", TOKEN, {}, body)
    stored = await rig.store.get("music_lost")
    assert (stored.native_id, stored.is_clean) == (f"n-{KEY}", False)


def test_job_of_an_earlier_version_is_not_known_to_be_clean() -> None:
    """A default is left out of a document, so an old document reads as this one."""
    planned = jobs.new_attempt(ONE.declared, "fake/song", None, START, calls_back=False)
    made = jobs.new_job(
        "music_1",
        MusicRequest(model="fake/song"),
        planned,
        account="a",
        generation_id="G",
        callback_token="t",
        deadline_at=START,
    )
    assert made.is_clean
    assert load_job(dump_job(made)).is_clean
    old = dump_job(attrs.evolve(made, is_clean=False))
    assert "is_clean" not in str(old)
    assert not load_job(old).is_clean


async def test_job_that_is_not_known_to_be_clean_is_masked_as_before(rig: Rig) -> None:
    job = attrs.evolve(await accepted(rig), is_clean=False)
    masker = rig.gate.masker(job)
    assert masker is not None
    assert masker.text(f"x {KEY} {TOKEN}") == "x *** ***"


@pytest.mark.parametrize("name", _SHOWN)
async def test_secret_in_any_text_of_a_track_is_found(rig: Rig, name: str) -> None:
    job = await accepted(rig)
    for text, found in (
        (f"a {KEY}", True),
        (f"a {KEY[:9]}", False),
        (f"https://a.test/?t={TOKEN}&x=%20", True),
    ):
        value: Any = (text,) if name == "fallback_urls" else text
        update = JobUpdate(tracks=(NativeTrack(), NativeTrack(**{name: value})))
        assert holds_secret(rig.context, job, update) is found


@pytest.mark.parametrize("extra", [{"a": [{"b": KEY}]}, {KEY: 1}, {"a": ({"b": ["x", KEY]},)}], ids=str)
async def test_secret_in_further_facts_of_a_track_is_found(rig: Rig, extra: dict[str, Any]) -> None:
    job = await accepted(rig)
    assert holds_secret(rig.context, job, JobUpdate(tracks=(NativeTrack(extra=extra),)))
    clean = JobUpdate(tracks=(NativeTrack(extra={"a": [1, None, "b"]}),))
    assert not holds_secret(rig.context, job, clean)


def test_every_text_of_a_track_is_looked_at_or_masked_at_once() -> None:
    """A new field of a track has to be put into one of these."""
    others = {"audio", "duration_s", "created_at", "expires_at", "failure_message", "extra"}
    assert {field.name for field in attrs.fields(NativeTrack)} == {*_SHOWN} | others


async def test_answer_after_the_end_marks_a_job_only_if_it_changes_it(rig: Rig) -> None:
    job = await accepted(rig)
    ended = jobs.cancel(job, START, was_stopped=False)
    update = JobUpdate(native_id="n-2", tracks=(NativeTrack(title=KEY),))
    assert jobs.apply(ended, update, None, START, holds_secret=True) is ended
