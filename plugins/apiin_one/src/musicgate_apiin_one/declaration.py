"""The declaration of Suno through apiin.one: models, limits, settings, times."""

from __future__ import annotations

import musicgate_schemas
from musicgate.plugin import (
    Ability,
    JsonObject,
    Limits,
    Offer,
    PollSchedule,
    Provider,
    Timeouts,
    hookimpl,
)
from musicgate_apiin_one.feed import STATUSES
from musicgate_apiin_one.naming import (
    DESCRIPTION_MAX,
    MODELS,
    PAGE_TITLE_MAX,
    Generation,
    SunoModel,
)

#: The version of the hooks that this plugin was built for.
HOOK_API = 1

PLUGIN = "apiin_one"
OPTION_BLOCK = "suno"
#: Source: https://apiin.one/docs/suno/generate, 2026-02-24: each generation gives two tracks.
TRACKS = 2

#: Without VOCAL_GENDER: generation A, the default, has no field for it (generation B has, and it is sent).
ABILITIES = frozenset(
    {Ability.LYRICS, Ability.STYLE, Ability.TITLE, Ability.NEGATIVE_STYLE, Ability.INSTRUMENTAL}
)

SETTINGS_SCHEMA: JsonObject = {
    "type": "object",
    "properties": {
        "doc_generation": {
            "description": "Which generation of apiin.one's pages to speak: A (suno-v4-5 ...) or B "
            "(chirp-v4-5 ..., gender, weights).",
            "type": "string",
            "enum": [generation.value for generation in Generation],
            "default": Generation.A.value,
        },
        "feed_parameter": {
            "description": "Name of the task's id in the feed's query: task_id, workId (older pages), "
            "or both.",
            "type": "string",
            "enum": ["task_id", "workId", "both"],
            "default": "task_id",
        },
    },
    "additionalProperties": False,
}


@hookimpl
def provider() -> Provider:
    """Declare Suno through apiin.one.

    All models of both generations are declared, since the declaration is made before the settings are known.
    ``translate_request`` refuses models that the configured generation lacks, and routing falls back to the
    next candidate.
    """
    return Provider(
        name="suno",
        plugin=PLUGIN,
        label="Suno through apiin.one",
        aliases=("apiin", "apiin.one"),
        base_url="https://apiin.one",
        key_env="APIIN_API_KEY",
        base_url_env="APIIN_BASE_URL",
        offers=tuple(_offer(model) for model in MODELS),
        option_block=OPTION_BLOCK,
        options_schema=musicgate_schemas.load("options/suno"),
        settings_schema=SETTINGS_SCHEMA,
        raw_models=True,
        statuses=STATUSES,
        # The page says that results are POSTed, not in which shape. Relatives send a bare list without the
        # task's id: such a callback finds its job through our URL's token but adopts nothing. Still True: an
        # envelope with an id would adopt a job whose create answer was lost, so such a job stays open until
        # its deadline instead of failing at once.
        callbacks=True,
        # Source: https://apiin.one/docs/suno/feed, 2026: poll every 5 to 10 s; a song takes 30 to 90 s.
        poll=PollSchedule(first_s=6.0, min_s=6.0, max_s=10.0),
        typical_s=60.0,
        # ASSUMED: no page states any time-out.
        timeouts=Timeouts(create_s=60.0, read_s=30.0),
        deadline_s=900.0,
        # No page states the lifetime of links, so none is declared (a relative says 15 days).
        retention_s=None,
        # By default after suno_kie, which has more models and a documented callback.
        priority=110,
        docs_url="https://apiin.one/docs/suno/generate",
    )


def _offer(model: SunoModel) -> Offer:
    # No price: one page says 0.002 to 0.024 USD a song, another 0.10 USD for ten credits (apiin.one, 2026).
    return Offer(
        model=model.public,
        native_model=None,
        aliases=model.aliases,
        abilities=ABILITIES,
        # The native request has no field for the container.
        formats=(),
        limits=Limits(
            prompt_chars=DESCRIPTION_MAX,
            lyrics_chars=model.lyrics_chars,
            style_chars=model.style_chars,
            title_chars=PAGE_TITLE_MAX,
        ),
        tracks=TRACKS,
    )
