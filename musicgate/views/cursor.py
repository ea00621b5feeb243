"""The cursor of a paged list: opaque, but no secret, since a list holds the caller's own jobs."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from musicgate.model import Job


def encode_cursor(job: Job) -> str:
    """Encode the place after the last job of a page."""
    return base64.urlsafe_b64encode(f"{job.created_at.isoformat()} {job.id}".encode()).rstrip(b"=").decode()


def decode_cursor(text: str) -> tuple[datetime, str]:
    """Decode a cursor into the creation time and the id of the job that it comes after.

    Raises:
        ValueError: `encode_cursor` did not make it.
    """
    padded = text + "=" * (-len(text) % 4)
    moment, separator, job_id = base64.b64decode(padded, b"-_", validate=True).decode().partition(" ")
    created_at = datetime.fromisoformat(moment)
    if not separator or created_at.tzinfo is None:
        raise ValueError("not a time with an offset and an id")
    return created_at, job_id
