"""Faults of parsed answers and callbacks."""

import itertools
from datetime import UTC, datetime
from types import ModuleType
from typing import Any

import attrs

from musicgate.errors import ProviderError
from musicgate.model import (
    Doubt,
    Failure,
    FailureClass,
    JobState,
    JobUpdate,
    NativeTrack,
    ProviderSettings,
)
from musicgate.plugin import CallbackClaim, HttpRequest, HttpResponse, Step
from musicgate.testing.compliance.probes import HTML
from tests.compliance import broken, tiny_plugin
from tests.compliance.fault import Fault, fault
from tests.compliance.tiny_plugin import tiny
from tests.compliance.tiny_vendor import sign

_COUNT = itertools.count()
_ODD: Any = "odd"
#: The body of the callback that the tiny vendor signs.
_SIGNED = b'{"id":"t-0-0","status":"done"}'


def _reads_by_index(step: Step, response: HttpResponse, read: Any) -> Any:
    """Trusts that a poll's body is an object with songs that are objects."""
    if step is Step.POLL and isinstance(read, JobUpdate):
        body: Any = response.json()
        for one in body.get("songs", []):
            one["url"].strip()
    return read


def _takes_nonsense(step: Step, response: HttpResponse, read: Any) -> Any:
    found = (NativeTrack(audio_url="https://media.example/any.wav"),)
    return JobUpdate(state=JobState.COMPLETED, tracks=found) if response.body == b"{}" else read


def _decodes(step: Step, response: HttpResponse, read: Any) -> Any:
    response.body.decode()
    return read


def _overlooks_status(step: Step, response: HttpResponse, read: Any) -> Any:
    try:
        return tiny_plugin.parse_response(step, attrs.evolve(response, status=200))
    except ProviderError:
        return read


def _is_sure(error: ProviderError) -> None:
    error.maybe_accepted = False


def _is_refusal(error: ProviderError) -> None:
    if error.failure.reason is FailureClass.PROTOCOL:
        error.failure = attrs.evolve(error.failure, reason=FailureClass.INVALID)


def _all_invalid(step: Step, response: HttpResponse, read: Any) -> Any:
    if isinstance(read, JobUpdate) and read.failure is not None:
        return attrs.evolve(read, failure=attrs.evolve(read.failure, reason=FailureClass.INVALID))
    return read


def _believes_noise(step: Step, response: HttpResponse, read: Any) -> Any:
    if isinstance(read, ProviderError) and step is Step.POLL and response.status == 404:
        return JobUpdate(failure=read.failure)
    return read


def _only_seconds(step: Step, response: HttpResponse, read: Any) -> Any:
    given = response.header("retry-after") or ""
    failure = read.failure
    if failure is None or given.isdecimal():
        return read
    changed = attrs.evolve(failure, retry_after_s=None)
    if isinstance(read, JobUpdate):
        return attrs.evolve(read, failure=changed)
    return ProviderError(changed, status=read.status, maybe_accepted=read.maybe_accepted)


def _fails_on_unknown(step: Step, response: HttpResponse, read: Any) -> Any:
    if (
        isinstance(read, JobUpdate)
        and read.native_status
        and tiny_plugin.map_status(read.native_status) is None
    ):
        failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message="unknown status")
        return attrs.evolve(read, failure=failure)
    return read


def _doubts_for_ever(step: Step, response: HttpResponse, read: Any) -> Any:
    failure = Failure(reason=FailureClass.NOT_FOUND, message="not found")
    forever: Any = None
    if not isinstance(read, JobUpdate) or tiny_plugin.map_status(read.native_status or ""):
        return read
    return attrs.evolve(read, doubt=Doubt(failure=failure, grace_s=forever))


def _tracks_without_zone(step: Step, response: HttpResponse, read: Any) -> Any:
    if isinstance(read, JobUpdate) and read.tracks:
        when = datetime(2026, 11, 20, 12, 0)  # noqa: DTZ001 - the fault that is to be found
        return attrs.evolve(read, tracks=(attrs.evolve(read.tracks[0], created_at=when),))
    return read


def _keeps_a_set(step: Step, response: HttpResponse, read: Any) -> Any:
    return attrs.evolve(read, body={1, 2}) if isinstance(read, JobUpdate) else read


def _empty_link(step: Step, response: HttpResponse, read: Any) -> Any:
    if isinstance(read, JobUpdate) and read.tracks:
        return attrs.evolve(read, tracks=(attrs.evolve(read.tracks[0], image_url=""),))
    return read


def _ignores(what: str) -> ModuleType:
    """A plugin that leaves one part of the signature's check out."""

    def parse_callback(
        headers: dict[str, str], body: bytes, settings: ProviderSettings, now: float
    ) -> CallbackClaim:
        given = headers.get("x-tiny-signature", "")
        at = headers.get("x-tiny-time", "")
        if what == "age" and at.isdecimal():
            now = float(at)
        if what == "missing" and not given and settings.webhook_secret is not None:
            return CallbackClaim(native_id="t-0-0", verified=True)
        claim = tiny_plugin.parse_callback(headers, body, settings, now)
        if what == "tail" and claim.verified is False and settings.webhook_secret is not None:
            wanted = sign(settings.webhook_secret.reveal(), at, body)
            claim = attrs.evolve(claim, verified=bool(given) and given[:8] == wanted[:8])
        if what == "half" and (given or at):
            claim = attrs.evolve(claim, verified=True)
        if what == "secret" and given:
            claim = attrs.evolve(claim, verified=True)
        if what == "body" and claim.verified is False:
            claim = tiny_plugin.parse_callback(headers, _SIGNED, settings, now)
            content: Any = HttpResponse(status=200, body=body).json_object()
            claim = attrs.evolve(claim, native_id=content.get("id"))
        return claim

    return tiny(parse_callback=parse_callback)


def _takes_old_iso_times() -> ModuleType:
    """A vendor that writes the time as ISO 8601, and a plugin that never looks how old it is."""

    def with_iso_time(due: Any) -> Any:
        headers = dict(due.request.headers)
        if "X-Tiny-Time" not in headers:
            return due
        headers["X-Tiny-Time"] = datetime.fromtimestamp(int(headers["X-Tiny-Time"]), UTC).isoformat()
        return attrs.evolve(due, request=attrs.evolve(due.request, headers=headers))

    def parse_callback(headers: dict[str, str], body: bytes, settings: ProviderSettings) -> CallbackClaim:
        try:
            at_s = datetime.fromisoformat(headers.get("x-tiny-time", "")).timestamp()
        except ValueError:
            at_s = 0.0
        headers = {**headers, "x-tiny-time": str(int(at_s))}
        return tiny_plugin.parse_callback(headers, body, settings, at_s)

    vendor = broken.calls_back(lambda due: [with_iso_time(one) for one in due])
    return tiny(parse_callback=parse_callback, emulator=vendor.emulator)


def _counts_callbacks(claim: CallbackClaim, *_: Any) -> CallbackClaim:
    return attrs.evolve(claim, native_status=str(next(_COUNT)))


def _indexes_garbage() -> ModuleType:
    def parse_callback(body: bytes, settings: ProviderSettings) -> CallbackClaim:
        content: Any = HttpResponse(status=200, body=body).json()
        return CallbackClaim(native_id=content["id"])

    return tiny(parse_callback=parse_callback)


def _returns_nothing(step: Step, response: HttpResponse, read: Any) -> Any:
    return JobUpdate() if response.body in {b"", HTML} else read


def _asks_elsewhere(step: Step, response: HttpResponse, read: Any) -> Any:
    return HttpRequest.get("https://other.example/song") if response.body == b"{}" else read


def _ends_on_unknown(step: Step, response: HttpResponse, read: Any) -> Any:
    if isinstance(read, JobUpdate) and tiny_plugin.map_status(read.native_status or "") is None:
        return attrs.evolve(read, state=JobState.COMPLETED, tracks=())
    return read


FAULTS: tuple[Fault, ...] = (
    fault("recorded_cases", "reads a recording differently", "native_id", lambda: broken.reads_updates(native_id="other")),
    fault("hostile_answers", "takes {} for a song", "finished song", lambda: broken.reads(_takes_nonsense)),
    fault("hostile_answers", "breaks", "ProviderError and nothing else", lambda: broken.reads(_decodes)),
    fault("wrong_types_in_good_answers", "trusts the vendor's types", "nothing else", lambda: broken.reads(_reads_by_index)),
    fault("good_body_under_failing_status", "overlooks the status", "HTTP 4", lambda: broken.reads(_overlooks_status)),
    fault("good_body_under_failing_status", "is sure that nothing was made", "maybe_accepted", lambda: broken.reads_errors(_is_sure)),
    fault("unreadable_create", "is sure that nothing was created", "maybe_accepted", lambda: broken.reads_errors(_is_sure)),
    fault("unreadable_create", "calls it invalid", "protocol", lambda: broken.reads_errors(_is_refusal)),
    fault("refusals_by_status", "one class for all", "auth", lambda: broken.reads(_all_invalid)),
    fault("refusals_by_status", "is sure about a 500", "maybe_accepted", lambda: broken.reads_errors(_is_sure)),
    fault("noise_while_polling", "believes a 404", "ends the job", lambda: broken.reads(_believes_noise)),
    fault("retry_after", "reads seconds only", "as a date", lambda: broken.reads(_only_seconds)),
    fault("unknown_status", "a state for every status", "unknown status", lambda: broken.maps(
        lambda status: tiny_plugin.map_status(status) or JobState.IN_PROGRESS)),
    fault("unknown_status", "fails on an unknown status", "leaves it open", lambda: broken.reads(_fails_on_unknown)),
    fault("any_sequence_of_answers", "a doubt without an end", "life cycle breaks", lambda: broken.reads(_doubts_for_ever)),
    fault("updates_survive_storage", "a time without zone", "stored", lambda: broken.reads(_tracks_without_zone)),
    fault("updates_survive_storage", "a body that is no JSON", "stored", lambda: broken.reads(_keeps_a_set)),
    fault("jobs_fit_the_schema", "an empty link", "image_url", lambda: broken.reads(_empty_link)),
    fault("callbacks_come_and_are_read", "the vendor never calls", "never called back", lambda: broken.calls_back(lambda *_: ())),
    fault("callbacks_come_and_are_read", "names another task", "other", lambda: broken.claims(
        lambda claim, *_: attrs.evolve(claim, native_id="other"))),
    fault("unsigned_is_not_verified", "verifies without a secret", "has to be None", lambda: broken.claims(
        lambda claim, *_: attrs.evolve(claim, verified=True))),
    fault("good_signature", "refuses what is good", "good signature", lambda: broken.claims(
        lambda claim, *_: attrs.evolve(claim, verified=False))),
    fault("good_signature", "takes any secret", "another secret", lambda: _ignores("secret")),
    fault("signature_headers_are_needed", "takes what is not signed", "without any header", lambda: _ignores("missing")),
    fault("flipped_bytes", "compares the first bytes only", "x-tiny-signature", lambda: _ignores("tail")),
    fault("flipped_bytes", "signs no body", "claimed under the signature", lambda: _ignores("body")),
    fault("old_signature", "takes what is old", "replayed", lambda: _ignores("age")),
    fault("old_signature", "takes what is old by a time in words", "replayed", _takes_old_iso_times),
    fault("duplicate_callbacks", "counts callbacks", "second time", lambda: broken.claims(_counts_callbacks)),
    fault("garbage_callbacks", "breaks on garbage", "only ProviderError", _indexes_garbage),
    fault("refusals_by_status", "takes a refusal for nothing", "not as a failure", lambda: broken.reads(_returns_nothing)),
    fault("unreadable_create", "believes an empty answer", "not as a ProviderError", lambda: broken.reads(_returns_nothing)),
    fault("hostile_answers", "calls another server", "next request goes to", lambda: broken.reads(_asks_elsewhere)),
    fault("hostile_answers", "an error without its failure", "in place of a failure", lambda: broken.reads_errors(
        lambda error: setattr(error, "failure", "no"))),
    fault("hostile_answers", "an error of no class", "whose reason is of the type str", lambda: broken.reads_errors(
        lambda error: setattr(error, "failure", attrs.evolve(error.failure, reason=_ODD)))),
    fault("hostile_answers", "an error without a message", "without a message", lambda: broken.reads_errors(
        lambda error: setattr(error, "failure", attrs.evolve(error.failure, message=" ")))),
    fault("unknown_status", "ends on an unknown status", "ends the job", lambda: broken.reads(_ends_on_unknown)),
    fault("updates_survive_storage", "a body of tuples", "comes back", lambda: broken.reads_updates(body=(1, 2))),
    fault("good_signature", "the vendor never calls", "no signature to check", lambda: broken.calls_back(lambda *_: ())),
    fault("signature_headers_are_needed", "half a signature will do", "no header is needed", lambda: _ignores("half")),
    fault("garbage_callbacks", "verifies anything", "was verified", lambda: tiny(
        parse_callback=lambda: CallbackClaim(verified=True))),
    fault("garbage_callbacks", "a blank task", "names the task", lambda: tiny(
        parse_callback=lambda: CallbackClaim(native_id=" "))),
)  # fmt: skip
