"""Jobs, events and messages as the JSON documents of a store; knows neither SQL nor job states.

Fields that have their default value are left out of a document. So the default of a stored class must never
change: rows that were written under the old one would change with it.

orjson writes and reads nearly every document, as UTF-8. Four things it cannot do, and for these the standard
library does it, with everything beyond ASCII escaped: a lone surrogate, an integer beyond 64 bits, NaN and
Infinity. Either reads what the other wrote, in this version and in those before orjson.

Times are written by orjson, too, so a time inside a kept vendor body becomes text instead of an error.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import NoneType
from typing import Any, Final, TypeVar

import orjson
from cattrs import BaseValidationError

from musicgate.codec.converter import CONVERTER, first_reason, read_object, structure
from musicgate.errors import StorageError
from musicgate.model import (
    AttemptOutcome,
    Delivery,
    FailureClass,
    Job,
    JobEvent,
    JobState,
    JsonObject,
    WarningCode,
)
from musicgate.text import (
    LARGE_DOC_BYTES,
    MAX_JOB_WARNINGS,
    MAX_TRACKS,
    MAX_WARNINGS,
    and_more,
    read_quickly,
)

_T = TypeVar("_T")
#: The writers of the two that each create writes five times, without cattrs' look-up of their classes.
_write_job: Final[Callable[[Job], object]] = CONVERTER.get_unstructure_hook(Job)
_write_event: Final[Callable[[JobEvent], object]] = CONVERTER.get_unstructure_hook(JobEvent)
#: The types of what our events hold.
_NO_NAN: Final = frozenset({str, int, bool, NoneType, AttemptOutcome, FailureClass, JobState})


def doc_bytes(doc: str) -> int:
    """Size of a document in UTF-8."""
    return len(doc) if doc.isascii() else len(doc.encode())


def dump_job(job: Job) -> str:
    """Write a job as one line of JSON."""
    return _dump(_write_job(job))


def load_job(text: str) -> Job:
    """Read a job that `dump_job` wrote; keys that a newer version added are ignored.

    A document from before lists were bounded may be of any size; its lists are cut to today's bounds.

    Raises:
        StorageError: the text is not a stored job.
    """
    return _load(text, Job, None if doc_bytes(text) <= LARGE_DOC_BYTES else _cut_lists)


def dump_event(event: JobEvent) -> str:
    """Write an event as one line of JSON."""
    return _dump(_write_event(event), event.data.values())


def dump_events(events: Iterable[JobEvent]) -> str:
    """Write events as JSON, each with a line break behind it: JSON escapes those inside."""
    written = list(events)
    for event in written:
        if not _NO_NAN.issuperset(map(type, event.data.values())):
            break
    else:
        # As nearly always: nothing in them can be NaN. One text is made of all of them.
        try:
            return b"".join(
                [orjson.dumps(_write_event(event), _plain, orjson.OPT_APPEND_NEWLINE) for event in written]
            ).decode()
        except TypeError:
            pass  # of orjson, for one of the other reasons above
    return "".join([dump_event(event) + "\n" for event in written])


def load_event(text: str) -> JobEvent:
    """Read an event that `dump_event` wrote.

    Raises:
        StorageError: the text is not a stored event.
    """
    return _load(text, JobEvent)


def dump_delivery(delivery: Delivery) -> str:
    """Write a message to a webhook as one line of JSON."""
    return _dump(CONVERTER.unstructure(delivery))


def load_delivery(text: str) -> Delivery:
    """Read a message that `dump_delivery` wrote.

    Raises:
        StorageError: the text is not a stored message.
    """
    return _load(text, Delivery)


def _dump(plain: object, values: Iterable[object] | None = None) -> str:
    """Write JSON as one line.

    Args:
        values: of all that is inside, those that may be null, NaN or Infinity; None = anything may.
    """
    try:
        doc = orjson.dumps(plain, default=_plain).decode()
    except TypeError:  # of orjson, for a reason above, or because a value has no place in JSON
        return _dump_any(plain)
    # Perhaps NaN or Infinity, which orjson writes as null. To look for them takes longer than to write again;
    # but the values of an event are few, and one is often a missing native id.
    if "null" in doc and (values is None or not _NO_NAN.issuperset(map(type, values))):
        return _dump_any(plain)
    return doc


def _dump_any(plain: object) -> str:
    # ASCII only, so that a lone surrogate in a vendor's text can be stored. NaN and Infinity (JSON's 1e999)
    # are allowed in a kept vendor body: a paid song is not lost because of a number that only the debug view
    # shows.
    return json.dumps(plain, separators=(",", ":"), default=_plain)


def _load(text: str, kind: type[_T], prepare: Callable[[dict[str, Any]], JsonObject] | None = None) -> _T:
    try:
        value: Any = read_object(_parse(text), None)
        return structure(value if prepare is None else prepare(value), kind)
    except (ValueError, RecursionError, BaseValidationError) as exc:
        reason = first_reason(exc) if isinstance(exc, BaseValidationError) else "it is no JSON object"
        raise StorageError(f"a stored {kind.__name__} cannot be read: {reason}") from exc


def _parse(text: str) -> Any:
    try:
        return read_quickly(text.encode())
    except ValueError:  # one of the four, or damage, which the standard library describes
        return json.loads(text)


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
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} has no place in JSON")
