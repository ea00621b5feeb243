"""The played vendor: it makes a song that plays, fails one, refuses a bad key, counts, repeats itself and knows its routes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.assets import measure_bytes
from musicgate.errors import NotAudioError, ProviderError
from musicgate.model import (
    FailureClass,
    Job,
    JobState,
    JobUpdate,
)
from musicgate.plugin import HttpRequest
from musicgate.testing.compliance.probes import at as value_at
from musicgate.testing.compliance.probes import parsed, places
from musicgate.testing.compliance.subject import BASE_URL, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator

    from musicgate.plugin import EmulatedAnswer
    from musicgate.testing.compliance.subject import Subject
    from musicgate.testing.compliance.walk import Heard, Walk

_BAD_KEY: Final = "bad-test-key-not-real"
_NO_ROUTES: Final = ("/kit/no/such/route", "/")


def check_emulator_is_there(subject: Subject) -> None:
    """The plugin brings its vendor, played: sandbox, tests and docs run on it."""
    name = subject.provider.plugin
    assert hasattr(subject.module, "emulator"), f"{name} has no emulator() hook"
    emulator = subject.rehearsal()[0].emulator
    missing = [
        name
        for name in ("answer", "due_callbacks", "callback_answered", "books")
        if not hasattr(emulator, name)
    ]
    assert not missing, f"the emulator has no {', '.join(missing)} (musicgate.plugin.emulator.Emulator)"


def check_emulated_song_plays(subject: Subject) -> None:
    """A plain wish ends delivered, in as many tracks as promised, and each track is audio that can be measured."""
    walk = subject.walk
    job = walk.job
    assert job.delivered_at is not None, (
        f"a plain wish ended {job.state} ({job.failure}) and was not delivered"
    )
    offer = walk.rehearsal.offer(job.request.model)
    good = list(_tracks_with_audio(walk))
    assert len(good) == offer.tracks, (
        f"{offer.model} promises {offer.tracks} tracks, {len(good)} were delivered"
    )
    for where, content in good:
        try:
            facts = measure_bytes(content)
        except NotAudioError as error:
            raise AssertionError(f"{where} is no audio that plays: {error}") from error
        assert facts.duration_s > 0.5, f"{where} lasts {facts.duration_s} s"


def check_emulated_wishes_come_true(subject: Subject) -> None:
    """Every base wish of the first offer ends in a song: the schema's examples, the author's wishes, the kit's own."""
    first = subject.provider.offers[0]
    for offer, wish, _ in subject.base:
        if offer is first:
            job = subject.play(wish).job
            made = job.delivered_at is not None
            assert made, f"{wish!r:.300} was translated, and ended {job.state} ({job.failure})"


def check_emulated_media_states_its_length(subject: Subject) -> None:
    """Media links answer with a Content-Length that is true and a Content-Type."""
    links = [track.audio_url for track in subject.walk.job.tracks if track.audio_url]
    if not links:
        raise Skipped("the vendor sends audio inside its answer, and no links")
    for link in links:
        response = _fetch(subject.walk, link).response
        stated = response.header("content-length")
        assert stated == str(len(response.body)), (
            f"{link}: Content-Length {stated}, {len(response.body)} bytes"
        )
        assert response.header("content-type"), f"{link} is served without a Content-Type"


def check_emulated_words_are_mapped(subject: Subject) -> None:
    """Every status word of a plain song has a meaning, unless the plugin gave its own verdict; the job was seen open."""
    words = [
        one.read for one in subject.walk.heard if isinstance(one.read, JobUpdate) and one.read.native_status
    ]
    if not words:
        raise Skipped("the vendor's answers carry no status word")
    for read in words:
        mapped = subject.plugin.map_status(read.native_status)
        known = mapped is not None or read.state is not None
        assert known, f"the emulator says {read.native_status!r}, and map_status does not know it"
    if subject.can_poll:
        waited = any(_leaves_open(one) for one in subject.walk.heard[1:])
        assert waited, "the emulator's song is done at the first look: it has to be seen in progress, too"


def check_emulated_failure(subject: Subject) -> None:
    """With its failure switches set, the emulator fails a song, and the plugin reads why."""
    if subject.failure_switches is None:
        raise Skipped("no switches named that make the emulator fail a song (failure_switches)")
    rehearsal, _ = subject.rehearsal(switches=subject.failure_switches)
    switches = dict(subject.failure_switches)
    try:
        job = rehearsal.finish(rehearsal.create(subject.song_wish))
    except ProviderError as error:
        message = f"with {switches} the create call ended in an error ({error}), and not in a vendor's no"
        raise AssertionError(message) from error
    assert job.state is JobState.FAILED, f"with {switches} the song did not fail: it is {job.state}"
    expired = job.failure is not None and job.failure.reason is FailureClass.EXPIRED
    assert not expired, (
        f"with {switches} the song only ran into the deadline; the vendor never said that it failed"
    )


def check_emulator_refuses_a_bad_key(subject: Subject) -> None:
    """A key that begins with ``bad`` is refused as `auth`, and nothing is created."""
    rehearsal, _ = subject.rehearsal(key=_BAD_KEY)
    try:
        job: Job | None = rehearsal.create(subject.song_wish)
        failure = job.failure if job else None
    except ProviderError as error:
        failure = error.failure
    assert failure is not None, f"the emulator took the key {_BAD_KEY!r}, and nobody refused"
    assert failure.reason is FailureClass.AUTH, (
        f"the key {_BAD_KEY!r} was refused as {failure.reason}, not as auth"
    )
    created = rehearsal.emulator.books.creates
    assert not created, f"the emulator refused the key {_BAD_KEY!r} and created {created} all the same"


def check_emulator_knows_its_routes(subject: Subject) -> None:
    """An unknown route answers 404, in the status or in the body's code; no route invents success."""
    rehearsal, _ = subject.rehearsal()
    auth = rehearsal.provider.auth
    headers = {auth.header: auth.value(rehearsal.key)}
    for path in _NO_ROUTES:
        for method in ("GET", "POST"):
            request = HttpRequest(method=method, url=f"{BASE_URL}{path}", headers=headers)
            response = rehearsal.emulator.answer(request, rehearsal.now_s).response
            lost = response.status == 404 or _says_404(response.body)
            assert lost, f"{method} {path} is no route, yet the emulator answers HTTP {response.status}"
    assert not rehearsal.emulator.books.creates, "a call to an unknown route created something"


def check_emulator_is_deterministic(subject: Subject) -> None:
    """The same requests at the same times give the same answers."""
    first, second = subject.walk.rehearsal, subject.play().rehearsal
    left_calls, right_calls = len(first.answers), len(second.answers)
    assert left_calls == right_calls, (
        f"of two equal songs one took {left_calls} calls, the other {right_calls}"
    )
    for place, (left, right) in enumerate(zip(first.answers, second.answers, strict=True)):
        assert left == right, f"call {place + 1} of two equal songs was answered differently"


def check_emulator_counts(subject: Subject) -> None:
    """One wish is one creation in the books, however often it is looked at; calls are counted per route."""
    emulator = subject.walk.rehearsal.emulator
    created = emulator.books.creates
    assert len(created) == 1, f"one wish was made, and the books hold {len(created)} creations: {created}"
    assert emulator.books.calls.total() >= len(subject.walk.heard), (
        "the books count fewer calls than were made"
    )
    assert set(emulator.books.credits_charged) <= set(created), (
        "somebody was charged for what was not created"
    )


def _tracks_with_audio(walk: Walk) -> Iterator[tuple[str, bytes]]:
    """Every track's audio: fetched where it is a link, as delivered where it is bytes."""
    for track in walk.job.tracks:
        if track.audio_url:
            answer = _fetch(walk, track.audio_url)
            status = answer.response.status
            assert status == 200, f"the link of track {track.index} ({track.audio_url}) answers HTTP {status}"
            yield f"track {track.index}", answer.response.body
    for one in walk.heard:
        delivered = one.read.tracks if isinstance(one.read, JobUpdate) else ()
        yield from ((f"track {index}", track.audio) for index, track in enumerate(delivered) if track.audio)


def _fetch(walk: Walk, link: str) -> EmulatedAnswer:
    assert link.startswith(f"{BASE_URL}/"), (
        f"the emulator gives out the link {link}, which is not its own origin"
    )
    return walk.rehearsal.emulator.answer(HttpRequest(method="GET", url=link), walk.rehearsal.now_s)


def _leaves_open(one: Heard) -> bool:
    if isinstance(one.read, ProviderError):
        return True
    return (
        isinstance(one.read, JobUpdate)
        and one.read.failure is None
        and not any(track.has_audio for track in one.read.tracks)
    )


def _says_404(body: bytes) -> bool:
    value = parsed(body)
    return isinstance(value, dict | list) and any(
        value_at(value, path) in (404, "404") for path in places(value) if path
    )
