"""Poll requests, answers and callbacks of apiin.one: created or refused, open or done; sends nothing."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode

import attrs

import musicgate.plugin as mg
from musicgate.plugin import FailureClass, JobState, JobUpdate, Step, hookimpl, lenient
from musicgate_apiin_one import feed
from musicgate_apiin_one.declaration import PROVIDER
from musicgate_apiin_one.errors import ERRORS, error_in, is_moderation

FEED_PATH = "/api/v1/audio/music/feed"


@hookimpl
def poll_request(job: mg.Job, settings: mg.ProviderSettings) -> mg.HttpRequest | None:
    """Read the feed of a task; the generic route ``/api/v1/tasks/{id}`` has no documented shape."""
    if job.native_id is None:
        return None
    parameter = settings.options.get("feed_parameter", "task_id")
    names = ("task_id", "workId") if parameter == "both" else (str(parameter),)
    query = urlencode(dict.fromkeys(names, job.native_id), quote_via=quote, safe="")
    return mg.HttpRequest.get(f"{settings.base_url}{FEED_PATH}?{query}")


@hookimpl
def parse_response(
    step: Step, response: mg.HttpResponse, job: mg.Job, settings: mg.ProviderSettings
) -> JobUpdate:
    """Read an answer.

    Raises:
        ProviderError: the answer cannot be read, or it is a feed's error that says nothing about the song.
    """
    try:
        body = response.json()
    except mg.ProviderError:
        body = None
    refused = ERRORS.refusal(step, response, error_in(body, is_success=response.is_success))
    if refused is not None:
        return _refused(step, response, attrs.evolve(refused, body=body))
    if step is Step.CREATE:
        return _created(response, body)
    if not feed.is_feed(body):
        unreadable = ERRORS.unreadable(response, "answered in an unknown shape")
        raise mg.ProviderError(unreadable.failure, status=response.status)
    return feed.read(body)


def _refused(step: Step, response: mg.HttpResponse, update: JobUpdate) -> JobUpdate:
    failure = update.failure
    if step is not Step.CREATE or failure is None:
        return update
    if feed.NAMED_ID.text(update.body) is not None:  # beside an error: the task may exist
        raise mg.ProviderError(failure, status=response.status, maybe_accepted=True)
    if failure.reason is FailureClass.INVALID and is_moderation(failure.native_message):
        failure = attrs.evolve(failure, reason=FailureClass.MODERATION)
    return attrs.evolve(update, failure=failure)


def _created(response: mg.HttpResponse, body: mg.JsonValue) -> JobUpdate:
    status = feed.STATUS.text(body)
    if PROVIDER.state_of(status or "") is JobState.FAILED:
        failure, native_id = feed.failure(body, (), status), ERRORS.task_id.text(body)
        return JobUpdate(native_id=native_id, native_status=status, failure=failure, body=body)
    # The status of a create answer says nothing about the song, and one shape has none.
    return attrs.evolve(ERRORS.created(response, lenient.mapping(body)), native_status=status)


@hookimpl
def parse_callback(headers: Mapping[str, str], body: bytes) -> mg.CallbackClaim:
    """Read a callback, a hint to read the feed: the task's id if it names one, and the stage for the log.

    The page says only that results are POSTed. Relatives POST a bare list of items once per stage (text,
    first, complete), without the task's id, unsigned and without retries. So the token in our URL finds the
    job. A list, ``{data: [...]}`` and the feed's envelope are read. A bare ``id`` is ignored: in a callback
    it is a track's id, and a job must never adopt a track.
    Source: https://apiin.one/docs/suno/generate, 2026-02-24; https://udioapi.pro/docs/generate-callback, 2026
    (relative).

    Raises:
        ProviderError: class ``protocol``, if the body is neither a JSON object nor a list.
    """
    answer = mg.HttpResponse(status=200, body=body)
    parsed = answer.json()
    content = parsed if isinstance(parsed, list) else answer.json_object()
    status = feed.STATUS.text(content) or feed.stage_of(feed.find_items(content))
    return mg.CallbackClaim(native_id=feed.NAMED_ID.text(content), native_status=status)
