"""From candidates to a job: which can be called, the attempts, and how long a call may take."""

from __future__ import annotations

import functools
from datetime import timedelta
from typing import TYPE_CHECKING

from musicgate import jobs
from musicgate.errors import AllCandidatesFailedError
from musicgate.model import Failure, FailureClass
from musicgate.views import render_native_body

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Attempt, Job, JsonValue, MusicRequest
    from musicgate.planning import Candidate

#: Seconds that a create call waits longer than its vendors' time-outs.
_MARGIN_S = 5.0
#: Seconds for which a job may wait for a slot. A full queue (10,000 jobs) at two calls a second is empty
#: after 83 minutes.
QUEUE_DEADLINE_S = 7_200.0


def with_keys(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """The candidates that have an API key, or need none.

    Raises:
        AllCandidatesFailedError: there are none.
    """
    callable_candidates = tuple(candidate for candidate in candidates if candidate.installed.can_be_called)
    if not callable_candidates:
        raise AllCandidatesFailedError(
            [(candidate.installed.name, _key_missing(candidate.installed)) for candidate in candidates]
        )
    return callable_candidates


def new_attempt(
    candidate: Candidate,
    token: str,
    now: datetime,
    not_before: datetime | None = None,
    *,
    is_sent: bool = False,
) -> Attempt:
    """A planned attempt at a candidate.

    Args:
        token: the job's callback token.
        not_before: the vendor was busy; the call is not made earlier.
    """
    request = candidate.translation.request
    return jobs.new_attempt(
        candidate.installed.provider,
        candidate.offer.model,
        candidate.translation.native_model,
        now,
        calls_back=token in request.url or token.encode() in request.body,
        not_before=not_before,
        is_sent=is_sent,
    )


def shown_request(candidate: Candidate, request: MusicRequest, token: str) -> JsonValue:
    """The native request without the callback token, if its caller asked to see it."""
    if not request.returns_upstream_request:
        return None
    return render_native_body(candidate.translation.request, {token: "***"})


def create_budget_s(providers: Sequence[InstalledProvider], wait_s: float) -> float:
    """Seconds that a caller waits for its create call: every time-out on the way.

    Only ``wait_s`` where a call may last as long as the song.
    """
    budget_s = _MARGIN_S
    for installed in providers:
        provider = installed.provider
        if provider.blocking:
            return wait_s
        budget_s += provider.timeouts.connect_s + provider.timeouts.create_s
    return budget_s


def job_lifetime(context: GatewayContext, installed: InstalledProvider) -> timedelta:
    """The time from the create call of a job to its deadline."""
    return _seconds(context.settings.follow.deadline_s or installed.provider.deadline_s)


@functools.lru_cache(maxsize=64)
def _seconds(length_s: float) -> timedelta:
    """So many seconds: of a handful of lengths, and each new job needs one, which takes 0.8 us to make."""
    return timedelta(seconds=length_s)


def is_adoptable(job: Job, installed: InstalledProvider | None) -> bool:
    """True if a callback can adopt a job whose create answer was lost.

    That takes a vendor that calls back, and was given the address.
    """
    has_address = job.attempt is not None and job.attempt.calls_back
    return installed is not None and installed.provider.callbacks and has_address


def _key_missing(installed: InstalledProvider) -> Failure:
    setting = f"set {installed.provider.key_env}, or providers.{installed.name}.api_key"
    return Failure(
        reason=FailureClass.AUTH, message=f"{installed.name}_key_missing: {setting}", http_status=502
    )
