"""Knows how a planned song is written down in the legacy and in the market dialect; not how the mode was chosen, nor any answer.

Sources: docs.kie.ai/suno-api/generate-music (early 2026, and 2026-08 for V5_5 and ``duration``); the market pages (2026-09-25).
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
    LONGEST_S,
    PLACEHOLDER_CALLBACK_URL,
    SHORTEST_S,
    Dialect,
    dialect_of,
)
from musicgate_suno_kie.modes import Plan, plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEGACY_CREATE: Final = "/api/v1/generate"
LEGACY_READ: Final = "/api/v1/generate/record-info"
MARKET_CREATE: Final = "/api/v1/jobs/createTask"
MARKET_READ: Final = "/api/v1/jobs/recordInfo"
MARKET_MODEL: Final = "ai-music-api/generate"

#: For an offer that names no native model; none of ours does.
DEFAULT_MODEL: Final = "V5"

#: Legacy spelling -> spelling inside the market's ``input``. Keys that are not listed are forwarded as they stand.
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
    """Put a wish into Suno's words, in the dialect of the model.

    Raises:
        RequestError: the contract's Suno tokens, or a text that is too long for the model.
    """
    block = request.block("suno")
    native_model = text(block.get("model")) or offer.native_model or DEFAULT_MODEL
    planned = plan(request, LIMITS.get(native_model.upper(), Limits()))
    duration_s, warnings = _duration(request, native_model, planned)
    song = _song(block, planned, native_model, duration_s)
    back = text(block.get("callBackUrl")) or callback_url or PLACEHOLDER_CALLBACK_URL
    if dialect_of(native_model, settings) is Dialect.MARKET:
        url, payload = settings.base_url + MARKET_CREATE, _market(song, planned, settings, back)
    else:
        url, payload = settings.base_url + LEGACY_CREATE, {**song, "callBackUrl": back}
    return Translation(
        request=HttpRequest.post_json(url, payload),
        native_model=native_model,
        warnings=(*planned.warnings, *warnings, *_no_field(request)),
    )


@hookimpl
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Ask how a task is doing, in the dialect that its model was asked for in."""
    if job.native_id is None:
        return None
    route = MARKET_READ if dialect_of(job.native_model, settings) is Dialect.MARKET else LEGACY_READ
    return HttpRequest.get(f"{settings.base_url}{route}?taskId={quote(job.native_id, safe='')}")


@hookimpl
def cancel_request() -> HttpRequest | None:
    """A task cannot be stopped: no page lists such a call."""
    return None


def _song(
    block: JsonObject, planned: Plan, native_model: str, duration_s: int | None
) -> dict[str, JsonValue]:
    """The song in the legacy spelling: the caller's own block, with the effective values over it; 0 and false are values."""
    song: dict[str, JsonValue] = {
        key: value for key, value in block.items() if key not in {"callBackUrl", "prompt"}
    }
    song |= planned.fields
    song |= {"customMode": planned.custom, "instrumental": planned.instrumental, "model": native_model}
    if duration_s is not None:
        song["duration"] = duration_s
    return song


def _market(song: JsonObject, planned: Plan, settings: ProviderSettings, back: str) -> dict[str, JsonValue]:
    wanted = {MARKET_SPELLING.get(key, key): value for key, value in song.items()}
    # The page has prompt only; three clients of October and November 2026 send the words of a custom song as input.lyrics.
    sung = planned.custom and not planned.instrumental
    if sung and settings.options.get("market_lyrics_field") == "lyrics":
        wanted["lyrics"] = wanted.pop("prompt")
    return {"model": MARKET_MODEL, "callBackUrl": back, "input": wanted}


def _duration(
    request: MusicRequest, native_model: str, planned: Plan
) -> tuple[int | None, tuple[OptionWarning, ...]]:
    """The neutral duration where it can be sent, else why not. The caller's own ``suno.duration`` beats it."""
    wanted_s = request.duration_s
    if wanted_s is None or request.block("suno").get("duration") is not None:
        return None, ()
    if native_model.upper() not in DURATION_MODELS:
        return None, (_not_applied("duration", f"{native_model} cannot be told a length"),)
    if not planned.custom:
        return None, (_not_applied("duration", "Suno takes a length in custom mode only"),)
    if not SHORTEST_S <= wanted_s <= LONGEST_S:
        return None, (_not_applied("duration", f"Suno takes lengths from {SHORTEST_S} to {LONGEST_S} s"),)
    return wanted_s, ()


def _no_field(request: MusicRequest) -> Iterator[OptionWarning]:
    if not is_blank(request.format) and request.format != _DELIVERED_FORMAT:
        yield _not_applied("format", f"Suno delivers {_DELIVERED_FORMAT} only")
    if request.seed is not None:
        yield _not_applied("seed", "Suno cannot be told a seed")


def _not_applied(field: str, message: str) -> OptionWarning:
    return OptionWarning(code=WarningCode.NOT_APPLIED, path=(field,), message=message)
