"""Translate requests into scores of Harmonia; every option is sent, or reported, or refused.

A score is a free draft. The call that costs follows its answer, see `musicgate_harmonia.read`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import (
    HttpRequest,
    OptionWarning,
    RequestError,
    Translation,
    UnsupportedOptionError,
    WarningCode,
    hookimpl,
)

from musicgate_harmonia.declaration import (
    BRIEF_BYTES,
    LABEL,
    LABEL_BYTES,
    LONGEST_S,
    OPTION_BLOCK,
    OPTIONS_SCHEMA,
    SHORTEST_S,
    WORDS_BYTES,
)

if TYPE_CHECKING:
    from musicgate.plugin import (
        JsonValue,
        MusicRequest,
        Offer,
        ProviderSettings,
    )

SCORES_PATH: Final = "/v2/scores"

#: Texts: field of the neutral request -> (field of a score, its largest length in bytes).
_TEXTS: Final = {
    "prompt": ("brief", BRIEF_BYTES),
    "lyrics": ("words", WORDS_BYTES),
    "style": ("genre", LABEL_BYTES),
    "negative_style": ("avoid", LABEL_BYTES),
    "title": ("name", LABEL_BYTES),
}
_SINGERS: Final = {"f": "female", "m": "male"}
_OPTIONS: Final = OPTIONS_SCHEMA["properties"]


@hookimpl
def translate_request(
    request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
) -> Translation:
    """Translate a request for Harmonia.

    Raises:
        RequestError: there is neither a prompt nor lyrics, a text is too long, or the length is out of range.
        UnsupportedOptionError: an option of the ``harmonia`` block that the vendor does not have.
    """
    block = request.block(OPTION_BLOCK)
    for option in block:
        if not isinstance(_OPTIONS, dict) or option not in _OPTIONS:
            raise UnsupportedOptionError((OPTION_BLOCK, option), f"{LABEL} has no such option")
    native_model = offer.native_model or offer.model
    score: dict[str, JsonValue] = {"engine": native_model, **_texts(request)}
    if request.duration_s is not None:
        score["seconds"] = _length(request.duration_s)
    if request.seed is not None:
        score["seed"] = request.seed
    if request.format in offer.formats:
        score["container"] = request.format
    voices = "none" if request.instrumental else _SINGERS.get(request.vocal_gender or "")
    if voices or request.instrumental is not None:
        score["voices"] = voices or "any"
    score |= block
    if callback_url:
        score["hook"] = {"url": callback_url}
    return Translation(
        request=HttpRequest.post_json(f"{settings.base_url}{SCORES_PATH}", score),
        native_model=native_model,
        warnings=_warnings(request, offer, score.get("voices")),
    )


def _texts(request: MusicRequest) -> dict[str, JsonValue]:
    texts: dict[str, JsonValue] = {}
    for field, (native, longest) in _TEXTS.items():
        text = getattr(request, field)
        if text is None or not text.strip():
            continue
        if len(text.encode()) > longest:
            message = f"{LABEL} takes {field} of at most {longest} bytes"
            raise RequestError("validation_error", message, reason=f"{field}_too_long", path=(field,))
        texts[native] = text
    if not texts.keys() & {"brief", "words"}:
        message = f"{LABEL} needs a prompt or lyrics"
        raise RequestError("validation_error", message, reason="prompt_required", path=("prompt",))
    return texts


def _length(duration_s: int) -> int:
    if not SHORTEST_S <= duration_s <= LONGEST_S:
        message = f"{LABEL} makes {SHORTEST_S} to {LONGEST_S} seconds"
        raise RequestError("validation_error", message, reason="duration_out_of_range", path=("duration",))
    return duration_s


def _warnings(request: MusicRequest, offer: Offer, voices: JsonValue) -> tuple[OptionWarning, ...]:
    """Report the options that the score does not hold as they were given."""
    not_applied = []
    if request.format is not None and request.format not in offer.formats:
        not_applied.append(("format", f"{LABEL} makes {' or '.join(offer.formats)}"))
    if request.instrumental is not None and (voices == "none") is not request.instrumental:
        not_applied.append(("instrumental", f"{OPTION_BLOCK}.voices overrides it"))
    if request.vocal_gender is not None and voices != _SINGERS.get(request.vocal_gender):
        not_applied.append(("vocal_gender", f"{OPTION_BLOCK}.voices or instrumental overrides it"))
    return tuple(
        OptionWarning(code=WarningCode.NOT_APPLIED, path=(name,), message=why) for name, why in not_applied
    )
