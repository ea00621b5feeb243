"""The emulator: its songs play, its failures are read, it counts and is deterministic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.assets import measure_bytes
from musicgate.errors import NotAudioError, ProviderError, RequestError
from musicgate.model import (
    FailureClass,
    Job,
    JobState,
    JobUpdate,
)
from musicgate.plugin import HttpRequest
from musicgate.testing.compliance.probes import BAD_KEY, json_of, places
from musicgate.testing.compliance.probes import at as value_at
from musicgate.testing.compliance.subject import BASE_URL, Skipped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from musicgate.model import MusicRequest, Offer
    from musicgate.plugin import EmulatedAnswer
    from musicgate.testing.compliance.emulated_run import EmulatedRun, ParsedAnswer
    from musicgate.testing.compliance.subject import Subject

_NO_ROUTES: Final = ("/kit/no/such/route", "/")


def check_emulator_is_there(subject: Subject) -> None:
    """The plugin has an emulator of its vendor: sandbox, tests and docs run on it."""
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
    """A plain request is delivered in as many tracks as the offer states, each measurable audio."""
    run = subject.song_run
    offer = run.rehearsal.offer(run.job.request.model)
    audio = list(_tracks_with_audio(run))
    assert len(audio) == offer.tracks, (
        f"{offer.model} promises {offer.tracks} tracks, {len(audio)} were delivered"
    )
    for where, content in audio:
        try:
            facts = measure_bytes(content)
        except NotAudioError as error:
            raise AssertionError(f"{where} is not playable audio: {error}") from error
        assert facts.duration_s > 0.5, f"{where} lasts {facts.duration_s} s"


def check_every_offer_plays(subject: Subject) -> None:
    """A song of each offered model is delivered, in as many tracks as its offer states.

    One that the vendor has ended is played only if `requests` names how.
    """
    ended = []
    for offer in subject.provider.offers:
        if offer.ended and not any(offer.answers_to(request.model) for request in subject.requests):
            ended.append(f"{offer.model} ({offer.ended})")
            continue
        way = _way_to_play(subject, offer)
        assert way is not None, (
            f"translate_request refused every base request for {offer.model}, whatever the settings: no song of "
            "it can be played; name a request that the vendor can fulfil in `requests`"
        )
        run = subject.emulate(*way)
        assert run.job.delivered_at is not None, (
            f"the offer {offer.model} cannot be played: its song ended {run.job.state} ({run.job.failure}); "
            "name a request that the emulator can fulfil in `requests`"
        )
        count = len(list(_tracks_with_audio(run)))
        assert count == offer.tracks, f"{offer.model} promises {offer.tracks} tracks, {count} were delivered"
    if ended:
        raise Skipped(f"not played, since the vendor has ended them: {', '.join(ended)}; all others play")


def _way_to_play(subject: Subject, offer: Offer) -> tuple[MusicRequest, Mapping[str, object]] | None:
    """Return a request for an offer, the author's own first, and the settings that it needs."""
    own = [request for request in subject.requests if offer.answers_to(request.model)]
    own += [request for other, request, _ in subject.base if other is offer]
    if own:
        return own[0], {}
    for options in ({}, *subject.other_settings()):
        rehearsal, _ = subject.rehearsal(options=options)
        # Some vendors need a length.
        for request in (*subject.neutral_requests(offer), subject.timed_request(offer)):
            try:
                rehearsal.translate(request)
            except RequestError:
                continue
            return request, options
    return None


def check_offers_differ(subject: Subject) -> None:
    """Offers of different native models send different requests: each asks for its own model."""
    seen: dict[tuple[object, ...], tuple[str, str]] = {}
    for offer in subject.provider.offers:
        if offer.native_model is None:
            continue
        for other, request, translation in subject.base:
            if other is not offer or request.blocks:
                continue  # a block may name the model itself
            sent = translation.request
            key = (sent.method, sent.url, sent.body, repr(sorted(sent.headers.items())))
            first, native = seen.setdefault(key, (offer.model, offer.native_model))
            assert native == offer.native_model, (
                f"translate_request sends the same for {first} and {offer.model}, although their native models "
                f"are {native!r} and {offer.native_model!r}: each request has to name its own model"
            )


def check_emulated_requests_succeed(subject: Subject) -> None:
    """Every base request of the first offer ends in a song.

    Base requests are the schema's examples, the author's `requests` and the kit's own.
    """
    first = subject.provider.offers[0]
    for offer, request, _ in subject.base:
        if offer is first:
            job = subject.emulate(request).job
            delivered = job.delivered_at is not None
            assert delivered, f"{request!r:.300} was translated, and ended {job.state} ({job.failure})"


def check_emulated_media_states_its_length(subject: Subject) -> None:
    """Media links answer with a correct Content-Length and with a Content-Type."""
    links = [track.audio_url for track in subject.song_run.job.tracks if track.audio_url]
    if not links:
        raise Skipped("the vendor sends audio inside its answer, and no links")
    for link in links:
        response = _fetch(subject.emulated_run, link).response
        stated = response.header("content-length")
        assert stated == str(len(response.body)), (
            f"{link}: Content-Length {stated}, {len(response.body)} bytes"
        )
        assert response.header("content-type"), f"{link} is served without a Content-Type"


def check_emulated_statuses_are_mapped(subject: Subject) -> None:
    """Every native status of a plain job is mapped, or the update sets a state.

    The job is seen in progress at least once.
    """
    updates = [
        answer.parsed
        for answer in subject.song_run.answers
        if isinstance(answer.parsed, JobUpdate) and answer.parsed.native_status
    ]
    if not updates:
        raise Skipped("the vendor's answers carry no status")
    for update in updates:
        mapped = subject.plugin.map_status(update.native_status)
        known = mapped is not None or update.state is not None
        assert known, (
            f"the emulator answers with the status {update.native_status!r}, and map_status does not know it"
        )
    if subject.can_poll:
        waited = any(_leaves_open(answer) for answer in subject.emulated_run.answers[1:])
        assert waited, "the emulator's song is done at the first poll: it has to be seen in progress, too"


def check_emulated_failure(subject: Subject) -> None:
    """With its failure switches set, the emulator fails a song, and the plugin reads the reason."""
    if subject.failure_switches is None:
        raise Skipped("no switches named that make the emulator fail a song (failure_switches)")
    rehearsal, _ = subject.rehearsal(switches=subject.failure_switches)
    switches = dict(subject.failure_switches)
    try:
        job = rehearsal.finish(rehearsal.create(subject.song_request))
    except ProviderError as error:
        message = f"with {switches} the create call ended in an error ({error}), and not in a vendor's no"
        raise AssertionError(message) from error
    assert job.state is JobState.FAILED, f"with {switches} the song did not fail: it is {job.state}"
    expired = job.failure is not None and job.failure.reason is FailureClass.EXPIRED
    assert not expired, (
        f"with {switches} the song only ran into the deadline; no answer of the emulator failed it"
    )


def check_emulator_refuses_a_bad_key(subject: Subject) -> None:
    """A key that begins with ``bad`` is refused as `auth`, and nothing is created."""
    rehearsal, _ = subject.rehearsal(key=BAD_KEY)
    try:
        job: Job | None = rehearsal.create(subject.song_request)
        failure = job.failure if job else None
    except ProviderError as error:
        failure = error.failure
    assert failure is not None, f"the emulator accepted the key {BAD_KEY!r}"
    assert failure.reason is FailureClass.AUTH, (
        f"the key {BAD_KEY!r} was refused as {failure.reason}, not as auth"
    )
    created = rehearsal.emulator.books.creates
    assert not created, f"the emulator refused the key {BAD_KEY!r} and created {created} all the same"


def check_emulator_knows_its_routes(subject: Subject) -> None:
    """An unknown route answers 404, as HTTP status or as code in the body, and creates nothing."""
    rehearsal, _ = subject.rehearsal()
    auth = rehearsal.provider.auth
    headers = {auth.header: auth.value(rehearsal.key)}
    for path in _NO_ROUTES:
        for method in ("GET", "POST"):
            request = HttpRequest(method=method, url=f"{BASE_URL}{path}", headers=headers)
            response = rehearsal.emulator.answer(request, rehearsal.now_s).response
            not_found = response.status == 404 or _has_code_404(response.body)
            assert not_found, f"{method} {path} is no route, yet the emulator answers HTTP {response.status}"
    assert not rehearsal.emulator.books.creates, "a call to an unknown route created something"


def check_emulator_is_deterministic(subject: Subject) -> None:
    """The same requests at the same times give the same answers."""
    first, second = subject.emulated_run.rehearsal, subject.emulate().rehearsal
    left_calls, right_calls = len(first.answers), len(second.answers)
    assert left_calls == right_calls, (
        f"of two equal requests one took {left_calls} calls, the other {right_calls}"
    )
    for place, (left, right) in enumerate(zip(first.answers, second.answers, strict=True)):
        assert left == right, f"call {place + 1} for two equal requests was answered differently"


def check_emulator_counts(subject: Subject) -> None:
    """One request is counted as one creation, however often it is polled; calls are counted."""
    books = subject.emulated_run.rehearsal.emulator.books
    created = books.creates
    assert len(created) == 1, (
        f"one request was sent, and the emulator counts {len(created)} creations: {created}"
    )
    assert books.calls.total() >= len(subject.emulated_run.answers), (
        "the emulator counts fewer calls than were made"
    )
    assert set(books.credits_charged) <= set(created), "the emulator charged for a task that was not created"


def _tracks_with_audio(run: EmulatedRun) -> Iterator[tuple[str, bytes]]:
    """Yield every track's audio: fetched where it is a link, as delivered where it is bytes."""
    for track in run.job.tracks:
        if track.audio_url:
            answer = _fetch(run, track.audio_url)
            status = answer.response.status
            assert status == 200, f"the link of track {track.index} ({track.audio_url}) answers HTTP {status}"
            yield f"track {track.index}", answer.response.body
    for parsed in (answer.parsed for answer in run.answers):
        delivered = parsed.tracks if isinstance(parsed, JobUpdate) else ()
        yield from ((f"track {index}", track.audio) for index, track in enumerate(delivered) if track.audio)


def _fetch(run: EmulatedRun, link: str) -> EmulatedAnswer:
    assert link.startswith(f"{BASE_URL}/"), (
        f"the emulator answers with the link {link}, which is not of its own origin"
    )
    provider = run.rehearsal.provider
    key = {provider.auth.header: provider.auth.value(run.rehearsal.key)} if provider.media_needs_key else {}
    return run.rehearsal.emulator.answer(
        HttpRequest(method="GET", url=link, headers=key), run.rehearsal.now_s
    )


def _leaves_open(answer: ParsedAnswer) -> bool:
    parsed = answer.parsed
    if isinstance(parsed, ProviderError):
        return True
    return (
        isinstance(parsed, JobUpdate)
        and parsed.failure is None
        and not any(track.has_audio for track in parsed.tracks)
    )


def _has_code_404(body: bytes) -> bool:
    value = json_of(body)
    return isinstance(value, dict | list) and any(
        value_at(value, path) in (404, "404") for path in places(value) if path
    )
