"""The native requests in the legacy and in the market dialect; no choice of a mode, no answers.

Sources: docs.kie.ai/suno-api/generate-music (early 2026, and 2026-08 for V5_5 and ``duration``); the market
pages (2026-09-25).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from musicgate.plugin import (
    Draft,
    HttpRequest,
    Job,
    JsonObject,
    MusicRequest,
    Offer,
    ProviderSettings,
    Said,
    Translation,
    hookimpl,
    is_blank,
    utf16_units,
)
from musicgate.plugin.lenient import text
from musicgate_suno_kie.declaration import (
    PLACEHOLDER_CALLBACK_URL,
    WEIGHT_STEP,
    WEIGHTS,
    Dialect,
    dialect_of,
)
from musicgate_suno_kie.modes import write_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

LEGACY_CREATE: Final = "/api/v1/generate"
LEGACY_READ: Final = "/api/v1/generate/record-info"
MARKET_CREATE: Final = "/api/v1/jobs/createTask"
MARKET_READ: Final = "/api/v1/jobs/recordInfo"
MARKET_MODEL: Final = "ai-music-api/generate"

#: Legacy spelling -> spelling inside the market's ``input``. Other keys are forwarded unchanged.
#: Source: docs.kie.ai/market, 2026-10-07.
MARKET_SPELLING: Final[Mapping[str, str]] = MappingProxyType(
    {
        "customMode": "custom_mode",
        "negativeTags": "negative_tags",
        "vocalGender": "vocal_gender",
        "styleWeight": "style_weight",
        "weirdnessConstraint": "weirdness_constraint",
        "audioWeight": "audio_weight",
        "personaId": "persona_id",
        "personaModel": "persona_model",
        "imageUrls": "image_urls",
        "audioUrls": "audio_urls",
        "videoUrls": "video_urls",
    }
)
_WRITTEN_ELSEWHERE: Final = frozenset({"callBackUrl", "prompt"})


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Translate a request to the native create call, in the dialect of the model.

    The fields are in the legacy spelling: the caller's block, overlaid with what it means. 0 and false are
    values.

    Raises:
        RequestError: one of the contract's Suno tokens.
    """
    draft = Draft(request, offer, settings, "suno")
    if draft.block:
        draft.copy(*(key for key in draft.block if key not in _WRITTEN_ELSEWHERE))
        _round_weights(draft)
    left_over = write_texts(draft)
    draft.send("model", draft.native_model)
    if draft.block.get("personaModel"):
        _drop_lone_persona_model(draft)
    if request.duration_s is not None:
        _write_duration(draft, request.duration_s)
    callback = text(draft.block.get("callBackUrl")) or callback_url or PLACEHOLDER_CALLBACK_URL
    if dialect_of(draft.native_model, settings) is Dialect.MARKET:
        body = {"model": MARKET_MODEL, "callBackUrl": callback, "input": _market_input(draft, left_over)}
        return draft.post_json(settings.base_url + MARKET_CREATE, body)
    if left_over is not None:
        _report_left_over(draft, left_over)
    return draft.post_json(settings.base_url + LEGACY_CREATE, {**draft.fields, "callBackUrl": callback})


@hookimpl
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Read the record of a task, in the dialect of its model and of the settings."""
    if job.native_id is None:
        return None
    route = MARKET_READ if dialect_of(job.native_model, settings) is Dialect.MARKET else LEGACY_READ
    return HttpRequest.get(f"{settings.base_url}{route}?taskId={quote(job.native_id, safe='')}")


@hookimpl
def cancel_request() -> HttpRequest | None:
    """A task cannot be cancelled: no page lists such a call."""
    return None


def _market_input(draft: Draft, left_over: Said | None) -> JsonObject:
    native = {MARKET_SPELLING.get(key, key): value for key, value in draft.fields.items()}
    # Source: docs.kie.ai/suno-api/extend-music, October 2026: lyrics win over the prompt, which is sung only
    # where there are none.
    is_sung = draft.fields["customMode"] is True and draft.fields["instrumental"] is False
    has_lyrics_field = is_sung and draft.settings.options.get("market_lyrics_field") != "prompt"
    if has_lyrics_field and "lyrics" not in native:  # the block's own are sent unchanged
        native["lyrics"] = native.pop("prompt")
    if left_over is not None:
        most = draft.offer.limits.prompt_chars
        if "prompt" not in native and (most is None or utf16_units(left_over.text) <= most):
            # ASSUMED: it does no harm there. No page says what it does.
            native["prompt"] = left_over.text
            draft.changed(left_over.path, "sent beside the lyrics, where the vendor promises no effect of it")
        else:
            _report_left_over(draft, left_over)
    return native


def _report_left_over(draft: Draft, idea: Said) -> None:
    draft.not_applied(idea.path, "with lyrics and a style there is no field for an idea")


def _round_weights(draft: Draft) -> None:
    """Send a weight in the steps that the vendor takes."""
    for name in WEIGHTS:
        weight = draft.fields.get(name)
        if isinstance(weight, float) and weight != (rounded := round(weight, 2)):
            draft.send(name, rounded)
            draft.changed(("suno", name), f"sent as {rounded}: the vendor takes multiples of {WEIGHT_STEP}")


def _drop_lone_persona_model(draft: Draft) -> None:
    """Leave out the kind of a persona where no persona is named; idea mode ignores both anyway."""
    if draft.fields["customMode"] and is_blank(draft.block.get("personaId")):
        del draft.fields["personaModel"]
        draft.not_applied("suno.personaModel", "no persona is named by suno.personaId")


def _write_duration(draft: Draft, duration_s: int) -> None:
    """Send the neutral duration where the vendor takes it; ``suno.duration`` beats it."""
    limits = draft.offer.limits
    if draft.block.get("duration") is not None or not draft.offer.declares("duration"):
        return
    least, most = limits.min_duration_s or 0, limits.max_duration_s or duration_s
    if not draft.fields["customMode"]:
        draft.not_applied("duration", "Suno takes a length in custom mode only")
    elif not least <= duration_s <= most:
        draft.not_applied("duration", f"Suno takes lengths from {least:g} to {most:g} s")
    else:
        draft.send("duration", duration_s)
