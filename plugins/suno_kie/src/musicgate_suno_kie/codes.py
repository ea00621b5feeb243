"""The vendor's numeric codes and the failure class of each; no route, no answer shape.

The code in the body decides. HTTP 200 comes with success and with nearly every error, auth and credits
included (seen), but pages list true HTTP errors as well, so both are read by the same table.

Sources: docs.kie.ai/suno-api/generate-music (early 2026), docs.kie.ai/suno-api/generate-music-callbacks,
kie.ai/getting-started; docs.sunoapi.org for the other flavour.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from musicgate.plugin import Failure, FailureClass
from musicgate_suno_kie.declaration import Flavour

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds to wait after a rate-limit refusal without ``Retry-After``: the window is 20 creates in 10 s.
RATE_LIMIT_WAIT_S: Final = 10.0

#: The vendor's messages are truncated to this length.
MESSAGE_MAX_CHARS: Final = 500

_KIE: Final[Mapping[int, FailureClass]] = MappingProxyType(
    {
        400: FailureClass.MODERATION,  # lyrics under copyright
        401: FailureClass.AUTH,
        402: FailureClass.CREDITS,
        # ASSUMED: not in the vendor's table; the general meaning of the number.
        403: FailureClass.FORBIDDEN,
        404: FailureClass.NOT_FOUND,
        408: FailureClass.TIMEOUT,  # no upstream result for over ten minutes
        409: FailureClass.CONFLICT,
        413: FailureClass.MODERATION,  # uploaded audio equals an existing work
        422: FailureClass.INVALID,
        429: FailureClass.RATE_LIMITED,  # nothing created, nothing queued, nothing billed
        433: FailureClass.CREDITS,  # limit of a sub-key
        451: FailureClass.INVALID,  # cannot fetch the given file
        455: FailureClass.UNAVAILABLE,  # maintenance
        500: FailureClass.UPSTREAM_FAILED,
        501: FailureClass.UPSTREAM_FAILED,
        505: FailureClass.UNSUPPORTED,  # feature switched off
        531: FailureClass.UPSTREAM_FAILED,  # failed and refunded
    }
)

#: sunoapi.org: 429 means no credits there (seen, inside HTTP 200), and two other numbers mean "too often".
_SUNOAPI: Final[Mapping[int, FailureClass]] = MappingProxyType(
    {
        **_KIE,
        405: FailureClass.RATE_LIMITED,
        413: FailureClass.INVALID,  # prompt too long
        429: FailureClass.CREDITS,
        430: FailureClass.RATE_LIMITED,
    }
)

#: Codes that end a job when they come with it, as ``errorCode``, ``failCode`` or as the code of a read.
FINAL_CODES: Final = frozenset({400, 413, 501, 531})

#: Codes after which the vendor charges nothing.
#: Source: docs.kie.ai/suno-api/generate-music-callbacks: "Your credits have been refunded".
REFUNDED_CODES: Final = frozenset({531})

#: HTTP statuses of answers without the vendor's envelope (a proxy, a firewall), where they differ from the
#: vendor's codes.
_HTTP: Final[Mapping[int, FailureClass]] = MappingProxyType(
    {
        400: FailureClass.INVALID,
        405: FailureClass.NOT_FOUND,
        413: FailureClass.INVALID,
        451: FailureClass.FORBIDDEN,
    }
)

_TOO_OFTEN_TEXT = "call frequency is too high"
_VALIDATION_TEXTS = ("field is required", "not within the range of allowed options")


def failure_of(
    code: int, message: str | None, flavour: Flavour, *, retry_after_s: float | None = None
) -> Failure:
    """Failure for the code of a call; an unknown code is ``upstream_failed``."""
    table = _SUNOAPI if flavour is Flavour.SUNOAPI else _KIE
    reason = table.get(code, FailureClass.UPSTREAM_FAILED)
    lowered = (message or "").lower()
    # Seen: rate-limit refusals inside HTTP 200 with this text; the code beside it was not recorded.
    if _TOO_OFTEN_TEXT in lowered:
        reason = FailureClass.RATE_LIMITED
    # Seen: validation errors under code 500, with these texts.
    if reason is FailureClass.UPSTREAM_FAILED and any(text in lowered for text in _VALIDATION_TEXTS):
        reason = FailureClass.INVALID
    wait_s = retry_after_s
    if wait_s is None and reason is FailureClass.RATE_LIMITED:
        wait_s = RATE_LIMIT_WAIT_S
    return Failure(
        reason=reason,
        message=message or f"the vendor answered with code {code}",
        native_code=str(code),
        native_message=message,
        retry_after_s=wait_s,
        http_status=422 if code == 422 and reason is FailureClass.INVALID else None,
        may_have_cost=False if code in REFUNDED_CODES else None,
    )


def failure_of_job(code: int | None, message: str | None, status: str, flavour: Flavour) -> Failure:
    """Failure of a task, by its own error code and native status.

    Codes that are about a call (429, 500) mean only that it failed.
    """
    refunded = code in REFUNDED_CODES
    reason = FailureClass.UPSTREAM_FAILED
    if status == "SENSITIVE_WORD_ERROR":
        reason = FailureClass.MODERATION
    elif code == 408 or code in FINAL_CODES:
        reason = failure_of(code, None, flavour).reason
    # Seen: failed creations cost nothing.
    free = refunded or status == "CREATE_TASK_FAILED"
    return Failure(
        reason=reason,
        message=message or f"the vendor reported {status}",
        native_code=status if code is None else str(code),
        native_message=message,
        may_have_cost=False if free else None,
    )


def failure_of_http(status: int) -> Failure:
    """Failure for an HTTP error without the vendor's envelope."""
    reason = _HTTP.get(status) or _KIE.get(status, FailureClass.UPSTREAM_FAILED)
    if status >= 500:
        reason = FailureClass.UPSTREAM_FAILED
    elif reason is FailureClass.UPSTREAM_FAILED:
        reason = FailureClass.INVALID if 400 <= status < 500 else FailureClass.PROTOCOL
    message = f"HTTP {status} without a readable body"
    return Failure(reason=reason, message=message, native_code=str(status))
