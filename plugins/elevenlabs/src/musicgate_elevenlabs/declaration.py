"""The declaration of Eleven Music: models, limits, prices, settings and time-outs.

Sources: elevenlabs.io/docs/api-reference/music/compose, 2026-08; elevenlabs.io/docs/changelog, 2026-09;
elevenlabs.io/pricing/api, 2026-09.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import musicgate_schemas
from musicgate.plugin import (
    Ability,
    HeaderAuth,
    Limits,
    Meter,
    Offer,
    PriceRule,
    Provider,
    Timeouts,
    hookimpl,
)

BLOCK: Final = "elevenlabs"
DEFAULT_MODEL: Final = "music_v2"
MAX_PROMPT_CHARS: Final = 4_100
MAX_SEED: Final = 2_147_483_647

#: Released 2025-08, 2026-06-15 and 2026-09-14.
_MODELS: Final = ("music_v1", "music_v2", "music_v2_5")

#: All but `Ability.TITLE`: the vendor names its songs itself.
_ABILITIES: Final = frozenset(Ability) - {Ability.TITLE}

_PRICES: Final = (
    PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=Decimal("0.15"), unit_size=Decimal(60)),
)

#: Seen: 300 s, the default of several HTTP clients, cuts long songs (client reports, 2026); the answer begins
#: when the song is done.
_CREATE_S: Final = 600.0
#: A job may wait behind two others of the same key before its own call begins.
_DEADLINE_S: Final = 3 * _CREATE_S
#: Ten minutes of pcm_48000 in stereo are 115.2 MB.
_MAX_ANSWER_BYTES: Final = 128 * 1024 * 1024
#: The smallest paid tier allows two calls at a time. Source: elevenlabs.io/pricing/api, 2026-09.
_MAX_PARALLEL_CREATES: Final = 2

SETTINGS_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "default_model": {
            "description": "The vendor's model behind elevenlabs/music.",
            "type": "string",
            "minLength": 1,
            "default": DEFAULT_MODEL,
        },
    },
    "additionalProperties": False,
}


@hookimpl
def provider() -> Provider:
    """Declare Eleven Music, over the vendor's own API."""
    return Provider(
        name="elevenlabs",
        plugin="elevenlabs",
        label="Eleven Music",
        aliases=("eleven-labs",),
        base_url="https://api.elevenlabs.io",
        key_env="ELEVENLABS_API_KEY",
        base_url_env="ELEVENLABS_BASE_URL",
        auth=HeaderAuth(header="xi-api-key", scheme=""),
        offers=(_offer("music", None), *(_offer(model, model) for model in _MODELS)),
        option_block=BLOCK,
        options_schema=musicgate_schemas.load("options/elevenlabs"),
        settings_schema=SETTINGS_SCHEMA,
        blocking=True,
        timeouts=Timeouts(create_s=_CREATE_S),
        # Seen: music_v2 took 8 s for 30 s of music, 22 s for 180 s, 2026.
        typical_s=20.0,
        deadline_s=_DEADLINE_S,
        max_answer_bytes=_MAX_ANSWER_BYTES,
        max_parallel_creates=_MAX_PARALLEL_CREATES,
        docs_url="https://elevenlabs.io/docs/api-reference/music/compose",
    )


def _offer(name: str, native_model: str | None) -> Offer:
    return Offer(
        model=f"elevenlabs/{name}",
        aliases=(f"eleven-labs/{name}",),
        native_model=native_model,
        abilities=_ABILITIES,
        formats=("mp3", "wav", "ogg"),
        limits=Limits(prompt_chars=MAX_PROMPT_CHARS, max_duration_s=600.0),
        prices=_PRICES,
    )
