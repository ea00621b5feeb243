"""The state machine of a job, whole: every edit of a job or an attempt is a pure function here.

It knows the model's values, and must not know a clock, a store, a plugin or HTTP: times and answers come in as arguments.
Start with `lifecycle`: its essay and its transition table are what the rest follows from.
"""

from musicgate.jobs.attempts import (
    accepted,
    lost,
    refused,
    resend_wait_s,
    started,
    with_attempt,
    with_next,
)
from musicgate.jobs.lifecycle import (
    SETTLE_DEADLINE_S,
    TRANSITIONS,
    apply,
    as_settled,
    end,
    expire,
    fail,
    history,
    next_poll_s,
    settle,
    track_indexes,
    was_cancelled,
)
from musicgate.jobs.update_bounds import (
    bounded_failure,
    bounded_update,
    bounded_warnings,
)

__all__ = [
    "SETTLE_DEADLINE_S",
    "TRANSITIONS",
    "accepted",
    "apply",
    "as_settled",
    "bounded_failure",
    "bounded_update",
    "bounded_warnings",
    "end",
    "expire",
    "fail",
    "history",
    "lost",
    "next_poll_s",
    "refused",
    "resend_wait_s",
    "settle",
    "started",
    "track_indexes",
    "was_cancelled",
    "with_attempt",
    "with_next",
]
