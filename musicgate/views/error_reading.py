"""An error read back from the envelope of `musicgate.views.errors`, as the library's exception."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.errors import (
    CODES,
    AllCandidatesFailedError,
    InvalidRequestError,
    JobNotFoundError,
    LimitReachedError,
    MusicgateError,
    ProviderError,
    RequestError,
    ServerError,
    UnauthorisedError,
    UnsupportedOptionError,
    Violation,
)
from musicgate.model import RULES, Failure, FailureClass
from musicgate.plugin import lenient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NO_REASON: Final = "no reason given"
#: A violation that stands for those that are not shown.
_LEFT_OUT: Final = "left_out"


def read_error(
    status: int, body: Mapping[str, object], *, retry_after_s: float | None = None
) -> MusicgateError | None:
    """Read the body of an answer that is not a success.

    Args:
        status: its HTTP status.
        retry_after_s: what its ``Retry-After`` says.

    Returns:
        The exception that the library raises for the same reason; None when the body is not the envelope.
    """
    code, request_id = body.get("error"), body.get("request_id") or body.get("generation_id")
    if not isinstance(code, str) or not isinstance(request_id, str):
        return None
    error = _error(status, code, body, retry_after_s)
    error.add_note(f"request id: {request_id}")
    return error


def _error(status: int, code: str, body: Mapping[str, object], retry_after_s: float | None) -> MusicgateError:
    message, reason = lenient.text(body.get("description")) or _NO_REASON, lenient.text(body.get("reason"))
    reset_at = lenient.moment(body.get("reset_at"))
    violations = [_violation(item) for item in lenient.items(body.get("details"))]
    shown = [item for item in violations if item.keyword != _LEFT_OUT]
    if reason == "all_candidates_failed" and (tries := _tries(body)):
        return AllCandidatesFailedError(tries)
    if code == "upstream_error" or (code == "gateway_error" and reason == FailureClass.GATEWAY):
        return ProviderError(_failure(status, message, reason, body, retry_after_s), status=None)
    if code not in CODES or code == "gateway_error":
        return ServerError(reason or code, message, status=status, retry_after_s=retry_after_s)
    if code == "unauthorised" and status == CODES[code].http_status:
        return UnauthorisedError(reason or code, message)
    if shown:
        return _invalid(shown, violations)
    if reason == "unsupported_option" and ": " in message:
        dotted, _, rest = message.partition(": ")
        return UnsupportedOptionError(
            [int(part) if part.isdecimal() else part for part in dotted.split(".")], rest
        )
    if reset_at is not None and reason is not None:
        return LimitReachedError(
            reason,
            message,
            reset_at=reset_at,
            retry_after_s=retry_after_s,
            min_usd=_usd(body.get("min_usd")),
        )
    if reason == "music_not_found_or_not_owned" and (job_id := lenient.text(body.get("music_id"))):
        return JobNotFoundError(job_id)
    return RequestError(code, message, reason=reason, http_status=status, retry_after_s=retry_after_s)


def _usd(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _violation(shown: Mapping[str, object]) -> Violation:
    path = shown.get("path")
    return Violation(
        path=tuple(part for part in path if isinstance(part, str | int)) if isinstance(path, list) else (),
        message=lenient.text(shown.get("message")) or _NO_REASON,
        keyword=lenient.text(shown.get("keyword")) or "",
        code=lenient.text(shown.get("code")) or "invalid",
        params=lenient.mapping(shown.get("params")),
    )


def _invalid(shown: Sequence[Violation], violations: Sequence[Violation]) -> InvalidRequestError:
    rest = next((item for item in violations if item.keyword == _LEFT_OUT), None)
    return InvalidRequestError(
        shown,
        left_out=0 if rest is None else lenient.integer(rest.params.get(_LEFT_OUT)) or 0,
        is_counted=rest is None or "at least" not in rest.message,
    )


def _failure(
    status: int, message: str, reason: str | None, body: Mapping[str, object], retry_after_s: float | None
) -> Failure:
    known = {kind.value: kind for kind in FailureClass}
    kind = known.get(reason or "") or _class_of(status)
    return Failure(
        reason=kind,
        message=message,
        native_code=lenient.text(body.get("native_code")),
        native_message=lenient.text(body.get("native_message")),
        suggestion=body.get("suggestion"),
        retry_after_s=retry_after_s,
        http_status=None if RULES[kind].http_status == status else status,
    )


def _tries(body: Mapping[str, object]) -> list[tuple[str, Failure]]:
    """The candidates whose failures are shown: the first ones."""
    return [
        (
            lenient.text(sample.get("provider_plugin")) or "",
            Failure(
                reason=_class_of(lenient.integer(sample.get("status")) or 0),
                message=lenient.text(sample.get("message")) or _NO_REASON,
            ),
        )
        for sample in lenient.items(body.get("failed_samples"))
    ]


def _class_of(status: int) -> FailureClass:
    """The first class of failure with this status."""
    return next((kind for kind, rule in RULES.items() if rule.http_status == status), FailureClass.GATEWAY)
