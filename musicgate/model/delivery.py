"""A message to a customer's webhook and the tries to deliver it, as values; it sends nothing."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

import attrs

_MAX_URL_CHARS = 2_000


class DeliveryStatus(StrEnum):
    """What is known of one message. Only a pending one is sent."""

    PENDING = "pending"
    DELIVERED = "delivered"
    #: Every try of the schedule failed.
    FAILED = "failed"
    #: The receiver wants no more messages (410); it answered so to this one or to an earlier one.
    DISABLED = "disabled"


@attrs.frozen(kw_only=True)
class DeliveryTry:
    """One try to deliver a message.

    Attributes:
        http_status: the receiver's answer; None when there was none.
        error: why the try failed, in a sentence that shows nothing of the answer's body; None when it did
            not.
    """

    at: datetime
    duration_s: float
    http_status: int | None = None
    error: str | None = None


@attrs.frozen(kw_only=True)
class Delivery:
    """One message about one job to one receiver: a row of the outbox.

    Its body is not kept: it is made from the job, which is final and does not change.

    Attributes:
        id: ``msg_...``, the same for every try, so that a receiver recognises a repetition.
        type: ``music.completed`` or ``music.failed``.
        next_try_at: when a pending message is due; None for the others.
        attempts: number of tries so far.
        step: position in the schedule of retries; a replay starts over.
        tries: the last tries, oldest first.
        version: counts the writes; the store replaces only the version it was read at.
    """

    id: str
    job_id: str
    account: str
    url: str
    type: str
    created_at: datetime
    next_try_at: datetime | None
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: int = 0
    step: int = 0
    tries: tuple[DeliveryTry, ...] = ()
    version: int = 0


def is_address(url: str) -> bool:
    """True if a text is an absolute http or https URL of a usable length."""
    if len(url) > _MAX_URL_CHARS or not url.isprintable() or " " in url:
        return False
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def origin(url: str) -> str:
    """Scheme, host and port of an address; text that is no address is its own origin."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return url
    return f"{parts.scheme}://{parts.hostname}:{port}"
