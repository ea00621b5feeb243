"""Webhooks: the messages that customers get, and the delivery log."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from musicgate.model import Delivery, DeliveryTry


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
