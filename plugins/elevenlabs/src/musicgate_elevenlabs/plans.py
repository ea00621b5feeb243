"""The two kinds of composition plan: which model takes which, their limits and their length.

Sources: elevenlabs.io/docs/api-reference/music/compose and .../guides/how-to/music/composition-plans, 2026-08
and 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Final

import attrs

from musicgate.plugin.lenient import integer, items, mapping

Path = tuple[str | int, ...]


class PlanKind(StrEnum):
    """Kind of a plan, named after the key of its pieces."""

    SECTIONS = "sections"
    CHUNKS = "chunks"


#: Kind of plan that each model takes. The plans of unlisted models are not checked.
KIND_OF_MODEL: Final = {
    "music_v1": PlanKind.SECTIONS,
    "music_v2": PlanKind.CHUNKS,
    "music_v2_5": PlanKind.CHUNKS,
}

MIN_LENGTH_MS: Final = 3_000
MAX_LENGTH_MS: Final = 600_000
_MAX_PIECES: Final = 30
_MAX_PIECE_MS: Final = 120_000
_MAX_STYLES: Final = 50
_MAX_LINES: Final = 30
_MAX_LINE_CHARS: Final = 200
_MAX_LABEL_CHARS: Final = 100
#: 6,000 until 2026-09-14; the larger one is checked, so that we never refuse what the vendor takes.
_MAX_CHUNK_CHARS: Final = 6_132
_MIN_REFERENCE_MS: Final = 50
_MAX_CONDITIONING_MS: Final = 30_000
_MAX_NEGATIVE_RANGES: Final = 10
_ADHERENCE: Final = ("low", "medium", "high")
_STRENGTH: Final = (*_ADHERENCE, "xhigh")


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
        yield from _piece(kind, piece, (kind, index))
    if kind is PlanKind.CHUNKS:
        total_ms = length_ms(plan)
        if total_ms is not None and not MIN_LENGTH_MS <= total_ms <= MAX_LENGTH_MS:
            message = f"are {total_ms} ms long together; {MIN_LENGTH_MS} to {MAX_LENGTH_MS} are allowed"
            yield Problem((kind,), message)


def _piece(kind: PlanKind, piece: object, path: Path) -> Iterator[Problem]:
    if not isinstance(piece, dict):
        yield Problem(path, "must be an object")
    elif kind is PlanKind.SECTIONS:
        yield from _section(piece, path)
    elif _is_reference(piece):
        yield from _song_part(piece, path, _MIN_REFERENCE_MS, None)
    else:
        yield from _generation_chunk(piece, path)


def _section(section: Mapping[str, object], path: Path) -> Iterator[Problem]:
    yield from _text(section, "section_name", path, 1, _MAX_LABEL_CHARS)
    for name in ("positive_local_styles", "negative_local_styles"):
        yield from _texts(section, name, path, _MAX_STYLES)
    yield from _duration(section, path)
    yield from _texts(section, "lines", path, _MAX_LINES, _MAX_LINE_CHARS)
    source = section.get("source_from")
    if source is not None:
        yield from _song_part(mapping(source), (*path, "source_from"), 0, None)
        ranges = mapping(source).get("negative_ranges")
        if ranges is not None and (not isinstance(ranges, list) or len(ranges) > _MAX_NEGATIVE_RANGES):
            where = (*path, "source_from", "negative_ranges")
            yield Problem(where, f"must be a list of at most {_MAX_NEGATIVE_RANGES}")


def _generation_chunk(chunk: Mapping[str, object], path: Path) -> Iterator[Problem]:
    yield from _text(chunk, "text", path, 0, _MAX_CHUNK_CHARS)
    yield from _chunk_lines(chunk.get("text"), (*path, "text"))
    yield from _duration(chunk, path)
    yield from _texts(chunk, "positive_styles", path, _MAX_STYLES)
    if chunk.get("negative_styles") is not None:
        yield from _texts(chunk, "negative_styles", path, _MAX_STYLES)
    yield from _choice(chunk, "context_adherence", path, _ADHERENCE)
    yield from _choice(chunk, "condition_strength", path, _STRENGTH)
    reference = chunk.get("conditioning_ref")
    if reference is not None:
        yield from _song_part(mapping(reference), (*path, "conditioning_ref"), 0, _MAX_CONDITIONING_MS)


def _chunk_lines(text: object, path: Path) -> Iterator[Problem]:
    """Check the sung lines; a ``[Section]`` label before them is not one of them."""
    if not isinstance(text, str):
        return
    lines = [line for line in text.splitlines() if line.strip()]
    if lines and lines[0].startswith("[") and lines[0].rstrip().endswith("]"):
        label = lines.pop(0).strip()[1:-1]
        if not 1 <= len(label) <= _MAX_LABEL_CHARS:
            yield Problem(
                path, f"has a label of {len(label)} characters; 1 to {_MAX_LABEL_CHARS} are allowed"
            )
    if len(lines) > _MAX_LINES:
        yield Problem(path, f"has {len(lines)} lines; at most {_MAX_LINES} are allowed")
    if any(len(line) > _MAX_LINE_CHARS for line in lines):
        yield Problem(path, f"has a line of more than {_MAX_LINE_CHARS} characters")


def _is_reference(piece: Mapping[str, object]) -> bool:
    return piece.get("song_id") is not None and piece.get("text") is None


def _piece_ms(piece: Mapping[str, object]) -> int | None:
    if _is_reference(piece):
        return _range_ms(piece.get("range"))
    return integer(piece.get("duration_ms"))


def _range_ms(value: object) -> int | None:
    start_ms, end_ms = integer(mapping(value).get("start_ms")), integer(mapping(value).get("end_ms"))
    return None if start_ms is None or end_ms is None else end_ms - start_ms


def _song_part(part: Mapping[str, object], path: Path, min_ms: int, max_ms: int | None) -> Iterator[Problem]:
    yield from _text(part, "song_id", path, 1, _MAX_LABEL_CHARS)
    span_ms = _range_ms(part.get("range"))
    where = (*path, "range")
    if span_ms is None:
        yield Problem(where, "needs start_ms and end_ms")
    elif span_ms < min_ms:
        yield Problem(where, f"is {span_ms} ms long; at least {min_ms} are needed")
    elif max_ms is not None and span_ms > max_ms:
        yield Problem(where, f"is {span_ms} ms long; at most {max_ms} are allowed")


def _duration(piece: Mapping[str, object], path: Path) -> Iterator[Problem]:
    value = piece.get("duration_ms")
    whole = value if isinstance(value, int) and not isinstance(value, bool) else None
    if whole is None or not MIN_LENGTH_MS <= whole <= _MAX_PIECE_MS:
        yield Problem(
            (*path, "duration_ms"), f"must be a whole number from {MIN_LENGTH_MS} to {_MAX_PIECE_MS}"
        )


def _text(
    holder: Mapping[str, object], name: str, path: Path, min_chars: int, max_chars: int
) -> Iterator[Problem]:
    # ASSUMED: limits count characters, not bytes or UTF-16 units.
    value = holder.get(name)
    if not isinstance(value, str) or not min_chars <= len(value) <= max_chars:
        yield Problem((*path, name), f"must be text of {min_chars} to {max_chars} characters")


def _texts(
    holder: Mapping[str, object], name: str, path: Path, max_items: int, max_chars: int | None = None
) -> Iterator[Problem]:
    value = holder.get(name)
    if not isinstance(value, list) or len(value) > max_items:
        yield Problem((*path, name), f"must be a list of at most {max_items} texts")
        return
    for index, item in enumerate(value):
        if not isinstance(item, str):
            yield Problem((*path, name, index), "must be text")
        elif max_chars is not None and len(item) > max_chars:
            yield Problem((*path, name, index), f"must be text of at most {max_chars} characters")


def _choice(
    holder: Mapping[str, object], name: str, path: Path, allowed: tuple[str, ...]
) -> Iterator[Problem]:
    if holder.get(name) is not None and holder.get(name) not in allowed:
        yield Problem((*path, name), f"must be one of {', '.join(allowed)}")
