"""Declare what Harmonia offers and how it is called.

Source of everything here: VENDOR.md of this distribution, 2026-11-20.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from musicgate.plugin import (
    Ability,
    HeaderAuth,
    JsonObject,
    Limits,
    Meter,
    Offer,
    PollSchedule,
    PriceRule,
    Provider,
    Timeouts,
    hookimpl,
)

PLUGIN: Final = "harmonia"
#: Name for people.
LABEL: Final = "Harmonia"
#: Name of the request's block with the vendor's own options.
OPTION_BLOCK: Final = "harmonia"

#: Length limits in bytes of UTF-8.
BRIEF_BYTES: Final = 1500
WORDS_BYTES: Final = 4000
LABEL_BYTES: Final = 200
SHORTEST_S: Final = 10
LONGEST_S: Final = 300
PRICE_USD_PER_S: Final = Decimal("0.002")

OPTIONS_SCHEMA: Final[JsonObject] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": f"Options of {LABEL}",
    "type": "object",
    "properties": {
        "tempo_bpm": {"description": "Beats per minute.", "type": "integer", "minimum": 40, "maximum": 220},
        "key": {
            "description": "Tonic and mode.",
            "type": "string",
            "pattern": "^[A-G][#b]? (major|minor)$",
            "examples": ["C minor", "F# major"],
        },
        "instruments": {
            "description": "Who plays.",
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "maxItems": 8,
        },
        "voices": {
            "description": "Who sings; beats `instrumental` and `vocal_gender`.",
            "type": "string",
            "enum": ["any", "female", "male", "none"],
        },
    },
    "additionalProperties": False,
    "examples": [
        {"tempo_bpm": 96, "key": "C minor", "instruments": ["oud", "upright bass"], "voices": "female"}
    ],
}


@hookimpl
def provider() -> Provider:
    """Declare Harmonia."""
    return Provider(
        name="harmonia",
        plugin=PLUGIN,
        label=LABEL,
        base_url="https://api.harmonia.example",
        key_env="HARMONIA_API_KEY",
        base_url_env="HARMONIA_BASE_URL",
        auth=HeaderAuth(header="X-Harmonia-Key", scheme=""),
        offers=(
            _offer("harmonia/allegro", "allegro-2", "harmonia/allegro-2"),
            _offer("harmonia/largo", "largo-1", "harmonia/largo-1"),
        ),
        option_block=OPTION_BLOCK,
        options_schema=OPTIONS_SCHEMA,
        webhook_secret_env="HARMONIA_WEBHOOK_SECRET",  # noqa: S106 - the name of a variable, not a secret
        callbacks=True,
        poll=PollSchedule(first_s=10.0, min_s=5.0, max_s=15.0),
        timeouts=Timeouts(create_s=60.0, read_s=30.0),
        typical_s=25.0,
        deadline_s=600.0,
        retention_s=86_400.0,
        docs_url="https://harmonia.example/docs/v2",
    )


def _offer(model: str, engine: str, alias: str) -> Offer:
    return Offer(
        model=model,
        native_model=engine,
        aliases=(alias,),
        abilities=frozenset(Ability),
        formats=("mp3", "wav"),
        limits=Limits(
            prompt_chars=BRIEF_BYTES,
            lyrics_chars=WORDS_BYTES,
            style_chars=LABEL_BYTES,
            title_chars=LABEL_BYTES,
            max_duration_s=LONGEST_S,
        ),
        prices=(PriceRule(meter=Meter.OUTPUT_AUDIO_SECONDS, price_usd=PRICE_USD_PER_S),),
    )
