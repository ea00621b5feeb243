"""The native requests in the legacy and in the market dialect; no choice of a mode, no answers.

Sources: docs.kie.ai/suno-api/generate-music (early 2026, and 2026-08 for V5_5 and ``duration``); the market
pages (2026-09-25).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from musicgate.plugin import (
    HttpRequest,
    Job,
    JsonObject,
    JsonValue,
    Limits,
    MusicRequest,
    Offer,
    OptionWarning,
    ProviderSettings,
    Translation,
    WarningCode,
    hookimpl,
    is_blank,
)
from musicgate.plugin.lenient import text
from musicgate_suno_kie.declaration import (
    DURATION_MODELS,
    LIMITS,
    MAX_DURATION_S,
    MIN_DURATION_S,
    PLACEHOLDER_CALLBACK_URL,
    Dialect,
    dialect_of,
)
from musicgate_suno_kie.modes import ModeFields, choose_mode

if TYPE_CHECKING:
    from collections.abc import Mapping

LEGACY_CREATE: Final = "/api/v1/generate"
LEGACY_READ: Final = "/api/v1/generate/record-info"
MARKET_CREATE: Final = "/api/v1/jobs/createTask"
MARKET_READ: Final = "/api/v1/jobs/recordInfo"
MARKET_MODEL: Final = "ai-music-api/generate"

#: For a native model that `LIMITS` does not list.
_NO_LIMITS: Final = Limits()

#: For an offer that names no native model; none of ours does.
DEFAULT_MODEL: Final = "V5"

#: Legacy spelling -> spelling inside the market's ``input``. Other keys are forwarded unchanged.
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
    }
)

_DELIVERED_FORMAT = "mp3"


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Translate a request to the native create call, in the dialect of the model.

    Raises:
        RequestError: one of the contract's Suno tokens, or a text that is too long for the model.
    """
    block = request.block("suno")
    native_model = text(block.get("model")) or offer.native_model or DEFAULT_MODEL
    chosen = choose_mode(request, LIMITS.get(native_model.upper(), _NO_LIMITS))
    duration_s, warnings = _duration(request, native_model, chosen)
    song = _song(block, chosen, native_model, duration_s)
    callback = text(block.get("callBackUrl")) or callback_url or PLACEHOLDER_CALLBACK_URL
    if dialect_of(native_model, settings) is Dialect.MARKET:
        url, payload = settings.base_url + MARKET_CREATE, _market(song, chosen, settings, callback)
    else:
        url, payload = settings.base_url + LEGACY_CREATE, {**song, "callBackUrl": callback}
    return Translation(
        request=HttpRequest.post_json(url, payload),
        native_model=native_model,
        warnings=chosen.warnings + warnings + _no_field(request),
    )


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


def _song(
    block: JsonObject, chosen: ModeFields, native_model: str, duration_s: int | None
) -> dict[str, JsonValue]:
    """The song in the legacy spelling: the caller's block, overlaid with the effective values.

    0 and false are values.
    """
    song: dict[str, JsonValue] = {
        **{key: value for key, value in block.items() if key not in {"callBackUrl", "prompt"}},
        **chosen.fields,
        "customMode": chosen.custom,
        "instrumental": chosen.instrumental,
        "model": native_model,
    }
    if duration_s is not None:
        song["duration"] = duration_s
    return song


def _market(
    song: JsonObject, chosen: ModeFields, settings: ProviderSettings, callback: str
) -> dict[str, JsonValue]:
    native = {MARKET_SPELLING.get(key, key): value for key, value in song.items()}
    # The page has prompt only; three clients of October and November 2026 send the lyrics of a custom song as
    # input.lyrics.
    has_lyrics = chosen.custom and not chosen.instrumental
    if has_lyrics and settings.options.get("market_lyrics_field") == "lyrics":
        native["lyrics"] = native.pop("prompt")
    return {"model": MARKET_MODEL, "callBackUrl": callback, "input": native}


def _duration(
    request: MusicRequest, native_model: str, chosen: ModeFields
) -> tuple[int | None, tuple[OptionWarning, ...]]:
    """The neutral duration where the vendor takes it, else a warning; ``suno.duration`` beats it."""
    duration_s = request.duration_s
    if duration_s is None or request.block("suno").get("duration") is not None:
        return None, ()
    if native_model.upper() not in DURATION_MODELS:
        return None, (_not_applied("duration", f"{native_model} takes no length"),)
    if not chosen.custom:
        return None, (_not_applied("duration", "Suno takes a length in custom mode only"),)
    if not MIN_DURATION_S <= duration_s <= MAX_DURATION_S:
        why = f"Suno takes lengths from {MIN_DURATION_S} to {MAX_DURATION_S} s"
        return None, (_not_applied("duration", why),)
    return duration_s, ()


def _no_field(request: MusicRequest) -> tuple[OptionWarning, ...]:
    warnings: tuple[OptionWarning, ...] = ()
    if not is_blank(request.format) and request.format != _DELIVERED_FORMAT:
        warnings += (_not_applied("format", f"Suno delivers {_DELIVERED_FORMAT} only"),)
    if request.seed is not None:
        warnings += (_not_applied("seed", "Suno takes no seed"),)
    return warnings


def _not_applied(field: str, message: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=(field,), message=message)
