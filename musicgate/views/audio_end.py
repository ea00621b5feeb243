"""When the kept audio of a job is removed, by ``[retention]`` and its account's entry."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from musicgate.model import Job
    from musicgate.settings import Settings


class AudioEnd:
    """Tells until when audio is kept; made once from the settings."""

    def __init__(self, settings: Settings) -> None:
        self._usual = settings.retention
        self._by_account = settings.retention_by_account()

    def __call__(self, job: Job) -> datetime | None:
        """When the audio of a finished job is removed; None = never, or the job has not ended."""
        retention = self._by_account.get(job.account, self._usual)
        days = [days for days in (retention.audio_days, retention.jobs_days) if days]
        if job.completed_at is None or not days:
            return None
        try:
            return job.completed_at + timedelta(days=min(days))
        except OverflowError:
            return None
