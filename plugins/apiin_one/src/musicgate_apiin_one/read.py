"""Poll requests and the answers of apiin.one: created or refused, open or done; sends nothing.

No single field of a feed decides. ``type`` may be SUCCESS while the items are still at the text stage; an
item's stage may stay ``first`` when all is done; a link exists before the song is complete. So "done" is
decided from all of them (`feed.read`), and until then a link is shown only as a stream.
Source: https://apiin.one/docs/suno/feed, 2026. Seen: partial links at stage first, at aimusicapi.org, 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from musicgate.plugin import (
    Doubt,
    Failure,
    FailureClass,
    HttpRequest,
    JobState,
    JobUpdate,
    ProviderError,
    Step,
    hookimpl,
)
from musicgate_apiin_one import feed, refusal

if TYPE_CHECKING:
    from musicgate.plugin import HttpResponse, Job, JsonValue, ProviderSettings

FEED_PATH = "/api/v1/audio/music/feed"

# ASSUMED: the feed may not know a task for a while after its creation.
NOT_FOUND_GRACE_S = 60.0

_UNKNOWN_SHAPE = "apiin.one answered in an unknown shape (HTTP {status})"


@hookimpl
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Read the feed of a task; the generic route ``/api/v1/tasks/{id}`` has no documented shape."""
    if job.native_id is None:
        return None
    parameter = settings.options.get("feed_parameter", "task_id")
    names = ("task_id", "workId") if parameter == "both" else (str(parameter),)
    query = urlencode(dict.fromkeys(names, job.native_id), quote_via=quote, safe="")
    return HttpRequest.get(f"{settings.base_url}{FEED_PATH}?{query}")


@hookimpl
def cancel_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """A task cannot be cancelled: no page lists such a call."""
    return None


@hookimpl
def map_status(native_status: str) -> JobState | None:
    """Map a native status; of a feed it is only one of the facts that decide, see `parse_response`."""
    return feed.STATE_OF_STATUS.get(native_status.strip().upper())


@hookimpl
def parse_response(
    step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
) -> JobUpdate | HttpRequest:
    """Read an answer.

    Raises:
        ProviderError: the answer cannot be read, or it is a feed's error that says nothing about the song.
    """
    return _read_create(response) if step is Step.CREATE else _read_feed(response)


def _read_create(response: HttpResponse) -> JobUpdate:
    body = _parsed(response)
    refused = refusal.find_refusal(body, response.status)
    if refused is not None:
        failure = refused.failure(response)
        # A task's id beside an error status: the task may exist.
        unsure = failure.reason in {FailureClass.UPSTREAM_FAILED, FailureClass.PROTOCOL}
        if unsure or feed.named_task_id(body) is not None:
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
        return JobUpdate(failure=failure, body=body)
    if body is None:
        raise _unknown_shape(response, maybe_accepted=True)
    native_id = feed.task_id(body)
    status = feed.overall_status(body)
    if status is not None and status.upper() in feed.FAILED_STATUSES:
        failure = feed.failure(body, (), status)
        return JobUpdate(native_id=native_id, native_status=status, failure=failure, body=body)
    if native_id is None:
        raise _unknown_shape(response, maybe_accepted=True)
    # The status of a create answer says nothing about the song, and one shape has none.
    return JobUpdate(native_id=native_id, native_status=status, state=JobState.IN_PROGRESS, body=body)


def _read_feed(response: HttpResponse) -> JobUpdate:
    body = _parsed(response)
    refused = refusal.find_refusal(body, response.status)
    if refused is not None:
        failure = refused.failure(response)
        if refused.reason is FailureClass.NOT_FOUND and body is not None:
            return JobUpdate(doubt=Doubt(failure=failure, grace_s=NOT_FOUND_GRACE_S), body=body)
        raise ProviderError(failure, status=response.status)
    if not feed.is_feed(body):
        raise _unknown_shape(response)
    return feed.read(body)


def _parsed(response: HttpResponse) -> JsonValue:
    """The parsed body; None for a body that is not JSON, as for null."""
    try:
        return response.json()
    except ProviderError:
        return None


def _unknown_shape(response: HttpResponse, *, maybe_accepted: bool = False) -> ProviderError:
    failure = Failure(reason=FailureClass.PROTOCOL, message=_UNKNOWN_SHAPE.format(status=response.status))
    return ProviderError(failure, status=response.status, maybe_accepted=maybe_accepted)
