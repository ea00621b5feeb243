"""One call to a vendor: add the key, send, let the plugin read; every error is a `ProviderError`.

Money hangs on ``ProviderError.maybe_accepted``, so nothing else leaves `call_vendor`. Whatever breaks before
the request is handed to the transport means "not sent". Whatever breaks later, in a plugin, a wrapper or our
own code, means that the vendor may have taken it.

The transport keeps its time-outs and ends its calls by itself. Should it hang all the same, no job may hang
with it: a call that lasts longer than all of its time-outs together is given up, and counts as one that may
have been taken.

A vendor's answer may quote our key and the job's callback token. Texts that are kept to be shown are masked
here, where they come in; ids, links and titles are used, and stay as they are. A status is both: it loses
whole secrets only.
Seen: Suno's record repeats the whole request, callback URL included (docs.kie.ai/suno-api/get-music-details,
early 2026).
"""

from __future__ import annotations

import asyncio
import functools
import logging
from typing import TYPE_CHECKING

import attrs

from musicgate.aio import offload
from musicgate.engine import is_cancelled
from musicgate.errors import PluginError, ProviderError, failure_of
from musicgate.model import Failure, FailureClass, JobUpdate
from musicgate.plugin import Step
from musicgate.text import LARGE_ANSWER_BYTES

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job, NativeTrack
    from musicgate.plugin import HttpRequest, HttpResponse
    from musicgate.text import Masker

_log = logging.getLogger(__name__)
#: A plugin may ask for this many further requests before its answer counts as confused.
_MAX_FURTHER_CALLS = 3
#: Seconds beyond all time-outs of the transport: it ends its calls by itself, unless it is broken.
_MARGIN_S = 5.0


@attrs.define
class _Progress:
    """Whether a request of this call was handed to the transport."""

    was_sent: bool = False


async def call_vendor(
    context: GatewayContext, installed: InstalledProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    """Send one request and read the answer.

    Raises:
        ProviderError: and nothing else: no answer, or none that can be read. After a create call
            ``maybe_accepted`` says whether the vendor may have taken it; whatever breaks once the request was
            sent counts as "maybe".
    """
    try:
        async with asyncio.timeout(_longest_call_s(installed, step)):
            return await _guarded(context, installed, step, request, job)
    except TimeoutError as exc:
        failure = Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message=f"the call to {installed.name} hung", http_status=504
        )
        raise ProviderError(failure, maybe_accepted=True) from exc


def _longest_call_s(installed: InstalledProvider, step: Step) -> float:
    """Seconds that a call can last, with the further calls that a plugin may ask for."""
    timeouts = installed.provider.timeouts
    first_s = timeouts.create_s if step is Step.CREATE else timeouts.read_s
    further_s = _MAX_FURTHER_CALLS * (timeouts.connect_s + timeouts.read_s)
    return timeouts.connect_s + first_s + further_s + _MARGIN_S


async def _guarded(
    context: GatewayContext, installed: InstalledProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    """Exchange requests and answers, mask what is kept, and turn every error into a `ProviderError`."""
    progress = _Progress()
    try:
        try:
            update = await _exchange(context, installed, step, request, job, progress)
        except ProviderError as error:
            masked = installed.masker(job.callback_token).failure(error.failure)
            if masked is error.failure:
                raise
            # Not from the error: its text holds the secret, and a log may show the chain.
            raise _changed(error, failure=masked) from None
        return _masked(update, installed, job)
    except ProviderError:
        raise
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        # This task was not cancelled: something below gave up, and ended its own work in its own way.
        raise _broken(installed, job, error, progress) from error
    except Exception as error:
        raise _broken(installed, job, error, progress) from error


async def _exchange(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    request: HttpRequest,
    job: Job,
    progress: _Progress,
) -> JobUpdate:
    response = await _send(context, installed, step, request, progress)
    for further in range(_MAX_FURTHER_CALLS + 1):
        try:
            answer = await offload(
                functools.partial(installed.plugin.parse, step, response, job, installed.settings),
                is_large=len(response.body) > LARGE_ANSWER_BYTES,
            )
        except PluginError as error:
            raise ProviderError(failure_of(error), status=response.status, maybe_accepted=True) from error
        except ProviderError as error:
            if error.maybe_accepted or 400 <= response.status < 500:
                raise
            # A vendor's plain "no" is an update with a failure. An answer that cannot be read must not lead
            # to a second song, whatever a plugin, or a wrapper around it, makes of it.
            raise _changed(error, maybe_accepted=True) from error
        if isinstance(answer, JobUpdate):
            return answer
        if further == _MAX_FURTHER_CALLS:
            break
        step = Step.NEXT
        try:
            response = await _send(context, installed, step, answer, progress)
        except ProviderError as error:
            # This call did not get through, but the one before it did.
            raise _changed(error, maybe_accepted=True) from error
    failure = Failure(
        reason=FailureClass.PROTOCOL, message=f"{installed.name} asked for too many further calls"
    )
    raise ProviderError(failure, status=response.status, maybe_accepted=True)


async def _send(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    request: HttpRequest,
    progress: _Progress,
) -> HttpResponse:
    timeouts = installed.provider.timeouts
    complete = _with_key(installed, request)
    progress.was_sent = True
    return await context.transport.send(
        complete,
        timeouts=timeouts,
        read_timeout_s=timeouts.create_s if step is Step.CREATE else timeouts.read_s,
        max_body_bytes=installed.provider.max_answer_bytes,
    )


def _with_key(installed: InstalledProvider, request: HttpRequest) -> HttpRequest:
    """Add the key to a request.

    Raises:
        ProviderError: class ``auth``: the key cannot be put into a header.
    """
    auth = installed.provider.auth
    key = {auth.header: auth.value(installed.key.reveal())} if installed.key else {}
    complete = attrs.evolve(request, headers={**request.headers, **key})
    if complete.fault() is None:
        return complete
    message = (
        f"{installed.name}: the key cannot be put into a header (a line break in it?); nothing was sent: "
        f"set {installed.provider.key_env}, or providers.{installed.name}.api_key"
    )
    raise ProviderError(Failure(reason=FailureClass.AUTH, message=message, http_status=502))


def _broken(
    installed: InstalledProvider, job: Job, error: BaseException, progress: _Progress
) -> ProviderError:
    """The `ProviderError` of an unexpected error, whose own text may hold anything and is not shown."""
    kind = type(error).__name__
    facts = job.id, installed.name, kind, progress.was_sent
    _log.error("vendor call broke: job=%s plugin=%s error=%s sent=%s", *facts)
    if not progress.was_sent:
        message = f"the call to {installed.name} broke before anything was sent ({kind})"
        return ProviderError(Failure(reason=FailureClass.GATEWAY, message=message, may_have_cost=False))
    message = f"the call to {installed.name} broke on the way ({kind})"
    failure = Failure(reason=FailureClass.UNKNOWN_OUTCOME, message=message)
    return ProviderError(failure, maybe_accepted=True)


def _changed(
    error: ProviderError, *, failure: Failure | None = None, maybe_accepted: bool | None = None
) -> ProviderError:
    return ProviderError(
        error.failure if failure is None else failure,
        status=error.status,
        maybe_accepted=error.maybe_accepted if maybe_accepted is None else maybe_accepted,
        is_final=error.is_final,
    )


def _masked(update: JobUpdate, installed: InstalledProvider, job: Job) -> JobUpdate:
    """Mask the texts of an update that are kept to be shown. Most answers have none but the status."""
    if update.native_status:
        status = installed.masker(job.callback_token, whole=True).text(update.native_status)
        update = update if status is update.native_status else attrs.evolve(update, native_status=status)
    keeps_body = job.request.debug.return_upstream_response and update.body is not None
    has_texts = update.failure is not None or update.doubt is not None or bool(update.warnings)
    if not (keeps_body or has_texts or any(track.failure_message for track in update.tracks)):
        return update
    masker = installed.masker(job.callback_token)
    doubt = update.doubt
    return attrs.evolve(
        update,
        failure=update.failure and masker.failure(update.failure),
        doubt=doubt and attrs.evolve(doubt, failure=masker.failure(doubt.failure)),
        warnings=tuple(
            attrs.evolve(warning, message=masker.text(warning.message)) for warning in update.warnings
        ),
        tracks=tuple(_masked_track(track, masker) for track in update.tracks),
        body=masker.json(update.body) if keeps_body else None,
    )


def _masked_track(track: NativeTrack, masker: Masker) -> NativeTrack:
    if not track.failure_message:
        return track
    return attrs.evolve(track, failure_message=masker.text(track.failure_message))
