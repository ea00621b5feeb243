"""The only place where JSON becomes values and values become JSON; it knows the shapes of both and no rule about either."""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any, Final, TypeVar

from cattrs import BaseValidationError, Converter, transform_error

from musicgate.errors import RequestError, StorageError
from musicgate.model import (
    Delivery,
    Job,
    JobEvent,
    JsonObject,
    JsonValue,
    MusicRequest,
    WarningCode,
)
from musicgate.text import (
    LARGE_DOC_BYTES,
    MAX_JOB_WARNINGS,
    MAX_NAME_CHARS,
    MAX_TRACKS,
    MAX_WARNINGS,
    and_more,
    cut_text,
)

_T = TypeVar("_T")

#: Wire name -> our name of every top-level field of a request that needs no further reading.
_REQUEST_FIELDS: Final = {
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

#: Our name -> wire names inside the `provider` and `debug` objects. The first one that is there counts.
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
    """Turn the body of a create call into the caller's wish.

    The body has passed the request schema; nothing is coerced here all the same. A blank model is left for the check that names it.

    Args:
        body: the parsed JSON object.
        blocks: names of the option blocks that somebody reads (``suno``, ``elevenlabs``, ...).

    Returns:
        The wish. The first top-level keys that nobody knows stand in ``unknown_keys``, in the order in which they were sent.

    Raises:
        RequestError: ``validation_error``, when a field has another type than the schema says.
    """
    known: dict[str, JsonValue] = {name: body[wire] for wire, name in _REQUEST_FIELDS.items() if wire in body}
    for wire, (name, fields) in _OBJECTS.items():
        if wire in body:
            known[name] = _renamed(wire, body[wire], fields)
    known.setdefault("model", "")
    known["blocks"] = {name: body[name] for name in body if name in blocks}
    unknown = [name for name in body if not (name in _REQUEST_FIELDS or name in _OBJECTS or name in blocks)]
    known["unknown_keys"] = [cut_text(name, MAX_NAME_CHARS) for name in unknown[:MAX_WARNINGS]]
    known["more_unknown_keys"] = max(0, len(unknown) - MAX_WARNINGS)
    try:
        return _CONVERTER.structure(known, MusicRequest)
    except BaseValidationError as exc:
        raise RequestError("validation_error", f"the request cannot be read: {_first_reason(exc)}") from exc


def dump_job(job: Job) -> str:
    """The job as one line of JSON, for a store. Fields that have their default value are left out.

    So a default of a stored class must never change its meaning: rows that were written under the old one would change with it.
    """
    return _dump(job)


def load_job(text: str) -> Job:
    """The job that `dump_job` wrote; keys that a newer version added are passed over.

    A job from before there were bounds may be of any size; of its lists, what there is room for today is read.

    Raises:
        StorageError: the text is something else.
    """
    return _load(text, Job, None if len(text) <= LARGE_DOC_BYTES else _cut_lists)


def dump_event(event: JobEvent) -> str:
    """The event as one line of JSON, for a store."""
    return _dump(event)


def load_event(text: str) -> JobEvent:
    """The event that `dump_event` wrote.

    Raises:
        StorageError: the text is something else.
    """
    return _load(text, JobEvent)


def dump_delivery(delivery: Delivery) -> str:
    """The delivery as one line of JSON, for a store."""
    return _dump(delivery)


def load_delivery(text: str) -> Delivery:
    """The delivery that `dump_delivery` wrote.

    Raises:
        StorageError: the text is something else.
    """
    return _load(text, Delivery)


def _dump(value: Job | JobEvent | Delivery) -> str:
    # ASCII only, so that a lone surrogate in a vendor's text can be stored. NaN and Infinity (JSON's 1e999) may stand in a kept
    # vendor body: a paid song is not lost because of a number that only the debug view shows.
    return json.dumps(_CONVERTER.unstructure(value), separators=(",", ":"), default=_plain)


def _load(text: str, kind: type[_T], prepare: Callable[[dict[str, Any]], JsonObject] | None = None) -> _T:
    try:
        value: Any = _read_object(json.loads(text), None)
        return _CONVERTER.structure(value if prepare is None else prepare(value), kind)
    except (ValueError, RecursionError, BaseValidationError) as exc:
        reason = _first_reason(exc) if isinstance(exc, BaseValidationError) else "it is no JSON object"
        raise StorageError(f"a stored {kind.__name__} cannot be read: {reason}") from exc


def _cut_lists(doc: dict[str, Any]) -> JsonObject:
    cut = dict(doc)
    warnings, tracks, request = doc.get("warnings"), doc.get("tracks"), doc.get("request")
    if isinstance(warnings, list) and len(warnings) > MAX_JOB_WARNINGS:
        more = f"{and_more(len(warnings) - MAX_JOB_WARNINGS)} warnings"
        rest = {"code": WarningCode.LEFT_OUT, "path": [], "message": more}
        cut["warnings"] = [*warnings[:MAX_JOB_WARNINGS], rest]
    if isinstance(tracks, list):
        cut["tracks"] = [
            track
            for place, track in enumerate(tracks)
            if place < MAX_TRACKS or (isinstance(track, dict) and "asset" in track)
        ]
    if isinstance(request, dict) and isinstance(unknown := request.get("unknown_keys"), list):
        named = unknown[:MAX_WARNINGS]
        more_keys = request.get("more_unknown_keys", 0) + len(unknown) - len(named)
        cut["request"] = {**request, "unknown_keys": named, "more_unknown_keys": more_keys}
    return cut


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _renamed(wire: str, value: JsonValue, fields: Mapping[str, tuple[str, ...]]) -> JsonObject:
    if not isinstance(value, Mapping):
        raise RequestError(
            "validation_error", f"the request cannot be read: {wire} is no object", path=(wire,)
        )
    said = {name: [value[wire] for wire in wires if wire in value] for name, wires in fields.items()}
    return {name: values[0] for name, values in said.items() if values}


def _first_reason(exc: BaseValidationError) -> str:
    # The values themselves stay out of the sentence: they may be the caller's or the vendor's private words.
    return transform_error(exc, format_exception=_reason)[0]


def _reason(exc: BaseException, _expected: type | None) -> str:
    if isinstance(exc, KeyError):
        return "a field is missing"
    return str(exc) if isinstance(exc, _NotThatError) else "it has another shape"


class _NotThatError(ValueError):
    """A JSON value is of another type than the field; names both types and never the value."""

    def __init__(self, expected: str, value: object) -> None:
        super().__init__(f"expected {expected}, got {type(value).__name__}")


def _read_text(value: object, _kind: Any) -> str:
    if not isinstance(value, str):
        raise _NotThatError("text", value)
    return value


def _read_word(value: object, kind: type[StrEnum]) -> StrEnum:
    try:
        return kind(_read_text(value, str))
    except ValueError as exc:
        raise _NotThatError(f"a word of {kind.__name__}", value) from exc


def _read_bool(value: object, _kind: Any) -> bool:
    if not isinstance(value, bool):
        raise _NotThatError("a boolean", value)
    return value


def _read_int(value: object, _kind: Any) -> int:
    # A whole number with a zero fraction is an integer to JSON Schema (2020-12, section 6.1.1), and to the contract.
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _NotThatError("a whole number", value)
    return value


def _read_float(value: object, _kind: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _NotThatError("a number", value)
    return float(value)


def _read_decimal(value: object, _kind: Any) -> Decimal:
    try:
        return Decimal(_read_text(value, str))
    except InvalidOperation as exc:
        raise _NotThatError("a decimal number as text", value) from exc


def _read_time(value: object, _kind: Any) -> datetime:
    moment = datetime.fromisoformat(_read_text(value, str))
    if moment.tzinfo is None:
        raise _NotThatError("a time with its zone", value)
    return moment.astimezone(UTC)


def _read_path_part(value: object, _kind: Any) -> str | int:
    return value if isinstance(value, str) else _read_int(value, int)


def _read_object(value: object, _kind: Any) -> JsonObject:
    if not isinstance(value, Mapping):
        raise _NotThatError("an object", value)
    return value


def _write_time(moment: datetime) -> str:
    if moment.tzinfo is None:
        raise ValueError("a time without its zone cannot be stored")
    return moment.astimezone(UTC).isoformat()


def _as_it_is(value: Any) -> Any:
    return value


def _tuple_reader(kind: Any, converter: Converter) -> Callable[[object, Any], Any]:
    """Text is a sequence to Python, and must not become a tuple of letters."""
    item_kind = kind.__args__[0]
    read_item = converter.get_structure_hook(item_kind)

    def read(value: object, _kind: Any) -> Any:
        if not isinstance(value, list | tuple):
            raise _NotThatError("a list", value)
        return tuple(read_item(item, item_kind) for item in value)

    return read


def _is_json_object(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is Mapping and kind.__args__ == (str, object)


def _is_tuple(kind: Any) -> bool:
    return getattr(kind, "__origin__", None) is tuple and kind.__args__[1:] == (...,)


def _make_converter() -> Converter:
    converter = Converter(omit_if_default=True)
    readers: tuple[tuple[Any, Callable[[object, Any], Any]], ...] = (
        (str, _read_text),
        # A reader counts for subclasses, too: without this one every StrEnum would be read as bare text.
        (StrEnum, _read_word),
        (bool, _read_bool),
        (int, _read_int),
        (float, _read_float),
        (Decimal, _read_decimal),
        (datetime, _read_time),
    )
    for kind, read in readers:
        converter.register_structure_hook(kind, read)
    converter.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    converter.register_structure_hook_func(lambda kind: kind == str | int, _read_path_part)
    converter.register_structure_hook_func(_is_json_object, _read_object)
    converter.register_structure_hook_factory(_is_tuple, _tuple_reader)
    converter.register_unstructure_hook(datetime, _write_time)
    converter.register_unstructure_hook(Decimal, str)
    converter.register_unstructure_hook_func(lambda kind: kind is object or _is_json_object(kind), _as_it_is)
    return converter


_CONVERTER: Final = _make_converter()
