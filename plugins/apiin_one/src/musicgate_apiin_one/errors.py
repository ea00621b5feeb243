"""The errors of apiin.one as a table, and where in a body it finds them.

Two shapes occur, ``{error: {code, message, type}}`` and ``{code, message}`` (or ``msg``), with an HTTP error
status or inside HTTP 200. The error's ``type`` beats its number where they disagree; the body's number beats
the HTTP status.
Source: https://apiin.one/docs/suno/generate, 2026-02-24 (object); the second shape is a
relative's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from musicgate.plugin import At, ErrorTable, FailureClass, Rule, lenient

if TYPE_CHECKING:
    from musicgate.plugin import JsonObject, JsonValue

#: Source: https://apiin.one/docs/suno/generate, 2026-02-24; ``bad_request`` and ``not_found`` on the other
#: pages, 2026.
_TYPES: Final[dict[int | str, FailureClass | Rule]] = {
    "invalid_request": FailureClass.INVALID,
    "bad_request": FailureClass.INVALID,
    "authentication_error": FailureClass.AUTH,
    "insufficient_credits": FailureClass.CREDITS,
    "not_found": FailureClass.NOT_FOUND,
}
#: ASSUMED: the page lists no messages; clients of relatives search for these. They are no `ErrorTable.words`:
#: those are believed beside a server error as well, and no page says that nothing was made after one.
MODERATION_WORDS: Final = (
    *("guideline", "policy", "policies", "moderat", "inappropriate", "copyright", "sensitive"),
)
#: The call was not let in, as HTTP has it. ASSUMED: documented by no page.
_TIMED_OUT: Final = Rule(FailureClass.TIMEOUT, refuses=True)

ERRORS: Final = ErrorTable(
    vendor="apiin.one",
    code=At("error.type", "error.code", "code"),
    text=At("error.message", "error.msg", "error", "message", "msg"),
    error=At("error"),
    task_id=At(
        *("data.task_id", "data.taskId", "task_id", "taskId", "workId", "data.workId", "work_id", "id"),
    ),
    ok={0, *range(200, 300)},
    codes={
        **dict.fromkeys(range(400, 500), FailureClass.INVALID),
        **dict.fromkeys(range(500, 600), FailureClass.UPSTREAM_FAILED),
        401: FailureClass.AUTH,
        402: FailureClass.CREDITS,
        # ASSUMED: 403 and 429 are documented by relatives only; 408, 409 and 422 by none, they have their
        # HTTP meaning.
        403: FailureClass.FORBIDDEN,
        404: FailureClass.NOT_FOUND,
        408: _TIMED_OUT,
        409: FailureClass.CONFLICT,
        422: Rule(FailureClass.INVALID, keep_status=(422,)),
        429: FailureClass.RATE_LIMITED,
        **_TYPES,
    },
    http={408: _TIMED_OUT, 422: Rule(FailureClass.INVALID, keep_status=(422,))},
    unknown=FailureClass.PROTOCOL,
    # ASSUMED: the feed may not know a task for a while after its creation.
    no_record={404, "not_found"},
    no_record_grace_s=60.0,
)


def error_in(body: JsonValue, *, is_success: bool) -> JsonObject:
    """A body with its error where the table looks for it; empty for one that is no object.

    A type may stand beside the number, in any letter case, or in its place. A code that is neither a number
    nor such a type says nothing, and neither does a number of success inside an error. A bare id beside an
    error need not be a task's.

    Args:
        is_success: the HTTP status says success. Then the type of the whole body is a feed's, unless the body
            names an error.
    """
    envelope = dict(lenient.mapping(body))
    error = envelope.pop("error", None)
    detail = dict(lenient.mapping(error))
    envelope.pop("id", None)
    number = lenient.integer(envelope.get("code"))
    has_error = bool(error.strip()) if isinstance(error, str) else bool(error)
    says_error = has_error or not is_success or (number is not None and number not in ERRORS.ok)
    whole = envelope.get("type") if says_error else None
    codes = (detail.get("type"), detail.get("code"), envelope.get("code"), whole)
    named = next((name for name in map(_type_of, codes) if name is not None), None)
    if number is None or (has_error and number in ERRORS.ok):  # an error beside a success is an error
        envelope.pop("code", None)
    if lenient.integer(detail.get("code")) in ERRORS.ok:
        error = detail = {name: value for name, value in detail.items() if name != "code"}
    if named is not None:
        envelope["error"] = {"message": error if isinstance(error, str) else None, **detail, "type": named}
    elif has_error:
        envelope["error"] = error
    return envelope


def is_moderation(text: str | None) -> bool:
    """True if the vendor's message is about a filter or a rights check."""
    lowered = (text or "").lower()
    return any(word in lowered for word in MODERATION_WORDS)


def _type_of(code: JsonValue) -> str | None:
    name = (lenient.text(code) or "").lower()
    return name if name in _TYPES else None
