"""Knows the calls about a task and what apiin.one's answers say: created or refused, open or done, which tracks; sends nothing.

A feed proves nothing by one word. ``type`` may be SUCCESS while the items are still at the text stage; an item's stage may stay ``first``
when all is done; a link is there before the song is whole. So "done" is a verdict over all of it (`_is_done`), and until then a link is
shown as a stream only.
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

# ASSUMED: a task may be unknown to the feed for a while after its creation.
NOT_FOUND_GRACE_S = 60.0

_NO_SENSE = "apiin.one's answer (HTTP {status}) is none that we know"


@hookimpl
def poll_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """Read the feed of a task. The generic route ``/api/v1/tasks/{id}`` is not used: its shape is not documented."""
    if job.native_id is None:
        return None
    named = settings.options.get("feed_parameter", "task_id")
    names = ("task_id", "workId") if named == "both" else (str(named),)
    query = urlencode(dict.fromkeys(names, job.native_id), quote_via=quote, safe="")
    return HttpRequest.get(f"{settings.base_url}{FEED_PATH}?{query}")


@hookimpl
def cancel_request(job: Job, settings: ProviderSettings) -> HttpRequest | None:
    """There is no way to stop a task."""
    return None


@hookimpl
def map_status(native_status: str) -> JobState | None:
    """The meaning of a status word. That of a feed is only part of the verdict, see `parse_response`."""
    return feed.STATE_OF_WORD.get(native_status.strip().upper())


@hookimpl
def parse_response(
    step: Step, response: HttpResponse, job: Job, settings: ProviderSettings
) -> JobUpdate | HttpRequest:
    """Read an answer.

    Raises:
        ProviderError: it cannot be read, or, from the feed, it says nothing about the song.
    """
    return _read_create(response) if step is Step.CREATE else _read_feed(response)


def _read_create(response: HttpResponse) -> JobUpdate:
    body = _parsed(response)
    refused = refusal.find_refusal(body, response.status)
    if refused is not None:
        failure = refused.failure(response)
        # A task's id beside an error status: the task may have been made.
        unsure = failure.reason in {FailureClass.UPSTREAM_FAILED, FailureClass.PROTOCOL}
        if unsure or feed.named_task_id(body) is not None:
            raise ProviderError(failure, status=response.status, maybe_accepted=True)
        return JobUpdate(failure=failure, body=body)
    if body is None:
        raise _nonsense(response, maybe_accepted=True)
    native_id = feed.task_id(body)
    word = feed.overall_word(body)
    if word is not None and word.upper() in feed.FAILED_WORDS:
        return JobUpdate(
            native_id=native_id, native_status=word, failure=feed.failure(body, (), word), body=body
        )
    if native_id is None:
        raise _nonsense(response, maybe_accepted=True)
    # The word of a create answer says nothing of the song, and one shape has none.
    return JobUpdate(native_id=native_id, native_status=word, state=JobState.IN_PROGRESS, body=body)


def _read_feed(response: HttpResponse) -> JobUpdate:
    body = _parsed(response)
    refused = refusal.find_refusal(body, response.status)
    if refused is not None:
        failure = refused.failure(response)
        if refused.reason is FailureClass.NOT_FOUND and body is not None:
            return JobUpdate(doubt=Doubt(failure=failure, grace_s=NOT_FOUND_GRACE_S), body=body)
        raise ProviderError(failure, status=response.status)
    if not feed.is_feed(body):
        raise _nonsense(response)
    return feed.read(body)


def _parsed(response: HttpResponse) -> JsonValue:
    """The parsed body; None where it is not JSON (or says null, which says as little)."""
    try:
        return response.json()
    except ProviderError:
        return None


def _nonsense(response: HttpResponse, *, maybe_accepted: bool = False) -> ProviderError:
    failure = Failure(reason=FailureClass.PROTOCOL, message=_NO_SENSE.format(status=response.status))
    return ProviderError(failure, status=response.status, maybe_accepted=maybe_accepted)
