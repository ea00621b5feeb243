"""Log the exchanges with vendors of a request that asks for it; nothing secret is logged.

``debug.trace`` logs one line per exchange. With ``debug.trace_level`` *full* it has both bodies, cut to
`MAX_CHARS`. Headers are never logged: the key is in them. A link loses its query, which may be a signature.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Final

from musicgate.plugin import HttpResponse

if TYPE_CHECKING:
    from musicgate.errors import ProviderError
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job
    from musicgate.plugin import HttpRequest, Step

_log = logging.getLogger(__name__)

#: Characters of a body that are logged.
MAX_CHARS: Final = 16_384
#: A link's query may hold its signature. A slash may be written as in JSON: ``\\/``.
_QUERY: Final = re.compile(r"""(https?:\\?/\\?/[^\s"'<>?]+)\?[^\s"'<>]+""")


def trace_exchange(
    installed: InstalledProvider,
    step: Step,
    job: Job,
    request: HttpRequest,
    outcome: HttpResponse | ProviderError,
    seconds: float,
) -> None:
    """Log one exchange.

    Args:
        outcome: the answer, or why there is none.
        seconds: how long it took.
    """
    masker = installed.masker(job.callback_token)

    def shown(text: str) -> str:
        return _QUERY.sub(r"\1?***", masker.text(text))

    answer = outcome if isinstance(outcome, HttpResponse) else None
    facts = f"status={answer.status} bytes={len(answer.body)}" if answer else f"error={shown(str(outcome))!r}"
    if job.request.debug.trace_level == "full":
        facts += f" request={shown(_text(request.body))!r}"
        facts += f" response={shown(_text(answer.body))!r}" if answer else ""
    _log.info(
        "vendor call traced: job=%s plugin=%s step=%s method=%s url=%s seconds=%.3f %s",
        *(job.id, installed.name, step.value, request.method, shown(request.url), seconds, facts),
    )


def _text(body: bytes) -> str:
    """The beginning of a body; of audio only its length."""
    if b"\x00" in body[:MAX_CHARS]:
        return f"<{len(body)} bytes>"
    text = body[:MAX_CHARS].decode("utf-8", "replace")
    return text if len(body) <= MAX_CHARS else f"{text}… <{len(body)} bytes>"
