"""MiniMax's errors as a table.

Errors come with HTTP 200, and with a trace id. The call lasts as long as the work, so a code says that there
will be no song: no code hides one.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from musicgate.plugin import At, ErrorTable, FailureClass, Rule

_AUTH: Final = Rule(
    FailureClass.AUTH,
    message="MiniMax refused the key; a key belongs to one region, so check the base URL as well",
)
_BROKEN: Final = Rule(FailureClass.UPSTREAM_FAILED, refuses=True)
_TIMEOUT: Final = Rule(FailureClass.TIMEOUT, refuses=True)

_NO_KEY: Final = (
    "login fail: Please carry the API secret key in the 'Authorization' field of the request header"
)
#: The class and the vendor's text of each code; empty = its text is not known.
#: Source: https://platform.minimax.io/docs/api-reference/errorcode, July 2026; 1028 and 1030 from
#: github.com/MiniMax-AI/cli, May 2026 (which takes 1002 and 1039 for a content filter; the page says rate
#: limit, and so do clients); the text of 2061 as it was seen (openclaw/openclaw issue 64870, April 2026).
CODES: Final[Mapping[int, tuple[FailureClass | Rule, str]]] = MappingProxyType(
    {
        1000: (_BROKEN, "unknown error"),
        1001: (_TIMEOUT, "request timeout"),
        1002: (FailureClass.RATE_LIMITED, "rate limit"),
        1004: (_AUTH, _NO_KEY),
        1008: (FailureClass.CREDITS, "insufficient balance"),
        1024: (_BROKEN, "internal error"),
        1026: (FailureClass.MODERATION, "input new_sensitive"),
        1027: (FailureClass.MODERATION, "output new_sensitive"),
        1028: (FailureClass.CREDITS, ""),
        1030: (FailureClass.CREDITS, ""),
        1033: (_BROKEN, "downstream service error"),
        1039: (FailureClass.RATE_LIMITED, "token limit"),
        1041: (FailureClass.RATE_LIMITED, "conn limit"),
        1042: (FailureClass.INVALID, "invisible character ratio limit"),
        2013: (FailureClass.INVALID, "invalid params"),
        2038: (FailureClass.FORBIDDEN, ""),
        2042: (FailureClass.FORBIDDEN, ""),
        2044: (FailureClass.FORBIDDEN, "no permission to access this interface"),
        2045: (FailureClass.RATE_LIMITED, "rate growth limit"),
        2049: (_AUTH, "invalid api key"),
        # Its text names the reset; unlike 1002 it is not worth a short wait. ASSUMED: the windows last hours.
        2056: (Rule(FailureClass.RATE_LIMITED, wait_s=300.0), ""),
        2061: (FailureClass.FORBIDDEN, "your current token plan not support model"),
        # Of a reference recording.
        **dict.fromkeys((1043, 1044, 2037, 2039, 2048, 20132), (FailureClass.INVALID, "")),
    }
)

#: The music call has not been seen to send an HTTP error; clients handle them.
ERRORS: Final = ErrorTable(
    vendor="MiniMax",
    # The numbers in the text are seen on the text models only: {"type": "error", "error": {type, message,
    # http_code}, "request_id"}, the code at the message's end (MiniMax-AI/MiniMax-M2.7 issue 36, May 2026).
    code=At("base_resp.status_code"),
    code_in_text=r"\((\d{4,5})\)\s*$",
    # Seen: "..., resets at 2026-05-12T15:00:00Z" (MiniMax-AI/MiniMax-MCP issue 80, May 2026), elsewhere
    # followed by " (2056)". ASSUMED: a time without a zone is UTC; the one that was seen had a Z.
    reset_in_text=r"(?i)resets?\s+(?:at|on|in)?[\s:]*(\d{4}-\d\d-\d\d[T ][\d:]+(?:Z|[+-][\d:]+)?)",
    text=At("base_resp.status_msg", "error.message"),
    error=At("error"),
    status=At("error.http_code"),
    status_is_code=False,
    ok={0},
    codes={code: row for code, (row, _) in CODES.items()},
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
