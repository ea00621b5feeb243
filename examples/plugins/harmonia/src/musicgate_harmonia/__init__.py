"""Harmonia as a musicgate plugin: what it takes, charges and answers, and the hooks.

Making music takes two calls. The first makes a score, a free draft; `parse_response` returns the second,
which performs it and costs. Its answer has no body: the performance's id is the end of its ``Location``.
Source of everything here: VENDOR.md of this distribution, 2026-11-20.
"""

from functools import partial
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

import attrs
from musicgate import plugin as mg
from musicgate.plugin.lenient import json_text, mapping, moment, seconds, text, url

HOOK_API = 1
VOICES: Final = ("any", "female", "male", "none")
SINGERS: Final = {"f": "female", "m": "male"}
SCORES: Final = "/v2/scores"
PERFORMANCES: Final = "/v2/performances"
_Bytes = partial(mg.Text, unit=mg.TextUnit.BYTES)
_NEEDED: Final = ({"words": None},)
FIELDS: Final = (
    _Bytes("brief", neutral="prompt", max_chars=1500, reason="prompt_too_long", required_if=_NEEDED),
    _Bytes("words", neutral="lyrics", max_chars=4000, reason="lyrics_too_long"),
    _Bytes("genre", neutral="style", max_chars=200, reason="style_too_long"),
    _Bytes("avoid", neutral="negative_style", max_chars=200, reason="negative_style_too_long"),
    _Bytes("name", neutral="title", max_chars=200, reason="title_too_long"),
    mg.Number("seconds", neutral="duration", minimum=10, maximum=300, reason="duration_out_of_range"),
    mg.Number("seed", neutral="seed", whole=True),
    mg.Choice("container", neutral="format", choices=("mp3", "wav")),
    mg.Choice("voices", carries=("instrumental", "vocal_gender"), choices=VOICES),
    mg.Number("tempo_bpm", minimum=40, maximum=220, whole=True),
    mg.Text("key"),
    mg.Structure("instruments"),
)
_offer = partial(mg.Offer, fields=FIELDS, formats=("mp3", "wav"), prices=(mg.PriceRule.per_second("0.002"),))
OFFERS: Final = (
    _offer(model="harmonia/allegro", native_model="allegro-2", aliases=("harmonia/allegro-2",)),
    _offer(model="harmonia/largo", native_model="largo-1", aliases=("harmonia/largo-1",)),
)
#: Status, kind and class of each problem (RFC 9457); a kind beats the HTTP status that it comes with.
PROBLEMS: Final = {
    400: ("wrong-note", mg.FailureClass.INVALID),
    401: ("no-ticket", mg.FailureClass.AUTH),
    402: ("out-of-notes", mg.FailureClass.CREDITS),
    404: ("no-such-piece", mg.FailureClass.NOT_FOUND),
    409: ("curtain-fallen", mg.FailureClass.CONFLICT),
    422: ("content-rules", mg.FailureClass.MODERATION),
    429: ("too-loud", mg.FailureClass.RATE_LIMITED),
    503: ("hall-closed", mg.FailureClass.UNAVAILABLE),
}
ERRORS: Final = mg.ErrorTable(
    vendor="Harmonia",
    code=mg.At("kind"),
    text=mg.At("detail"),
    status_is_code=False,
    codes=dict(PROBLEMS.values()),
    no_record={"no-such-piece"},
    job_words={
        "silenced": mg.Rule(mg.FailureClass.MODERATION, refunded=True),
        "broken": mg.Rule(mg.FailureClass.UPSTREAM_FAILED, refunded=True),
        "withdrawn": mg.FailureClass.CANCELLED,
    },
)
PROVIDER: Final = mg.Provider(
    name="harmonia",
    plugin="harmonia",
    label="Harmonia",
    base_url="https://api.harmonia.example",
    key_env="HARMONIA_API_KEY",
    base_url_env="HARMONIA_BASE_URL",
    auth=mg.HeaderAuth(header="X-Harmonia-Key", scheme=""),
    offers=OFFERS,
    option_block="harmonia",
    options_schema=mg.option_schema("Harmonia options", OFFERS, {"tempo_bpm": 96, "key": "C minor"}),
    webhook_secret_env="HARMONIA_WEBHOOK_SECRET",  # noqa: S106 - the name of a variable, not a secret
    callback_signature=mg.CallbackSignature(
        header="Harmonia-Signature",
        form="at={timestamp}; sig={signature}",
        signed="{timestamp}\n{body_sha256}",
        encoding=mg.SignatureEncoding.BASE64,
        iso_time=True,
    ),
    callbacks=True,
    statuses={
        "tuning": mg.JobState.QUEUED,
        **dict.fromkeys(("rehearsing", "performing"), mg.JobState.IN_PROGRESS),
        "mastered": mg.JobState.COMPLETED,
        **dict.fromkeys(("silenced", "broken", "withdrawn"), mg.JobState.FAILED),
    },
    typical_s=25.0,
    retention_s=86_400.0,
)


@mg.hookimpl
def provider() -> mg.Provider:
    return PROVIDER


@mg.hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings, callback_url: str | None
) -> mg.Translation:
    other = request.format if request.format not in {None, *offer.formats} else None
    draft = mg.Draft(attrs.evolve(request, format=None) if other else request, offer, settings, "harmonia")
    if other:
        draft.not_applied("format", f"Harmonia makes {' or '.join(offer.formats)}")
    draft.refuse_undeclared()
    draft.send("engine", draft.native_model)
    draft.send_declared()
    if not draft.fields.keys() & {"brief", "words"}:
        raise mg.refused("prompt", "Harmonia needs a prompt or lyrics", "prompt_required")
    singer = SINGERS.get(request.vocal_gender or "")
    if "voices" not in draft.fields and (singer or request.instrumental is not None):
        draft.send("voices", "none" if request.instrumental else singer or "any")
    voices = draft.fields.get("voices")
    if request.instrumental is not None and (voices == "none") is not request.instrumental:
        draft.not_applied("instrumental", "harmonia.voices overrides it")
    if singer not in {None, voices}:
        draft.not_applied("vocal_gender", "harmonia.voices or instrumental overrides it")
    draft.send("hook", {"url": callback_url} if callback_url else None)
    return draft.post_json(f"{settings.base_url}{SCORES}")


@mg.hookimpl
def poll_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest:
    return mg.HttpRequest.get(f"{settings.base_url}{PERFORMANCES}/{quote(job.native_id or '', safe='')}")


@mg.hookimpl
def cancel_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest:
    return mg.HttpRequest(method="DELETE", url=poll_request(job, settings).url)


@mg.hookimpl
def parse_response(
    step: mg.Step, response: mg.HttpResponse, settings: mg.ProviderSettings
) -> mg.JobUpdate | mg.HttpRequest:
    body = mapping(json_text(response.body.decode("utf-8", "replace")))
    coded = {**body, "kind": (text(body.get("type")) or "").rpartition("/")[2]}
    # The second call of a song is one that creates, too.
    refused = ERRORS.refusal(mg.Step.CREATE if step is mg.Step.NEXT else step, response, coded)
    if refused is not None:
        return refused
    if step is mg.Step.NEXT:
        folder, _, ref = urlsplit(response.header("location") or "").path.rpartition("/")
        if not folder.endswith(PERFORMANCES) or not ref:
            raise ERRORS.unreadable(response, "named no performance")
        return mg.JobUpdate(native_id=unquote(ref), state=mg.JobState.QUEUED)
    if step is mg.Step.CREATE:
        score = mg.At("score.ref").text(body)
        if score is None:
            raise ERRORS.unreadable(response, "made no score")
        return mg.HttpRequest.post_json(
            f"{settings.base_url}{SCORES}/{quote(score, safe='')}/performances", {}
        )
    made = mapping(body.get("performance"))
    state = text(made.get("state"))
    if state is None:
        raise ERRORS.unreadable(response, "answered without a state")
    recording, reason = mapping(made.get("recording")), mapping(made.get("reason"))
    if PROVIDER.state_of(state) is mg.JobState.FAILED:
        failure = ERRORS.task_failure(state, reason.get("kind"), reason.get("note"))
        return mg.JobUpdate(native_status=state, failure=failure, body=body)
    href = text(recording.get("href"))
    track = mg.NativeTrack(
        native_id=text(made.get("ref")),
        audio_url=url(urljoin(settings.base_url, href)) if href else None,
        title=text(made.get("name")),
        duration_s=seconds(recording.get("length")),
        created_at=moment(made.get("created")),
        expires_at=moment(recording.get("until")),
    )
    # Until it is mastered a recording is not whole, and VENDOR.md names no way to stream it.
    is_whole = track.audio_url is not None and PROVIDER.state_of(state) is mg.JobState.COMPLETED
    return mg.JobUpdate(native_status=state, tracks=(track,) if is_whole else (), body=body)


@mg.hookimpl
def parse_callback(body: bytes) -> mg.CallbackClaim:
    made = mapping(mg.HttpResponse(status=200, body=body).json_object().get("performance"))
    return mg.CallbackClaim(native_id=text(made.get("ref")), native_status=text(made.get("state")))


@mg.hookimpl
def emulator(options: mg.EmulatorOptions) -> mg.Emulator:
    from musicgate_harmonia.emulation import HarmoniaEmulator

    return HarmoniaEmulator(options)
