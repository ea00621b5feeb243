"""Read Harmonia's answers: score, performance, refusal.

Making music takes two calls. The first makes a score, a free draft; `parse_response` returns the second,
which performs it and costs. Its answer has no body: the performance's id is the end of its ``Location``.
Source: VENDOR.md, 2026-11-20.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote, urljoin, urlsplit

from musicgate.plugin import (
    Doubt,
    FailureClass,
    HttpRequest,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    JsonValue,
    NativeTrack,
    ProviderError,
    ProviderSettings,
    Step,
    hookimpl,
)
from musicgate.plugin.lenient import (
    mapping,
    moment,
    seconds,
    text,
    url,
)

from musicgate_harmonia.refusals import (
    confused,
    failure_of,
    is_doubtful,
    refusal_in,
)
from musicgate_harmonia.translate import SCORES_PATH

PERFORMANCES_PATH: Final = "/v2/performances"

#: The vendor's states. An unknown one leaves the job open.
STATES: Final[Mapping[str, JobState]] = {
    "tuning": JobState.QUEUED,
    "rehearsing": JobState.IN_PROGRESS,
    "performing": JobState.IN_PROGRESS,
    "mastered": JobState.COMPLETED,
    "silenced": JobState.FAILED,
    "broken": JobState.FAILED,
    "withdrawn": JobState.FAILED,
}
# ASSUMED: how long "not found" may be a delay of the vendor's.
NOT_FOUND_GRACE_S: Final = 60.0

#: The part of ISO 8601 durations that songs have: PT1H2M3.5S.
_LENGTH: Final = re.compile(r"PT(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:(\d{1,6}(?:\.\d{1,6})?)S)?")


@hookimpl
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Ask for a performance's state."""
    return HttpRequest.get(_performance(job, settings))


@hookimpl
def cancel_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Cancel a performance."""
    return HttpRequest(
        method="DELETE", url=_performance(job, settings), headers={"Accept": "application/json"}
    )


@hookimpl
def map_status(native_status: str) -> JobState | None:
    """Map a native state."""
    return STATES.get(native_status)


@hookimpl
def parse_response(
    step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
) -> JobUpdate | HttpRequest:
    """Read an answer; a new score is answered with the request to perform it.

    Raises:
        ProviderError: it cannot be read, or, while polling, it says nothing about the song.
    """
    failure = refusal_in(response)
    if step in {Step.CREATE, Step.NEXT}:
        if failure is None:
            return _perform(response, settings) if step is Step.CREATE else _begun(response)
        if is_doubtful(failure):
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
        return JobUpdate(failure=failure)
    if failure is None:
        return _polled(response, settings)
    if step is Step.POLL and failure.reason is FailureClass.NOT_FOUND and failure.native_code is not None:
        return JobUpdate(doubt=Doubt(failure=failure, grace_s=NOT_FOUND_GRACE_S))
    raise ProviderError(failure, status=response.status)


def _performance(job: Job, settings: ProviderSettings) -> str:
    return f"{settings.base_url}{PERFORMANCES_PATH}/{quote(job.native_id or '', safe='')}"


def _perform(response: HttpResponse, settings: ProviderSettings) -> HttpRequest:
    score = text(mapping(response.json_object().get("score")).get("ref"))
    if score is None:
        raise confused(response, "without a score")
    return HttpRequest.post_json(f"{settings.base_url}{SCORES_PATH}/{quote(score, safe='')}/performances", {})


def _begun(response: HttpResponse) -> JobUpdate:
    path = urlsplit(response.header("location") or "").path
    folder, _, native_id = path.rpartition("/")
    if not folder.endswith(PERFORMANCES_PATH) or not native_id:
        raise confused(response, "without the location of the performance")
    return JobUpdate(native_id=unquote(native_id), state=JobState.QUEUED)


def _polled(response: HttpResponse, settings: ProviderSettings) -> JobUpdate:
    body = response.json_object()
    performance = mapping(body.get("performance"))
    state = text(performance.get("state"))
    if state is None:
        raise confused(response, "without a state")
    if map_status(state) is JobState.FAILED:
        return JobUpdate(native_status=state, failure=failure_of(state, performance.get("reason")), body=body)
    return JobUpdate(native_status=state, tracks=_tracks(performance, settings, state), body=body)


def _tracks(
    performance: Mapping[str, JsonValue], settings: ProviderSettings, state: str
) -> tuple[NativeTrack, ...]:
    recording = mapping(performance.get("recording"))
    path = text(recording.get("href"))
    # Until it is mastered a recording is not whole, and VENDOR.md names no way to stream it.
    link = url(urljoin(settings.base_url, path)) if path else None
    if link is None or map_status(state) is not JobState.COMPLETED:
        return ()
    track = NativeTrack(
        native_id=text(performance.get("ref")),
        audio_url=link,
        title=text(performance.get("name")),
        duration_s=_seconds_in(recording.get("length")),
        created_at=moment(performance.get("created")),
        expires_at=moment(recording.get("until")),
    )
    return (track,)


def _seconds_in(length: JsonValue) -> float | None:
    match = _LENGTH.fullmatch(length) if isinstance(length, str) else None
    if match is None:
        return None
    hours, minutes, rest = (float(part or 0) for part in match.groups())
    return seconds(hours * 3600 + minutes * 60 + rest)
