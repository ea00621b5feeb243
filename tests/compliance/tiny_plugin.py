"""A tiny correct plugin for an invented vendor, which the tests break in one place at a time."""

import hmac
from collections.abc import Mapping
from decimal import Decimal
from types import ModuleType
from typing import Any, Final
from urllib.parse import quote

import attrs

from musicgate.errors import ProviderError, RequestError
from musicgate.model import (
    Ability,
    Doubt,
    Failure,
    FailureClass,
    Job,
    JobState,
    JobUpdate,
    Limits,
    Meter,
    MusicRequest,
    NativeTrack,
    Offer,
    OptionWarning,
    PriceRule,
    Provider,
    ProviderSettings,
    WarningCode,
)
from musicgate.plugin import (
    CallbackClaim,
    Emulator,
    EmulatorOptions,
    HttpRequest,
    HttpResponse,
    Step,
    Translation,
    hookimpl,
    lenient,
)
from tests.compliance.tiny_vendor import TinyVendor, sign

PROMPT_CHARS = 400
OPTIONS_SCHEMA: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "mood": {"description": "How it feels.", "type": "string"},
        "words": {"description": "Overrides the request's lyrics.", "type": "string", "maxLength": 90},
        "tempo": {"description": "Beats per minute.", "type": "integer", "minimum": 40, "maximum": 200},
        "mix": {
            "description": "Levels.",
            "type": "object",
            "properties": {
                "bass": {"description": "0 to 10.", "type": "integer", "minimum": 0, "maximum": 10}
            },
        },
    },
    "examples": [{"mood": "calm"}],
}
SETTINGS_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "region": {"description": "Where to sing.", "type": "string", "default": "eu"},
        "partner_secret": {"description": "Proves a partner.", "type": "string", "default": ""},
    },
    "additionalProperties": False,
}
OFFER = Offer(
    model="tiny/song",
    aliases=("tiny-song",),
    native_model="song-1",
    abilities=frozenset(
        {
            *(Ability.LYRICS, Ability.STYLE, Ability.TITLE, Ability.INSTRUMENTAL),
            *(Ability.DURATION, Ability.FORMAT),
        }
    ),
    formats=("mp3", "wav"),
    limits=Limits(prompt_chars=PROMPT_CHARS),
    prices=(PriceRule(meter=Meter.REQUESTS, price_usd=Decimal("0.05")),),
)
#: Two songs at a time.
DUET = attrs.evolve(OFFER, model="tiny/duet", aliases=(), native_model="duet-1", tracks=2)
#: The same vendor's long songs; its limit of the length is another one.
LONG = attrs.evolve(
    OFFER,
    model="tiny/long",
    aliases=(),
    native_model="long-1",
    limits=Limits(prompt_chars=PROMPT_CHARS, max_duration_s=600.0),
)
PROVIDER = Provider(
    name="tiny",
    plugin="tiny",
    label="Tiny",
    base_url="https://api.tiny.example",
    key_env="TINY_API_KEY",
    base_url_env="TINY_BASE_URL",
    webhook_secret_env="TINY_WEBHOOK_SECRET",
    offers=(OFFER, DUET, LONG),
    option_block="tiny",
    options_schema=OPTIONS_SCHEMA,
    settings_schema=SETTINGS_SCHEMA,
    callbacks=True,
)
_SENT = ("prompt", "lyrics", "style", "title", "instrumental", "format")
_FORMATS = ("mp3", "wav")
_DROPPED = ("negative_style", "vocal_gender", "seed")
_STATES = {
    "waiting": JobState.QUEUED,
    "working": JobState.IN_PROGRESS,
    "done": JobState.COMPLETED,
    "failed": JobState.FAILED,
    "stopped": JobState.FAILED,
}
#: How long the vendor may not know a new song.
_GRACE_S = 60.0
_CLASSES = {
    401: FailureClass.AUTH,
    402: FailureClass.CREDITS,
    403: FailureClass.FORBIDDEN,
    404: FailureClass.NOT_FOUND,
    429: FailureClass.RATE_LIMITED,
}


@hookimpl
def provider() -> Provider:
    return PROVIDER


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    if len(request.prompt or "") > PROMPT_CHARS:
        raise RequestError("validation_error", "the prompt is too long", path=("prompt",))
    if request.format not in {None, *_FORMATS}:
        raise RequestError("not_supported", "mp3 or wav", path=("format",))
    longest_s = offer.limits.max_duration_s
    if longest_s is not None and (request.duration_s or 0) > longest_s:
        raise RequestError("validation_error", "the song is too long", path=("duration",))
    song: dict[str, object] = {name: getattr(request, name) for name in _SENT}
    song |= {"model": offer.native_model, "length_s": request.duration_s, "callback_url": callback_url}
    given = {name: value for name, value in song.items() if value is not None}
    block = request.block("tiny")
    dropped = [name for name in _DROPPED if getattr(request, name) is not None]
    if "words" in block:
        dropped += ["lyrics"] if given.pop("lyrics", None) is not None else []
    return Translation(
        request=HttpRequest.post_json(f"{settings.base_url}/v1/songs", {**given, **block}),
        native_model=offer.native_model or "song-1",
        warnings=tuple(not_applied(name) for name in dropped),
    )


def not_applied(name: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=(name,), message="Tiny cannot do that")


@hookimpl
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    return HttpRequest.get(f"{settings.base_url}/v1/songs/{quote(job.native_id or '', safe='')}")


@hookimpl
def cancel_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    return HttpRequest(
        method="DELETE", url=f"{settings.base_url}/v1/songs/{quote(job.native_id or '', safe='')}"
    )


@hookimpl
def parse_response(step: Step, response: HttpResponse) -> JobUpdate:
    if not response.is_success:
        return refused(step, response)
    body = response.json_object()
    native_id, status = lenient.text(body.get("id")), lenient.text(body.get("status"))
    if native_id is None or status is None:
        failure = Failure(reason=FailureClass.PROTOCOL, message="no id or no status")
        raise ProviderError(failure, status=response.status, maybe_accepted=step is Step.CREATE)
    failed = map_status(status) is JobState.FAILED
    failure = Failure(
        reason=FailureClass.CANCELLED if status == "stopped" else FailureClass.UPSTREAM_FAILED,
        message=lenient.text(body.get("reason")) or "it failed",
    )
    return JobUpdate(
        native_id=native_id,
        native_status=status,
        tracks=tuple(track(song) for song in lenient.items(body.get("songs"))),
        failure=failure if failed else None,
        body=body,
    )


def refused(step: Step, response: HttpResponse) -> JobUpdate:
    otherwise = FailureClass.INVALID if response.status < 500 else FailureClass.UPSTREAM_FAILED
    failure = Failure(
        reason=_CLASSES.get(response.status, otherwise),
        message=f"HTTP {response.status}",
        retry_after_s=lenient.retry_after_s(response),
    )
    if step is Step.CREATE and response.status < 500:
        return JobUpdate(failure=failure)
    if step is Step.POLL and response.status == 404 and b"no such song" in response.body:
        return JobUpdate(doubt=Doubt(failure=failure, grace_s=_GRACE_S))
    raise ProviderError(failure, status=response.status, maybe_accepted=response.status >= 500)


def track(song: Mapping[str, object]) -> NativeTrack:
    return NativeTrack(
        native_id=lenient.text(song.get("id")),
        audio_url=lenient.url(song.get("url")),
        duration_s=lenient.seconds(song.get("seconds")),
        title=lenient.text(song.get("title")),
        tags=lenient.text(lenient.mapping(song.get("metadata")).get("tags")),
    )


@hookimpl
def map_status(native_status: str) -> JobState | None:
    return _STATES.get(native_status)


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: ProviderSettings, now: float
) -> CallbackClaim:
    verified = None
    if settings.webhook_secret is not None:
        at = headers.get("x-tiny-time", "")
        wanted = sign(settings.webhook_secret.reveal(), at, body)
        fresh = at.isdecimal() and abs(now - int(at)) <= 300
        verified = fresh and hmac.compare_digest(wanted, headers.get("x-tiny-signature", ""))
        if not verified:
            return CallbackClaim(verified=False, message="not signed by Tiny, or too old")
    content = HttpResponse(status=200, body=body).json_object()
    return CallbackClaim(native_id=lenient.text(content.get("id")), verified=verified)


@hookimpl
def emulator(options: EmulatorOptions) -> Emulator:
    return TinyVendor(options)


HOOKS = (
    *("provider", "translate_request", "poll_request", "cancel_request", "parse_response"),
    *("map_status", "parse_callback", "emulator"),
)


def tiny(name: str = "musicgate_tiny", **hooks: Any) -> ModuleType:
    """Make the plugin as a module, with some hooks replaced; None removes one."""
    module = ModuleType(name)
    members = {hook: globals()[hook] for hook in HOOKS} | {"HOOK_API": 1} | hooks
    for member, value in members.items():
        if value is not None:
            is_hook = callable(value) and not hasattr(value, "musicgate_impl")
            setattr(module, member, hookimpl(value) if is_hook else value)
    return module
