"""One conversation with a vendor: add the key, send, let the plugin read; every failure comes out as a `ProviderError`."""

from __future__ import annotations

import functools
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, cast

import attrs

from musicgate.bounds import LARGE_ANSWER_BYTES
from musicgate.errors import PluginError, ProviderError, RequestError
from musicgate.gateway.apart import apart
from musicgate.hookspecs import Step
from musicgate.model import Failure, FailureClass, JobUpdate
from musicgate.plugins import failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.model import Job
    from musicgate.wire import HttpRequest, HttpResponse

#: A plugin may ask for this many further requests before its answer counts as confused.
_MAX_FURTHER_CALLS = 3
_MASK = "***"
#: What lies deeper in a vendor's JSON is not kept.
_MAX_DEPTH = 100
_Said = TypeVar("_Said", JobUpdate, Failure)


async def exchange(
    context: GatewayContext, live: LiveProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    """Send one request and read what the vendor says.

    Raises:
        ProviderError: no answer, or none that can be read. After a create call, ``maybe_accepted`` says whether it may have been
            taken; a plugin that breaks while it reads counts as "maybe".
    """
    try:
        return _scrub(await _converse(context, live, step, request, job), live, job)
    except ProviderError as error:
        error.failure = _scrub(error.failure, live, job)
        error.args = (error.failure.message,)  # a log shows these
        raise


async def _converse(
    context: GatewayContext, live: LiveProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    response = await _send(context, live, step, request)
    for further in range(_MAX_FURTHER_CALLS + 1):
        try:
            answer = await apart(
                functools.partial(live.plugin.parse, step, response, job, live.settings),
                is_large=len(response.body) > LARGE_ANSWER_BYTES,
            )
        except (PluginError, RequestError) as error:
            raise ProviderError(failure_of(error), status=response.status, maybe_accepted=True) from error
        if isinstance(answer, JobUpdate):
            return answer
        if further == _MAX_FURTHER_CALLS:
            break
        step = Step.NEXT
        try:
            response = await _send(context, live, step, answer)
        except ProviderError as error:
            error.maybe_accepted = True  # this call did not get through, but the one before it did
            raise
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


def _scrub(said: _Said, live: LiveProvider, job: Job) -> _Said:
    """What a vendor said, without our key and the job's callback token: it may have quoted both back at us, in any text.

    Seen: Suno's record repeats the whole request, callback URL included (docs.kie.ai/suno-api/get-music-details, early 2026).
    """
    secrets = [job.callback_token] if live.key is None else [live.key.reveal(), job.callback_token]
    return cast("_Said", _masked(said, secrets))


def _masked(value: Any, secrets: Sequence[str], depth: int = 0) -> Any:
    if isinstance(value, str) and not isinstance(value, StrEnum):
        for secret in secrets:
            value = value.replace(secret, _MASK)
        return value
    if depth > _MAX_DEPTH:
        return _MASK
    if isinstance(value, dict):
        return {_masked(name, secrets): _masked(item, secrets, depth + 1) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)([_masked(item, secrets, depth + 1) for item in value])
    if attrs.has(type(value)):
        fields = attrs.asdict(value, recurse=False)
        return attrs.evolve(
            value, **{name: _masked(item, secrets, depth + 1) for name, item in fields.items()}
        )
    return value
