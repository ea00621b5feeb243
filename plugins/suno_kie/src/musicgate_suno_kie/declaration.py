"""The declaration of Suno over kie.ai: models, limits, prices, settings, dialects.

Sources: docs.kie.ai/suno-api/generate-music (early 2026), docs.kie.ai/suno-api/upload-and-cover-audio
(2026-08, V5_5), docs.kie.ai/market (2026-09-25, V6 family), kie.ai/pricing (12 credits of 0.005 USD per
generate).
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import musicgate_schemas
from musicgate.plugin import (
    Ability,
    JobState,
    JsonObject,
    Limits,
    Meter,
    Offer,
    PollSchedule,
    PriceRule,
    Provider,
    ProviderSettings,
    RateWindow,
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
            "description": "Which field of the market dialect carries lyrics: the documented prompt, "
            "or lyrics as some clients send it.",
            "enum": ["prompt", "lyrics"],
            "default": "prompt",
        },
        "derive_cdn_urls": {
            "description": "As a last resort also try Suno's own address of a track, derived from its id.",
            "type": "boolean",
            "default": False,
        },
    },
    "additionalProperties": False,
}

#: Longest texts per model, in UTF-16 units.
#: ASSUMED: the unit. The vendor states none; one client counts an emoji as two. Allowing less than the vendor
#: is safe.
LIMITS: Final[Mapping[str, Limits]] = MappingProxyType(
    {
        "V4": Limits(
            prompt_chars=500, lyrics_chars=3000, style_chars=200, title_chars=80, max_duration_s=240
        ),
        "V4_5": Limits(
            prompt_chars=500, lyrics_chars=5000, style_chars=1000, title_chars=80, max_duration_s=480
        ),
        "V4_5PLUS": Limits(
            prompt_chars=500, lyrics_chars=5000, style_chars=1000, title_chars=80, max_duration_s=480
        ),
        "V4_5ALL": Limits(
            prompt_chars=500, lyrics_chars=5000, style_chars=1000, title_chars=80, max_duration_s=480
        ),
        "V5": Limits(prompt_chars=500, lyrics_chars=5000, style_chars=1000, title_chars=80),
        "V5_5": Limits(prompt_chars=500, lyrics_chars=5000, style_chars=1000, title_chars=80),
        "V6": Limits(
            prompt_chars=3000, lyrics_chars=5000, style_chars=1000, title_chars=80, max_duration_s=360
        ),
        "V6_MINI": Limits(
            prompt_chars=3000, lyrics_chars=5000, style_chars=1000, title_chars=80, max_duration_s=360
        ),
        "V6_WILD": Limits(
            prompt_chars=3000, lyrics_chars=5000, style_chars=1000, title_chars=80, max_duration_s=360
        ),
    }
)

#: Models that take a duration, in custom mode only, and the range of it.
#: Source: docs.kie.ai/suno-api/generate-music, 2026-08 (V5_5); docs.kie.ai/market, 2026-09-25 (V6 family).
DURATION_MODELS: Final = frozenset({"V5_5", "V6", "V6_MINI", "V6_WILD"})
MIN_DURATION_S: Final = 10
MAX_DURATION_S: Final = 360

CREDITS_PER_REQUEST: Final = 12
USD_PER_CREDIT: Final = Decimal("0.005")

#: Sent when there is no other callback URL: the vendor requires one, and accepts one without a receiver.
#: Seen: code 422 "Please enter callBackUrl." without one, since 2026-06-11; a placeholder does not stop the
#: song.
PLACEHOLDER_CALLBACK_URL: Final = "https://example.com/musicgate/no-receiver"

#: Shortest known life of a media link: 24 h (market page); the other pages say 14 and 15 days.
RETENTION_S: Final = 86_400.0

_ABILITIES = frozenset(
    {
        Ability.LYRICS,
        Ability.STYLE,
        Ability.TITLE,
        Ability.NEGATIVE_STYLE,
        Ability.INSTRUMENTAL,
        Ability.VOCAL_GENDER,
    }
)

#: Native model -> public ids, the canonical one first. The raw names, with and without ``suno/``, are added.
_PUBLIC_IDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
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


def _offer(native_model: str, ids: tuple[str, ...]) -> Offer:
    raw = tuple(name for name in (native_model, f"suno/{native_model}") if name.lower() != ids[0])
    return Offer(
        model=ids[0],
        aliases=(*ids[1:], *raw),
        native_model=native_model,
        abilities=_ABILITIES | ({Ability.DURATION} if native_model in DURATION_MODELS else frozenset()),
        limits=LIMITS[native_model],
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
    offers=tuple(_offer(native_model, ids) for native_model, ids in _PUBLIC_IDS.items()),
    option_block="suno",
    options_schema=musicgate_schemas.load("options/suno"),
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
)


@hookimpl
def provider() -> Provider:
    """Declare Suno over kie.ai."""
    return PROVIDER
