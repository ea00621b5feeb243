"""The errors of apiin.one as a table, and where in a body it finds them.

Two shapes occur, ``{error: {code, message, type}}`` and ``{code, message}`` (or ``msg``), with an HTTP error
status or inside HTTP 200. The error's ``type`` beats its number where they disagree; the body's number beats
the HTTP status.
Source: https://apiin.one/docs/suno/generate, 2026-02-24 (object); the second shape is a relative's.
"""

from typing import Final

from musicgate.plugin import At, ErrorTable, FailureClass, JsonObject, JsonValue, Rule, lenient

#: ASSUMED: the page lists no messages; clients of relatives search for these. They are no `ErrorTable.words`:
#: those are believed beside a server error as well, and no page says that nothing was made after one.
MODERATION_WORDS: Final = (
    *("guideline", "policy", "policies", "moderat", "inappropriate", "copyright", "sensitive"),
)

ERRORS: Final = ErrorTable(
    vendor="apiin.one",
    code=At("error.type", "error.code", "code"),
    text=At("error.message", "error.msg", "message", "msg"),
    error=At("error"),
    task_id=At(
        *("data.task_id", "data.taskId", "task_id", "taskId", "workId", "data.workId", "work_id", "id"),
    ),
    ok={0, *range(200, 300)},
    # Source: https://apiin.one/docs/suno/generate, 2026-02-24; ``bad_request`` and ``not_found`` on the
    # other pages, 2026.
    codes={
        "invalid_request": FailureClass.INVALID,
        "bad_request": FailureClass.INVALID,
        "authentication_error": FailureClass.AUTH,
        "insufficient_credits": FailureClass.CREDITS,
        "not_found": FailureClass.NOT_FOUND,
    },
    # ASSUMED: 403 and 429 are documented by relatives only; 408, 409 and 422 by none, they have their HTTP
    # meaning.
    http_codes=range(400, 600),
    http={422: Rule(FailureClass.INVALID, keep_status=(422,))},
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
    whole = {name: value for name, value in lenient.mapping(body).items() if name not in {"error", "id"}}
    error = lenient.mapping(body).get("error")
    has_error = bool(error.strip()) if isinstance(error, str) else bool(error)
    detail = dict(error) if isinstance(error, dict) else {"message": error}
    if lenient.integer(detail.get("code")) in ERRORS.ok:
        del detail["code"]
    number = lenient.integer(whole.get("code"))
    says_error = has_error or not is_success or (number is not None and number not in ERRORS.ok)
    types = (
        detail.get("type"),
        detail.get("code"),
        whole.get("code"),
        whole.get("type") if says_error else None,
    )
    names = ((lenient.text(name) or "").lower() for name in types)
    named = next((name for name in names if name in ERRORS.codes), None)
    if number is None or (has_error and number in ERRORS.ok):  # an error beside a success is an error
        whole.pop("code", None)
    if has_error or named is not None:
        whole["error"] = detail if named is None else {**detail, "type": named}
    return whole


def is_moderation(text: str | None) -> bool:
    """True if the vendor's message is about a filter or a rights check."""
    return any(word in (text or "").lower() for word in MODERATION_WORDS)
