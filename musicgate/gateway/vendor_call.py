"""One call to a vendor as the use cases make it: an exchange that ends, whatever its transport does.

The transport keeps its own time-outs, and ends its calls by itself. Should it hang all the same, no job may hang with it: a call that is
longer than all of its time-outs together is given up, and then it may have been taken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from musicgate.errors import ProviderError
from musicgate.gateway.exchange import MAX_FURTHER_CALLS, exchange
from musicgate.hookspecs import Step
from musicgate.model import Failure, FailureClass

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.model import Job, JobUpdate
    from musicgate.wire import HttpRequest

#: Seconds beyond all time-outs of the transport: it ends its calls by itself, unless it is broken.
_MARGIN_S = 5.0


async def call_vendor(
    context: GatewayContext, live: LiveProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    """Send one request and read what the vendor says.

    Raises:
        ProviderError: and nothing else.
    """
    try:
        async with asyncio.timeout(longest_call_s(live, step)):
            return await exchange(context, live, step, request, job)
    except TimeoutError as exc:
        failure = Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message=f"the call to {live.name} hung", http_status=504
        )
        raise ProviderError(failure, maybe_accepted=True) from exc


def longest_call_s(live: LiveProvider, step: Step) -> float:
    """Seconds that a call can last at the most: its own time-outs, and those of the further calls that a plugin may ask for."""
    timeouts = live.provider.timeouts
    first_s = timeouts.create_s if step is Step.CREATE else timeouts.read_s
    further_s = MAX_FURTHER_CALLS * (timeouts.connect_s + timeouts.read_s)
    return timeouts.connect_s + first_s + further_s + _MARGIN_S
