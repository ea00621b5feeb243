"""The life of one wish as a value: states, attempts, warnings, and what a vendor's answer says about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from musicgate.model.failure import Failure
from musicgate.model.json_types import JsonValue
from musicgate.model.request import MusicRequest
from musicgate.model.track import NativeTrack, Track
from musicgate.model.usage import Usage


class JobState(StrEnum):
    """The four public states. The last two are final."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """True for the states that nothing changes any more."""
        return self in {JobState.COMPLETED, JobState.FAILED}


class AttemptOutcome(StrEnum):
    """What is known of one submission to one plugin."""

    PLANNED = "planned"
    #: Written down before the first byte leaves; after a crash it counts as unknown.
    SENT = "sent"
    ACCEPTED = "accepted"
    #: The vendor, or the network before it, plainly said that nothing was created.
    REFUSED = "refused"
    #: The request left us and no readable answer came back. Never sent again, never given to another vendor.
    UNKNOWN = "unknown"


class WarningCode(StrEnum):
    """Why an option of the request was not followed to the letter."""

    UNKNOWN_KEY = "unknown_key"
    NOT_APPLIED = "not_applied"
    CHANGED = "changed"
    #: The job has no price although its model has one.
    NOT_PRICED = "not_priced"
    #: There was more than is kept; the message says how much.
    LEFT_OUT = "left_out"


@attrs.frozen(kw_only=True)
class OptionWarning:
    """An option that could not be followed to the letter, named by its path in the request.

    ``not_applied``: dropped, since the provider cannot express it. ``changed``: sent in other words (the message says which).
    """

    code: WarningCode
    path: tuple[str | int, ...]
    message: str
    plugin: str | None = None


@attrs.frozen(kw_only=True)
class Attempt:
    """One submission to one plugin."""

    plugin: str
    provider: str
    #: Public model id of the offer that was taken.
    model: str
    #: The vendor's name of the model, as sent.
    native_model: str | None
    outcome: AttemptOutcome
    planned_at: datetime
    #: The vendor was told where to call us about this job.
    calls_back: bool = False
    answered_at: datetime | None = None
    native_id: str | None = None
    failure: Failure | None = None
    #: The vendor was too busy before; this call is not made earlier.
    not_before: datetime | None = None


@attrs.frozen(kw_only=True)
class Doubt:
    """A vendor's answer that would end the job if it stays so: "done" without audio, "not found" just after creation.

    The job stays open; only when the same is still said ``grace_s`` after it was first said does it end: with the tracks that have audio by
    then (the others say ``failure.message``), or failed with ``failure`` when none has.
    """

    failure: Failure
    grace_s: float


@attrs.frozen(kw_only=True)
class JobUpdate:
    """What one vendor answer, or one callback, says about a job, in native words.

    Attributes:
        native_id: the vendor's id of the task, where the answer brings one.
        native_status: the vendor's status word as it stands; ``map_status`` gives it a meaning.
        state: the plugin's verdict where the word alone proves nothing; None = ``map_status`` decides.
        tracks: all tracks that the answer shows, in the vendor's order.
        failure: why the vendor said no. With no ``native_id`` and no earlier one, a create call was refused.
        doubt: see `Doubt`.
        warnings: what the vendor reported as not applied.
        body: the parsed body, kept only where the caller asked for ``upstream_response``.
    """

    native_id: str | None = None
    native_status: str | None = None
    state: JobState | None = None
    tracks: tuple[NativeTrack, ...] = ()
    failure: Failure | None = None
    doubt: Doubt | None = None
    warnings: tuple[OptionWarning, ...] = ()
    body: JsonValue = None


@attrs.frozen(kw_only=True)
class Job:
    """One wish and all that became of it. Immutable; `musicgate.jobs.lifecycle` makes the next one.

    Attributes:
        id: ours, opaque, URL-safe.
        account: name of the account whose key created it; it is visible to nobody else.
        generation_id: id of the HTTP request that created it, ``G-...``.
        version: counts the writes; the store replaces only the version it was read at.
        deadline_at: when an open job is given up; it, ``delivered_at`` and ``doubt_since`` are steady times, of no use to people.
        callback_token: unguessable; part of the callback URL of this job.
        delivered_at: the vendor has said that it is done; the audio is being fetched, measured and priced.
        doubt_since: since when the vendor has been saying what `Doubt` describes.
        native_request: what was sent, secrets masked; kept only when the caller asked for it.
        native_response: the last parsed vendor body; kept only when the caller asked for it.
        routing: who was considered when it was made, and why others were not; kept only when the caller asked for it.
    """

    id: str
    account: str
    generation_id: str
    request: MusicRequest
    state: JobState
    created_at: datetime
    updated_at: datetime
    deadline_at: datetime
    callback_token: str = attrs.field(repr=False)
    version: int = 0
    completed_at: datetime | None = None
    delivered_at: datetime | None = None
    doubt_since: datetime | None = None
    native_status: str | None = None
    attempts: tuple[Attempt, ...] = ()
    tracks: tuple[Track, ...] = ()
    warnings: tuple[OptionWarning, ...] = ()
    failure: Failure | None = None
    usage: Usage | None = None
    native_request: JsonValue = None
    native_response: JsonValue = None
    routing: JsonValue = None

    @property
    def attempt(self) -> Attempt | None:
        """The last attempt, the one that counts."""
        return self.attempts[-1] if self.attempts else None

    @property
    def outcome(self) -> AttemptOutcome | None:
        """What is known of the last attempt; None while there is none."""
        return self.attempt.outcome if self.attempt else None

    @property
    def was_sent(self) -> bool:
        """True if the create call of the last attempt may have left us."""
        return self.outcome not in {None, AttemptOutcome.PLANNED}

    @property
    def plugin(self) -> str | None:
        """Name of the plugin that does the work."""
        return self.attempt.plugin if self.attempt else None

    @property
    def native_id(self) -> str | None:
        """The vendor's id of the task, or None while there is none."""
        return self.attempt.native_id if self.attempt else None

    @property
    def native_model(self) -> str | None:
        """The vendor's name of the model."""
        return self.attempt.native_model if self.attempt else None


@attrs.frozen(kw_only=True)
class IdempotencyClaim:
    """That a key was used: by whom, on which route, with which body, for which job."""

    account: str
    route: str
    key: str
    #: Digest of the body; the same key with another body is refused.
    fingerprint: str
    job_id: str
    created_at: datetime


@attrs.frozen(kw_only=True)
class JobQuery:
    """Which jobs are wanted, newest first.

    Attributes:
        states: only these; empty = all.
        model: only jobs that asked for this model, as the caller spelled it.
        before: only jobs older than this moment and id: where the last page ended.
        limit: how many at the most.
        max_bytes: the page ends before the stored jobs in it have more bytes together; one job always fits. None = no such end.
    """

    states: tuple[JobState, ...] = ()
    model: str | None = None
    before: tuple[datetime, str] | None = None
    limit: int = 20
    max_bytes: int | None = None
