"""The answers of kie.ai about a task: status, failures, doubts; no requests.

How errors are read is in `codes`. Only the task's own record says anything about the song. Three answers end
a job only when they last: no record, success without audio, a failed callback. A task that failed after a
track had its audio is done with that track: it is paid for.

Sources: docs.kie.ai/suno-api/get-music-details (early 2026), docs.kie.ai/market/common/get-task-detail
(2026-09-25).
"""

from collections.abc import Mapping
from typing import Final

import attrs

import musicgate.plugin as mg
from musicgate.plugin.lenient import first, mapping, seconds, text
from musicgate_suno_kie.codes import errors_of
from musicgate_suno_kie.declaration import CALLBACK_EXCEPTION, PROVIDER
from musicgate_suno_kie.tracks import read_tracks

#: Seen: SUCCESS with null links that were filled in later, 2026-07-08.
#: ASSUMED: the time, and the same for a single track without audio.
NO_AUDIO_GRACE_S: Final = 120.0

#: A failed callback says nothing about the song. ASSUMED: the time.
CALLBACK_EXCEPTION_GRACE_S: Final = 120.0


#: Four shapes of a callback are read: Suno's own (``data.callbackType``), the market's (``data.state``), one
#: that looks like a record (``data.status``; reported by one project), and ids at the top level. Which of
#: them market tasks send is unknown. Seen: the case of the id's key varies with the operation.
#: Source: docs.kie.ai/suno-api/generate-music-callbacks, early 2026.
_CALLBACK_ID: Final = mg.At("data.task_id", "data.taskId", "taskId", "task_id")
_CALLBACK_STATUS: Final = mg.At("data.callbackType", "data.status", "data.state")


@mg.hookimpl
def parse_response(
    step: mg.Step, response: mg.HttpResponse, job: mg.Job, settings: mg.ProviderSettings
) -> mg.JobUpdate:
    """Read the answer to a create call or to a poll.

    Raises:
        ProviderError: the answer cannot be read, may hide an accepted task, or says nothing about the song.
    """
    errors = errors_of(settings)
    body = errors.open(step, response)
    if isinstance(body, mg.JobUpdate):
        return body
    if step is mg.Step.CREATE:
        return errors.created(response, body)
    data = mapping(body.get("data"))
    status = text(first(data, "status", "state"))
    if status is None and "data" in body and body["data"] is None:
        return errors.missing(body)
    if status is None:
        raise errors.unreadable(response, "gave an answer with no task record in it")
    charge = seconds(data.get("creditsConsumed"))  # any positive number
    derive = settings.options.get("derive_cdn_urls") is True
    update = mg.JobUpdate(
        native_status=status,
        tracks=read_tracks(data, derive_cdn_urls=derive),
        # On the market route only, and 0 until the end; the unit of its ``progress`` is documented nowhere.
        progress=mg.Progress(charge=charge, charge_unit="credits") if charge else None,
        body=body,
    )
    return _decide_state(status, data, job, settings, update)


def _decide_state(
    status: str, data: Mapping[str, object], job: mg.Job, settings: mg.ProviderSettings, update: mg.JobUpdate
) -> mg.JobUpdate:
    """Decide the state from the native status and the tracks so far."""
    mapped = PROVIDER.state_of(status)
    callback_failed = status.strip().upper() == CALLBACK_EXCEPTION
    if mapped is mg.JobState.FAILED:
        return attrs.evolve(update, failure=_job_failure(status, data, settings))
    if mapped is not mg.JobState.COMPLETED and not callback_failed:
        return update
    tracks: tuple[mg.Track | mg.NativeTrack, ...] = (*job.tracks, *update.tracks)
    with_audio = {track.native_id for track in tracks if track.audio_url}
    listed = {track.native_id for track in tracks}
    if with_audio and with_audio == listed:
        return attrs.evolve(update, state=mg.JobState.COMPLETED)
    if with_audio and callback_failed:
        return attrs.evolve(update, state=mg.JobState.IN_PROGRESS)
    event = "the vendor's callback failed" if callback_failed else "the vendor reported success"
    message = f"{event} and no audio came after it"
    failure = mg.Failure(reason=mg.FailureClass.UPSTREAM_FAILED, message=message, native_code=status)
    grace_s = CALLBACK_EXCEPTION_GRACE_S if callback_failed else NO_AUDIO_GRACE_S
    return attrs.evolve(
        update, state=mg.JobState.IN_PROGRESS, doubt=mg.Doubt(failure=failure, grace_s=grace_s)
    )


def _job_failure(status: str, data: Mapping[str, object], settings: mg.ProviderSettings) -> mg.Failure:
    code = text(first(data, "errorCode", "failCode", "error_code", "fail_code"))
    message = first(data, "errorMessage", "failMsg", "error_message", "fail_msg")
    return errors_of(settings).task_failure(status.strip().upper(), code, message)


@mg.hookimpl
def parse_callback(body: bytes) -> mg.CallbackClaim:
    """Read a callback: a hint, never a verdict.

    Raises:
        ProviderError: class ``protocol``, when the body is not a JSON object.
    """
    content = mg.HttpResponse(status=200, body=body).json_object()
    status = _CALLBACK_STATUS.read(content, text)
    return mg.CallbackClaim(native_id=_CALLBACK_ID.read(content, text), native_status=status)
