"""A job read back from its JSON, as `musicgate.views.job` writes it, for clients of a server.

Tolerant as the readers of vendors' answers are: a server may be newer than its client. Keys that are not
known stay in `RemoteJob.answer`. Of the job itself only the id, the state and the time of its creation must
be there.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

import attrs

from musicgate.model import (
    Asset,
    Attempt,
    AttemptOutcome,
    Failure,
    FailureClass,
    Job,
    JobState,
    Manifest,
    Meter,
    MusicRequest,
    OptionWarning,
    PriceLine,
    Progress,
    Track,
    Usage,
    WarningCode,
)
from musicgate.plugin import lenient

_Member = TypeVar("_Member", bound=StrEnum)
#: `Job.deadline_at` of a job whose deadline is not shown.
_NOT_SHOWN: Final = datetime.max.replace(tzinfo=UTC)
#: Keys of a track that are fields of a `Track`; all others are its ``extra``.
_TRACK_KEYS: Final = frozenset(
    {
        *("index", "id", "audio_url", "stream_audio_url", "image_url", "title", "tags", "duration"),
        *("content_type", "size_bytes", "lyrics", "native_model", "created_at", "expires_at"),
        *("audio", "original", "error"),
    }
)


@attrs.frozen(kw_only=True, weakref_slot=False)
class RemoteJob(Job):
    """A job of a server. What a server does not show has a value that says nothing.

    ``account``, ``callback_token``, ``sender``, ``trace`` and the ``name`` of an asset are empty,
    ``deadline_at`` is the end of time, and ``request`` has the model and the metadata only.

    Attributes:
        answer: the job as the server sent it, in the published schema ``job``.
    """

    answer: Mapping[str, Any] = attrs.field(repr=False)


def read_job(answer: Mapping[str, object]) -> RemoteJob:
    """Read a job.

    Raises:
        ValueError: it is not the JSON of a job; the message says why.
    """
    state = _member(JobState, answer.get("status"))
    job_id, created_at = _text(answer.get("id")), lenient.moment(answer.get("created_at"))
    output = answer.get("output") or []
    if answer.get("object") != "music" or state is None or job_id is None or created_at is None:
        raise ValueError("not a job")
    if not isinstance(output, list) or not all(_is_track(item) for item in output):
        raise ValueError("not a job: its output is no list of tracks")
    model = _text(answer.get("public_model")) or _text(answer.get("model")) or ""
    link_end = lenient.moment(answer.get("expires_at"))
    failure = lenient.mapping(answer.get("error"))
    usage = lenient.mapping(answer.get("usage"))
    metadata = lenient.mapping(answer.get("metadata"))
    return RemoteJob(
        id=job_id,
        account="",
        generation_id=_text(answer.get("requestId")) or "",
        request=MusicRequest(
            model=model, metadata={name: value for name, value in metadata.items() if isinstance(value, str)}
        ),
        state=state,
        created_at=created_at,
        updated_at=lenient.moment(answer.get("updated_at")) or created_at,
        deadline_at=_NOT_SHOWN,
        callback_token="",
        completed_at=lenient.moment(answer.get("completed_at")),
        native_status=_text(answer.get("native_status")),
        attempts=tuple(_attempt(item, model, created_at) for item in lenient.items(answer.get("attempts"))),
        tracks=tuple(_track(item, link_end) for item in output),
        warnings=tuple(_warning(item) for item in lenient.items(answer.get("warnings"))),
        failure=_failure(failure) if state is JobState.FAILED else None,
        # An open job shows what is expected of it, which is no usage yet.
        usage=_usage(usage) if usage and state is JobState.COMPLETED else None,
        native_request=answer.get("upstream_request"),
        native_response=answer.get("upstream_response"),
        routing=lenient.mapping(answer.get("meta")).get("routing"),
        progress=_progress(lenient.mapping(answer.get("progress"))),
        answer=answer,
    )


def _text(value: object) -> str | None:
    """Text as it is, or None."""
    return value if isinstance(value, str) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if math.isfinite(value) else None


def _member(kind: type[_Member], value: object) -> _Member | None:
    return next((member for member in kind if member.value == value), None)


def _failure(shown: Mapping[str, object]) -> Failure:
    may_have_cost = shown.get("may_have_cost")
    return Failure(
        # A class that a newer server has: what it allows is not known, so the cautious one.
        reason=_member(FailureClass, shown.get("reason")) or FailureClass.GATEWAY,
        message=_text(shown.get("message")) or "no reason given",
        native_code=_text(shown.get("native_code")),
        native_message=_text(shown.get("native_message")),
        suggestion=shown.get("suggestion"),
        may_have_cost=may_have_cost if isinstance(may_have_cost, bool) else None,
    )


def _warning(shown: Mapping[str, object]) -> OptionWarning:
    path = shown.get("path")
    return OptionWarning(
        code=_member(WarningCode, shown.get("code")) or WarningCode.NOT_APPLIED,
        path=tuple(part for part in path if isinstance(part, str | int)) if isinstance(path, list) else (),
        message=_text(shown.get("message")) or "",
        plugin=_text(shown.get("provider_plugin")),
    )


def _attempt(shown: Mapping[str, object], model: str, created_at: datetime) -> Attempt:
    return Attempt(
        plugin=_text(shown.get("provider_plugin")) or "",
        provider=_text(shown.get("provider")) or "",
        model=model,
        native_model=_text(shown.get("native_model")),
        outcome=_member(AttemptOutcome, shown.get("outcome")) or AttemptOutcome.UNKNOWN,
        planned_at=lenient.moment(shown.get("planned_at")) or created_at,
        answered_at=lenient.moment(shown.get("answered_at")),
        native_id=_text(shown.get("nativeResponseId")),
        failure=_failure(shown) if "reason" in shown else None,
        not_before=lenient.moment(shown.get("not_before")),
    )


def _is_track(shown: object) -> bool:
    """True if what a caller cannot do without has the documented types."""
    return (
        isinstance(shown, dict)
        and type(shown.get("index")) is int
        and isinstance(shown.get("audio_url"), str | None)
        and isinstance(shown.get("duration"), int | float | None)
        and isinstance(shown.get("error"), dict | None)
    )


def _track(shown: Mapping[str, Any], link_end: datetime | None) -> Track:
    audio, original = shown.get("audio"), shown.get("original")
    failure = lenient.mapping(shown.get("error"))
    return Track(
        index=shown["index"],
        native_id=_text(shown.get("id")),
        audio_url=_text(shown.get("audio_url")),
        stream_audio_url=_text(shown.get("stream_audio_url")),
        image_url=_text(shown.get("image_url")),
        title=_text(shown.get("title")),
        tags=_text(shown.get("tags")),
        duration_s=_number(shown.get("duration")),
        lyrics=_text(shown.get("lyrics")),
        native_model=_text(shown.get("native_model")),
        created_at=lenient.moment(shown.get("created_at")),
        expires_at=lenient.moment(shown.get("expires_at")) or (None if audio else link_end),
        failure_message=_text(failure.get("message")),
        extra={key: value for key, value in shown.items() if key not in _TRACK_KEYS},
        asset=_asset(audio) if isinstance(audio, dict) else None,
        original=_asset(original) if isinstance(original, dict) else None,
    )


def _asset(shown: Mapping[str, object]) -> Asset:
    silent, manifest = shown.get("silent"), shown.get("c2pa")
    return Asset(
        name="",
        kind=_text(shown.get("format")) or "",
        content_type=_text(shown.get("content_type")) or "application/octet-stream",
        size_bytes=lenient.integer(shown.get("size_bytes")) or 0,
        duration_s=_number(shown.get("duration")) or 0.0,
        sha256=_text(shown.get("sha256")),
        codec=_text(shown.get("codec")),
        sample_rate_hz=lenient.integer(shown.get("sample_rate")),
        channels=lenient.integer(shown.get("channels")),
        bit_rate_bps=lenient.integer(shown.get("bit_rate")),
        loudness_lufs=_number(shown.get("loudness_lufs")),
        true_peak_dbtp=_number(shown.get("true_peak_dbtp")),
        is_silent=silent if isinstance(silent, bool) else None,
        manifest=_manifest(manifest) if isinstance(manifest, dict) else None,
    )


def _manifest(shown: Mapping[str, object]) -> Manifest:
    states_ai = shown.get("ai_generated")
    return Manifest(
        validity=_text(shown.get("validity")) or "not_checked",
        reason=_text(shown.get("reason")),
        signer=_text(shown.get("signer")),
        issuer=_text(shown.get("issuer")),
        claim_generator=_text(shown.get("claim_generator")),
        states_ai=states_ai if isinstance(states_ai, bool) else None,
    )


def _usage(shown: Mapping[str, object]) -> Usage:
    price = shown.get("pricing_breakdown")
    lines = lenient.items(price.get("lines")) if isinstance(price, dict) else None
    return Usage(
        requests=lenient.integer(shown.get("requests")) or 0,
        output_audio_count=lenient.integer(shown.get("output_audio_count")) or 0,
        output_audio_seconds=_number(shown.get("output_audio_seconds")) or 0.0,
        lines=None if lines is None else _price_lines(lines),
    )


def _price_lines(shown: list[Mapping[str, object]]) -> tuple[PriceLine, ...] | None:
    """The lines of a price; None, a price that is not known, when one cannot be read: no sum is wrong."""
    lines = []
    for line in shown:
        meter, nanos = _member(Meter, line.get("meter")), lenient.integer(line.get("line_nanos"))
        quantity, unit_size = _number(line.get("quantity")), _number(line.get("unit_size"))
        price = _decimal(line.get("price_per_unit"))
        if meter is None or nanos is None or quantity is None or unit_size is None or price is None:
            return None
        lines.append(
            PriceLine(
                meter=meter,
                quantity=Decimal(str(quantity)),
                unit_size=Decimal(str(unit_size)),
                price_per_unit_usd=price,
                price_usd_nanos=nanos,
            )
        )
    return tuple(lines)


def _decimal(value: object) -> Decimal | None:
    try:
        number = Decimal(value) if isinstance(value, str) else None
    except ArithmeticError:  # not a number
        return None
    return number if number is not None and number.is_finite() else None


def _progress(shown: Mapping[str, object]) -> Progress | None:
    if not shown:
        return None
    return Progress(
        fraction=_number(shown.get("fraction")),
        remaining_s=_number(shown.get("remaining_seconds")),
        charge=_number(shown.get("charge")),
        charge_unit=_text(shown.get("charge_unit")),
    )
