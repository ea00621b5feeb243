"""MiniMax's errors as a table.

Errors come with HTTP 200, and with a trace id. The call lasts as long as the work, so a code says that there
will be no song: no code hides one.
"""

from typing import Final

from musicgate.plugin import At, ErrorTable, FailureClass, Rule

_AUTH: Final = Rule(
    FailureClass.AUTH,
    message="MiniMax refused the key; a key belongs to one region, so check the base URL as well",
)
_BROKEN: Final = Rule(FailureClass.UPSTREAM_FAILED, refuses=True)
_TIMEOUT: Final = Rule(FailureClass.TIMEOUT, refuses=True)

#: Source: https://platform.minimax.io/docs/api-reference/errorcode, July 2026; 1028 and 1030 from
#: github.com/MiniMax-AI/cli, May 2026 (which takes 1002 and 1039 for a content filter; the page says rate
#: limit, and so do clients). The music call has not been seen to send an HTTP error; clients handle them.
ERRORS: Final = ErrorTable(
    vendor="MiniMax",
    # The numbers in the text are seen on the text models only: {"type": "error", "error": {type, message,
    # http_code}, "request_id"}, the code at the message's end (MiniMax-AI/MiniMax-M2.7 issue 36, May 2026).
    code=At("base_resp.status_code"),
    code_in_text=r"\((\d{4,5})\)\s*$",
    text=At("base_resp.status_msg", "error.message"),
    error=At("error"),
    status=At("error.http_code"),
    status_is_code=False,
    ok={0},
    codes={
        1000: _BROKEN,
        1001: _TIMEOUT,
        1002: FailureClass.RATE_LIMITED,
        1004: _AUTH,
        1008: FailureClass.CREDITS,
        1024: _BROKEN,
        1026: FailureClass.MODERATION,
        1027: FailureClass.MODERATION,
        1028: FailureClass.CREDITS,
        1030: FailureClass.CREDITS,
        1033: _BROKEN,
        1039: FailureClass.RATE_LIMITED,
        1041: FailureClass.RATE_LIMITED,
        1042: FailureClass.INVALID,
        # Of a reference recording: 1043, 1044, 2037, 2039, 2048 and 20132.
        1043: FailureClass.INVALID,
        1044: FailureClass.INVALID,
        2013: FailureClass.INVALID,
        2037: FailureClass.INVALID,
        2038: FailureClass.FORBIDDEN,
        2039: FailureClass.INVALID,
        2042: FailureClass.FORBIDDEN,
        2044: FailureClass.FORBIDDEN,
        2045: FailureClass.RATE_LIMITED,
        2048: FailureClass.INVALID,
        2049: _AUTH,
        # Its text names the reset; unlike 1002 it is not worth a short wait. ASSUMED: the windows last hours.
        2056: Rule(FailureClass.RATE_LIMITED, wait_s=300.0),
        2061: FailureClass.FORBIDDEN,
        20132: FailureClass.INVALID,
    },
    words={
        # Seen: beside 2056, for models outside the plan (MiniMax-AI/MiniMax-MCP issue 80, May 2026).
        "(0/0 used)": Rule(
            FailureClass.RATE_LIMITED,
            message="the MiniMax plan has no allowance for this model",
            wait_s=300.0,
            beats_codes=True,
        ),
    },
    http={401: _AUTH, 408: _TIMEOUT, 409: FailureClass.INVALID, 504: FailureClass.UPSTREAM_FAILED},
)
