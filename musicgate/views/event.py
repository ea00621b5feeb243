"""A job's events, as the event stream sends them, and read back for clients."""

from __future__ import annotations

from typing import TYPE_CHECKING

from musicgate.model import EventKind, JobEvent
from musicgate.plugin import lenient
from musicgate.views.scalars import time_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


def read_event(shown: Mapping[str, object]) -> tuple[int, JobEvent] | None:
    """Read an event, with its number; None for one that is not known here: of a newer server, perhaps."""
    number, at = lenient.integer(shown.get("number")), lenient.moment(shown.get("at"))
    kind = next((kind for kind in EventKind if kind.value == shown.get("type")), None)
    if number is None or at is None or kind is None:
        return None
    return number, JobEvent(kind=kind, at=at, data=lenient.mapping(shown.get("data")))
