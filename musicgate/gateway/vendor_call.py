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
import time
from typing import TYPE_CHECKING, Final, TypeVar

import attrs

from musicgate.aio import offload
from musicgate.engine import is_cancelled
from musicgate.errors import PluginError, ProviderError, failure_of
from musicgate.gateway.trace import trace_exchange
from musicgate.metrics import STATUS_CLASSES
from musicgate.model import Failure, FailureClass, JobUpdate
from musicgate.plugin import HttpRequest, Step
from musicgate.text import LARGE_ANSWER_BYTES

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from musicgate.gateway.context import GatewayContext
    from musicgate.gateway.quiet_polls import QuietPoll
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job, NativeTrack
    from musicgate.plugin import HttpResponse
    from musicgate.text import Masker
    from musicgate.tracing import Tracing

_log = logging.getLogger(__name__)
_T = TypeVar("_T")
#: A plugin may ask for this many further requests before its answer counts as confused.
_MAX_FURTHER_CALLS = 3
#: Seconds beyond all time-outs of the transport: it ends its calls by itself, unless it is broken.
_MARGIN_S = 5.0
#: Bound once: on Python 3.11 a member by the name of its class is a slow look-up.
_CREATE: Final = Step.CREATE
#: Spans of calls, as a trace shows them.
_SPAN_NAMES: Final = {step: f"vendor {step.value}" for step in Step}
#: Outcomes of calls, as they are counted.
_NO_ANSWER: Final = "no_answer"


@attrs.define
class Exchange:
    """How far a call has come: what was handed to the transport, and what came back.

    Attributes:
        request: the last request, with the key; None = none was handed over.
        response: the answer to it.
        calls: requests that were handed over.
    """

    request: HttpRequest | None = None
    response: HttpResponse | None = None
    calls: int = 0


def call_vendor(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    request: HttpRequest | None,
    job: Job,
    exchange: Exchange | None = None,
) -> Awaitable[JobUpdate]:
    """Send one request and read the answer.

    Args:
        request: None = it was sent before, and its answer is in ``exchange``.
        exchange: shows afterwards what was sent, and what came back.

    Raises:
        ProviderError: and nothing else: no answer, or none that can be read. After a create call
            ``maybe_accepted`` says whether the vendor may have taken it; whatever breaks once the request was
            sent counts as "maybe".
    """
    exchange = Exchange() if exchange is None else exchange
    work = _exchange(context, installed, step, request, job, exchange)
    return _guarded(context, installed, step, job.id, job.callback_token, exchange, work)


def repeat_poll(context: GatewayContext, job_id: str, last: QuietPoll) -> Awaitable[HttpResponse]:
    """Send a poll that changed nothing once more, and return the answer unread.

    A trace has no span of it if the answer is the same again: a song is polled dozens of times.

    Raises:
        ProviderError: and nothing else, as of `call_vendor`.
    """
    exchange, installed = Exchange(), last.installed
    work: Awaitable[HttpResponse] = _send(context, installed, Step.POLL, last.request, exchange)
    if context.tracing is not None and last.trace:
        work = _spanned(context.tracing, installed, Step.POLL, job_id, last.trace, work, last)
    return _guarded(context, installed, Step.POLL, job_id, "", exchange, work)


def _longest_call_s(installed: InstalledProvider, step: Step) -> float:
    """Seconds that a call can last, with the further calls that a plugin may ask for."""
    timeouts = installed.provider.timeouts
    first_s = timeouts.create_s if step is _CREATE else timeouts.read_s
    further_s = _MAX_FURTHER_CALLS * (timeouts.connect_s + timeouts.read_s)
    return timeouts.connect_s + first_s + further_s + _MARGIN_S


async def _guarded(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    job_id: str,
    callback_token: str,
    exchange: Exchange,
    work: Awaitable[_T],
) -> _T:
    """Do the work of a call in its time, and turn every error into a `ProviderError` without a secret."""
    limit = context.time_limits.of(_longest_call_s(installed, step))
    try:
        with limit:
            limit.start()
            return await work
    except ProviderError as error:
        try:
            masked = installed.masker(callback_token).failure(error.failure)
        except Exception as exc:
            raise _broken(installed, job_id, exc, exchange) from exc
        if masked is error.failure:
            raise
        # Not from the error: its text holds the secret, and a log may show the chain.
        raise _changed(error, failure=masked) from None
    except asyncio.CancelledError as error:
        if is_cancelled():
            raise
        # This task was not cancelled: something below gave up, and ended its own work in its own way.
        raise _broken(installed, job_id, error, exchange) from error
    except Exception as error:
        if isinstance(error, TimeoutError) and limit.is_over:
            message = f"the call to {installed.name} hung"
            failure = Failure(reason=FailureClass.UNKNOWN_OUTCOME, message=message, http_status=504)
            raise ProviderError(failure, maybe_accepted=True) from error
        raise _broken(installed, job_id, error, exchange) from error


async def _exchange(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    request: HttpRequest | None,
    job: Job,
    exchange: Exchange,
) -> JobUpdate:
    """Send the request, unless it is answered already; let the plugin read, and send what it asks for.

    What is kept of the answer is masked.
    """
    if request is not None:
        response = await _sent(context, installed, step, _with_key(installed, request), job, exchange)
    elif exchange.response is not None:
        response = exchange.response
    else:
        raise ValueError("neither a request nor an answer to it")
    for further in range(_MAX_FURTHER_CALLS + 1):
        if len(response.body) <= LARGE_ANSWER_BYTES:
            answer = _read(installed, step, response, job)
        else:
            read = functools.partial(_read, installed, step, response, job)
            answer = await offload(read, is_large=True)
        if isinstance(answer, JobUpdate):
            return _masked(answer, installed, job)
        if further == _MAX_FURTHER_CALLS:
            break
        step = Step.NEXT
        try:
            response = await _sent(context, installed, step, _with_key(installed, answer), job, exchange)
        except ProviderError as error:
            # This call did not get through, but the one before it did.
            raise _changed(error, maybe_accepted=True) from error
    failure = Failure(
        reason=FailureClass.PROTOCOL, message=f"{installed.name} asked for too many further calls"
    )
    raise ProviderError(failure, status=response.status, maybe_accepted=True)


def _read(
    installed: InstalledProvider, step: Step, response: HttpResponse, job: Job
) -> JobUpdate | HttpRequest:
    """Let the plugin read an answer."""
    try:
        return installed.plugin.parse(step, response, job, installed.settings)
    except PluginError as error:
        raise ProviderError(failure_of(error), status=response.status, maybe_accepted=True) from error
    except ProviderError as error:
        if error.maybe_accepted or 400 <= response.status < 500:
            raise
        # A vendor's plain "no" is an update with a failure. An answer that cannot be read must not lead to a
        # second song, whatever a plugin, or a wrapper around it, makes of it.
        raise _changed(error, maybe_accepted=True) from error


def _sent(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    complete: HttpRequest,
    job: Job,
    exchange: Exchange,
) -> Awaitable[HttpResponse]:
    """Send a request; log the exchange if the caller's request asks for it."""
    work: Awaitable[HttpResponse]
    if job.request.debug.trace:
        work = _traced(context, installed, step, complete, job, exchange)
    else:
        work = _send(context, installed, step, complete, exchange)
    if context.tracing is None or not job.trace:
        return work
    return _spanned(context.tracing, installed, step, job.id, job.trace, work)


async def _spanned(
    tracing: Tracing,
    installed: InstalledProvider,
    step: Step,
    job_id: str,
    trace: str,
    work: Awaitable[HttpResponse],
    last: QuietPoll | None = None,
) -> HttpResponse:
    """Send a request, and record it in the job's trace. The vendor is not told of it.

    Args:
        last: the poll that the request repeats.
    """
    attributes: dict[str, str | int] = {"musicgate.job": job_id, "musicgate.plugin": installed.name}
    if last is not None:
        attributes["musicgate.repeated_polls"] = last.repeat_count
    start_ns = time.time_ns()
    try:
        response = await work
    except BaseException as raised:
        tracing.record(_SPAN_NAMES[step], attributes, parent=trace, start_ns=start_ns, error=raised)
        raise
    if last is None or not last.has_answer(response):
        attributes["http.response.status_code"] = response.status
        tracing.record(_SPAN_NAMES[step], attributes, parent=trace, start_ns=start_ns)
    return response


async def _traced(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    complete: HttpRequest,
    job: Job,
    exchange: Exchange,
) -> HttpResponse:
    started = time.perf_counter()
    try:
        response = await _send(context, installed, step, complete, exchange)
    except ProviderError as error:
        trace_exchange(installed, step, job, complete, error, time.perf_counter() - started)
        raise
    trace_exchange(installed, step, job, complete, response, time.perf_counter() - started)
    return response


async def _send(
    context: GatewayContext,
    installed: InstalledProvider,
    step: Step,
    complete: HttpRequest,
    exchange: Exchange,
) -> HttpResponse:
    """Hand a request to the transport; from then on the vendor may have taken it."""
    timeouts = installed.provider.timeouts
    exchange.request = complete
    exchange.calls += 1
    outcome, began_s = _NO_ANSWER, time.perf_counter()
    try:
        response = await context.transport.send(
            complete,
            timeouts=timeouts,
            read_timeout_s=timeouts.create_s if step is _CREATE else timeouts.read_s,
            max_body_bytes=installed.provider.max_answer_bytes,
        )
        outcome = STATUS_CLASSES.get(response.status // 100, _NO_ANSWER)
    finally:
        labels = installed.name, step._value_, outcome
        context.figures.vendor_calls.observe(labels, time.perf_counter() - began_s)
    exchange.response = response
    return response


def _with_key(installed: InstalledProvider, request: HttpRequest) -> HttpRequest:
    """Add the key to a request.

    Raises:
        ProviderError: class ``auth``: the key cannot be put into a header.
    """
    if installed.has_usable_key:
        return HttpRequest(
            method=request.method,
            url=request.url,
            headers={**request.headers, **installed.key_header},
            body=request.body,
        )
    message = (
        f"{installed.name}: the key cannot be put into a header (a line break in it?); nothing was sent: "
        f"set {installed.provider.key_env}, or providers.{installed.name}.api_key"
    )
    raise ProviderError(Failure(reason=FailureClass.AUTH, message=message, http_status=502))


def _broken(
    installed: InstalledProvider, job_id: str, error: BaseException, exchange: Exchange
) -> ProviderError:
    """The `ProviderError` of an unexpected error, whose own text may hold anything and is not shown."""
    kind, was_sent = type(error).__name__, exchange.calls > 0
    facts = job_id, installed.name, kind, was_sent
    _log.error("vendor call broke: job=%s plugin=%s error=%s sent=%s", *facts)
    if not was_sent:
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
    if update.native_status and update.native_status != job.native_status:  # else it was masked before
        status = installed.masker(job.callback_token, whole=True).text(update.native_status)
        update = update if status is update.native_status else attrs.evolve(update, native_status=status)
    keeps_body = job.request.debug.return_upstream_response and update.body is not None
    has_texts = update.failure is not None or update.doubt is not None or bool(update.warnings)
    has_texts = has_texts or (bool(update.tracks) and any(track.failure_message for track in update.tracks))
    if not (keeps_body or has_texts):
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
