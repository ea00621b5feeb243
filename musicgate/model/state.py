"""The four states of a job; what leads from one to another is in `musicgate.jobs`."""

from enum import StrEnum


class JobState(StrEnum):
    """The four public states. The last two are final."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """True for the states that nothing changes."""
        # Not by a set: hashing an Enum is a call in Python, and every step of a job asks this several times.
        return self is JobState.COMPLETED or self is JobState.FAILED
