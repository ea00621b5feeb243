"""Error bodies of apiin.one and the failure class of each type and number; no tasks, no tracks.

Two shapes occur, ``{error: {code, message, type}}`` and ``{code, message}`` (or ``msg``), with an HTTP error
status or inside HTTP 200. The error's ``type`` beats its number where they disagree; the body's number beats
the HTTP status.
Source: https://apiin.one/docs/suno/generate, 2026-02-24 (object); the second shape is a
relative's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from musicgate.plugin import Failure, FailureClass, lenient

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.plugin import HttpResponse, JsonValue

#: Source: https://apiin.one/docs/suno/generate, 2026-02-24; ``bad_request`` and ``not_found`` on the other
#: pages, 2026.
_CLASS_OF_TYPE = {
    "invalid_request": FailureClass.INVALID,
    "bad_request": FailureClass.INVALID,
    "authentication_error": FailureClass.AUTH,
    "insufficient_credits": FailureClass.CREDITS,
    "not_found": FailureClass.NOT_FOUND,
}
# ASSUMED: 403 and 429 are documented by relatives only; 408, 409 and 422
# by none, they have their HTTP meaning.
_CLASS_OF_NUMBER = {
    400: FailureClass.INVALID,
    401: FailureClass.AUTH,
    402: FailureClass.CREDITS,
    403: FailureClass.FORBIDDEN,
    404: FailureClass.NOT_FOUND,
    408: FailureClass.TIMEOUT,
    409: FailureClass.CONFLICT,
    422: FailureClass.INVALID,
    429: FailureClass.RATE_LIMITED,
}
# ASSUMED: the page lists no messages; clients of relatives search for these.
_MODERATION = re.compile(
    r"guideline|policy|policies|moderat|inappropriate|copyright|sensitive", re.IGNORECASE
)

NATIVE_MESSAGE_CHARS = 500


@attrs.frozen(kw_only=True)
class Refusal:
    """The error in an answer: failure class, native code as text, and the vendor's message."""

    reason: FailureClass
    code: str
    text: str | None

    def failure(self, response: HttpResponse) -> Failure:
        """Convert it to a failure."""
        return Failure(
            reason=self.reason,
            message=f"apiin.one: {self.text}" if self.text else f"apiin.one answered with error {self.code}",
            native_code=self.code,
            native_message=self.text,
            retry_after_s=lenient.retry_after_s(response),
            http_status=422 if self.code == "422" else None,
        )


def find_refusal(body: JsonValue, status: int) -> Refusal | None:
    """Find the error in an answer; None if there is none.

    Args:
        body: the parsed body; None if it could not be read.
        status: the HTTP status. It counts only if the body names no error: a success needs both.
    """
    envelope = lenient.mapping(body)
    error = envelope.get("error")
    detail = lenient.mapping(error)
    number = _number(detail.get("code"), envelope.get("code"))
    says_error = bool(error.strip() if isinstance(error, str) else error) or not _is_success(number or 200)
    codes = [lenient.text(code) for code in (detail.get("type"), detail.get("code"), envelope.get("code"))]
    named = _class_of_type(*codes)
    if named is None and not says_error:
        if _is_success(status):
            return None
        number = status
    text = (
        message_of(detail)
        or (lenient.text(error) if isinstance(error, str) else None)
        or message_of(envelope)
    )
    if number is None or _is_success(number):
        number = status
    reason = named or _class_of_type(lenient.text(envelope.get("type"))) or class_of_number(number)
    if reason is FailureClass.INVALID and is_moderation(text):
        reason = FailureClass.MODERATION
    code = next((code for code in codes if code is not None), None) if says_error or named else None
    return Refusal(reason=reason, code=code or str(number), text=text)


def class_of_number(number: int) -> FailureClass:
    """The class of an HTTP status, or of the same number in a body."""
    if 400 <= number < 500:
        return _CLASS_OF_NUMBER.get(number, FailureClass.INVALID)
    return FailureClass.UPSTREAM_FAILED if 500 <= number < 600 else FailureClass.PROTOCOL


def is_moderation(text: str | None) -> bool:
    """True if the vendor's message is about a filter or a rights check."""
    return text is not None and _MODERATION.search(text) is not None


def message_of(source: Mapping[str, object]) -> str | None:
    """The ``message`` or ``msg`` of an envelope or error object, truncated to what we keep."""
    text = lenient.text(lenient.first(source, "message", "msg"))
    return text[:NATIVE_MESSAGE_CHARS] if text else None


def _class_of_type(*types: str | None) -> FailureClass | None:
    classes = (_CLASS_OF_TYPE.get(name.lower()) for name in types if name)
    return next((found for found in classes if found is not None), None)


def _number(*codes: JsonValue) -> int | None:
    return next((number for number in map(lenient.integer, codes) if number is not None), None)


def _is_success(number: int) -> bool:
    return 200 <= number < 300
