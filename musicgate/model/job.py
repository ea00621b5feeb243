"""A job as a value: states, attempts, warnings, and what a vendor's answer says about it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import attrs

from musicgate.model.failure import Failure
from musicgate.model.json_types import JsonValue
from musicgate.model.request import MusicRequest
from musicgate.model.state import JobState
from musicgate.model.track import NativeTrack, Track
from musicgate.model.usage import Usage


class AttemptOutcome(StrEnum):
    """What is known of one submission to one plugin."""

    PLANNED = "planned"
    #: Stored before the first byte leaves; after a crash it counts as unknown.
    SENT = "sent"
    ACCEPTED = "accepted"
    #: Nothing was created: the vendor refused plainly, or was not reached.
    REFUSED = "refused"
    #: The request left us and no readable answer came back. Never sent again, never given to another vendor.
    UNKNOWN = "unknown"


class WarningCode(StrEnum):
    """Why an option of the request was not followed exactly."""

    UNKNOWN_KEY = "unknown_key"
    NOT_APPLIED = "not_applied"
    CHANGED = "changed"
    #: The job has no price although its model has one.
    NOT_PRICED = "not_priced"
    #: The delivered audio is not what the vendor says that it is.
    DIFFERS = "differs"
    #: There was more than is kept; the message says how much.
    LEFT_OUT = "left_out"


@attrs.frozen(kw_only=True)
class OptionWarning:
    """An option that was not followed exactly, named by its path in the request.

    ``not_applied``: dropped, since the provider cannot express it. ``changed``: sent otherwise; the message
    says how.
    """

    code: WarningCode
    path: tuple[str | int, ...]
    message: str
    plugin: str | None = None


@attrs.frozen(kw_only=True, weakref_slot=False)
class Attempt:
    """One submission to one plugin."""

    plugin: str
    provider: str
    #: Public model id of the offer.
    model: str
    #: The vendor's name of the model, as sent.
    native_model: str | None
    outcome: AttemptOutcome
    planned_at: datetime
    #: The request named the address where the vendor can call us back.
    calls_back: bool = False
    answered_at: datetime | None = None
    native_id: str | None = None
    failure: Failure | None = None
    #: The vendor was busy; the call is not made earlier.
    not_before: datetime | None = None


@attrs.frozen(kw_only=True)
class Doubt:
    """A vendor's answer that ends the job only if it lasts.

    For instance "done" without audio, or "not found" just after creation. The job stays open until the answer
    has been the same for ``grace_s``. Then it ends: with the tracks that have audio by then (the others say
    ``failure.message``), or failed with ``failure`` when none has.
    """

    failure: Failure
    grace_s: float


@attrs.frozen(kw_only=True)
class Progress:
    """How far a vendor is, and what it charges, as it says itself; nothing is decided by it.

    Attributes:
        fraction: from 0 to 1.
        remaining_s: seconds until the vendor expects to be done.
        charge: what the vendor charged for the task, in its own unit.
        charge_unit: that unit: ``credits``, ``USD``, ...
    """

    fraction: float | None = None
    remaining_s: float | None = None
    charge: float | None = None
    charge_unit: str | None = None

    def followed_by(self, later: Progress) -> Progress:
        """What is known after a later answer: what that one does not say is as it was before.

        The fraction never falls: each tenth is an event, and a vendor that goes to and fro would make them
        without end.
        """
        fractions = [fraction for fraction in (self.fraction, later.fraction) if fraction is not None]
        return Progress(
            fraction=max(fractions, default=None),
            remaining_s=self.remaining_s if later.remaining_s is None else later.remaining_s,
            charge=self.charge if later.charge is None else later.charge,
            charge_unit=self.charge_unit if later.charge_unit is None else later.charge_unit,
        )


@attrs.frozen(kw_only=True)
class JobUpdate:
    """A vendor's answer about a job, in native terms.

    Attributes:
        native_id: the vendor's id of the task, where the answer brings one.
        native_status: the vendor's status as it is spelled; ``map_status`` gives it a meaning.
        state: the plugin's verdict where the status alone proves nothing; None = ``map_status`` decides.
        tracks: all tracks that the answer shows, in the vendor's order.
        failure: why the vendor refused or failed. Without a ``native_id``, now or earlier, a create call was
            refused.
        doubt: see `Doubt`.
        warnings: what the vendor reported as not applied.
        body: the parsed body, kept only where the caller asked for ``upstream_response``.
        progress: how far the vendor is, where it says so; shown in the job and its events.
    """

    native_id: str | None = None
    native_status: str | None = None
    state: JobState | None = None
    tracks: tuple[NativeTrack, ...] = ()
    failure: Failure | None = None
    doubt: Doubt | None = None
    warnings: tuple[OptionWarning, ...] = ()
    body: JsonValue = None
    progress: Progress | None = None


@attrs.frozen(kw_only=True, weakref_slot=False)
class Job:
    """A request and its progress. Immutable; `musicgate.jobs.lifecycle` makes the next version.

    Attributes:
        id: ours, opaque, URL-safe.
        account: name of the account whose key created it; the job is visible to this account only.
        generation_id: id of the HTTP request that created it, ``G-...``.
        version: counts the writes; the store replaces only the version it was read at.
        deadline_at: when an open job is given up. Like ``delivered_at`` and ``doubt_since`` a steady time,
            not for people.
        callback_token: unguessable; part of the callback URL of this job.
        delivered_at: since when the vendor is done and the audio is being fetched, measured and priced.
        doubt_since: since when the vendor's answers have been a `Doubt`.
        native_request: the native request, secrets masked; kept only when the caller asked for it.
        native_response: the last parsed vendor body; kept only when the caller asked for it.
        routing: which providers were considered, and why others were not; kept only when the caller asked for
            it.
        is_clean: no text that a vendor gave, and that is used as it is (an id, a link, a title), holds a
            secret. False, also for jobs of earlier versions, where that is not known: they are masked each
            time they are shown.
        progress: the last that the vendor said of how far it is and what it charges.
        storage_trouble: why delivered audio could not be stored at the last try; None when it was.
        sender: the replica that makes its create call; empty where there is only one.
        trace: the ``traceparent`` of the span that made it; empty where none was recorded.
        key_id: id of the API key that created it, never the key; empty where there was none, and for jobs of
            earlier versions.
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
    is_clean: bool = False
    progress: Progress | None = None
    storage_trouble: str | None = None
    sender: str = ""
    trace: str = ""
    key_id: str = ""

    @property
    def attempt(self) -> Attempt | None:
        """The last attempt, the one that counts."""
        attempts = self.attempts
        return attempts[-1] if attempts else None

    @property
    def outcome(self) -> AttemptOutcome | None:
        """What is known of the last attempt; None while there is none."""
        attempts = self.attempts
        return attempts[-1].outcome if attempts else None

    @property
    def was_sent(self) -> bool:
        """True if the create call of the last attempt may have left us."""
        outcome = self.outcome
        return outcome is not None and outcome is not AttemptOutcome.PLANNED

    @property
    def plugin(self) -> str | None:
        """Name of the plugin that does the work."""
        attempts = self.attempts
        return attempts[-1].plugin if attempts else None

    @property
    def native_id(self) -> str | None:
        """The vendor's id of the task, or None while there is none."""
        attempts = self.attempts
        return attempts[-1].native_id if attempts else None

    @property
    def native_model(self) -> str | None:
        """The vendor's name of the model."""
        return self.attempt.native_model if self.attempt else None


class JobHead(NamedTuple):
    """What a store knows of a job without reading its document.

    A named tuple: each GET makes one, in a fifth of the time of a frozen class.
    """

    id: str
    state: JobState
    #: As `Job.plugin`.
    plugin: str | None
    version: int


@attrs.frozen(kw_only=True)
class IdempotencyClaim:
    """The use of an idempotency key, scoped to an account and a route, for a job."""

    account: str
    route: str
    key: str
    #: Digest of the body; the same key with another body is refused.
    fingerprint: str
    job_id: str
    created_at: datetime


@attrs.frozen(kw_only=True)
class JobQuery:
    """A query for jobs, newest first.

    Attributes:
        states: only these; empty = all.
        model: only jobs that asked for this model, as the caller spelled it.
        before: only jobs older than this creation time and id, where the last page ended.
        limit: how many at most.
        max_bytes: the page ends before its stored jobs exceed this size together; one job always fits. None =
            no bound.
    """

    states: tuple[JobState, ...] = ()
    model: str | None = None
    before: tuple[datetime, str] | None = None
    limit: int = 20
    max_bytes: int | None = None
