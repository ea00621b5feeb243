"""Webhooks: the messages that customers get, and the delivery log, which clients read back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.model import Delivery, DeliveryStatus, DeliveryTry
from musicgate.plugin import lenient
from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime


def render_message(kind: str, at: datetime, data: Mapping[str, object]) -> dict[str, object]:
    """Render the body of a webhook: what happened, when, to what.

    **Source**: Standard Webhooks 1.0.0, "Payload structure".
    """
    return {"type": kind, "timestamp": time_text(at), "data": data}


def render_delivery(delivery: Delivery) -> dict[str, object]:
    """Render a message of the delivery log, with its last tries."""
    return {
        "id": delivery.id,
        "object": "webhook_delivery",
        "music_id": delivery.job_id,
        "type": delivery.type,
        "url": delivery.url,
        "status": delivery.status.value,
        "created_at": time_text(delivery.created_at),
        "next_attempt_at": time_text(delivery.next_try_at),
        "attempts": delivery.attempts,
        "tries": [
            {
                "at": time_text(tried.at),
                "status_code": tried.http_status,
                "duration_ms": round(tried.duration_s * 1000),
                "error": tried.error,
            }
            for tried in delivery.tries
        ],
    }


def read_delivery(shown: Mapping[str, object]) -> Delivery:
    """Read a message of the delivery log. Its account is not shown and empty.

    Raises:
        ValueError: it is not such a message.
    """
    message_id, job_id = lenient.text(shown.get("id")), lenient.text(shown.get("music_id"))
    created_at = lenient.moment(shown.get("created_at"))
    status = next((status for status in DeliveryStatus if status.value == shown.get("status")), None)
    if message_id is None or job_id is None or created_at is None or status is None:
        raise ValueError("not a message of the delivery log")
    return Delivery(
        id=message_id,
        job_id=job_id,
        account="",
        url=lenient.text(shown.get("url")) or "",
        type=lenient.text(shown.get("type")) or "",
        created_at=created_at,
        next_try_at=lenient.moment(shown.get("next_attempt_at")),
        status=status,
        attempts=lenient.integer(shown.get("attempts")) or 0,
        tries=tuple(
            DeliveryTry(
                at=lenient.moment(tried.get("at")) or created_at,
                duration_s=(lenient.integer(tried.get("duration_ms")) or 0) / 1000,
                http_status=lenient.integer(tried.get("status_code")),
                error=lenient.text(tried.get("error")),
            )
            for tried in lenient.items(shown.get("tries"))
        ),
    )


def render_delivery_log(deliveries: Iterable[Delivery]) -> dict[str, object]:
    """Render all messages about one job."""
    return {"object": "list", "data": [render_delivery(delivery) for delivery in deliveries]}


def render_webhook_test(
    message_id: str, url: str, tried: DeliveryTry, *, is_delivered: bool, enabled_again: bool
) -> dict[str, object]:
    """Render the outcome of a test message.

    Args:
        enabled_again: the address had been disabled, and the test has enabled it.
    """
    return {
        "object": "webhook_test",
        "id": message_id,
        "url": url,
        "delivered": is_delivered,
        "status_code": tried.http_status,
        "duration_ms": round(tried.duration_s * 1000),
        "error": tried.error,
        "enabled_again": enabled_again,
    }
