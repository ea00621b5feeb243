"""The declaration of Suno over kie.ai: models, limits, prices, settings, dialects.

Sources: docs.kie.ai/suno-api/generate-music (early 2026), docs.kie.ai/suno-api/upload-and-cover-audio
(2026-08, V5_5), docs.kie.ai/market (2026-09-25, V6 family), kie.ai/pricing (12 credits of 0.005 USD per
generate).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import musicgate.plugin as mg
import musicgate_schemas
from musicgate.plugin import (
    Choice,
    Field,
    Flag,
    JobState,
    JsonObject,
    JsonValue,
    Limits,
    Meter,
    Number,
    Offer,
    PollSchedule,
    PriceRule,
    Provider,
    ProviderSettings,
    RateWindow,
    Structure,
    Text,
    TextUnit,
    Timeouts,
    hookimpl,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Dialect(StrEnum):
    """Generation of the vendor's routes."""

    #: camelCase, one route per operation. Documented until 2026-09, since 2026-10-05 under old-model/.
    LEGACY = "legacy"
    #: snake_case inside ``input``, one route for all. Documented since 2026-09-25.
    MARKET = "market"


class Flavour(StrEnum):
    """The seller, with an account system and error codes of its own: two sell the same engine."""

    KIE = "kie"
    SUNOAPI = "sunoapi"


#: Every call to the vendor asks for both; a call of the Enum finds the same member in five times the time.
_DIALECTS: Final[dict[str, Dialect]] = {dialect.value: dialect for dialect in Dialect}
_FLAVOURS: Final[dict[str, Flavour]] = {flavour.value: flavour for flavour in Flavour}

#: The settings of this plugin; every property has a default.
SETTINGS_SCHEMA: Final[JsonObject] = {
    "type": "object",
    "properties": {
        "dialect": {
            "description": "Routes to use; models whose name begins with V6 use market by themselves.",
            "enum": ["legacy", "market"],
            "default": "legacy",
        },
        "flavour": {
            "description": "Whose error codes: kie (kie.ai) or sunoapi (sunoapi.org; set base_url, too). "
            "sunoapi has no market dialect.",
            "enum": ["kie", "sunoapi"],
            "default": "kie",
        },
        "market_lyrics_field": {
            "description": "Which field of the market dialect carries the words of a custom song: lyrics, "
            "or prompt, which the vendor sings where there are no lyrics.",
            "enum": ["lyrics", "prompt"],
            "default": "lyrics",
        },
        "derive_cdn_urls": {
            "description": "As a last resort also try Suno's own address of a track, derived from its id.",
            "type": "boolean",
            "default": False,
        },
    },
    "additionalProperties": False,
}

_MARKET_ONLY: Final = ("V6", "V6_MINI", "V6_WILD")
#: Models that take a length, in custom mode only.
#: Source: docs.kie.ai/suno-api/generate-music, 2026-08 (V5_5); docs.kie.ai/market, 2026-09-25 (V6 family).
_WITH_DURATION: Final = ("V5_5", *_MARKET_ONLY)
#: Source: docs.kie.ai/suno-api/generate-music, 2026-08.
_WITH_VOICE_PERSONA: Final = ("V5", *_WITH_DURATION)
#: Longest songs of models without a field for the length.
_MAX_DURATION_S: Final = {"V4": 240.0, "V4_5": 480.0, "V4_5PLUS": 480.0, "V4_5ALL": 480.0}

WEIGHTS: Final = ("styleWeight", "weirdnessConstraint", "audioWeight")
WEIGHT_STEP: Final = 0.01
#: Lists of links for a song from an idea, and how many each takes.
LINKS: Final = {"imageUrls": 5, "audioUrls": None, "videoUrls": 1}

CREDITS_PER_REQUEST: Final = 12
USD_PER_CREDIT: Final = Decimal("0.005")

#: Sent when there is no other callback URL: the vendor requires one, and accepts one without a receiver.
#: Seen: code 422 "Please enter callBackUrl." without one, since 2026-06-11; a placeholder does not stop the
#: song.
PLACEHOLDER_CALLBACK_URL: Final = "https://example.com/musicgate/no-receiver"

#: Shortest known life of a media link: 24 h (market page); the other pages say 14 and 15 days.
RETENTION_S: Final = 86_400.0

#: Native model -> public ids, the canonical one first. The raw names, with and without ``suno/``, are added.
PUBLIC_IDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "V4": ("suno/v4", "suno/suno-v4"),
        "V4_5": ("suno/v4.5", "suno/suno-v4.5"),
        "V4_5PLUS": ("suno/v4.5plus", "suno/v4.5+", "suno/suno-v4.5+"),
        "V4_5ALL": ("suno/v4.5all", "suno/v4.5-all", "suno/suno-v4.5-all"),
        "V5": ("suno/v5", "suno/suno-v5"),
        "V5_5": ("suno/v5.5", "suno/suno-v5.5"),
        "V6": ("suno/v6", "suno/suno-v6"),
        "V6_MINI": ("suno/v6-mini", "suno/suno-v6-mini"),
        "V6_WILD": ("suno/v6-wild", "suno/suno-v6-wild"),
    }
)


def dialect_of(native_model: str | None, settings: ProviderSettings) -> Dialect:
    """The dialect for create calls of a model and for reads of its tasks.

    It is unknown whether the legacy route takes the V6 family, so they always use the market. sunoapi.org has
    no market.
    """
    if flavour_of(settings) is Flavour.SUNOAPI:
        return Dialect.LEGACY
    if (native_model or "").strip().upper().startswith("V6"):
        return Dialect.MARKET
    name = str(settings.options.get("dialect") or Dialect.LEGACY)
    return _DIALECTS.get(name) or Dialect(name)


def flavour_of(settings: ProviderSettings) -> Flavour:
    """The seller whose error codes count."""
    name = str(settings.options.get("flavour") or Flavour.KIE)
    return _FLAVOURS.get(name) or Flavour(name)


def fields_of(native_model: str) -> tuple[Field, ...]:
    """The fields of a song in the legacy spelling; those of an unknown model have no limits."""
    known = native_model in PUBLIC_IDS
    newest, old = native_model in _MARKET_ONLY, native_model == "V4"

    def text(name: str, neutral: str, max_chars: int, *, custom: bool, **more: Any) -> Text:
        # ASSUMED: the unit. The vendor states none; one client counts an emoji as two. Allowing less than the
        # vendor is safe.
        return Text(
            name,
            neutral=neutral,
            max_chars=max_chars if known else None,
            unit=TextUnit.UTF16,
            when={"customMode": custom},
            reason=f"{name}_too_long",
            **more,
        )

    is_custom: Mapping[str, JsonValue] = {"customMode": True}
    fields: tuple[Field, ...] = (
        text("style", "style", 200 if old else 1000, custom=True, required_if=(is_custom,)),
        # The pages of other operations say 100 for some models, that of generate says 80 for all.
        text("title", "title", 80, custom=True, required_if=(is_custom,)),
        text(
            *("prompt", "lyrics", 3000 if old else 5000),
            custom=True,
            required_if=({**is_custom, "instrumental": False},),
        ),
        text("prompt", "prompt", 3000 if newest else 500, custom=False, required_if=({"customMode": False},)),
        Flag("customMode"),
        Flag("instrumental", neutral="instrumental"),
        Text("negativeTags", neutral="negative_style"),
        Choice("vocalGender", neutral="vocal_gender", choices=("m", "f")),
        # Source: docs.kie.ai/suno-api/generate-music, early 2026: multipleOf 0.01.
        *(Number(name, minimum=0, maximum=1, step=WEIGHT_STEP) for name in WEIGHTS),
        Text("personaId"),
        Choice("personaModel", choices=_persona_models(native_model), needs=("personaId",), when=is_custom),
    )
    if native_model in _WITH_DURATION:
        length = Number("duration", neutral="duration", minimum=10, maximum=360, whole=True, when=is_custom)
        fields += (length,)
    if newest:
        # Source: docs.kie.ai/market, 2026-10-07: variety in custom mode, the links in the other.
        fields += (
            Number("variety", minimum=0, maximum=4, whole=True, when=is_custom),
            *(Structure(name, max_items=most) for name, most in LINKS.items()),
        )
    return fields


def _persona_models(native_model: str) -> tuple[str, ...]:
    has_voices = native_model in _WITH_VOICE_PERSONA or native_model not in PUBLIC_IDS
    return ("style_persona", "voice_persona") if has_voices else ("style_persona",)


def _offer(native_model: str, ids: tuple[str, ...]) -> Offer:
    raw = (native_model, f"suno/{native_model}") if native_model else ()
    fields = fields_of(native_model)
    return Offer(
        model=ids[0],
        aliases=(*ids[1:], *(name for name in raw if name.lower() != ids[0])),
        native_model=native_model,
        fields=fields,
        limits=Limits.of(fields, max_duration_s=_MAX_DURATION_S.get(native_model)),
        tracks=2,
        prices=(PriceRule(meter=Meter.REQUESTS, price_usd=CREDITS_PER_REQUEST * USD_PER_CREDIT),),
    )


#: A native status that decides nothing: the vendor's callback to us failed, the audio may exist.
CALLBACK_EXCEPTION: Final = "CALLBACK_EXCEPTION"

#: Native statuses of both dialects and of unofficial relatives. Others leave a job as it is.
STATUSES: Final[Mapping[str, JobState]] = MappingProxyType(
    {
        **dict.fromkeys(("PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS"), JobState.IN_PROGRESS),
        **dict.fromkeys(("WAITING", "QUEUING", "QUEUED", "GENERATING", "RUNNING"), JobState.IN_PROGRESS),
        **dict.fromkeys(("SUCCESS", "SUCCEEDED", "COMPLETED"), JobState.COMPLETED),
        **dict.fromkeys(
            ("CREATE_TASK_FAILED", "GENERATE_AUDIO_FAILED", "SENSITIVE_WORD_ERROR"), JobState.FAILED
        ),
        **dict.fromkeys(("FAILED", "FAIL", "ERROR"), JobState.FAILED),
    }
)

PROVIDER: Final = Provider(
    name="suno",
    plugin="suno_kie",
    label="Suno over kie.ai",
    aliases=("kie", "kie.ai"),
    base_url="https://api.kie.ai",
    key_env="KIE_API_KEY",
    base_url_env="KIE_BASE_URL",
    webhook_secret_env="KIE_WEBHOOK_HMAC_KEY",  # noqa: S106 - the name of a variable, not a secret
    offers=tuple(_offer(native_model, ids) for native_model, ids in PUBLIC_IDS.items()),
    option_block="suno",
    options_schema=musicgate_schemas.load("options/suno"),
    model_option="model",
    # A model that the block names and the table lacks.
    raw_offers=(_offer("", ("suno/unlisted",)),),
    settings_schema=SETTINGS_SCHEMA,
    # By default this one comes before the other Suno plugin.
    priority=50,
    callbacks=True,
    statuses=STATUSES,
    # Source: docs.kie.ai/suno-api/get-music-details: at most 3 reads a second per task, 30 s advised; clients
    # use 5 to 15 s.
    poll=PollSchedule(first_s=5.0, min_s=5.0, max_s=15.0),
    # ASSUMED: the vendor states no time-outs.
    timeouts=Timeouts(connect_s=10.0, create_s=60.0, read_s=30.0),
    # Seen: 27 to 60 s for both tracks (V5), June 2026.
    typical_s=45.0,
    # ASSUMED: twenty minutes; the vendor itself gives up after ten (code 408).
    deadline_s=1200.0,
    retention_s=RETENTION_S,
    # Source: docs.kie.ai, getting started, early 2026: 20 new tasks in 10 s; more are refused, not queued.
    create_window=RateWindow(calls=20, per_s=10.0),
    docs_url="https://docs.kie.ai/suno-api/generate-music",
    rights=mg.Rights(
        retention=mg.RightsStatement(
            text="14 days (this page); 24 hours (the market's page)",
            source="https://docs.kie.ai/suno-api/generate-music",
            as_of="2026",
        ),
    ),
)


@hookimpl
def provider() -> Provider:
    """Declare Suno over kie.ai."""
    return PROVIDER
