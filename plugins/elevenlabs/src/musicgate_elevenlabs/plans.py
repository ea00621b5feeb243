"""The two kinds of composition plan: which model takes which, their limits and their length.

Sources: elevenlabs.io/docs/api-reference/music/compose and .../guides/how-to/music/composition-plans, 2026-08
and 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

import attrs

from musicgate.plugin import Choice, Field, JsonObject, Number, Text, violations
from musicgate.plugin.lenient import integer, items, mapping

Path = tuple[str | int, ...]


class PlanKind(StrEnum):
    """Kind of a plan, named after the key of its pieces."""

    SECTIONS = "sections"
    CHUNKS = "chunks"


#: Kind of plan that each model takes; released 2025-08, 2026-06-15 and 2026-09-14. The plans of unlisted
#: models are not checked.
KIND_OF_MODEL: Final = {
    "music_v1": PlanKind.SECTIONS,
    "music_v2": PlanKind.CHUNKS,
    "music_v2_5": PlanKind.CHUNKS,
}

MIN_LENGTH_MS: Final = 3_000
MAX_LENGTH_MS: Final = 600_000
_MAX_PIECES: Final = 30
_MAX_STYLES: Final = 50
_MAX_LINES: Final = 30
_MAX_LINE_CHARS: Final = 200
_MAX_LABEL_CHARS: Final = 100
_MAX_NEGATIVE_RANGES: Final = 10
_ALWAYS: Final[tuple[JsonObject, ...]] = ({},)
_ADHERENCE: Final = ("low", "medium", "high")
_DURATION: Final = Number(
    "duration_ms", minimum=MIN_LENGTH_MS, maximum=120_000, whole=True, required_if=_ALWAYS
)
#: ASSUMED: limits count characters, not bytes or UTF-16 units.
_SECTION: Final = (Text("section_name", max_chars=_MAX_LABEL_CHARS, required_if=_ALWAYS), _DURATION)
_CHUNK: Final = (
    # 6,000 until 2026-09-14; the larger one is checked, so that we never refuse what the vendor takes.
    Text("text", max_chars=6_132),
    _DURATION,
    Choice("context_adherence", choices=_ADHERENCE),
    Choice("condition_strength", choices=(*_ADHERENCE, "xhigh")),
)
_SONG_ID: Final = Text("song_id", max_chars=_MAX_LABEL_CHARS, required_if=_ALWAYS)
#: Milliseconds of another song: of a source, of a chunk of its own, and of a condition.
_SOURCE: Final = (_SONG_ID, Number("range", minimum=0, required_if=_ALWAYS))
_REFERENCE: Final = (_SONG_ID, Number("range", minimum=50, required_if=_ALWAYS))
_CONDITION: Final = (_SONG_ID, Number("range", minimum=0, maximum=30_000, required_if=_ALWAYS))


@attrs.frozen
class Problem:
    """A part of a plan that the vendor would refuse; ``path`` starts inside the plan."""

    path: Path
    message: str


def kind_of(plan: Mapping[str, object]) -> PlanKind | None:
    """Kind of a plan; None if it has neither sections nor chunks."""
    return next((kind for kind in PlanKind if plan.get(kind) is not None), None)


def length_ms(plan: object) -> int | None:
    """Length of the song that a plan describes; None if a piece has no length."""
    pieces = mapping(plan).get(kind_of(mapping(plan)) or "")
    lengths = [_piece_ms(piece) for piece in items(pieces)]
    known = [length for length in lengths if length is not None and 0 < length <= MAX_LENGTH_MS * _MAX_PIECES]
    return sum(known) if known and len(known) == len(lengths) else None


def problems(plan: Mapping[str, object]) -> Iterator[Problem]:
    """Everything in a plan that breaks a documented limit, in order. Nulls and unknown keys are allowed."""
    kind = kind_of(plan)
    if kind is None:
        yield Problem((), "has neither sections (music_v1) nor chunks (later models)")
        return
    if kind is PlanKind.SECTIONS:
        for name in ("positive_global_styles", "negative_global_styles"):
            yield from _texts(plan, name, (), _MAX_STYLES)
    pieces = plan[kind]
    if not isinstance(pieces, list) or not 0 < len(pieces) <= _MAX_PIECES:
        yield Problem((kind,), f"must be a list of 1 to {_MAX_PIECES}")
        return
    for index, piece in enumerate(pieces):
        path = (kind, index)
        if not isinstance(piece, dict):
            yield Problem(path, "must be an object")
        elif kind is PlanKind.SECTIONS:
            yield from _section(piece, path)
        elif _is_reference(piece):
            yield from _broken(_REFERENCE, _spanned(piece), path)
        else:
            yield from _generation_chunk(piece, path)
    total_ms = length_ms(plan) if kind is PlanKind.CHUNKS else None
    if total_ms is not None and not MIN_LENGTH_MS <= total_ms <= MAX_LENGTH_MS:
        message = f"are {total_ms} ms long together; {MIN_LENGTH_MS} to {MAX_LENGTH_MS} are allowed"
        yield Problem((kind,), message)


def _section(section: JsonObject, path: Path) -> Iterator[Problem]:
    yield from _broken(_SECTION, section, path)
    for name in ("positive_local_styles", "negative_local_styles"):
        yield from _texts(section, name, path, _MAX_STYLES)
    yield from _texts(section, "lines", path, _MAX_LINES, _MAX_LINE_CHARS)
    source = section.get("source_from")
    if source is not None:
        path = (*path, "source_from")
        yield from _broken(_SOURCE, _spanned(source), path)
        ranges = mapping(source).get("negative_ranges")
        if ranges is not None and (not isinstance(ranges, list) or len(ranges) > _MAX_NEGATIVE_RANGES):
            yield Problem((*path, "negative_ranges"), f"must be a list of at most {_MAX_NEGATIVE_RANGES}")


def _generation_chunk(chunk: JsonObject, path: Path) -> Iterator[Problem]:
    text, where = chunk.get("text"), (*path, "text")
    if text is None:
        yield Problem(where, "is needed")
    yield from _broken(_CHUNK, chunk, path)
    if isinstance(text, str):
        yield from _lines(text, where)
    yield from _texts(chunk, "positive_styles", path, _MAX_STYLES)
    if chunk.get("negative_styles") is not None:
        yield from _texts(chunk, "negative_styles", path, _MAX_STYLES)
    if chunk.get("conditioning_ref") is not None:
        yield from _broken(_CONDITION, _spanned(chunk["conditioning_ref"]), (*path, "conditioning_ref"))


def _lines(text: str, path: Path) -> Iterator[Problem]:
    """Check the sung lines; a ``[Section]`` label before them is not one of them."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("[") and lines[0].rstrip().endswith("]"):
        label = lines.pop(0).strip()[1:-1]
        if not 1 <= len(label) <= _MAX_LABEL_CHARS:
            message = f"has a label of {len(label)} characters; 1 to {_MAX_LABEL_CHARS} are allowed"
            yield Problem(path, message)
    if len(lines) > _MAX_LINES:
        yield Problem(path, f"has {len(lines)} lines; at most {_MAX_LINES} are allowed")
    if any(len(line) > _MAX_LINE_CHARS for line in lines):
        yield Problem(path, f"has a line of more than {_MAX_LINE_CHARS} characters")


def _texts(
    holder: Mapping[str, object], name: str, path: Path, max_items: int, max_chars: int | None = None
) -> Iterator[Problem]:
    value, where = holder.get(name), (*path, name)
    if not isinstance(value, list) or len(value) > max_items:
        yield Problem(where, f"must be a list of at most {max_items} texts")
        return
    field = Text(name, max_chars=max_chars)
    faults = ((index, field.fault(item)) for index, item in enumerate(value))
    yield from (Problem((*where, index), fault[2]) for index, fault in faults if fault)


def _broken(fields: tuple[Field, ...], native: JsonObject, path: Path) -> Iterator[Problem]:
    return (Problem((*path, found.name), found.message) for found in violations(fields, native))


def _is_reference(piece: Mapping[str, object]) -> bool:
    return piece.get("song_id") is not None and piece.get("text") is None


def _piece_ms(piece: Mapping[str, object]) -> int | None:
    return _range_ms(piece) if _is_reference(piece) else integer(piece.get("duration_ms"))


def _range_ms(part: Mapping[str, object]) -> int | None:
    """Length of a part of another song."""
    edges = mapping(part.get("range"))
    start_ms, end_ms = integer(edges.get("start_ms")), integer(edges.get("end_ms"))
    return None if start_ms is None or end_ms is None else end_ms - start_ms


def _spanned(part: object) -> JsonObject:
    """A part of another song, with its length for the range."""
    return {"song_id": mapping(part).get("song_id"), "range": _range_ms(mapping(part))}
