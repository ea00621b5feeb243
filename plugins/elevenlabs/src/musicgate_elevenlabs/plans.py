"""The two kinds of composition plan as declared fields: limits, lengths, and which model takes which.

Sources: elevenlabs.io/docs/api-reference/music/compose and .../guides/how-to/music/composition-plans, 2026-08
and 2026-09.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, Final

import attrs

import musicgate.plugin as mg
from musicgate.plugin import Array, FieldViolation, JsonValue, Number, Structure, Text, violations
from musicgate.plugin.lenient import integer, items, mapping


class PlanKind(StrEnum):
    """Kind of a plan, named after the key of its pieces."""

    SECTIONS = "sections"
    CHUNKS = "chunks"


#: Kind of plan that each model takes; released 2025-08, 2026-06-15 and 2026-09-14. Of an unlisted model the
#: kind is not checked.
KIND_OF_MODEL: Final = {
    "music_v1": PlanKind.SECTIONS,
    "music_v2": PlanKind.CHUNKS,
    "music_v2_5": PlanKind.CHUNKS,
}

#: Name of a plan, and its old name, which the vendor's schema still takes for music_v1.
KEYS: Final = ("composition_plan", "music_prompt")
MIN_LENGTH_MS: Final = 3_000
MAX_LENGTH_MS: Final = 600_000
_MAX_PIECES: Final = 30
_MAX_LINES: Final = 30
_MAX_LINE_CHARS: Final = 200
_MAX_LABEL_CHARS: Final = 100


@attrs.frozen
class Plan(Structure):
    """A composition plan, of one kind or of both. Nulls and unknown keys in it are allowed."""

    kind: PlanKind | None = attrs.field(default=None, kw_only=True)

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        kind = kind_of(mapping(value))
        if kind is None:
            return "kind", list(PlanKind), "has neither sections (music_v1) nor chunks (later models)"
        if self.kind in {None, kind}:
            return None
        models = ", ".join(name for name, takes in KIND_OF_MODEL.items() if takes is kind)
        why = f"has {kind}, which is for {models} (set elevenlabs.model_id)"
        return "kind", self.kind, f"the model takes a plan of {self.kind}; this one {why}"

    def takes(self) -> str:
        """See `Field.takes`."""
        return f"a plan of {self.kind or ' or '.join(PlanKind)}"

    def inner_faults(self, value: JsonValue) -> Iterator[FieldViolation]:
        """See `Field.inner_faults`."""
        plan: Mapping[str, Any] = mapping(value)
        kind = kind_of(plan)
        if kind is None:
            return
        yield from (found.under(self) for found in violations(_INSIDE[kind], plan))
        total_ms = length_ms(plan) if kind is PlanKind.CHUNKS else None
        if total_ms is not None and not MIN_LENGTH_MS <= total_ms <= MAX_LENGTH_MS:
            message = f"are {total_ms} ms long together; {MIN_LENGTH_MS} to {MAX_LENGTH_MS} are allowed"
            yield FieldViolation(field=self, rule="length", limit=None, message=message, inside=(kind.value,))


class _Span(Number):
    """A part of another song in milliseconds; what is limited is its length."""

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        part_ms = _span_ms(value)
        return ("type", None, "needs start_ms and end_ms") if part_ms is None else super().fault(part_ms)


class _ChunkText(Text):
    """Sung lines; a ``[Section]`` label before them is not one of them."""

    def fault(self, value: JsonValue) -> tuple[str, JsonValue, str] | None:
        """See `Field.fault`."""
        lines = [line for line in str(value).splitlines() if line.strip()]
        if lines and lines[0].startswith("[") and lines[0].rstrip().endswith("]"):
            label = Text("", min_chars=1, max_chars=_MAX_LABEL_CHARS).fault(lines.pop(0).strip()[1:-1])
            if label is not None:
                return *label[:2], f"its label {label[2]}"
        if len(lines) > _MAX_LINES:
            return "lines", _MAX_LINES, f"has {len(lines)} lines; at most {_MAX_LINES} are allowed"
        if any(len(line) > _MAX_LINE_CHARS for line in lines):
            return "lines", _MAX_LINE_CHARS, f"has a line of more than {_MAX_LINE_CHARS} characters"
        return super().fault(value)


class _Chunk(Structure):
    """A piece that is made anew, or a part of another song."""

    def inner_faults(self, value: JsonValue) -> Iterator[FieldViolation]:
        """See `Field.inner_faults`."""
        chunk: Mapping[str, Any] = mapping(value)
        fields = _REFERENCE if _is_reference(chunk) else _GENERATED
        if fields is _GENERATED and chunk.get("text") is None:
            yield FieldViolation(
                field=self, rule="required", limit=None, message="is needed", inside=("text",)
            )
        yield from (found.under(self) for found in violations(fields, chunk))


_NEEDED: Final[Any] = {"required_if": ({},)}
_DURATION: Final = Number("duration_ms", minimum=MIN_LENGTH_MS, maximum=120_000, whole=True, **_NEEDED)
_ADHERENCE: Final = ("low", "medium", "high")
#: ASSUMED: limits count characters, not bytes or UTF-16 units.
_SONG_ID: Final = Text("song_id", max_chars=_MAX_LABEL_CHARS, **_NEEDED)


def _styles(name: str, **more: Any) -> Array:
    return Array(name, each=Text(""), max_items=50, **more)


_REFERENCE: Final = (_SONG_ID, _Span("range", minimum=50, **_NEEDED))
_GENERATED: Final = (
    # 6,000 until 2026-09-14; the larger one is checked, so that we never refuse what the vendor takes.
    _ChunkText("text", max_chars=6_132),
    _DURATION,
    mg.Choice("context_adherence", choices=_ADHERENCE),
    mg.Choice("condition_strength", choices=(*_ADHERENCE, "xhigh")),
    _styles("positive_styles", **_NEEDED),
    _styles("negative_styles"),
    Structure("conditioning_ref", fields=(_SONG_ID, _Span("range", minimum=0, maximum=30_000, **_NEEDED))),
)
_SECTION: Final = (
    Text("section_name", max_chars=_MAX_LABEL_CHARS, **_NEEDED),
    _DURATION,
    _styles("positive_local_styles", **_NEEDED),
    _styles("negative_local_styles", **_NEEDED),
    Array("lines", each=Text("", max_chars=_MAX_LINE_CHARS), max_items=_MAX_LINES, **_NEEDED),
    Structure(
        "source_from",
        fields=(_SONG_ID, _Span("range", minimum=0, **_NEEDED), Array("negative_ranges", max_items=10)),
    ),
)
_INSIDE: Final[Mapping[PlanKind, tuple[mg.Field, ...]]] = {
    PlanKind.SECTIONS: (
        _styles("positive_global_styles", **_NEEDED),
        _styles("negative_global_styles", **_NEEDED),
        Array("sections", each=Structure("", fields=_SECTION), min_items=1, max_items=_MAX_PIECES),
    ),
    PlanKind.CHUNKS: (Array("chunks", each=_Chunk(""), min_items=1, max_items=_MAX_PIECES),),
}


def kind_of(plan: Mapping[str, object]) -> PlanKind | None:
    """Kind of a plan; None if it has neither sections nor chunks."""
    return next((kind for kind in PlanKind if plan.get(kind) is not None), None)


def length_ms(plan: object) -> int | None:
    """Length of the song that a plan describes; None if a piece has no length."""
    pieces = items(mapping(plan).get(kind_of(mapping(plan)) or ""))
    lengths = [
        _span_ms(piece.get("range")) if _is_reference(piece) else integer(piece.get("duration_ms"))
        for piece in pieces
    ]
    known = [length for length in lengths if length is not None and 0 < length <= MAX_LENGTH_MS * _MAX_PIECES]
    return sum(known) if known and len(known) == len(lengths) else None


def _is_reference(piece: Mapping[str, object]) -> bool:
    return piece.get("song_id") is not None and piece.get("text") is None


def _span_ms(span: object) -> int | None:
    start_ms, end_ms = (integer(mapping(span).get(edge)) for edge in ("start_ms", "end_ms"))
    return None if start_ms is None or end_ms is None else end_ms - start_ms
