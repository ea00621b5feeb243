"""The checks of the emulated kie.ai on a create call, in the vendor's order, and their refusals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import JsonObject, is_blank
from musicgate.plugin.lenient import url
from musicgate_suno_kie.declaration import LINKS, PROVIDER, Dialect
from musicgate_suno_kie.translate import MARKET_MODEL, MARKET_SPELLING

if TYPE_CHECKING:
    from musicgate.emulation import Switches
    from musicgate.plugin import FieldViolation

_LEGACY_SPELLING: Final = {snake: camel for camel, snake in MARKET_SPELLING.items()}
_OFFERS: Final = {offer.native_model: offer for offer in PROVIDER.offers}
#: Only for a song from an idea. Source: docs.kie.ai/market, 2026-10-07. ASSUMED: refused, not ignored.
_IDEA_ONLY: Final = tuple(LINKS)
#: Seen: validation errors under code 500, with these texts; "Please enter ..." for callBackUrl, since
#: 2026-06-11, and negativeTags. ASSUMED: the texts of ranges and steps.
_REQUIRED: Final = (500, "{name}: This field is required")
_TEXTS: Final = {
    "required": (422, "Please enter {name}."),
    "needs": (422, "Please enter {limit}."),
    "max_chars": (422, "The {name} cannot exceed {limit} characters"),
    "minimum": (422, "{name} must be between {least} and {most}"),
    "maximum": (422, "{name} must be between {least} and {most}"),
    "step": (422, "{name} must be a multiple of {limit}"),
    "max_items": (422, "{name} takes at most {limit} links"),
    "choices": (500, "{name} is not within the range of allowed options"),
}
_WRONG_TYPE: Final = (422, "{name} has the wrong type")

Refusal = tuple[int, str]


def song_of(payload: JsonObject, dialect: Dialect) -> JsonObject:
    """The song of a create call of either dialect, in the legacy spelling; lyrics win over a prompt."""
    if dialect is Dialect.LEGACY:
        return payload
    native = payload.get("input")
    song = native if isinstance(native, dict) else {}
    legacy = {_LEGACY_SPELLING.get(str(key), str(key)): value for key, value in song.items()}
    is_sung = legacy.get("customMode") is True and not is_blank(legacy.get("lyrics"))
    return {**legacy, "prompt": legacy["lyrics"]} if is_sung else legacy


def refusal(payload: JsonObject, song: JsonObject, dialect: Dialect, switches: Switches) -> Refusal | None:
    """The first error of a create call, as code and text; None if there is none."""
    return (
        _callback_refusal(payload, dialect)
        or _model_refusal(payload, song, dialect, switches)
        or _field_refusal(song, dialect)
    )


def _callback_refusal(payload: JsonObject, dialect: Dialect) -> Refusal | None:
    callback_url = payload.get("callBackUrl")
    if (dialect is Dialect.MARKET and callback_url is None) or url(callback_url):
        return None
    return _said(_TEXTS["required"], name="callBackUrl")


def _model_refusal(
    payload: JsonObject, song: JsonObject, dialect: Dialect, switches: Switches
) -> Refusal | None:
    if dialect is Dialect.MARKET and payload.get("model") != MARKET_MODEL:
        return 422, "The model name you specified is not supported."
    model = song.get("model")
    if is_blank(model):
        return _said(_REQUIRED, name="model")
    # ASSUMED: the legacy route refuses the V6 family; no source mentions it.
    too_new = dialect is Dialect.LEGACY and str(model).startswith("V6") and not switches.is_on("legacy_v6")
    return _said(_TEXTS["choices"], name="model") if too_new or model not in _OFFERS else None


def _field_refusal(song: JsonObject, dialect: Dialect) -> Refusal | None:
    """The first field that the declaration rules out."""
    for flag in ("customMode", "instrumental"):
        if not isinstance(song.get(flag), bool):
            return _said(_REQUIRED, name=flag)
    misplaced = [name for name in _IDEA_ONLY if song["customMode"] and song.get(name)]
    if dialect is Dialect.MARKET and misplaced:
        return 422, f"{misplaced[0]} is not allowed in custom mode"
    # A blank text is as good as none here.
    given = {name: None if _is_spaces(value) else value for name, value in song.items()}
    for broken in _OFFERS[str(song["model"])].violations(given):
        # The market's pages require the two flags and the model, and nothing else, October 2026.
        if dialect is Dialect.LEGACY or broken.rule != "required":
            return _refusal_of(broken)
    return None


def _refusal_of(broken: FieldViolation) -> Refusal:
    least, most = (getattr(broken.field, name, None) for name in ("minimum", "maximum"))
    ranged = broken.rule == "type" and most is not None
    form = _TEXTS["maximum"] if ranged else _TEXTS.get(broken.rule, _WRONG_TYPE)
    return _said(form, name=broken.name, limit=broken.limit, least=least, most=most)


def _said(form: Refusal, **facts: object) -> Refusal:
    return form[0], form[1].format(**facts)


def _is_spaces(value: object) -> bool:
    return isinstance(value, str) and not value.strip()
