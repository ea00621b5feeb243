"""The state machine of a job, whole: every edit of a job or an attempt is a pure function here.

It knows the model's values, and must not know a clock, a store, a plugin or HTTP: times and answers come in
as arguments. Start with `lifecycle`: the rest follows from its essay and its transition table.
"""

from musicgate.jobs.attempts import (
    accept,
    add_attempt,
    leave,
    lose,
    new_attempt,
    new_job,
    refuse,
    start,
    take_over,
)
from musicgate.jobs.history import as_settled, history
from musicgate.jobs.imports import IMPORT, end_import, import_job, with_imported_audio
from musicgate.jobs.lifecycle import (
    SETTLE_DEADLINE_S,
    TRANSITIONS,
    apply,
    cancel,
    end,
    expire,
    fail,
    keep_audio,
    says_stopped,
    settle,
    was_cancelled,
)
from musicgate.jobs.schedule import (
    clamp_deadline,
    next_poll_s,
    poll_pause_s,
    resend_wait_s,
)
from musicgate.jobs.tracks import (
    NO_AUDIO,
    KeptAudio,
    merge_tracks,
    with_audio,
)
from musicgate.jobs.update_bounds import (
    bounded_failure,
    bounded_update,
    bounded_warnings,
)

__all__ = [
    "IMPORT",
    "NO_AUDIO",
    "SETTLE_DEADLINE_S",
    "TRANSITIONS",
    "KeptAudio",
    "accept",
    "add_attempt",
    "apply",
    "as_settled",
    "bounded_failure",
    "bounded_update",
    "bounded_warnings",
    "cancel",
    "clamp_deadline",
    "end",
    "end_import",
    "expire",
    "fail",
    "history",
    "import_job",
    "keep_audio",
    "leave",
    "lose",
    "merge_tracks",
    "new_attempt",
    "new_job",
    "next_poll_s",
    "poll_pause_s",
    "refuse",
    "resend_wait_s",
    "says_stopped",
    "settle",
    "start",
    "take_over",
    "was_cancelled",
    "with_audio",
    "with_imported_audio",
]
