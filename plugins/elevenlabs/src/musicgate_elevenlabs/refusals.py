"""The vendor's refusals: the three forms of ``detail``, its codes and the failure class of each.

Source: elevenlabs.io/docs/eleven-api/resources/errors, 2026-08.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from musicgate.plugin import Failure, FailureClass, HttpResponse, JsonValue, ProviderError
from musicgate.plugin.lenient import (
    first,
    items,
    mapping,
    retry_after_s,
    text,
)

#: The vendor's messages are truncated to this length.
MESSAGE_MAX_CHARS: Final = 500

#: Codes of ``detail.code``, of the legacy ``detail.status`` and of the coarse ``detail.type``, which never
#: contradict each other.
#: Seen: 401 with quota_exceeded (credits) and with missing_permissions (scope), 402 with limited_access
#: (plan), 2025-2026.
CLASS_OF_CODE: Final[Mapping[str, FailureClass]] = {
    # Seen: bad_prompt 2025-12 (receptron/mulmocast-app), bad_composition_plan 2026-05; the latter beside the
    # code bad_request.
    "bad_prompt": FailureClass.MODERATION,
    "bad_composition_plan": FailureClass.MODERATION,
    "invalid_parameters": FailureClass.INVALID,
    "missing_required_field": FailureClass.INVALID,
    "unsupported_model": FailureClass.INVALID,
    "text_too_long": FailureClass.INVALID,
    "invalid_output_format": FailureClass.INVALID,
    "invalid_audio": FailureClass.INVALID,
    "audio_too_long": FailureClass.INVALID,
    "audio_too_short": FailureClass.INVALID,
    "bad_request": FailureClass.INVALID,
    "malformed_json": FailureClass.INVALID,
    "invalid_api_key": FailureClass.AUTH,
    "missing_api_key": FailureClass.AUTH,
    "quota_exceeded": FailureClass.CREDITS,
    "insufficient_credits": FailureClass.CREDITS,
    "missing_permissions": FailureClass.FORBIDDEN,
    "paid_plan_required": FailureClass.FORBIDDEN,
    "limited_access": FailureClass.FORBIDDEN,
    "insufficient_permissions": FailureClass.FORBIDDEN,
    "feature_not_available": FailureClass.FORBIDDEN,
    "subscription_required": FailureClass.FORBIDDEN,
    "model_access_denied": FailureClass.FORBIDDEN,
    "song_not_found": FailureClass.NOT_FOUND,
    "model_not_found": FailureClass.UNSUPPORTED,
    "rate_limit_exceeded": FailureClass.RATE_LIMITED,
    "concurrent_limit_exceeded": FailureClass.RATE_LIMITED,
    "too_many_concurrent_requests": FailureClass.RATE_LIMITED,
    "system_busy": FailureClass.RATE_LIMITED,
    "maintenance": FailureClass.UNAVAILABLE,
    # Types, read only if neither code nor status is known.
    "validation_error": FailureClass.INVALID,
    "invalid_request": FailureClass.INVALID,
    "authentication_error": FailureClass.AUTH,
    "payment_required": FailureClass.FORBIDDEN,
    "authorization_error": FailureClass.FORBIDDEN,
    "not_found": FailureClass.NOT_FOUND,
    "conflict": FailureClass.CONFLICT,
    "rate_limit_error": FailureClass.RATE_LIMITED,
    "service_unavailable": FailureClass.UNAVAILABLE,
}

#: Failure class of a bare HTTP status. 5xx and 408 are missing on purpose: a song may have been made.
_CLASS_OF_STATUS: Final = {
    401: FailureClass.AUTH,
    402: FailureClass.CREDITS,
    403: FailureClass.FORBIDDEN,
    404: FailureClass.NOT_FOUND,
    409: FailureClass.CONFLICT,
    429: FailureClass.RATE_LIMITED,
}
#: Classes and HTTP statuses whose status the gateway's own answer keeps; elsewhere the class decides.
_KEPT: Final = {(FailureClass.FORBIDDEN, 402), (FailureClass.INVALID, 422)}
_TIMEOUTS: Final = frozenset({408, 504})
#: Classes with a ``Retry-After``.
_WAITING: Final = frozenset({FailureClass.RATE_LIMITED, FailureClass.UNAVAILABLE})


@attrs.frozen(kw_only=True)
class Detail:
    """The ``detail`` of an error body, in any of its forms.

    Attributes:
        codes: code, status and type, those that are present, in this order.
        is_readable: False if the body is no error body at all (HTML, empty, cut).
    """

    codes: tuple[str, ...] = ()
    message: str | None = None
    suggestion: JsonValue = None
    body: JsonValue = None
    is_readable: bool = False

    @property
    def code(self) -> str | None:
        """The code for the caller: a moderation code (it comes beside bad_request), else the first one."""
        moderation = (code for code in self.codes if CLASS_OF_CODE.get(code) is FailureClass.MODERATION)
        return next(moderation, None) or next(iter(self.codes), None)

    @property
    def reason(self) -> FailureClass | None:
        """The class of `code`, else of the first known code; None if none is known."""
        codes = (self.code or "", *self.codes)
        return next((CLASS_OF_CODE[code] for code in codes if code in CLASS_OF_CODE), None)


def read_detail(response: HttpResponse) -> Detail:
    """Read an error body; never raises."""
    try:
        body = response.json()
    except ProviderError:
        return Detail()
    detail = mapping(body).get("detail", body)
    if isinstance(detail, list):
        entries = [_entry(entry) for entry in items(detail)]
        codes = tuple(code for entry in items(detail)[:1] for code in [text(entry.get("type"))] if code)
        message = "; ".join(entry for entry in entries if entry)
        return Detail(codes=codes, message=truncated(message) or None, body=body, is_readable=bool(entries))
    if isinstance(detail, str):
        return Detail(message=truncated(detail) or None, body=body, is_readable=bool(detail.strip()))
    fields = mapping(detail)
    codes = tuple(code for name in ("code", "status", "type") for code in [text(fields.get(name))] if code)
    return Detail(
        codes=codes,
        message=truncated(text(fields.get("message")) or "") or None,
        suggestion=_suggestion(fields),
        body=body,
        is_readable=bool(codes or fields.get("message")),
    )


def refusal(response: HttpResponse, detail: Detail) -> Failure | None:
    """Failure of an answer with an error status; None if it does not rule out that a song was made."""
    reason = _reason(response.status, detail)
    if reason is None:
        return None
    message = detail.message or f"Eleven Music refused the call with HTTP {response.status}"
    return Failure(
        reason=reason,
        message=message,
        native_code=detail.code or str(response.status),
        native_message=detail.message,
        suggestion=detail.suggestion,
        retry_after_s=retry_after_s(response) if reason in _WAITING else None,
        http_status=response.status if (reason, response.status) in _KEPT else None,
    )


def unexplained(response: HttpResponse, detail: Detail) -> Failure:
    """Failure of an answer that does not rule out that a song was made."""
    reason = FailureClass.UPSTREAM_FAILED if response.status >= 500 else FailureClass.PROTOCOL
    if response.status in _TIMEOUTS:
        reason = FailureClass.TIMEOUT
    return Failure(
        reason=reason,
        message=detail.message or f"Eleven Music answered HTTP {response.status} without a reason",
        native_code=detail.code or str(response.status),
        native_message=detail.message,
    )


def _reason(status: int, detail: Detail) -> FailureClass | None:
    if detail.reason is not None:
        return detail.reason
    if not 400 <= status < 500 or status in _TIMEOUTS:
        # 503 with the vendor's error body is a plain refusal; from a proxy (HTML, empty) it is not.
        return FailureClass.UNAVAILABLE if status == 503 and detail.is_readable else None
    return _CLASS_OF_STATUS.get(status, FailureClass.INVALID)


def _entry(entry: Mapping[str, object]) -> str:
    where = entry.get("loc")
    dotted = ".".join(str(part) for part in where) if isinstance(where, list) else ""
    message = text(entry.get("msg")) or ""
    return f"{dotted}: {message}" if dotted and message else message or dotted


def _suggestion(fields: Mapping[str, object]) -> JsonValue:
    names = ("prompt_suggestion", "composition_plan_suggestion", "suggestion")
    return first(mapping(fields.get("data")), *names) or first(fields, *names)


def truncated(message: str) -> str:
    """Strip and truncate a message of the vendor."""
    return message.strip()[:MESSAGE_MAX_CHARS]
