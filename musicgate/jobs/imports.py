"""Audio that an operator brings: for a job that lost its own, or as a finished job of its own.

The only edits of jobs that have ended. A failed job that gets its song is completed: its caller asks for it
again and finds it. Its events stay as they were, since they end with the end of the job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import attrs

from musicgate.model import (
    Attempt,
    AttemptOutcome,
    Job,
    JobState,
    MusicRequest,
    Track,
)

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.model import Asset, Usage

#: Provider and plugin of an imported job, and its model where no better one is known.
IMPORT: Final = "import"


def with_imported_audio(job: Job, index: int, asset: Asset, usage: Usage, now: datetime) -> Job:
    """Give a track of a job that has ended the audio that it lacks.

    Args:
        index: of one of its tracks, or the next one.
        usage: of the job with this track, for one that has none.
    """
    known = dict(enumerate(job.tracks))
    track = known.get(index, Track(index=index))
    known[index] = attrs.evolve(track, asset=asset, original=None, failure_message=None)
    imported = attrs.evolve(job, tracks=tuple(known.values()), updated_at=now, usage=job.usage or usage)
    if job.state is not JobState.FAILED:
        return imported
    # It ends now: its audio is kept for as long as that of a new song.
    return attrs.evolve(imported, state=JobState.COMPLETED, failure=None, completed_at=now)


def import_job(
    job_id: str,
    generation_id: str,
    token: str,
    *,
    account: str,
    title: str,
    model: str,
    now: datetime,
    steady: datetime,
) -> Job:
    """A job for audio that was made elsewhere, open until the audio is kept.

    Its deadline has passed: if the import is killed, a server that starts ends it.

    Args:
        now: wall time.
        steady: steady time.
    """
    attempt = Attempt(
        plugin=IMPORT,
        provider=IMPORT,
        model=model,
        native_model=None,
        outcome=AttemptOutcome.ACCEPTED,
        planned_at=now,
        answered_at=now,
    )
    return Job(
        id=job_id,
        account=account,
        generation_id=generation_id,
        request=MusicRequest(model=model, title=title),
        state=JobState.IN_PROGRESS,
        created_at=now,
        updated_at=now,
        deadline_at=steady,
        callback_token=token,
        attempts=(attempt,),
        tracks=(Track(index=0, title=title),),
        is_clean=True,
    )


def end_import(job: Job, asset: Asset, usage: Usage, now: datetime) -> Job:
    """Complete a job that `import_job` made."""
    track = attrs.evolve(job.tracks[0], asset=asset)
    return attrs.evolve(
        job, tracks=(track,), usage=usage, state=JobState.COMPLETED, completed_at=now, updated_at=now
    )
