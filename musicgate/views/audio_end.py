"""When the kept audio of a job is removed, by ``[retention]`` and its account's entry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from musicgate.model import Job
    from musicgate.settings import RetentionSettings


class AudioEnd:
    """Tells until when audio is kept, by how long that is for each account now."""

    def __init__(self, retention_of: Callable[[str], RetentionSettings]) -> None:
        """Take what returns the times of an account."""
        self._retention_of = retention_of

    def __call__(self, job: Job) -> datetime | None:
        """When the audio of a finished job is removed; None = never, or the job has not ended."""
        retention = self._retention_of(job.account)
        days = [days for days in (retention.audio_days, retention.jobs_days) if days]
        if job.completed_at is None or not days:
            return None
        try:
            return job.completed_at + timedelta(days=min(days))
        except OverflowError:
            return None
