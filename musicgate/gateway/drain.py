"""Whether this process takes new jobs. In memory: a process that starts takes them again."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from musicgate.errors import RequestError

if TYPE_CHECKING:
    from datetime import datetime

_log = logging.getLogger(__name__)
#: Seconds until a caller may ask again: time enough for a balancer to see ``/readyz``.
_RETRY_S: Final = 10.0


class Drain:
    """Refuses new jobs while it is on; open jobs go on, and everything is answered.

    Attributes:
        since: when it was begun; None while it is not.
    """

    def __init__(self) -> None:
        self.since: datetime | None = None

    def begin(self, now: datetime) -> None:
        """Refuse new jobs from now on. Beginning again changes nothing."""
        if self.since is None:
            self.since = now
            _log.warning("drain begins, new jobs are refused")

    def end(self) -> None:
        """Take new jobs again."""
        if self.since is not None:
            self.since = None
            _log.warning("drain ends, new jobs are taken")

    @staticmethod
    def refusal() -> RequestError:
        """The 503 ``draining`` of a create call."""
        return RequestError(
            "gateway_error",
            "this server is being drained and takes no new jobs; nothing was stored or sent",
            reason="draining",
            http_status=503,
            retry_after_s=_RETRY_S,
        )
