"""fal.ai's music models, as a musicgate plugin: this module is the plugin and holds its hooks.

Sources, where no other is named: docs.fal.ai/model-apis (queue, errors, request-errors, webhooks), 2026-08;
github.com/fal-ai/fal-js, 2026-08-02. What each model takes is in `models`.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

import attrs

import musicgate.plugin as mg
from musicgate.plugin import FailureClass, JsonValue, Rule, Step, hookimpl, lenient
from musicgate_fal.models import MODELS, RIGHTS, find

HOOK_API = 1
#: A result without audio is read again for so long. ASSUMED: the time.
_NO_AUDIO_GRACE_S: Final = 120.0
_SIGNATURE_WINDOW_S: Final = 300.0
#: By type first; a type without a row, like the many of pydantic, has the class of its HTTP status.
ERRORS: Final = mg.ErrorTable(
    vendor="fal",
    code=mg.At("error_type", "detail.0.type", "0.type", "type"),
    text=mg.At("detail", "0.msg", "message", "error.message", "error", "status"),
    task_id=mg.At("request_id"),
    codes={
        "content_policy_violation": FailureClass.MODERATION,
        "feature_not_supported": FailureClass.UNSUPPORTED,
        **dict.fromkeys(("generation_timeout", "request_timeout", "startup_timeout"), FailureClass.TIMEOUT),
        **dict.fromkeys(("no_media_generated", "downstream_service_error"), FailureClass.UPSTREAM_FAILED),
        **dict.fromkeys(("internal_server_error", "client_cancelled"), FailureClass.UPSTREAM_FAILED),
    },
    words={
        # Seen: 403 "User is locked. Reason: Exhausted balance. ..." (pollinations issue 11949, 2026-06-22).
        "exhausted balance": Rule(FailureClass.CREDITS, beats_codes=True),
        "user is locked": Rule(FailureClass.CREDITS, beats_codes=True),
        "still in progress": FailureClass.UNAVAILABLE,  # seen: 400, of a job that is COMPLETED
    },
    http={404: FailureClass.UNSUPPORTED},
    no_record={404},
    no_record_grace_s=30.0,
    # A 422 may be billed (docs.fal.ai/model-apis/faq, read 2026-11-22).
    free_server_errors=True,
)


@hookimpl
def provider() -> mg.Provider:
    """Declare fal and the models of the table."""
    jwks = "Text of rest.fal.ai/.well-known/jwks.json, to verify callbacks; empty: they are not verified."
    return mg.Provider(
        name="fal",
        plugin="fal",
        label="fal",
        aliases=("fal-ai", "fal.ai"),
        base_url="https://queue.fal.run",
        key_env="FAL_KEY",
        base_url_env="FAL_BASE_URL",
        auth=mg.HeaderAuth(scheme="Key"),
        offers=tuple(MODELS),
        option_block="fal",
        options_schema=mg.option_schema(
            "fal options", MODELS, {"seed": 7}, {"audio_setting": {"format": "mp3"}}
        ),
        settings_schema=mg.settings_schema(webhook_jwks=("", jwks)),
        # COMPLETED is missing: a job that failed is COMPLETED as well.
        statuses={"IN_QUEUE": mg.JobState.QUEUED, "IN_PROGRESS": mg.JobState.IN_PROGRESS},
        callbacks=True,
        poll=mg.PollSchedule(first_s=2.0, min_s=2.0, max_s=10.0),
        deadline_s=1800.0,
        # "At least 7 days" on one page, on another as long as the account's own setting says.
        retention_s=604_800.0,
        docs_url="https://docs.fal.ai/model-apis/inference/queue",
        rights=RIGHTS,
    )


@hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings, callback_url: str | None
) -> mg.Translation:
    """Submit the input of a model as it is, without an envelope."""
    draft = mg.Draft(request, offer, settings, "fal")
    draft.refuse_undeclared()
    if mg.neutral_value(request, "lyrics") and mg.Ability.LYRICS not in offer.abilities:
        raise mg.unsupported("lyrics", f"{draft.native_model} sings no lyrics")
    draft.send_declared()
    _choose_voice(draft)
    query = f"?fal_webhook={quote(callback_url, safe=':/')}" if callback_url else ""
    return draft.post_json(f"{settings.base_url}/{quote(draft.native_model)}{query}")


def _choose_voice(draft: mg.Draft) -> None:
    """Make it an instrumental where a model that sings has no words; refuse words and no voice together."""
    carriers = {field.neutral: field for field in draft.offer.fields}
    words, flag, wanted = carriers.get("lyrics"), carriers.get("instrumental"), draft.request.instrumental
    if not flag and not (words and "instrumental" in words.carries):
        return
    has_words = draft.fields.get(words.name) if words else mg.neutral_value(draft.request, "lyrics")
    if has_words and wanted:
        raise mg.refused("instrumental", "lyrics are given, and an instrumental is asked for")
    if words and not has_words and {flag and flag.name, "lyrics_optimizer"}.isdisjoint(draft.block):
        if wanted is False:
            raise mg.refused("lyrics", "a voice is wanted, and there are no lyrics")
        draft.send(flag.name if flag else words.name, True if flag else "[inst]")


@hookimpl
def poll_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest:
    """Ask for the status; that of a finished job is followed by a call for its result."""
    return mg.HttpRequest.get(f"{_address(job, settings)}/status")


@hookimpl
def cancel_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest:
    """Take a job out of the queue. One that runs is only asked to stop, and may cost."""
    return mg.HttpRequest(method="PUT", url=f"{_address(job, settings)}/cancel")


def _address(job: mg.Job, settings: mg.ProviderSettings) -> str:
    """The address of a job: only two parts of its endpoint. The links in fal's answers never get the key."""
    app = "/".join(quote(part, safe="") for part in (job.native_model or "").split("/")[:2])
    return f"{settings.base_url}/{app}/requests/{quote(job.native_id or '', safe='')}"


@hookimpl
def parse_response(
    step: Step, response: mg.HttpResponse, job: mg.Job, settings: mg.ProviderSettings
) -> mg.JobUpdate | mg.HttpRequest:
    """Read an answer. No status says that a job failed: after COMPLETED the call for its result decides."""
    # With HTTP 200 nothing is an error: what stands beside COMPLETED, the result call decides.
    error = None if response.is_success else ERRORS.open(step, response, is_outcome=step is Step.NEXT)
    if isinstance(error, mg.JobUpdate):
        return error
    body = response.json_object()
    if step is Step.NEXT:
        return _song(body, response, job)
    status = lenient.text(body.get("status"))
    if step is Step.CREATE:
        return attrs.evolve(ERRORS.created(response, body), native_status=status, state=mg.JobState.QUEUED)
    if status is None or (step is Step.CANCEL and status != "CANCELLATION_REQUESTED"):
        raise ERRORS.unreadable(response, "gave no status of the job")
    if step is Step.POLL and status.upper() == "COMPLETED":
        return mg.HttpRequest.get(_address(job, settings))
    return mg.JobUpdate(native_status=status if step is Step.POLL else None, body=body)


def _song(body: dict[str, JsonValue], response: mg.HttpResponse, job: mg.Job) -> mg.JobUpdate:
    """The audio of a result, and what it costs: fal's units at the list price."""
    tracks = tuple({track.audio_url: track for track in _tracks(body)}.values())
    if not tracks:
        failure = mg.Failure(reason=FailureClass.PROTOCOL, message="fal reported success without any audio")
        return mg.JobUpdate(doubt=mg.Doubt(failure=failure, grace_s=_NO_AUDIO_GRACE_S), body=body)
    model, units = find(job.native_model), lenient.seconds(response.header("x-fal-billable-units"))
    charge = float(model.prices[0].price_usd) * units if model and model.prices and units else None
    return mg.JobUpdate(
        native_status="COMPLETED",
        state=mg.JobState.COMPLETED,
        tracks=tracks,
        progress=mg.Progress(charge=charge, charge_unit="USD") if charge else None,
        body=body,
    )


def _tracks(body: Mapping[str, JsonValue]) -> Iterator[mg.NativeTrack]:
    """Every audio in a result: an object or a bare link, alone or in a list, under any of three keys."""
    words = lenient.text(body.get("lyrics"))
    for found in (body.get(key) for key in ("audio", "audios", "audio_file")):
        for file in found if isinstance(found, list) else [found]:
            facts = lenient.mapping(file)
            link = lenient.url(facts.get("url") if facts else file)
            length_s = lenient.seconds(facts.get("duration")) or lenient.seconds(body.get("duration"))
            if link is not None:
                yield mg.NativeTrack(audio_url=link, duration_s=length_s, lyrics=words)


@hookimpl
def parse_callback(
    headers: Mapping[str, str], body: bytes, settings: mg.ProviderSettings, now: float
) -> mg.CallbackClaim:
    """Read a callback, a hint to ask for the result. Its signature covers three headers and the body."""
    names = ("request-id", "user-id", "timestamp", "signature")
    *signed, signature = (headers.get(f"x-fal-webhook-{name}", "") for name in names)
    message = "\n".join([*signed, hashlib.sha256(body).hexdigest()]).encode("utf-8", "surrogatepass")
    verified = mg.signed_by_jwks(str(settings.options.get("webhook_jwks") or ""), signature, message)
    if verified is False or (verified and abs(now - int(signed[2])) > _SIGNATURE_WINDOW_S):
        return mg.CallbackClaim(verified=False, message="the callback is not signed by fal, or too old")
    content = mg.HttpResponse(status=200, body=body).json_object()
    native_id, status = (lenient.text(content.get(name)) for name in ("request_id", "status"))
    return mg.CallbackClaim(native_id=native_id, native_status=status, verified=verified)


@hookimpl
def emulator(options: mg.EmulatorOptions) -> mg.Emulator:
    """Make an emulator of fal; imported late, so that real traffic does not load it."""
    from musicgate_fal.emulated import FalEmulator

    return FalEmulator(options)
