"""The declaration of Eleven Music: models, limits, prices, settings and time-outs.

Sources: elevenlabs.io/docs/api-reference/music/compose, 2026-08; elevenlabs.io/docs/changelog, 2026-09;
elevenlabs.io/pricing/api, 2026-09.
"""

from __future__ import annotations

from typing import Final

import musicgate.plugin as mg
import musicgate_schemas
from musicgate.plugin import Flag, Number, Text
from musicgate_elevenlabs import plans

BLOCK: Final = "elevenlabs"
DEFAULT_MODEL: Final = "music_v2"
MAX_PROMPT_CHARS: Final = 4_100

_SCHEMA: Final = musicgate_schemas.load("options/elevenlabs")


def fields(kind: plans.PlanKind | None = None) -> tuple[mg.Field, ...]:
    """The fields of the create call, for a kind of plan or for both; any other is sent as it is given.

    The published schema leaves limits to this declaration, and options that are rarely used as well.
    """
    return mg.fields_of_schema(
        _SCHEMA,
        Text(
            "prompt",
            neutral="prompt",
            carries=("style", "vocal_gender", "negative_style", "lyrics"),
            # ASSUMED: the limit counts characters (code points), not UTF-16 units.
            max_chars=MAX_PROMPT_CHARS,
        ),
        *(plans.Plan(name, kind=kind) for name in plans.KEYS),
        # Some pages mention 10 s or 5 min. Only the schema's range is checked; the vendor may refuse more.
        Number(
            "music_length_ms",
            neutral="duration",
            per_neutral=1000,
            minimum=plans.MIN_LENGTH_MS,
            maximum=plans.MAX_LENGTH_MS,
            whole=True,
            excludes=plans.KEYS,
        ),
        Flag("force_instrumental", neutral="instrumental", excludes=plans.KEYS),
        Number("seed", neutral="seed", minimum=0, maximum=2**31 - 1, whole=True),
        *map(Flag, ("enable_logging", "respect_sections_durations", "with_waveform_visual")),
        Text("finetune_id", max_chars=100),
        carries={"output_format": ("format",)},
    )


def _offer(name: str, native_model: str | None) -> mg.Offer:
    return mg.Offer(
        model=f"elevenlabs/{name}",
        aliases=(f"eleven-labs/{name}",),
        native_model=native_model,
        fields=fields(plans.KIND_OF_MODEL.get(native_model or "")),
        formats=("mp3", "wav", "ogg"),
        prices=(mg.PriceRule.per_second("0.15", seconds=60),),
    )


PROVIDER: Final = mg.Provider(
    name="elevenlabs",
    plugin="elevenlabs",
    label="Eleven Music",
    aliases=("eleven-labs",),
    base_url="https://api.elevenlabs.io",
    key_env="ELEVENLABS_API_KEY",
    base_url_env="ELEVENLABS_BASE_URL",
    auth=mg.HeaderAuth(header="xi-api-key", scheme=""),
    offers=(_offer("music", None), *(_offer(model, model) for model in plans.KIND_OF_MODEL)),
    option_block=BLOCK,
    options_schema=_SCHEMA,
    settings_schema=mg.settings_schema(
        default_model=(DEFAULT_MODEL, "The vendor's model behind elevenlabs/music.")
    ),
    # Of a JSON answer, which the vendor's API does not give today: audio means success.
    statuses={
        **dict.fromkeys(("completed", "succeeded", "success"), mg.JobState.COMPLETED),
        **dict.fromkeys(("running", "in_progress", "processing"), mg.JobState.IN_PROGRESS),
        **dict.fromkeys(("queued", "pending"), mg.JobState.QUEUED),
        **dict.fromkeys(("failed", "error"), mg.JobState.FAILED),
    },
    model_option="model_id",
    model_setting="default_model",
    raw_offers=(_offer("", ""),),
    blocking=True,
    # Seen: 300 s, the default of several HTTP clients, cuts long songs (client reports, 2026); the answer
    # begins when the song is done.
    timeouts=mg.Timeouts(create_s=600.0),
    # Seen: music_v2 took 8 s for 30 s of music, 22 s for 180 s, 2026.
    typical_s=20.0,
    # A job may wait behind two others of the same key before its own call begins.
    deadline_s=1800.0,
    # Ten minutes of pcm_48000 in stereo are 115.2 MB.
    max_answer_bytes=128 * 1024 * 1024,
    # The smallest paid tier allows two calls at a time. Source: elevenlabs.io/pricing/api, 2026-09.
    max_parallel_creates=2,
    docs_url="https://elevenlabs.io/docs/api-reference/music/compose",
    rights=mg.Rights(
        commercial_use=mg.RightsStatement(
            text="depends on the plan: see its table",
            source="https://elevenlabs.io/eleven-music-model-specific-terms",
            as_of="2026-05-26",
        ),
        watermark=mg.RightsStatement(
            text="a C2PA manifest in mp3 where `sign_with_c2pa` asks for it",
            source="https://elevenlabs.io/docs/api-reference/music/compose",
            as_of="2026-08",
        ),
    ),
)


@mg.hookimpl
def provider() -> mg.Provider:
    """Declare Eleven Music, over the vendor's own API."""
    return PROVIDER
