"""The answers of kie.ai about a task: status, failures, doubts; no requests.

How an answer is read:

* *Create.* The body's ``code`` decides, but a success code under an HTTP error status is an error. A task id
  means accepted, whatever else the body says. A code other than 200 is a refusal. A 2xx without an id, and a
  server error (code or HTTP status 500 and up, unless the table lists the code as a plain refusal), may have
  been accepted. A wrong guess costs 12 credits, so these are errors with ``maybe_accepted``.
* *Read.* Only the task's own record says anything about the song. Noise (429, 455, 5xx, HTML, an empty body,
  ``data: null``) is an error that leaves the job as it was. Three answers end a job only when they last: no
  record, success without audio, a failed callback. A task that failed after a track had its audio is done
  with that track: it is paid for.

Sources: docs.kie.ai/suno-api/get-music-details (early 2026), docs.kie.ai/market/common/get-task-detail
(2026-09-25).
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import attrs

from musicgate.plugin import (
    Doubt,
    Failure,
    FailureClass,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    NativeTrack,
    ProviderError,
    ProviderSettings,
    Step,
    Track,
    hookimpl,
)
from musicgate.plugin.lenient import (
    first,
    integer,
    mapping,
    retry_after_s,
    text,
)
from musicgate_suno_kie.codes import (
    FINAL_CODES,
    MESSAGE_MAX_CHARS,
    failure_of,
    failure_of_http,
    failure_of_job,
)
from musicgate_suno_kie.declaration import flavour_of
from musicgate_suno_kie.tracks import read_tracks

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A task that has just been created may have no record yet.
#: Seen: code 422 "recordInfo is null" right after creation, on market recordInfo.
#: ASSUMED: the time.
NO_RECORD_GRACE_S: Final = 60.0

#: Seen: SUCCESS with null links that were filled in later, 2026-07-08.
#: ASSUMED: the time, and the same for a single track without audio.
NO_AUDIO_GRACE_S: Final = 120.0

#: A failed callback says nothing about the song. ASSUMED: the time.
CALLBACK_EXCEPTION_GRACE_S: Final = 120.0

#: Code 408 on a read may be about the task or about the read itself. ASSUMED: the time.
TIMEOUT_GRACE_S: Final = 120.0

#: A native status that decides nothing: the vendor's callback to us failed, the audio may exist.
CALLBACK_EXCEPTION: Final = "CALLBACK_EXCEPTION"

#: Native statuses of both dialects and of unofficial relatives, in upper case. Others leave a job as it is.
STATE_OF_STATUS: Final[Mapping[str, JobState]] = MappingProxyType(
    {
        **dict.fromkeys(("PENDING", "TEXT_SUCCESS", "FIRST_SUCCESS"), JobState.IN_PROGRESS),
        **dict.fromkeys(("WAITING", "QUEUING", "QUEUED", "GENERATING", "RUNNING"), JobState.IN_PROGRESS),
        **dict.fromkeys(("SUCCESS", "SUCCEEDED", "COMPLETED"), JobState.COMPLETED),
        **dict.fromkeys(
            ("CREATE_TASK_FAILED", "GENERATE_AUDIO_FAILED", "SENSITIVE_WORD_ERROR"), JobState.FAILED
        ),
        **dict.fromkeys(("FAILED", "FAIL", "ERROR"), JobState.FAILED),
    }
)


@hookimpl
def map_status(native_status: str) -> JobState | None:
    """Map a native status, in any case; None for unknown ones and for CALLBACK_EXCEPTION."""
    return STATE_OF_STATUS.get(native_status.strip().upper())


@hookimpl
def parse_response(step: Step, response: HttpResponse, job: Job, settings: ProviderSettings) -> JobUpdate:
    """Read the answer to a create call or to a poll.

    Raises:
        ProviderError: the answer cannot be read, may hide an accepted task, or says nothing about the song.
    """
    body = _envelope(response)
    if integer(body.get("code")) == 200 and not response.is_success:
        raise _contradiction(step, response)
    if step is Step.CREATE:
        return _created(response, body, settings)
    return _read(response, body, job, settings)


def _envelope(response: HttpResponse) -> dict[str, object]:
    try:
        return response.json_object()
    except ProviderError as exc:
        if response.is_success:
            raise
        failure = attrs.evolve(failure_of_http(response.status), retry_after_s=retry_after_s(response))
        maybe_accepted = not 400 <= response.status < 500
        raise ProviderError(failure, status=response.status, maybe_accepted=maybe_accepted) from exc


def _contradiction(step: Step, response: HttpResponse) -> ProviderError:
    """An error for a success code under an HTTP error status: the task may exist, so no retry."""
    failure = attrs.evolve(
        failure_of_http(response.status),
        message=f"HTTP {response.status} around a body that says success",
        retry_after_s=retry_after_s(response),
    )
    return ProviderError(failure, status=response.status, maybe_accepted=step is Step.CREATE)


def _created(response: HttpResponse, body: dict[str, object], settings: ProviderSettings) -> JobUpdate:
    data = mapping(body.get("data"))
    native_id = text(first(data, "taskId", "task_id")) or text(first(body, "taskId", "task_id", "id"))
    failure = _refusal(response, body, settings)
    if failure is None and native_id is None:
        message = "the vendor reported success but gave no task id"
        no_id = Failure(reason=FailureClass.PROTOCOL, message=message, native_message=_message(body))
        raise ProviderError(no_id, status=response.status, maybe_accepted=True)
    if failure is not None and native_id is None and _may_be_accepted(failure, response):
        raise ProviderError(failure, status=response.status, maybe_accepted=True)
    # The answer has no status field; an id without an error means that the task is in progress.
    state = JobState.IN_PROGRESS if failure is None else None
    return JobUpdate(native_id=native_id, state=state, failure=failure, body=body)


def _may_be_accepted(failure: Failure, response: HttpResponse) -> bool:
    """True for a server error after which a task may exist; 501, 505 and 531 rule that out."""
    if failure.reason is not FailureClass.UPSTREAM_FAILED:
        return failure.reason is FailureClass.PROTOCOL
    code = integer(failure.native_code)
    return code not in FINAL_CODES and (code is None or code >= 500 or response.status >= 500)


def _refusal(
    response: HttpResponse, body: Mapping[str, object], settings: ProviderSettings
) -> Failure | None:
    """Failure for the code or, without one, for the HTTP status; None for success."""
    code = integer(body.get("code"))
    if code == 200 or (code is None and response.is_success):
        return None
    wait_s = retry_after_s(response)
    if code is None:
        failure = attrs.evolve(failure_of_http(response.status), retry_after_s=wait_s)
        return attrs.evolve(failure, native_message=_message(body), message=_message(body) or failure.message)
    return failure_of(code, _message(body), flavour_of(settings), retry_after_s=wait_s)


def _message(body: Mapping[str, object]) -> str | None:
    """The envelope's text: ``msg``, on one market page ``message``."""
    message = text(first(body, "msg", "message", "error"))
    return message[:MESSAGE_MAX_CHARS] if message else None


def _read(response: HttpResponse, body: dict[str, object], job: Job, settings: ProviderSettings) -> JobUpdate:
    refusal = _refusal(response, body, settings)
    if refusal is not None:
        return _refused_read(response, refusal, body)
    if integer(body.get("code")) == 200 and body.get("data", body) is None:
        # Seen: the legacy routes say success, with data null, for a task that they do not know, 2026-04-28.
        gone = Failure(reason=FailureClass.NOT_FOUND, message="the vendor has no record of the task")
        return JobUpdate(doubt=Doubt(failure=gone, grace_s=NO_RECORD_GRACE_S), body=body)
    data = mapping(body.get("data"))
    status = text(first(data, "status", "state"))
    if status is None:
        message = "the vendor's answer has no task record in it"
        failure = Failure(reason=FailureClass.PROTOCOL, message=message, native_message=_message(body))
        raise ProviderError(failure, status=response.status)
    derive = settings.options.get("derive_cdn_urls") is True
    return _decide_state(
        status,
        data,
        job,
        settings,
        JobUpdate(native_status=status, tracks=read_tracks(data, derive_cdn_urls=derive), body=body),
    )


def _refused_read(response: HttpResponse, refusal: Failure, body: dict[str, object]) -> JobUpdate:
    """Read an error code: no record, the end of the task, or noise."""
    code = integer(body.get("code"))
    if code in {404, 422}:
        gone = attrs.evolve(refusal, reason=FailureClass.NOT_FOUND, http_status=None)
        return JobUpdate(doubt=Doubt(failure=gone, grace_s=NO_RECORD_GRACE_S), body=body)
    if code == 408:
        return JobUpdate(doubt=Doubt(failure=refusal, grace_s=TIMEOUT_GRACE_S), body=body)
    if code in FINAL_CODES:
        return JobUpdate(failure=refusal, body=body)
    raise ProviderError(refusal, status=response.status)


def _decide_state(
    status: str, data: Mapping[str, object], job: Job, settings: ProviderSettings, update: JobUpdate
) -> JobUpdate:
    """Decide the state from the native status and the tracks so far."""
    mapped = map_status(status)
    callback_failed = status.strip().upper() == CALLBACK_EXCEPTION
    if mapped is JobState.FAILED:
        return attrs.evolve(update, failure=_job_failure(status, data, settings))
    if mapped is not JobState.COMPLETED and not callback_failed:
        return update
    tracks: tuple[Track | NativeTrack, ...] = (*job.tracks, *update.tracks)
    with_audio = {track.native_id for track in tracks if track.audio_url}
    listed = {track.native_id for track in tracks}
    if with_audio and with_audio == listed:
        return attrs.evolve(update, state=JobState.COMPLETED)
    if with_audio and callback_failed:
        return attrs.evolve(update, state=JobState.IN_PROGRESS)
    event = "the vendor's callback failed" if callback_failed else "the vendor reported success"
    message = f"{event} and no audio came after it"
    failure = Failure(reason=FailureClass.UPSTREAM_FAILED, message=message, native_code=status)
    grace_s = CALLBACK_EXCEPTION_GRACE_S if callback_failed else NO_AUDIO_GRACE_S
    return attrs.evolve(update, state=JobState.IN_PROGRESS, doubt=Doubt(failure=failure, grace_s=grace_s))


def _job_failure(status: str, data: Mapping[str, object], settings: ProviderSettings) -> Failure:
    code = integer(first(data, "errorCode", "failCode", "error_code", "fail_code"))
    message = text(first(data, "errorMessage", "failMsg", "error_message", "fail_msg"))
    message = message[:MESSAGE_MAX_CHARS] if message else None
    return failure_of_job(code, message, status.strip().upper(), flavour_of(settings))
