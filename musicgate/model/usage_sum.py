"""What ended jobs used, summed up by day and by what they are counted under; no store and no view."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING, Final

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The outcome of a completed job; that of a failed one is the class of its failure.
COMPLETED: Final = "completed"
_USUAL_DAYS: Final = 30


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

    @classmethod
    def read(cls, texts: Iterable[str]) -> tuple[UsageGroup, ...]:
        """Read names with commas between them, each once.

        Raises:
            ValueError: one of them is none of a group.
        """
        names = [name.strip() for text in texts for name in text.split(",")]
        return tuple(dict.fromkeys(cls(name) for name in names if name))


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

    @staticmethod
    def usual_first(last: date) -> date:
        """The first day where none is named: thirty days with the last one, or as many as there are."""
        return date.fromordinal(max(1, last.toordinal() - _USUAL_DAYS + 1))


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
