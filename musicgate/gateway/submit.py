"""Store first, send second, fold third: how a wish becomes a job at a vendor without being lost or paid for twice.

The order of things is the promise. The job is durable, with its attempt written down as *sent*, before the first byte leaves. So after a
crash at any point we know that a call may have been made, and never make it again:

* *accepted*: the vendor gave an id, or the audio. The job is followed.
* *refused*: the vendor, or the network before it, plainly said that nothing was created. Only now, and only for the classes of failure
  that allow it, may the next candidate be asked; that attempt is stored as *sent* before it is sent as well.
* *unknown*: the request left us and nothing readable came back. It is never sent again and never given to another vendor. Where the vendor
  can call us back, the job stays open: a callback adopts it, else the deadline ends it. Where it cannot, the job ends at once and says that
  it may have cost money.

The call runs in its own task. A caller who hangs up does not cancel it; a caller who waits sees its end, or after a while a job in progress.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate import lifecycle
from musicgate.answers import render_body
from musicgate.errors import AllCandidatesFailedError, ProviderError
from musicgate.gateway import record
from musicgate.gateway.exchange import exchange
from musicgate.hookspecs import Step
from musicgate.model import Attempt, AttemptOutcome, Failure, FailureClass, Job, JobState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.gateway.prepare import Choice
    from musicgate.model import JobUpdate, JsonValue, MusicRequest, OptionWarning

_log = logging.getLogger(__name__)
#: Seconds that a create call waits longer than its vendors' time-outs.
_MARGIN_S = 5.0


def with_keys(choices: Sequence[Choice]) -> tuple[Choice, ...]:
    """The choices that can be called at all.

    Raises:
        AllCandidatesFailedError: none of them has a key.
    """
    callable_choices = tuple(choice for choice in choices if choice.live.key is not None)
    if not callable_choices:
        raise AllCandidatesFailedError([(choice.live.name, _key_missing(choice.live)) for choice in choices])
    return callable_choices


def new_job(
    context: GatewayContext,
    request: MusicRequest,
    choice: Choice,
    *,
    job_id: str,
    token: str,
    account: str,
    generation_id: str,
    warnings: tuple[OptionWarning, ...],
) -> Job:
    """A job that is about to be sent to the first choice, or waits for its turn there."""
    now = context.clock.now()
    attempt = _attempt(choice, _first_outcome(choice), now)
    blocking = choice.live.provider.blocking and attempt.outcome is AttemptOutcome.SENT
    job = Job(
        id=job_id,
        account=account,
        generation_id=generation_id,
        request=request,
        state=JobState.IN_PROGRESS if blocking else JobState.QUEUED,
        created_at=now,
        updated_at=now,
        deadline_at=now + choice_deadline(context, choice.live),
        callback_token=token,
        warnings=warnings,
    )
    return _with_attempt(job, choice, attempt)


async def run(context: GatewayContext, job: Job, choices: Sequence[Choice]) -> Job:
    """Send a stored job to its first choice, and to the next ones as long as nothing was accepted and the class allows it.

    Args:
        job: as stored; its last attempt belongs to ``choices[0]``, or to a plugin that can no longer be asked and never was.
        choices: in the order of asking.

    Returns:
        The job after the last call: accepted, refused for good, or unknown.
    """
    for position, choice in enumerate(choices):
        if position or choice.live.name != job.plugin:
            following = _attempt(choice, AttemptOutcome.PLANNED, context.clock.now())
            job = await record.change(context, job, lambda current: _next(current, choice, following))  # noqa: B023 - awaited at once
            if job.state.is_final:
                return job
        job = await _call(context, job, choice)
        failure = job.attempt.failure if job.attempt else None
        refused = job.attempt is not None and job.attempt.outcome is AttemptOutcome.REFUSED
        if job.state.is_final or not refused or failure is None:
            return job
        last = position == len(choices) - 1 or not job.request.routing.allow_fallbacks
        if last or not failure.rule.try_next:
            now = context.clock.now()
            return await record.change(context, job, lambda current: lifecycle.fail(current, failure, now))  # noqa: B023 - awaited at once
        _log.info(
            "job %s: %s refused (%s); trying the next provider", job.id, choice.live.name, failure.reason
        )
    return job


def patience_s(choices: Sequence[Choice], wait_s: float) -> float:
    """How long a create call waits for its own end: briefly where a call lasts as long as a song, else for every time-out on the way."""
    if any(choice.live.provider.blocking or choice.live.create_slots for choice in choices):
        return wait_s
    return _MARGIN_S + sum(
        choice.live.provider.timeouts.connect_s + choice.live.provider.timeouts.create_s for choice in choices
    )


def choice_deadline(context: GatewayContext, live: LiveProvider) -> timedelta:
    """How long an open job is waited for."""
    return timedelta(seconds=context.settings.follow.deadline_s or live.provider.deadline_s)


def is_adoptable(job: Job, live: LiveProvider | None, callback_url: str | None) -> bool:
    """True if a job whose create answer was lost can still be heard of: the vendor calls back, and it was told to call us."""
    own = job.request.block("suno").get("callBackUrl")
    return live is not None and live.provider.callbacks and callback_url is not None and not own


async def _call(context: GatewayContext, job: Job, choice: Choice) -> Job:
    live = choice.live
    if live.create_slots is None:
        return await _send(context, job, choice)
    async with live.create_slots:
        return await _send(context, job, choice)


async def _send(context: GatewayContext, job: Job, choice: Choice) -> Job:
    if job.attempt is not None and job.attempt.outcome is AttemptOutcome.PLANNED:
        now = context.clock.now()
        blocking = choice.live.provider.blocking
        deadline = now + choice_deadline(context, choice.live)
        job = await record.change(
            context, job, lambda current: _start(current, now, deadline, blocking=blocking)
        )
        if job.state.is_final:
            return job
    try:
        update = await exchange(context, choice.live, Step.CREATE, choice.translation.request, job)
    except ProviderError as error:
        lost = error
        return await record.insist(context, job, lambda: _note_failure(context, job, choice, lost))
    return await record.insist(context, job, lambda: _note_answer(context, job, update))


async def _note_answer(context: GatewayContext, job: Job, update: JobUpdate) -> Job:
    now = context.clock.now()
    if update.failure is not None and update.native_id is None:
        failure = update.failure
        body = update.body if job.request.debug.return_upstream_response else None
        return await record.change(context, job, lambda current: _refuse(current, failure, now, body))
    job = await record.fold(context, job, update)
    if job.attempt is not None and job.attempt.outcome is AttemptOutcome.SENT:
        job = await record.change(context, job, lambda current: _accept(current, now))
    return job


async def _note_failure(context: GatewayContext, job: Job, choice: Choice, error: ProviderError) -> Job:
    now = context.clock.now()
    failure = error.failure
    if not error.maybe_accepted:
        return await record.change(context, job, lambda current: _refuse(current, failure, now))
    callback_url = context.callback_url(job.id, job.callback_token)
    adoptable = is_adoptable(job, choice.live, callback_url)
    _log.warning(
        "job %s: outcome unknown at %s (%s); it is not sent again", job.id, choice.live.name, failure.message
    )

    def edit(current: Job) -> Job:
        if current.native_id is not None:  # a callback was faster than the broken answer
            return current
        noted = lifecycle.with_outcome(current, AttemptOutcome.UNKNOWN, now, failure)
        return noted if adoptable else lifecycle.fail(noted, attrs.evolve(failure, may_have_cost=True), now)

    return await record.change(context, job, edit)


def _attempt(choice: Choice, outcome: AttemptOutcome, now: datetime) -> Attempt:
    return Attempt(
        plugin=choice.live.name,
        provider=choice.live.provider.name,
        model=choice.candidate.offer.model,
        native_model=choice.translation.native_model,
        outcome=outcome,
        planned_at=now,
    )


def _first_outcome(choice: Choice) -> AttemptOutcome:
    """Where calls wait for their turn, one is only planned until it has it: a crash while it waits must not make it "unknown"."""
    return AttemptOutcome.SENT if choice.live.create_slots is None else AttemptOutcome.PLANNED


def _refuse(job: Job, failure: Failure, now: datetime, body: JsonValue = None) -> Job:
    """A job whose call created nothing; a callback that was faster knows better. ``body`` is kept for a caller who asked to see it."""
    if job.native_id is not None:
        return job
    refused = lifecycle.with_outcome(job, AttemptOutcome.REFUSED, now, failure)
    return refused if body is None else attrs.evolve(refused, native_response=body)


def _next(job: Job, choice: Choice, attempt: Attempt) -> Job:
    return (
        job
        if job.state.is_final
        else attrs.evolve(_with_attempt(job, choice, attempt), updated_at=attempt.planned_at)
    )


def _with_attempt(job: Job, choice: Choice, attempt: Attempt) -> Job:
    """The job with one more attempt; warnings of the plugin before it go, since it was not the one that did the work."""
    own = tuple(warning for warning in job.warnings if warning.plugin is None)
    sent = (
        render_body(choice.translation.request, {job.callback_token: "***"})
        if job.request.returns_upstream_request
        else None
    )
    warnings = own + choice.translation.warnings
    return attrs.evolve(
        job,
        attempts=(*job.attempts, attempt),
        warnings=warnings,
        native_request=sent,
        native_response=None,
    )


def _start(job: Job, now: datetime, deadline: datetime, *, blocking: bool) -> Job:
    """A job whose turn has come: from here on its call may cost money. Its deadline counts from here."""
    if job.state.is_final or job.attempt is None:
        return job
    state = JobState.IN_PROGRESS if blocking else job.state
    sent = attrs.evolve(job.attempt, outcome=AttemptOutcome.SENT)
    return attrs.evolve(
        job, attempts=(*job.attempts[:-1], sent), state=state, deadline_at=deadline, updated_at=now
    )


def _accept(job: Job, now: datetime) -> Job:
    if job.attempt is None or job.attempt.outcome is not AttemptOutcome.SENT:
        return job
    return lifecycle.with_outcome(job, AttemptOutcome.ACCEPTED, now)


def _key_missing(live: LiveProvider) -> Failure:
    message = f"{live.name}_key_missing: set {live.provider.key_env}, or providers.{live.name}.api_key"
    return Failure(reason=FailureClass.AUTH, message=message, http_status=502)
