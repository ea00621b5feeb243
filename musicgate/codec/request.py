"""The body of a create call as a `MusicRequest`, and back; knows the names on the wire and no rules."""

from collections.abc import Collection, Mapping
from typing import Any, Final, get_type_hints

from cattrs import BaseValidationError

from musicgate.codec.converter import CONVERTER, first_reason, structure
from musicgate.errors import RequestError
from musicgate.model import JsonObject, JsonValue, MusicRequest, changed
from musicgate.text import MAX_NAME_CHARS, MAX_WARNINGS, cut_text

#: Name on the wire -> our name, for every top-level field that is read as it is.
_FIELDS: Final = {
    "model": "model",
    "prompt": "prompt",
    "duration": "duration_s",
    "format": "format",
    "lyrics": "lyrics",
    "style": "style",
    "title": "title",
    "negative_style": "negative_style",
    "instrumental": "instrumental",
    "vocal_gender": "vocal_gender",
    "seed": "seed",
    "echo_upstream_request": "echo_upstream_request",
    "meta": "meta",
    "webhook_url": "webhook_url",
    "metadata": "metadata",
}

#: Our names of the fields that are texts.
_TEXTS: Final = frozenset(
    name for name, kind in get_type_hints(MusicRequest).items() if kind in {str, str | None}
)
_NOTHING_ASKED: Final = MusicRequest(model="")
#: Our name -> names on the wire inside the `provider` and `debug` objects. The first one that is neither
#: absent nor null wins: newer clients spell every key of `provider` that is not set as null.
_ROUTING_FIELDS: Final = {
    "order": ("order",),
    "only": ("only",),
    "ignore": ("ignore",),
    "include_alpha": ("include_alpha", "includeAlpha"),
    "allow_fallbacks": ("allow_fallbacks",),
}
_DEBUG_FIELDS: Final = {
    "enabled": ("enabled",),
    "return_upstream_request": ("return_upstream_request", "returnUpstreamRequest"),
    "return_upstream_response": ("return_upstream_response", "returnUpstreamResponse"),
    "trace": ("trace",),
    "trace_level": ("trace_level", "traceLevel"),
}
_OBJECTS: Final[Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]]] = {
    "provider": ("routing", _ROUTING_FIELDS),
    "debug": ("debug", _DEBUG_FIELDS),
}


def read_request(body: Mapping[str, JsonValue], blocks: Collection[str]) -> MusicRequest:
    """Read the body of a create call.

    The body has passed the request schema; nothing is coerced here all the same. A missing model is read as
    an empty one, and a later check refuses it by name.

    Args:
        body: the parsed JSON object.
        blocks: names of the option blocks that some plugin reads (``suno``, ``elevenlabs``, ...).

    Returns:
        The request. Its ``unknown_keys`` are the first top-level keys that are not known, in the order in
        which they were sent.

    Raises:
        RequestError: ``validation_error``, when a field has another type than the schema says.
    """
    known: dict[str, JsonValue] = {"model": ""}
    given_blocks: dict[str, JsonValue] = {}
    unknown = []
    for wire, value in body.items():
        field = _FIELDS.get(wire)
        if field is not None:
            known[field] = value
        if wire in blocks:
            given_blocks[wire] = value
        elif field is None and wire not in _OBJECTS:
            unknown.append(wire)
    for wire, (name, fields) in _OBJECTS.items():
        if wire in body:
            known[name] = _renamed(wire, body[wire], fields)
    if given_blocks:
        known["blocks"] = given_blocks
    if unknown:
        known["unknown_keys"] = [cut_text(name, MAX_NAME_CHARS) for name in unknown[:MAX_WARNINGS]]
        known["more_unknown_keys"] = max(0, len(unknown) - MAX_WARNINGS)
    return _request_of(known)


def write_request(request: MusicRequest) -> dict[str, JsonValue]:
    """Write a request as the body of a create call; what has its default value is left out.

    Unknown keys are left out as well: of these a request holds only the names.
    """
    plain: dict[str, Any] = CONVERTER.unstructure(request)
    body: dict[str, JsonValue] = {wire: plain[name] for wire, name in _FIELDS.items() if name in plain}
    # The keys inside these two are spelled as our fields are.
    body |= {wire: plain[name] for wire, (name, _) in _OBJECTS.items() if name in plain}
    return {**body, **plain.get("blocks", {})}


def _request_of(known: dict[str, Any]) -> MusicRequest:
    if known.keys() <= _TEXTS and set(map(type, known.values())) == {str}:
        # As most requests are: in a third of the time that all the defaults take, and a tenth of cattrs'.
        return changed(_NOTHING_ASKED, blocks={}, metadata={}, **known)
    try:
        return structure(known, MusicRequest)
    except BaseValidationError as exc:
        raise RequestError("validation_error", f"the request cannot be read: {first_reason(exc)}") from exc


def _renamed(wire: str, value: JsonValue, fields: Mapping[str, tuple[str, ...]]) -> JsonObject:
    if not isinstance(value, Mapping):
        raise RequestError(
            "validation_error", f"the request cannot be read: {wire} is no object", path=(wire,)
        )
    given = {
        name: [value[wire] for wire in wires if value.get(wire) is not None] for name, wires in fields.items()
    }
    return {name: values[0] for name, values in given.items() if values}
