"""The errors of Eleven Music as a table.

Source: elevenlabs.io/docs/eleven-api/resources/errors, 2026-08.
"""

from __future__ import annotations

from typing import Final

from musicgate.plugin import At, ErrorTable, FailureClass, Rule

#: The contract keeps these two statuses of the vendor.
_FORBIDDEN: Final = Rule(FailureClass.FORBIDDEN, keep_status=(402,))
_INVALID: Final = Rule(FailureClass.INVALID, keep_status=(422,))

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
    # Codes, legacy statuses and coarse types never contradict each other.
    # Seen, 2025-2026: 401 with quota_exceeded (credits) and with missing_permissions (scope), 402 with
    # limited_access (plan).
    codes={
        # Seen: bad_prompt 2025-12 (receptron/mulmocast-app), bad_composition_plan 2026-05.
        "bad_prompt": FailureClass.MODERATION,
        "bad_composition_plan": FailureClass.MODERATION,
        "invalid_parameters": _INVALID,
        "missing_required_field": _INVALID,
        "unsupported_model": _INVALID,
        "text_too_long": _INVALID,
        "invalid_output_format": _INVALID,
        "invalid_audio": _INVALID,
        "audio_too_long": _INVALID,
        "audio_too_short": _INVALID,
        "bad_request": _INVALID,
        "malformed_json": _INVALID,
        "invalid_api_key": FailureClass.AUTH,
        "missing_api_key": FailureClass.AUTH,
        "quota_exceeded": FailureClass.CREDITS,
        "insufficient_credits": FailureClass.CREDITS,
        "missing_permissions": _FORBIDDEN,
        "paid_plan_required": _FORBIDDEN,
        "limited_access": _FORBIDDEN,
        "insufficient_permissions": _FORBIDDEN,
        "feature_not_available": _FORBIDDEN,
        "subscription_required": _FORBIDDEN,
        "model_access_denied": _FORBIDDEN,
        "song_not_found": FailureClass.NOT_FOUND,
        "model_not_found": FailureClass.UNSUPPORTED,
        "rate_limit_exceeded": FailureClass.RATE_LIMITED,
        "concurrent_limit_exceeded": FailureClass.RATE_LIMITED,
        "too_many_concurrent_requests": FailureClass.RATE_LIMITED,
        "system_busy": FailureClass.RATE_LIMITED,
        "maintenance": FailureClass.UNAVAILABLE,
        # Types, read only if neither status nor code is known.
        "validation_error": _INVALID,
        "invalid_request": _INVALID,
        "authentication_error": FailureClass.AUTH,
        "payment_required": _FORBIDDEN,
        "authorization_error": _FORBIDDEN,
        "not_found": FailureClass.NOT_FOUND,
        "conflict": FailureClass.CONFLICT,
        "rate_limit_error": FailureClass.RATE_LIMITED,
        "service_unavailable": FailureClass.UNAVAILABLE,
    },
    http={422: _INVALID, 503: FailureClass.UNAVAILABLE},
)
