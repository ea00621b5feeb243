"""Read Harmonia's problems (RFC 9457) and reasons, and the class of failure of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
from musicgate.plugin import (
    Failure,
    FailureClass,
    HttpResponse,
    JsonObject,
    JsonValue,
    ProviderError,
)
from musicgate.plugin.lenient import mapping, retry_after_s, text

from musicgate_harmonia.declaration import LABEL

#: Kinds of problems and reasons. A kind beats the HTTP status that it comes with. Source: VENDOR.md,
#: 2026-11-20.
CLASS_OF_KIND: Final[Mapping[str, FailureClass]] = {
    "curtain-fallen": FailureClass.CONFLICT,
    "hall-closed": FailureClass.UNAVAILABLE,
    "content-rules": FailureClass.MODERATION,
    "no-such-piece": FailureClass.NOT_FOUND,
    "no-ticket": FailureClass.AUTH,
    "out-of-notes": FailureClass.CREDITS,
    "too-loud": FailureClass.RATE_LIMITED,
    "wrong-note": FailureClass.INVALID,
}
_CLASS_OF_STATUS: Final[Mapping[int, FailureClass]] = {
    401: FailureClass.AUTH,
    402: FailureClass.CREDITS,
    403: FailureClass.FORBIDDEN,
    404: FailureClass.NOT_FOUND,
    408: FailureClass.TIMEOUT,
    409: FailureClass.CONFLICT,
    429: FailureClass.RATE_LIMITED,
}
_NATIVE_MESSAGE_CHARS: Final = 500
#: After these the song may have been made (and charged) all the same.
_DOUBTFUL: Final = frozenset({FailureClass.UPSTREAM_FAILED, FailureClass.TIMEOUT, FailureClass.PROTOCOL})


def failure_of(state: str, reason: JsonValue) -> Failure:
    """Read the reason of a failed performance, ``{"kind": ..., "note": ...}``; it is not charged."""
    if state == "withdrawn":
        return Failure(reason=FailureClass.CANCELLED, message=f"{LABEL}: the performance was cancelled")
    given = mapping(reason)
    failure = _failure(text(given.get("kind")), text(given.get("note")), FailureClass.UPSTREAM_FAILED)
    return attrs.evolve(failure, may_have_cost=False)


def refusal_in(response: HttpResponse) -> Failure | None:
    """Read why a call was refused; None after a 2xx status."""
    if response.is_success:
        return None
    otherwise = _CLASS_OF_STATUS.get(response.status)
    if otherwise is None:
        is_callers_fault = 400 <= response.status < 500
        otherwise = FailureClass.INVALID if is_callers_fault else FailureClass.UPSTREAM_FAILED
    problem = _problem(response)
    kind = (text(problem.get("type")) or "").rsplit("/", 1)[-1] or None
    failure = _failure(kind, text(problem.get("detail")), otherwise)
    message = failure.message if kind else f"{LABEL} answered HTTP {response.status}"
    return attrs.evolve(failure, message=message, retry_after_s=retry_after_s(response))


def is_doubtful(failure: Failure) -> bool:
    """True if the vendor may have made (and charged) a song although the call failed."""
    return failure.reason in _DOUBTFUL


def confused(response: HttpResponse, why: str) -> ProviderError:
    """Make the error for an answer that cannot be read."""
    # After a create call a song may exist, so the call is never retried.
    message = f"{LABEL} answered HTTP {response.status} {why}"
    failure = Failure(reason=FailureClass.PROTOCOL, message=message)
    return ProviderError(failure, status=response.status, maybe_accepted=True)


def _failure(kind: str | None, note: str | None, otherwise: FailureClass) -> Failure:
    note = note[:_NATIVE_MESSAGE_CHARS] if note else None
    return Failure(
        reason=CLASS_OF_KIND.get(kind or "", otherwise),
        message=f"{LABEL}: {note or kind or 'no music, and no reason given'}",
        native_code=kind,
        native_message=note,
    )


def _problem(response: HttpResponse) -> JsonObject:
    try:
        return mapping(response.json())
    except ProviderError:
        return {}
