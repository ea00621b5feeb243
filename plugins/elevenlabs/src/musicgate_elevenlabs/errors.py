"""The errors of Eleven Music as a table, which the emulator plays.

Source: elevenlabs.io/docs/eleven-api/resources/errors, 2026-08.
"""

from __future__ import annotations

from typing import Final

from musicgate.plugin import At, ErrorTable, FailureClass, Rule

#: The contract keeps these two statuses of the vendor.
_FORBIDDEN: Final = Rule(FailureClass.FORBIDDEN, keep_status=(402,))
_INVALID: Final = Rule(FailureClass.INVALID, keep_status=(422,))

#: HTTP status, type, what it means, and the codes. Codes, legacy statuses and coarse types never contradict
#: each other.
#: Seen, 2025-2026: 401 with quota_exceeded (credits) and with missing_permissions (scope), 402 with
#: limited_access (plan), 400 with bad_prompt (2025-12, receptron/mulmocast-app) and with
#: bad_composition_plan (2026-05).
_TABLE: Final = (
    (400, "invalid_request", _INVALID, "bad_request malformed_json"),
    (400, "invalid_request", FailureClass.MODERATION, "bad_prompt bad_composition_plan"),
    (400, "validation_error", _INVALID, "invalid_parameters missing_required_field unsupported_model"),
    (400, "validation_error", _INVALID, "text_too_long invalid_output_format"),
    (400, "validation_error", _INVALID, "invalid_audio audio_too_long audio_too_short"),
    (401, "authentication_error", FailureClass.AUTH, "invalid_api_key missing_api_key"),
    (401, "authentication_error", _FORBIDDEN, "missing_permissions"),
    (401, "authentication_error", FailureClass.CREDITS, "quota_exceeded"),
    (402, "payment_required", FailureClass.CREDITS, "insufficient_credits"),
    (402, "payment_required", _FORBIDDEN, "paid_plan_required limited_access"),
    (403, "authorization_error", _FORBIDDEN, "subscription_required insufficient_permissions"),
    (403, "authorization_error", _FORBIDDEN, "model_access_denied feature_not_available"),
    (404, "not_found", FailureClass.NOT_FOUND, "song_not_found finetune_not_found"),  # ASSUMED: the latter
    (404, "not_found", FailureClass.UNSUPPORTED, "model_not_found"),
    (409, "conflict", FailureClass.CONFLICT, "conflict"),
    (429, "rate_limit_error", FailureClass.RATE_LIMITED, "rate_limit_exceeded concurrent_limit_exceeded"),
    (429, "rate_limit_error", FailureClass.RATE_LIMITED, "system_busy too_many_concurrent_requests"),
    # Its HTTP status decides.
    (500, "internal_error", None, "internal_error"),
    (503, "service_unavailable", FailureClass.UNAVAILABLE, "maintenance"),
)
#: Code -> HTTP status and type.
SENT_WITH: Final = {code: (status, kind) for status, kind, _, codes in _TABLE for code in codes.split()}

ERRORS: Final = ErrorTable(
    vendor="Eleven Music",
    # ``detail`` is an object (today's with code and type, older ones with status), a list of FastAPI's
    # errors, or a text. The legacy status first: a moderation status comes beside the code bad_request.
    code=At(
        *("detail.status", "detail.code", "detail.type", "detail.0.type"),
        *("status", "code", "type"),
    ),
    text=At("detail.message", "detail", "message"),
    suggestion=At(
        *(
            f"{where}.{name}"
            for where in ("detail.data", "detail")
            for name in ("prompt_suggestion", "composition_plan_suggestion", "suggestion")
        )
    ),
    codes={
        **{code: means for *_, means, codes in _TABLE if means for code in codes.split()},
        # Types, read only if neither status nor code is known.
        "validation_error": _INVALID,
        "invalid_request": _INVALID,
        "authentication_error": FailureClass.AUTH,
        "payment_required": _FORBIDDEN,
        "authorization_error": _FORBIDDEN,
        "not_found": FailureClass.NOT_FOUND,
        "rate_limit_error": FailureClass.RATE_LIMITED,
        "service_unavailable": FailureClass.UNAVAILABLE,
    },
    http={422: _INVALID, 503: FailureClass.UNAVAILABLE},
)
