"""Poll requests and the answers of apiin.one: created or refused, open or done; sends nothing.

No single field of a feed decides. ``type`` may be SUCCESS while the items are still at the text stage; an
item's stage may stay ``first`` when all is done; a link exists before the song is complete. So "done" is
decided from all of them (`feed.read`), and until then a link is shown only as a stream.
Source: https://apiin.one/docs/suno/feed, 2026. Seen: partial links at stage first, at aimusicapi.org, 2026.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import attrs

from musicgate.plugin import (
    FailureClass,
    HttpRequest,
    JobState,
    JobUpdate,
    ProviderError,
    Step,
    hookimpl,
    lenient,
)
from musicgate_apiin_one import feed
from musicgate_apiin_one.errors import ERRORS, error_in, is_moderation

if TYPE_CHECKING:
    from musicgate.plugin import HttpResponse, Job, JsonValue, ProviderSettings

FEED_PATH = "/api/v1/audio/music/feed"


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
def parse_response(
    step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
) -> JobUpdate | HttpRequest:
    """Read an answer.

    Raises:
        ProviderError: the answer cannot be read, or it is a feed's error that says nothing about the song.
    """
    try:
        body = response.json()
    except ProviderError:
        body = None
    refused = ERRORS.refusal(step, response, error_in(body, is_success=response.is_success))
    if refused is not None:
        return _refused(step, response, body, attrs.evolve(refused, body=body))
    if step is Step.CREATE:
        return _created(response, body)
    if not feed.is_feed(body):
        unreadable = ERRORS.unreadable(response, "answered in an unknown shape")
        raise ProviderError(unreadable.failure, status=response.status)
    return feed.read(body)


def _refused(step: Step, response: HttpResponse, body: JsonValue, update: JobUpdate) -> JobUpdate:
    if step is not Step.CREATE or update.failure is None:
        return update
    if feed.named_task_id(body) is not None:  # beside an error: the task may exist
        raise ProviderError(update.failure, status=response.status, maybe_accepted=True)
    failure = update.failure
    if failure.reason is FailureClass.INVALID and is_moderation(failure.native_message):
        failure = attrs.evolve(failure, reason=FailureClass.MODERATION)
    return attrs.evolve(update, failure=failure)


def _created(response: HttpResponse, body: JsonValue) -> JobUpdate:
    status = feed.overall_status(body)
    native_id = ERRORS.task_id.text(body)
    if status is not None and feed.STATUSES.get(status.upper()) is JobState.FAILED:
        failure = feed.failure(body, (), status)
        return JobUpdate(native_id=native_id, native_status=status, failure=failure, body=body)
    # The status of a create answer says nothing about the song, and one shape has none.
    created = ERRORS.created(response, lenient.mapping(body))
    return attrs.evolve(created, native_status=status)
