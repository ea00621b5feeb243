"""An entry of the audit log: who did what, when. No prompt, no secret."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class AuditAction(StrEnum):
    """What is noted about jobs. Others may add words of their own, such as ``key.revoked``."""

    CREATED = "job.created"
    CANCELLED = "job.cancelled"
    DELETED = "job.deleted"
    #: Audio was sent, from its first byte on, or a link to it was.
    DOWNLOADED = "audio.downloaded"


class AuditEntry(NamedTuple):
    """Something that a caller did.

    A named tuple: with the audit log on, each create makes one, in a fifth of the time of a frozen class.

    Attributes:
        action: a word of `AuditAction`, or another one.
        account: whose job or key it is.
        key_id: id of the API key of the call, never the key; empty for a signed link and for the command
            line.
        job_id: empty where it is about no job.
        request_id: id of the HTTP request; empty for the command line.
        subject: what it is about beside that: the track of a download, the id of a changed key.
    """

    at: datetime
    action: str
    account: str
    key_id: str
    job_id: str = ""
    request_id: str = ""
    subject: str = ""
