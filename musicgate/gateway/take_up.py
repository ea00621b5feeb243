"""What a starting gateway does with the unfinished jobs of an earlier process; it sends nothing itself.

What was sent and not answered is never sent again: its outcome is unknown. What was only planned had not left us, and may be sent now.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import attrs

from musicgate import lifecycle
from musicgate.errors import MusicgateError
from musicgate.gateway import prepare as preparing
from musicgate.gateway import record, submit
from musicgate.model import AttemptOutcome, Failure, FailureClass, Stage
from musicgate.plugins import failure_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.prepare import Choice
    from musicgate.model import Job

_PAGE = 500
#: Seconds that a job has at the least after a start, however long the gateway was away.
GRACE_S = 300.0
_LOST = Failure(
    reason=FailureClass.UNKNOWN_OUTCOME,
    message="the gateway stopped while the vendor was being asked; the answer was lost",
)


async def take_up(context: GatewayContext) -> AsyncIterator[tuple[Job, tuple[Choice, ...]]]:
    """Every job that goes on: with choices when it is still to be sent, without when it is to be followed."""
    after_id = ""
    while page := await context.store.open_jobs(after_id, _PAGE):
        after_id = page[-1].id
        for job in page:
            outcome = job.attempt.outcome if job.attempt else None
            if outcome is AttemptOutcome.PLANNED:
                choices = await _choices_again(context, job)
                if choices:
                    yield job, choices
                continue
            going_on = job
            if outcome is AttemptOutcome.REFUSED:
                going_on = await _end_refused(context, job)
            elif outcome is AttemptOutcome.SENT and job.native_id is None and job.delivered_at is None:
                going_on = await _mark_lost(context, job)
            if not going_on.state.is_final:
                yield await _grant_time(context, going_on), ()


def spread_s(job: Job) -> float:
    """Seconds until the first look after a restart, spread over the jobs so that they do not all come at once."""
    return sum(job.id.encode()) % 100 / 20


async def _grant_time(context: GatewayContext, job: Job) -> Job:
    """A job whose time went by while nobody looked: it gets some more, for looks that say nothing and callbacks that come late."""
    now = context.clock.now()
    granted = now + timedelta(seconds=GRACE_S / context.speed)
    if job.delivered_at is not None or job.deadline_at >= granted:
        return job
    return await record.change(
        context,
        job,
        lambda current: (
            current if current.state.is_final else attrs.evolve(current, deadline_at=granted, updated_at=now)
        ),
    )


async def _end_refused(context: GatewayContext, job: Job) -> Job:
    """A job that the vendor refused just before the end of the earlier process; nothing was created."""
    now = context.clock.now()
    failure = (job.attempt.failure if job.attempt else None) or _LOST
    return await record.change(context, job, lambda current: lifecycle.fail(current, failure, now))


async def _mark_lost(context: GatewayContext, job: Job) -> Job:
    now = context.clock.now()
    adoptable = submit.is_adoptable(job, context.live(job))

    def edit(current: Job) -> Job:
        noted = lifecycle.with_outcome(current, AttemptOutcome.UNKNOWN, now, _LOST)
        return noted if adoptable else lifecycle.fail(noted, _LOST, now)

    return await record.change(context, job, edit)


async def _choices_again(context: GatewayContext, job: Job) -> tuple[Choice, ...]:
    """The choices of a job that never left, the planned plugin first; empty, and the job failed, when nobody is left."""
    url = context.callback_url(job.id, job.callback_token)
    live = context.live(job)
    was_let_in = live is not None and live.provider.stage is Stage.BETA
    try:
        prepared = preparing.prepare(context, job.request, callback_url=url, beta_channel=was_let_in)
        choices = submit.with_keys(prepared.choices)
    except MusicgateError as error:  # plugins and settings may have changed meanwhile
        now, failure = context.clock.now(), failure_of(error)
        await record.change(context, job, lambda current: lifecycle.fail(current, failure, now))
        return ()
    return tuple(sorted(choices, key=lambda choice: choice.live.name != job.plugin))
