"""The shares in which open jobs are dealt out to the replicas of an installation."""

from __future__ import annotations

import hashlib
from typing import Final

#: So many shares there are, and so many replicas at most have jobs to follow.
SHARES: Final = 64


def share_of(job_id: str) -> int:
    """The share of a job, from 0: by the first byte of the MD5 digest of its id."""
    return hashlib.md5(job_id.encode("utf-8", "backslashreplace"), usedforsecurity=False).digest()[0] % SHARES
