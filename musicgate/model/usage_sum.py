"""What ended jobs used, summed up by day and by what they are counted under; no store and no view."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

import attrs

#: The outcome of a completed job; that of a failed one is the class of its failure.
COMPLETED: Final = "completed"


class UsageGroup(StrEnum):
    """What usage can be told apart by."""

    #: The day (UTC) of the job's end.
    DAY = "day"
    ACCOUNT = "account"
    #: The id of the API key that created the job.
    KEY = "key"
    PROVIDER = "provider"
    PLUGIN = "plugin"
    #: Public model id of the offer.
    MODEL = "model"
    #: `COMPLETED`, or the class of the failure.
    OUTCOME = "outcome"


@attrs.frozen(kw_only=True)
class UsageQuery:
    """A query for usage.

    Attributes:
        first, last: days of the jobs' ends (UTC), both included.
        account, key_id: only these; None = all.
        group_by: what the sums are told apart by, and sorted by.
        limit: how many sums at most.
    """

    first: date
    last: date
    account: str | None = None
    key_id: str | None = None
    group_by: tuple[UsageGroup, ...] = (UsageGroup.DAY,)
    limit: int = 10_000


@attrs.frozen(kw_only=True)
class UsageSum:
    """The sum over the ended jobs of one group.

    Attributes:
        group: the values by which it is told apart, in the order of ``group_by``; a day as ``2026-11-29``.
        jobs: those that ended, completed or failed.
        usd_nanos: their cost in billionths of a dollar, as far as their prices are known.
        unpriced_jobs: completed jobs whose price is not known.
        audio_ms: milliseconds of delivered audio.
    """

    group: tuple[str, ...]
    jobs: int
    completed: int
    usd_nanos: int
    unpriced_jobs: int
    audio_ms: int

    @property
    def failed(self) -> int:
        """Number of jobs that failed."""
        return self.jobs - self.completed
