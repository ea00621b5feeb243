"""The errors of kie.ai and of its relative sunoapi.org as tables.

HTTP 200 comes with success and with nearly every error, auth and credits included (seen), but pages list true
HTTP errors as well.

Sources: docs.kie.ai/suno-api/generate-music (early 2026), docs.kie.ai/suno-api/generate-music-callbacks,
kie.ai/getting-started; docs.sunoapi.org for the other flavour.
"""

from typing import Final

from musicgate.plugin import At, ErrorTable, FailureClass, ProviderSettings, Rule
from musicgate_suno_kie.declaration import is_sunoapi

#: The window is 20 creates in 10 s.
_TOO_OFTEN: Final = Rule(FailureClass.RATE_LIMITED, wait_s=10.0)

KIE: Final = ErrorTable(
    vendor="the vendor",
    code=At("code"),
    # On one market page ``message``.
    text=At("msg", "message", "error"),
    task_id=At("data.taskId", "data.task_id", "taskId", "task_id", "id"),
    ok={200},
    codes={
        400: FailureClass.MODERATION,  # lyrics under copyright
        408: Rule(FailureClass.TIMEOUT, refuses=True),  # no upstream result for over ten minutes
        413: FailureClass.MODERATION,  # uploaded audio equals an existing work
        422: Rule(FailureClass.INVALID, keep_status=(422,)),
        429: _TOO_OFTEN,  # nothing created, nothing queued, nothing billed
        433: FailureClass.CREDITS,  # limit of a sub-key
        451: FailureClass.INVALID,  # cannot fetch the given file
        455: FailureClass.UNAVAILABLE,  # maintenance
        501: Rule(FailureClass.UPSTREAM_FAILED, refuses=True),
        505: FailureClass.UNSUPPORTED,  # feature switched off
        # Source: docs.kie.ai/suno-api/generate-music-callbacks: "Your credits have been refunded".
        531: Rule(FailureClass.UPSTREAM_FAILED, refuses=True, refunded=True),
    },
    # ASSUMED: 403, which is not in the vendor's table.
    http_codes={401, 402, 403, 404, 409, 500},
    words={
        # Seen: rate-limit refusals inside HTTP 200; the code beside this text was not recorded.
        "call frequency is too high": Rule(FailureClass.RATE_LIMITED, wait_s=10.0, beats_codes=True),
        # Seen: validation errors under code 500.
        "field is required": FailureClass.INVALID,
        "not within the range of allowed options": FailureClass.INVALID,
    },
    # Without the vendor's envelope, from a proxy or a firewall.
    http={405: FailureClass.NOT_FOUND, 451: FailureClass.FORBIDDEN},
    job_words={
        "SENSITIVE_WORD_ERROR": FailureClass.MODERATION,
        # Seen: failed creations cost nothing.
        "CREATE_TASK_FAILED": Rule(FailureClass.UPSTREAM_FAILED, refunded=True),
    },
    ends_job={400, 413, 501, 531},
    # Seen: 422 "recordInfo is null" right after creation, on market recordInfo; 200 with ``data: null`` on
    # the legacy route, for as long as a task is unknown (2026-04 to 2026-08). ASSUMED: the time.
    no_record={404, 422},
    no_record_grace_s=60.0,
    # It may be about the task or about the read itself. ASSUMED: the time.
    doubts={408: 120.0},
)

#: 429 means no credits here (seen, inside HTTP 200), and two other numbers mean "too often".
SUNOAPI: Final = KIE.with_codes(
    {
        405: _TOO_OFTEN,
        413: FailureClass.INVALID,  # prompt too long
        429: FailureClass.CREDITS,
        430: _TOO_OFTEN,
    }
)


def errors_of(settings: ProviderSettings) -> ErrorTable:
    """The table of the seller whose codes count."""
    return SUNOAPI if is_sunoapi(settings) else KIE
