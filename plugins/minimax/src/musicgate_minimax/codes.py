"""The failure class of each of MiniMax's codes and HTTP statuses; reads no body."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from musicgate.plugin import FailureClass

_REGION: Final = "MiniMax refused the key; a key belongs to one region, so check the base URL as well"
_SAMPLE: Final = "MiniMax refused the reference recording"
_BROKEN: Final = "MiniMax failed"

#: Class and message of each code in ``base_resp.status_code``.
#: Source: https://platform.minimax.io/docs/api-reference/errorcode, July 2026; 1028 and 1030 from
#: github.com/MiniMax-AI/cli, May 2026 (which takes 1002 and 1039 for a content filter; the page says rate
#: limit, and so do clients).
CODES: Final[Mapping[int, tuple[FailureClass, str]]] = MappingProxyType(
    {
        1000: (FailureClass.UPSTREAM_FAILED, _BROKEN),
        1001: (FailureClass.TIMEOUT, "MiniMax gave up on its own work"),
        1002: (FailureClass.RATE_LIMITED, "MiniMax takes no more requests this minute"),
        1004: (FailureClass.AUTH, _REGION),
        1008: (FailureClass.CREDITS, "the balance at MiniMax is used up"),
        1024: (FailureClass.UPSTREAM_FAILED, _BROKEN),
        1026: (FailureClass.MODERATION, "MiniMax refused the text as sensitive"),
        1027: (FailureClass.MODERATION, "MiniMax withheld the song as sensitive"),
        1028: (FailureClass.CREDITS, "the quota at MiniMax is used up"),
        1030: (FailureClass.CREDITS, "the quota at MiniMax is used up"),
        1033: (FailureClass.UPSTREAM_FAILED, _BROKEN),
        1039: (FailureClass.RATE_LIMITED, "MiniMax takes no more tokens this minute"),
        1041: (FailureClass.RATE_LIMITED, "MiniMax takes no more calls at a time"),
        1042: (FailureClass.INVALID, "MiniMax found too many invisible or illegal characters"),
        1043: (FailureClass.INVALID, _SAMPLE),
        1044: (FailureClass.INVALID, _SAMPLE),
        2013: (FailureClass.INVALID, "MiniMax found a parameter invalid"),
        2037: (FailureClass.INVALID, _SAMPLE),
        2038: (FailureClass.FORBIDDEN, "MiniMax wants a verified account for this"),
        2039: (FailureClass.INVALID, _SAMPLE),
        2042: (FailureClass.FORBIDDEN, "MiniMax does not give this account access to the voice"),
        2044: (FailureClass.FORBIDDEN, "MiniMax does not give this account the right to make music"),
        2045: (FailureClass.RATE_LIMITED, "MiniMax found that the requests grew too fast"),
        2048: (FailureClass.INVALID, _SAMPLE),
        2049: (FailureClass.AUTH, _REGION),
        # Its text names the time of the reset; unlike 1002 it is not worth a short wait.
        2056: (FailureClass.RATE_LIMITED, "the usage window of the MiniMax plan is used up"),
        2061: (FailureClass.FORBIDDEN, "the MiniMax plan does not include this model"),
        20132: (FailureClass.INVALID, _SAMPLE),
    }
)

#: HTTP statuses of a plain refusal. The music call has not been seen to send any; clients handle them.
STATUSES: Final[Mapping[int, tuple[FailureClass, str]]] = MappingProxyType(
    {
        400: (FailureClass.INVALID, "MiniMax found the request invalid"),
        401: (FailureClass.AUTH, _REGION),
        402: (FailureClass.CREDITS, "the balance at MiniMax is used up"),
        403: (FailureClass.FORBIDDEN, "MiniMax does not allow this call"),
        404: (
            FailureClass.NOT_FOUND,
            "MiniMax does not know the address of the music call; check the base URL",
        ),
        408: (FailureClass.TIMEOUT, "MiniMax gave up on its own work"),
        413: (FailureClass.INVALID, "MiniMax found the request too large"),
        422: (FailureClass.INVALID, "MiniMax found the request invalid"),
        429: (FailureClass.RATE_LIMITED, "MiniMax takes no more requests now"),
    }
)


def class_of_code(code: int) -> tuple[FailureClass, str]:
    """Class and message of a code; an unknown one is ``upstream_failed``."""
    return CODES.get(code, (FailureClass.UPSTREAM_FAILED, f"MiniMax answered with the unknown code {code}"))


def class_of_status(status: int) -> tuple[FailureClass, str]:
    """Class and message of a 4xx status whose body gives no reason."""
    return STATUSES.get(status, (FailureClass.INVALID, f"MiniMax refused the request with HTTP {status}"))
