"""The declaration of Suno over kie.ai: models, limits, prices, settings, dialects.

Sources: docs.kie.ai/suno-api/generate-music (early 2026), docs.kie.ai/suno-api/upload-and-cover-audio
(2026-08, V5_5), docs.kie.ai/market (2026-09-25, V6 family), docs.kie.ai/common-api/webhook-verification
(early 2026), kie.ai/pricing (12 credits of 0.005 USD per generate).
"""

from collections.abc import Mapping
from typing import Final

import musicgate.plugin as mg
import musicgate_schemas

#: The settings of this plugin. The legacy dialect is camelCase with one route per operation (documented until
#: 2026-09, since 2026-10-05 under old-model/), the market is snake_case inside ``input`` with one route for
#: all (since 2026-09-25). The two sellers have account systems and error codes of their own.
SETTINGS_SCHEMA: Final = mg.settings_schema(
    dialect=(
        "legacy",
        "Routes to use; models whose name begins with V6 use market by themselves.",
        ("legacy", "market"),
    ),
    flavour=(
        "kie",
        "Whose error codes: kie (kie.ai) or sunoapi (sunoapi.org, which has no market; set base_url, too).",
        ("kie", "sunoapi"),
    ),
    market_lyrics_field=(
        "lyrics",
        "Field of the market dialect for the words of a custom song; it sings a prompt without lyrics.",
        ("lyrics", "prompt"),
    ),
    derive_cdn_urls=(False, "As a last resort also try Suno's own address of a track, made of its id."),
)

_MARKET_ONLY: Final = ("V6", "V6_MINI", "V6_WILD")
#: Models that take a length, in custom mode only.
#: Source: docs.kie.ai/suno-api/generate-music, 2026-08 (V5_5); docs.kie.ai/market, 2026-09-25 (V6 family).
_WITH_DURATION: Final = ("V5_5", *_MARKET_ONLY)
#: Source: docs.kie.ai/suno-api/generate-music, 2026-08.
_WITH_VOICE_PERSONA: Final = ("V5", *_WITH_DURATION)
#: Longest songs of models without a field for the length.
_MAX_DURATION_S: Final = {"V4": 240.0, "V4_5": 480.0, "V4_5PLUS": 480.0, "V4_5ALL": 480.0}

_CUSTOM: Final[Mapping[str, mg.JsonValue]] = {"customMode": True}
WEIGHTS: Final = ("styleWeight", "weirdnessConstraint", "audioWeight")
WEIGHT_STEP: Final = 0.01
#: Lists of links for a song from an idea, and how many each takes.
LINKS: Final = {"imageUrls": 5, "audioUrls": None, "videoUrls": 1}

#: Source: docs.kie.ai/market, 2026-10-07: variety in custom mode, the links in the other.
_NEWEST_FIELDS: Final[tuple[mg.Field, ...]] = (
    mg.Number("variety", minimum=0, maximum=4, whole=True, when=_CUSTOM),
    *(mg.Structure(name, max_items=most) for name, most in LINKS.items()),
)

#: A credit costs 0.005 USD.
CREDITS_PER_REQUEST: Final = 12

#: Sent when there is no other callback URL: the vendor requires one, and accepts one without a receiver.
#: Seen: code 422 "Please enter callBackUrl." without one, since 2026-06-11; a placeholder does not stop the
#: song.
PLACEHOLDER_CALLBACK_URL: Final = "https://example.com/musicgate/no-receiver"

#: Shortest known life of a media link: 24 h (market page); the other pages say 14 and 15 days.
RETENTION_S: Final = 86_400.0

#: Native model -> public ids, the canonical one first. The raw names, with and without ``suno/``, are added.
PUBLIC_IDS: Final[Mapping[str, tuple[str, ...]]] = {
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


def is_sunoapi(settings: mg.ProviderSettings) -> bool:
    """True if the seller is sunoapi.org, with error codes of its own, no market and unsigned callbacks."""
    return settings.options.get("flavour") == "sunoapi"


def is_market(native_model: str | None, settings: mg.ProviderSettings) -> bool:
    """True if create calls of a model, and reads of its tasks, speak the market dialect.

    It is unknown whether the legacy route takes the V6 family, so they always use the market.
    """
    if is_sunoapi(settings):
        return False
    is_newest = (native_model or "").strip().upper().startswith("V6")
    return is_newest or settings.options.get("dialect") == "market"


def fields_of(native_model: str) -> tuple[mg.Field, ...]:
    """The fields of a song in the legacy spelling; those of an unknown model have no limits."""
    known = native_model in PUBLIC_IDS
    newest, old = native_model in _MARKET_ONLY, native_model == "V4"

    def text(name: str, neutral: str, max_chars: int, **required: bool) -> mg.Text:
        # ASSUMED: the unit. The vendor states none; one client counts an emoji as two. Allowing less than the
        # vendor is safe.
        return mg.Text(
            name,
            neutral=neutral,
            max_chars=max_chars if known else None,
            unit=mg.TextUnit.UTF16,
            when={"customMode": required["customMode"]},
            required_if=(required,),
            reason=f"{name}_too_long",
        )

    voices = ("voice_persona",) if native_model in _WITH_VOICE_PERSONA or not known else ()
    length = mg.Number("duration", neutral="duration", minimum=10, maximum=360, whole=True, when=_CUSTOM)
    return (
        text("style", "style", 200 if old else 1000, customMode=True),
        # The pages of other operations say 100 for some models, that of generate says 80 for all.
        text("title", "title", 80, customMode=True),
        text("prompt", "lyrics", 3000 if old else 5000, customMode=True, instrumental=False),
        text("prompt", "prompt", 3000 if newest else 500, customMode=False),
        mg.Flag("customMode"),
        mg.Flag("instrumental", neutral="instrumental"),
        mg.Text("negativeTags", neutral="negative_style"),
        mg.Choice("vocalGender", neutral="vocal_gender", choices=("m", "f")),
        # Source: docs.kie.ai/suno-api/generate-music, early 2026: multipleOf 0.01.
        *(mg.Number(name, minimum=0, maximum=1, step=WEIGHT_STEP) for name in WEIGHTS),
        mg.Text("personaId"),
        mg.Choice("personaModel", choices=("style_persona", *voices), needs=("personaId",), when=_CUSTOM),
        *((length,) if native_model in _WITH_DURATION else ()),
        *(_NEWEST_FIELDS if newest else ()),
    )


def _offer(native_model: str, ids: tuple[str, ...]) -> mg.Offer:
    raw = (native_model, f"suno/{native_model}") if native_model else ()
    fields = fields_of(native_model)
    return mg.Offer(
        model=ids[0],
        aliases=(*ids[1:], *(name for name in raw if name.lower() != ids[0])),
        native_model=native_model,
        fields=fields,
        limits=mg.Limits.of(fields, max_duration_s=_MAX_DURATION_S.get(native_model)),
        tracks=2,
        prices=(mg.PriceRule.per_song("0.06"),),
    )


#: Native statuses of both dialects and of unofficial relatives. Others leave a job as it is.
STATUSES: Final[Mapping[str, mg.JobState]] = {
    **dict.fromkeys(("PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS"), mg.JobState.IN_PROGRESS),
    **dict.fromkeys(("WAITING", "QUEUING", "QUEUED", "GENERATING", "RUNNING"), mg.JobState.IN_PROGRESS),
    **dict.fromkeys(("SUCCESS", "SUCCEEDED", "COMPLETED"), mg.JobState.COMPLETED),
    **dict.fromkeys(
        ("CREATE_TASK_FAILED", "GENERATE_AUDIO_FAILED", "SENSITIVE_WORD_ERROR"), mg.JobState.FAILED
    ),
    **dict.fromkeys(("FAILED", "FAIL", "ERROR"), mg.JobState.FAILED),
}

PROVIDER: Final = mg.Provider(
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
    # It covers the task id and the time, not the body. sunoapi.org documents none.
    # ASSUMED: the window; the page states none. Timestamps need not increase: it is unknown whether a retry
    # gets a new one.
    callback_signature=mg.CallbackSignature(
        header="X-Webhook-Signature",
        signed="{native_id}.{timestamp}",
        encoding=mg.SignatureEncoding.BASE64,
        timestamp_header="X-Webhook-Timestamp",
        window_s=300.0,
        unless={"flavour": "sunoapi"},
    ),
    statuses=STATUSES,
    # Source: docs.kie.ai/suno-api/get-music-details: at most 3 reads a second per task, 30 s advised; clients
    # use 5 to 15 s.
    poll=mg.PollSchedule(first_s=5.0, min_s=5.0, max_s=15.0),
    # ASSUMED: the vendor states no time-outs.
    timeouts=mg.Timeouts(connect_s=10.0, create_s=60.0, read_s=30.0),
    # Seen: 27 to 60 s for both tracks (V5), June 2026.
    typical_s=45.0,
    # ASSUMED: twenty minutes; the vendor itself gives up after ten (code 408).
    deadline_s=1200.0,
    retention_s=RETENTION_S,
    # Source: docs.kie.ai, getting started, early 2026: 20 new tasks in 10 s; more are refused, not queued.
    create_window=mg.RateWindow(calls=20, per_s=10.0),
    docs_url="https://docs.kie.ai/suno-api/generate-music",
    rights=mg.Rights(
        retention=mg.RightsStatement(
            text="14 days (this page); 24 hours (the market's page)",
            source="https://docs.kie.ai/suno-api/generate-music",
            as_of="2026",
        ),
    ),
)


@mg.hookimpl
def provider() -> mg.Provider:
    """Declare Suno over kie.ai."""
    return PROVIDER
