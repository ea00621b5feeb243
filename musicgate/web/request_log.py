"""Count and log each request that was answered: no path, query or body.

A path may hold a callback token, and an unknown one anything; so a request is named by its route's template.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from aiohttp import web

from musicgate.metrics import CALL_BOUNDS_S, STATUS_CLASSES, Histograms

if TYPE_CHECKING:
    from musicgate.web.request_state import RequestState

_log = logging.getLogger(__name__)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OTHER: Final = "other"
_MAX_ID_CHARS: Final = 64


class RequestLog:
    """Counts and logs answered requests.

    Attributes:
        durations: seconds by method, route and status class.
    """

    def __init__(self) -> None:
        self.durations = Histograms(CALL_BOUNDS_S)

    def note(
        self, method: str, route: str | None, status: int, duration_s: float, state: RequestState
    ) -> None:
        """Note an answered request; ``route`` None = its path is unknown."""
        method, route = method if method in _METHODS else _OTHER, route or _OTHER
        labels = method, route, STATUS_CLASSES.get(status // 100, _OTHER)
        self.durations.observe(labels, duration_s)
        if _log.isEnabledFor(logging.INFO):
            job = (state.job_id or state.music_id or "")[:_MAX_ID_CHARS]
            account = state.held[0][1] if state.held else None
            _log.info(
                "request answered: request=%s method=%s route=%s status=%d duration_ms=%.1f account=%s job=%s",
                *(state.generation_id, method, route, status, duration_s * 1000, account, job or None),
            )


REQUEST_LOG = web.AppKey("request_log", RequestLog)
