"""The four states of a job; what leads from one to another is in `musicgate.jobs`."""

from enum import StrEnum


class JobState(StrEnum):
    """The four public states. The last two are final."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    FAILED = "failed"

    #: True for the states that nothing changes.
    is_final: bool

    def __init__(self, value: str) -> None:
        # An attribute, not a property: a create call asks for it thirteen times.
        self.is_final = value in {"completed", "failed"}
