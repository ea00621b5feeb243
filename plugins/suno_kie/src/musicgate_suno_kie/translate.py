"""The native requests in the legacy and in the market dialect; no choice of a mode, no answers.

Sources: docs.kie.ai/suno-api/generate-music (early 2026, and 2026-08 for V5_5 and ``duration``); the market
pages (2026-09-25).
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import musicgate.plugin as mg
from musicgate.plugin.lenient import text
from musicgate_suno_kie.declaration import (
    PLACEHOLDER_CALLBACK_URL,
    WEIGHT_STEP,
    WEIGHTS,
    fields_of,
    is_market,
)
from musicgate_suno_kie.modes import write_texts

LEGACY_CREATE: Final = "/api/v1/generate"
LEGACY_READ: Final = "/api/v1/generate/record-info"
MARKET_CREATE: Final = "/api/v1/jobs/createTask"
MARKET_READ: Final = "/api/v1/jobs/recordInfo"
MARKET_MODEL: Final = "ai-music-api/generate"


def snake_case(name: str) -> str:
    """The market's spelling of a name."""
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


#: Legacy spelling -> spelling inside the market's ``input``. Other keys are forwarded unchanged.
#: Source: docs.kie.ai/market, 2026-10-07.
MARKET_SPELLING: Final[Mapping[str, str]] = {field.name: snake_case(field.name) for field in fields_of("V6")}
_WRITTEN_ELSEWHERE: Final = frozenset({"callBackUrl", "prompt"})


@mg.hookimpl
def translate_request(
    request: mg.MusicRequest, offer: mg.Offer, settings: mg.ProviderSettings, callback_url: str | None
) -> mg.Translation:
    """Translate a request to the native create call, in the dialect of the model.

    The fields are in the legacy spelling: the caller's block, overlaid with what it means. 0 and false are
    values.

    Raises:
        RequestError: one of the contract's Suno tokens.
    """
    draft = mg.Draft(request, offer, settings, "suno")
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
    if is_market(draft.native_model, settings):
        body = {"model": MARKET_MODEL, "callBackUrl": callback, "input": _market_input(draft, left_over)}
        return draft.post_json(settings.base_url + MARKET_CREATE, body)
    if left_over is not None:
        _report_left_over(draft, left_over)
    return draft.post_json(settings.base_url + LEGACY_CREATE, {**draft.fields, "callBackUrl": callback})


@mg.hookimpl
def poll_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest | None:
    """Read the record of a task, in the dialect of its model and of the settings."""
    if job.native_id is None:
        return None
    route = MARKET_READ if is_market(job.native_model, settings) else LEGACY_READ
    return mg.HttpRequest.get(f"{settings.base_url}{route}?taskId={quote(job.native_id, safe='')}")


def _market_input(draft: mg.Draft, left_over: mg.Said | None) -> mg.JsonObject:
    native = {MARKET_SPELLING.get(key, key): value for key, value in draft.fields.items()}
    # Source: docs.kie.ai/suno-api/extend-music, October 2026: lyrics win over the prompt, which is sung only
    # where there are none.
    is_sung = draft.fields["customMode"] is True and draft.fields["instrumental"] is False
    has_lyrics_field = is_sung and draft.settings.options.get("market_lyrics_field") != "prompt"
    if has_lyrics_field and "lyrics" not in native:  # the block's own are sent unchanged
        native["lyrics"] = native.pop("prompt")
    if left_over is not None:
        most = draft.offer.limits.prompt_chars
        if "prompt" not in native and (most is None or mg.utf16_units(left_over.text) <= most):
            # ASSUMED: it does no harm there. No page says what it does.
            native["prompt"] = left_over.text
            draft.changed(left_over.path, "sent beside the lyrics, where the vendor promises no effect of it")
        else:
            _report_left_over(draft, left_over)
    return native


def _report_left_over(draft: mg.Draft, idea: mg.Said) -> None:
    draft.not_applied(idea.path, "with lyrics and a style there is no field for an idea")


def _round_weights(draft: mg.Draft) -> None:
    """Send a weight in the steps that the vendor takes."""
    for name in WEIGHTS:
        weight = draft.fields.get(name)
        if isinstance(weight, float) and weight != (rounded := round(weight, 2)):
            draft.send(name, rounded)
            draft.changed(("suno", name), f"sent as {rounded}: the vendor takes multiples of {WEIGHT_STEP}")


def _drop_lone_persona_model(draft: mg.Draft) -> None:
    """Leave out the kind of a persona where no persona is named; idea mode ignores both anyway."""
    if draft.fields["customMode"] and mg.is_blank(draft.block.get("personaId")):
        del draft.fields["personaModel"]
        draft.not_applied("suno.personaModel", "no persona is named by suno.personaId")


def _write_duration(draft: mg.Draft, duration_s: int) -> None:
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
