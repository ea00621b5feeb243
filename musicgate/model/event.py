"""One entry of a job's append-only history; every view of a job's past is made from these."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import attrs

from musicgate.model.json_types import JsonObject


class EventKind(StrEnum):
    """What happened."""

    CREATED = "created"
    ATTEMPT = "attempt"
    STATE = "state"
    TRACK = "track"
    OUTPUT = "output"
    #: The vendor is another tenth further, or has named its charge.
    PROGRESS = "progress"
    #: The audio cannot be stored for the time being.
    STORAGE = "storage"
    SETTLED = "settled"


@attrs.frozen(kw_only=True)
class JobEvent:
    """What happened to a job at one moment. ``data`` holds no secret and no audio."""

    kind: EventKind
    at: datetime
    data: JsonObject = attrs.field(factory=dict)
