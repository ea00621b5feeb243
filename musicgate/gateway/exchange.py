"""One conversation with a vendor: add the key, send, let the plugin read; every failure comes out as a `ProviderError`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from musicgate.errors import PluginError, ProviderError, RequestError
from musicgate.hookspecs import Step
from musicgate.model import Failure, FailureClass, JobUpdate
from musicgate.plugins import failure_of

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.model import Job
    from musicgate.wire import HttpRequest, HttpResponse

#: A plugin may ask for this many further requests before its answer counts as confused.
_MAX_FURTHER_CALLS = 3
_MASK = "***"


async def exchange(
    context: GatewayContext, live: LiveProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    """Send one request and read what the vendor says.

    Raises:
        ProviderError: no answer, or none that can be read. After a create call, ``maybe_accepted`` says whether it may have been
            taken; a plugin that breaks while it reads counts as "maybe".
    """
    try:
        return _scrub_update(await _converse(context, live, step, request, job), live)
    except ProviderError as error:
        error.failure = _scrub(error.failure, live)
        raise


async def _converse(
    context: GatewayContext, live: LiveProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    response = await _send(context, live, step, request)
    for _ in range(_MAX_FURTHER_CALLS + 1):
        try:
            answer = live.plugin.parse(step, response, job, live.settings)
        except (PluginError, RequestError) as error:
            raise ProviderError(failure_of(error), status=response.status, maybe_accepted=True) from error
        if isinstance(answer, JobUpdate):
            return answer
        step = Step.NEXT
        response = await _send(context, live, step, answer)
    failure = Failure(reason=FailureClass.PROTOCOL, message=f"{live.name} asked for too many further calls")
    raise ProviderError(failure, status=response.status, maybe_accepted=True)


async def _send(
    context: GatewayContext, live: LiveProvider, step: Step, request: HttpRequest
) -> HttpResponse:
    auth, timeouts = live.provider.auth, live.provider.timeouts
    key = {auth.header: auth.value(live.key.reveal())} if live.key else {}
    return await context.transport.send(
        attrs.evolve(request, headers={**request.headers, **key}),
        timeouts=timeouts,
        read_timeout_s=timeouts.create_s if step is Step.CREATE else timeouts.read_s,
        max_body_bytes=live.provider.max_answer_bytes,
    )


def _scrub_update(update: JobUpdate, live: LiveProvider) -> JobUpdate:
    return update if update.failure is None else attrs.evolve(update, failure=_scrub(update.failure, live))


def _scrub(failure: Failure, live: LiveProvider) -> Failure:
    """The failure without our key, which a vendor may have quoted back at us."""
    if live.key is None:
        return failure
    key = live.key.reveal()
    native = failure.native_message.replace(key, _MASK) if failure.native_message else failure.native_message
    return attrs.evolve(failure, message=failure.message.replace(key, _MASK), native_message=native)
