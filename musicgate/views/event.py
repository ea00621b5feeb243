"""A job's events, as the event stream sends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from musicgate.model import JobEvent
    from musicgate.text import Masker


def render_event(
    event: JobEvent,
    number: int,
    *,
    masker: Masker | None = None,
    job: Mapping[str, object] | None = None,
    stream_link: Callable[[int], str] | None = None,
) -> dict[str, object]:
    """Render one event.

    Args:
        number: its place in the job's events.
        masker: masks secrets in what the vendor returned.
        job: the rendered job, for the final event.
        stream_link: makes the link to a track's stream on our server, by its index; None = the vendor's is
            shown.
    """
    data: object = dict(event.data)
    shown = data if masker is None else masker.json(data)
    index = event.data.get("index")
    if (
        stream_link is not None
        and isinstance(shown, dict)
        and isinstance(index, int)
        and shown.get("stream_audio_url")
    ):
        shown = {**shown, "stream_audio_url": stream_link(index)}
    answer: dict[str, object] = {
        "type": event.kind.value,
        "number": number,
        "at": time_text(event.at),
        "data": shown,
    }
    if job is not None:
        answer["job"] = job
    return answer
