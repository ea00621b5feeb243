"""A job's events, as the event stream sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.model import JobEvent
    from musicgate.text import Masker


def render_event(
    event: JobEvent,
    number: int,
    *,
    masker: Masker | None = None,
    job: Mapping[str, object] | None = None,
) -> dict[str, object]:
    """Render one event.

    Args:
        number: its place in the job's events.
        masker: masks secrets in what the vendor returned.
        job: the rendered job, for the final event.
    """
    data: object = dict(event.data)
    answer: dict[str, object] = {
        "type": event.kind.value,
        "number": number,
        "at": time_text(event.at),
        "data": data if masker is None else masker.json(data),
    }
    if job is not None:
        answer["job"] = job
    return answer
