"""Faults that one plain song of the first offer does not show: each was once missed by the whole kit."""

import json
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import quote

import attrs

from musicgate.errors import ProviderError, RequestError
from musicgate.model import (
    Failure,
    FailureClass,
    HeaderAuth,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    NativeTrack,
)
from musicgate.plugin import HttpRequest, HttpResponse, Step, hookimpl, lenient
from tests.compliance import broken, tiny_plugin
from tests.compliance.fault import Fault, fault
from tests.compliance.tiny_plugin import OPTIONS_SCHEMA, tiny
from tests.compliance.tiny_vendor import TinyVendor

Edit = Callable[[Step, HttpResponse, Any], Any]


def _cancels(request_of: Callable[[Job, Any], HttpRequest | None]) -> Callable[[], ModuleType]:
    def cancel_request(job: Job, settings: Any) -> HttpRequest | None:
        return request_of(job, settings)

    return lambda: tiny(cancel_request=cancel_request)


def _raises_once_it_works(job: Job, settings: Any) -> HttpRequest | None:
    if job.state is JobState.IN_PROGRESS:
        raise KeyError(job.native_status)
    return tiny_plugin.cancel_request(job, settings)


def _hidden(*, is_marked: bool) -> Callable[[], ModuleType]:
    """A package with the hook in a module of its own, which the plugin's module does not export."""

    def cancel_request(job: Job) -> HttpRequest | None:
        return None

    def make() -> ModuleType:
        name = f"musicgate_tiny_{'marked' if is_marked else 'bare'}"
        inside = ModuleType(f"{name}.calls")
        cancel_request.__module__ = inside.__name__
        inside.__dict__["cancel_request"] = hookimpl(cancel_request) if is_marked else cancel_request
        sys.modules[inside.__name__] = inside
        provider = broken.declares(plugin=name.removeprefix("musicgate_")).provider
        return tiny(name, provider=provider, cancel_request=None)

    return make


def _at(step: Step, edit: Callable[[HttpResponse, Any], Any]) -> Callable[[], ModuleType]:
    def edited(given: Step, response: HttpResponse, read: Any) -> Any:
        return edit(response, read) if given is step else read

    return lambda: broken.reads(edited)


def _always_stopped(response: HttpResponse, read: Any) -> Any:
    return JobUpdate()


def _stopped_when_late(response: HttpResponse, read: Any) -> Any:
    return JobUpdate() if response.status == 409 else read


def _never_stopped(response: HttpResponse, read: Any) -> Any:
    return JobUpdate(failure=Failure(reason=FailureClass.CONFLICT, message="no"))


def _song(response: HttpResponse, read: Any) -> Any:
    return attrs.evolve(read, failure=None, state=JobState.COMPLETED, native_status=None, tracks=(
        NativeTrack(audio_url="https://media.example/a.wav"),)) if isinstance(read, JobUpdate) else read  # fmt: skip


def _song_of_nothing(response: HttpResponse, read: Any) -> Any:
    return _song(response, JobUpdate()) if not response.body.strip() else read


def _raises(response: HttpResponse, read: Any) -> Any:
    body: Any = json.loads(response.body or b"{}")
    body["status"].strip()
    return read


class _GoesOn(TinyVendor):
    """Says that a song is stopped, and makes it."""

    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        return super()._shown(attrs.evolve(task, is_stopped=False), now, host)


def _without_id(claim: Any, *_: Any) -> Any:
    return attrs.evolve(claim, native_id=None)


def _other_id(claim: Any, *_: Any) -> Any:
    return attrs.evolve(claim, native_id=claim.native_id and "t-0-9")


def _clamps_duration(body: dict[str, Any], request: MusicRequest) -> None:
    if "length_s" in body:
        body["length_s"] = min(body["length_s"], 480)


def _clamps_tempo(body: dict[str, Any], request: MusicRequest) -> None:
    if "tempo" in body:
        body["tempo"] = min(body["tempo"], 180)


def _clamps_bass(body: dict[str, Any], request: MusicRequest) -> None:
    if "bass" in body.get("mix", {}):
        body["mix"] = {**body["mix"], "bass": max(body["mix"]["bass"], 2)}


def _cuts_words(body: dict[str, Any], request: MusicRequest) -> None:
    if "words" in body:
        body["words"] = body["words"][:80]


def _cuts_instruments() -> ModuleType:
    properties = {
        **OPTIONS_SCHEMA["properties"],
        "instruments": {
            "description": "Who plays.",
            "type": "array",
            "items": {"type": "string"},
            "maxItems": 8,
        },
    }

    def cut(body: dict[str, Any], request: MusicRequest) -> None:
        if "instruments" in body:
            body["instruments"] = body["instruments"][:6]

    made = broken.sends(cut)
    return tiny(
        provider=broken.options(properties=properties).provider, translate_request=made.translate_request
    )


def _drops_the_title_for_a_mood(body: dict[str, Any], request: MusicRequest) -> None:
    if "mood" in body:
        body.pop("title", None)


def _overrides_silently(body: dict[str, Any], request: MusicRequest) -> None:
    if "mood" in body:
        body["style"] = body["mood"]


def _decides_over_instrumental() -> ModuleType:
    mood = {"description": "How it feels; overrides instrumental.", "type": "string"}

    def decide(body: dict[str, Any], request: MusicRequest) -> None:
        if "mood" in body:
            body["instrumental"] = body["mood"] == "quiet"

    return tiny(
        provider=broken.options(properties={**OPTIONS_SCHEMA["properties"], "mood": mood}).provider,
        translate_request=broken.sends(decide).translate_request,
    )


def _says_one_model(body: dict[str, Any], request: MusicRequest) -> None:
    body["model"] = "song-1"


class _OneSong(TinyVendor):
    """Makes one song where its offer promises two."""

    def _shown(self, task: Any, now: float, host: str) -> dict[str, object]:
        return super()._shown(attrs.evolve(task, songs=1), now, host)


class _NoLongSongs(TinyVendor):
    def answer(self, request: HttpRequest, now: float) -> Any:
        answer = super().answer(request, now)
        if b"long-1" not in request.body:
            return answer
        return attrs.evolve(answer, response=attrs.evolve(answer.response, status=403, body=b"{}"))


def _refuses(model: str) -> ModuleType:
    def translate_request(request: MusicRequest, offer: Any, settings: Any, callback_url: str | None) -> Any:
        if offer.model == model:
            raise RequestError("validation_error", "not with this plan", path=("model",))
        return tiny_plugin.translate_request(request, offer, settings, callback_url)

    return tiny(translate_request=translate_request)


def _believes_reasons(response: HttpResponse, read: Any) -> Any:
    """Takes any JSON with an error in it for a refusal, before it looks at the status."""
    try:
        body = response.json_object()
    except ProviderError:
        return read
    if response.is_success or "error" not in body:
        return read
    failure = read.failure
    return JobUpdate(
        failure=attrs.evolve(failure, reason=FailureClass.INVALID) if response.status > 499 else failure
    )


def _next_provider_on_500(response: HttpResponse, read: Any) -> Any:
    if response.status != 500 or b"error" not in response.body:
        return read
    return JobUpdate(failure=Failure(reason=FailureClass.RATE_LIMITED, message="busy"))


def in_two_calls(edit: Callable[[HttpResponse, Any], Any] | None = None) -> ModuleType:
    """A plugin whose create call is followed by a second one, before the song is there."""

    def edited(step: Step, response: HttpResponse, read: Any) -> Any:
        if step is Step.CREATE and isinstance(read, JobUpdate) and read.native_id:
            return HttpRequest.get(f"http://127.0.0.1:1/v1/songs/{quote(read.native_id, safe='')}")
        return edit(response, read) if edit is not None and step is Step.NEXT else read

    return broken.reads(edited)


def _is_sure_of_reasons(response: HttpResponse, read: Any) -> Any:
    if isinstance(read, ProviderError) and response.status > 499 and b"error" in response.body:
        return ProviderError(read.failure, status=response.status, maybe_accepted=False)
    return read


def _believes_404(response: HttpResponse, read: Any) -> Any:
    return JobUpdate(failure=read.doubt.failure) if isinstance(read, JobUpdate) and read.doubt else read


def _believes_any_404(response: HttpResponse, read: Any) -> Any:
    if response.status == 404 and b'"detail"' in response.body:
        return JobUpdate(failure=Failure(reason=FailureClass.NOT_FOUND, message="gone"))
    return read


def _doubts_for_no_time(response: HttpResponse, read: Any) -> Any:
    if not isinstance(read, JobUpdate) or read.doubt is None:
        return read
    return attrs.evolve(read, doubt=attrs.evolve(read.doubt, grace_s=0.0))


def _trusts_metadata(response: HttpResponse, read: Any) -> Any:
    """Reads a list of tags out of an object that the emulator never sends."""
    body: Any = response.json_object() if response.is_success else {}
    for song in lenient.items(body.get("songs")):
        metadata: Any = song.get("metadata", {})
        metadata.get("tags")
    return read


def _trusts_credits(response: HttpResponse, read: Any) -> Any:
    """Reads a value inside one that neither the emulator nor a case has."""
    body: Any = response.json_object() if response.is_success else {}
    if "usage" in body:
        float(body["usage"].get("credits") or 0)
    return read


def _another_header() -> ModuleType:
    return broken.declares(auth=HeaderAuth(header="X-Tiny-Key", scheme=""))


FAULTS: tuple[Fault, ...] = (
    fault("hooks_are_exported", "a marked hook stays in its module", "does not export it", _hidden(is_marked=True)),
    fault("hooks_are_exported", "a hook is not marked", "not marked with @hookimpl", _hidden(is_marked=False)),
    fault("cancel_request_never_raises", "raises once the song is in progress", "cancel_request raised for a job that is in_progress", _cancels(_raises_once_it_works)),
    fault("cancel_stops_the_song", "a wrong path", "is this the vendor's path", _cancels(
        lambda job, settings: HttpRequest(method="DELETE", url=f"{settings.base_url}/v1/song/{quote(str(job.native_id), safe='')}"))),
    fault("cancel_stops_the_song", "a stop is read as a refusal", "was read as", _at(Step.CANCEL, _never_stopped)),
    fault("cancel_stops_the_song", "a stop is read as a song", "finished song", _at(Step.CANCEL, _song)),
    fault("cancel_stops_the_song", "polls where it should stop", "delivered the song all the same", _cancels(
        tiny_plugin.poll_request)),
    fault("cancel_stops_the_song", "the emulator goes on", "all the same", lambda: broken.emulates(_GoesOn)),
    fault("cancel_too_late", "a refusal is read as a stop", "a song that is over", _at(Step.CANCEL, _stopped_when_late)),
    fault("hostile_cancel_answers", "any answer is read as a stop", "was read as a stop", _at(Step.CANCEL, _always_stopped)),
    fault("hostile_cancel_answers", "an empty body is read as a song", "taken for a finished song", _at(Step.CANCEL, _song_of_nothing)),
    fault("hostile_cancel_answers", "the reader raises", "ProviderError and nothing else", _at(Step.CANCEL, _raises)),
    fault("callback_adopts_a_job", "the claim has no id", "returned native_id=None", lambda: broken.claims(_without_id)),
    fault("callback_adopts_a_job", "the id is another one", "did not find the song", lambda: broken.claims(_other_id)),
    fault("callback_adopts_a_job", "the vendor never calls", "never called back", lambda: broken.calls_back(lambda *_: ())),
    fault("lengths_are_sent_as_asked", "a long song is shortened", "duration = 600 and 601", lambda: broken.sends(_clamps_duration)),
    fault("options_are_sent_as_asked", "a number is shortened", "tiny.tempo = 199 and 200", lambda: broken.sends(_clamps_tempo)),
    fault("options_are_sent_as_asked", "a nested number is raised", "tiny.mix.bass = 0 and 1", lambda: broken.sends(_clamps_bass)),
    fault("options_are_sent_as_asked", "a list is cut", "tiny.instruments = 6 items and 8 items", _cuts_instruments),
    fault("option_texts_are_whole", "a text is cut below its limit", "tiny.words of 90", lambda: broken.sends(_cuts_words)),
    fault("overridden_fields_are_reported", "an option drops a field", "tiny.mood = 'kit' overrides the neutral field title", lambda: broken.sends(_drops_the_title_for_a_mood)),
    fault("overridden_fields_are_reported", "an option takes its place", "overrides the neutral field style", lambda: broken.sends(_overrides_silently)),
    fault("overridden_fields_are_reported", "a text decides over a boolean, and only its description says so", "overrides the neutral field instrumental", _decides_over_instrumental),
    fault("every_offer_plays", "the second offer gives one song", "tiny/duet promises 2 tracks, 1 were", lambda: broken.emulates(_OneSong)),
    fault("every_offer_plays", "the third offer is refused by the vendor", "tiny/long cannot be played", lambda: broken.emulates(_NoLongSongs)),
    fault("every_offer_plays", "the second offer is never translated", "every base request for tiny/duet", lambda: _refuses("tiny/duet")),
    fault("offers_differ", "all offers ask for one model", "'song-1' and 'duet-1'", lambda: broken.sends(_says_one_model)),
    fault("reasons_under_5xx", "a reason under 5xx is a refusal", "a plain refusal (invalid)", _at(Step.CREATE, _believes_reasons)),
    fault("reasons_under_5xx", "a reason under 5xx asks the next vendor", "a plain refusal (rate_limited)", _at(Step.CREATE, _next_provider_on_500)),
    fault("reasons_under_5xx", "a reason under 5xx at the second call", "at step next as a plain refusal (invalid)", lambda: in_two_calls(_believes_reasons)),
    fault("reasons_under_5xx", "a reason under 5xx makes sure", "maybe_accepted=False", _at(Step.CREATE, _is_sure_of_reasons)),
    fault("unknown_song_is_doubted", "the vendor's 404 ends the job", "about an unknown song", _at(Step.POLL, _believes_404)),
    fault("unknown_song_is_doubted", "a 404 with a reason ends the job", "HTTP 404 with a body like", _at(Step.POLL, _believes_any_404)),
    fault("unknown_song_is_doubted", "a doubt of no time", "for 0.0 s", _at(Step.POLL, _doubts_for_no_time)),
    fault("wrong_types_in_recorded_answers", "trusts what only a case shows", "done_with_metadata.json:1 but for songs.0.metadata", _at(Step.POLL, _trusts_metadata)),
    fault("wrong_types_where_nothing_is", "trusts what no answer shows", "usage", _at(Step.POLL, _trusts_credits)),
    fault("emulated_media_states_its_length", "the key goes into another header", "in X-Tiny-Key", _another_header),
    fault("emulated_statuses_are_mapped", "the key goes into another header", "in X-Tiny-Key", _another_header),
)  # fmt: skip
