"""Count what becomes of jobs and create calls, and log each change of a state; it decides nothing.

Labels are bounded: plugins and models as they are declared, states and classes of ours. Whatever else a
stored job names is ``other``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from musicgate.errors import (
    GatewayClosedError,
    LimitReachedError,
    MusicgateError,
    ProviderError,
    RequestError,
    StorageError,
)
from musicgate.model import AttemptOutcome, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.hosting import InstalledProvider
    from musicgate.metrics import Figures
    from musicgate.model import Job

_log = logging.getLogger(__name__)
#: For a label whose value is not declared (any more).
OTHER: Final = "other"
#: Members by names of ours: to look one up in its class costs as much as to count (Python 3.11).
_WAS_ACCEPTED: Final = AttemptOutcome.ACCEPTED
_ACCEPTED: Final = ("accepted", "")
_QUEUED: Final = ("queued", "")
_REPLAYED: Final = ("replayed", "")
#: Outcomes of create calls that made no job, by error.
_REFUSALS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (LimitReachedError, "limited"),
    (RequestError, "invalid"),
    (ProviderError, "failed"),
    (StorageError, "storage"),
    (GatewayClosedError, "closing"),
)


def note_create(figures: Figures, job: Job, *, is_replay: bool) -> None:
    """Count a create call that was answered with a job."""
    figures.creates[_REPLAYED if is_replay else _outcome_of(job)] += 1


def note_refusal(figures: Figures, error: Exception) -> None:
    """Count a create call that was answered with an error."""
    outcome = next((name for kind, name in _REFUSALS if isinstance(error, kind)), "error")
    figures.creates[outcome, _reason_of(error)] += 1


def note_state(
    figures: Figures, providers: Mapping[str, InstalledProvider], before: Job | None, after: Job
) -> None:
    """Count and log a stored version of a job whose state is a new one."""
    state, plugin = after.state, after.plugin or ""
    if plugin not in providers:
        plugin = OTHER
    # A member itself is hashed by a function in Python, which costs more than the rest of the count.
    figures.states[plugin, state._value_] += 1
    if state.is_final:
        _note_end(figures, providers.get(plugin), plugin, after)
    if _log.isEnabledFor(logging.INFO):
        attempt = after.attempt
        _log.info(
            "job state changed: job=%s request=%s account=%s state=%s before=%s plugin=%s model=%s failure=%s",
            *(after.id, after.generation_id, after.account, after.state.value),
            None if before is None else before.state.value,
            *((None, None) if attempt is None else (attempt.plugin, attempt.model)),
            None if after.failure is None else after.failure.reason.value,
        )


def _note_end(figures: Figures, installed: InstalledProvider | None, plugin: str, job: Job) -> None:
    if job.failure is not None:
        figures.failures[plugin, job.failure.reason.value] += 1
    if job.usage is None:
        return
    asked = None if job.attempt is None else job.attempt.model
    offers = () if installed is None else installed.provider.offers
    model = next((offer.model for offer in offers if offer.model == asked), OTHER)
    usd_nanos = job.usage.total_usd_nanos
    if usd_nanos is None:
        figures.unpriced[plugin, model] += 1
    else:
        figures.spent_usd_nanos[plugin, model] += usd_nanos


def _outcome_of(job: Job) -> tuple[str, str]:
    attempt = job.attempt
    if attempt is not None and attempt.outcome is _WAS_ACCEPTED:
        return _ACCEPTED
    if job.state is JobState.FAILED and job.failure is not None:
        return "failed", job.failure.reason.value
    if attempt is not None and attempt.outcome is AttemptOutcome.UNKNOWN:
        return "unknown", "" if attempt.failure is None else attempt.failure.reason.value
    return _QUEUED


def _reason_of(error: Exception) -> str:
    """A class or code of ours; reasons of errors may name what a caller sent."""
    if isinstance(error, ProviderError):
        return error.failure.reason.value
    if isinstance(error, LimitReachedError):
        return error.reason or ""  # the name of the limit
    return error.code if isinstance(error, MusicgateError) else ""
