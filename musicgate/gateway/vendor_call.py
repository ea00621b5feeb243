"""One call to a vendor as the use cases make it: an exchange that ends, whatever its transport does.

The transport keeps its own time-outs, and ends its calls by itself. Should it hang all the same, no job may hang with it: a call that is
longer than all of its time-outs together is given up, and then it may have been taken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from musicgate.errors import ProviderError
from musicgate.gateway.exchange import MAX_FURTHER_CALLS, exchange
from musicgate.model import Failure, FailureClass
from musicgate.plugin import Step

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext
    from musicgate.hosting import InstalledProvider
    from musicgate.model import Job, JobUpdate
    from musicgate.plugin import HttpRequest

#: Seconds beyond all time-outs of the transport: it ends its calls by itself, unless it is broken.
_MARGIN_S = 5.0


async def call_vendor(
    context: GatewayContext, installed: InstalledProvider, step: Step, request: HttpRequest, job: Job
) -> JobUpdate:
    """Send one request and read what the vendor says.

    Raises:
        ProviderError: and nothing else.
    """
    try:
        async with asyncio.timeout(longest_call_s(installed, step)):
            return await exchange(context, installed, step, request, job)
    except TimeoutError as exc:
        failure = Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message=f"the call to {installed.name} hung", http_status=504
        )
        raise ProviderError(failure, maybe_accepted=True) from exc


def longest_call_s(installed: InstalledProvider, step: Step) -> float:
    """Seconds that a call can last at the most: its own time-outs, and those of the further calls that a plugin may ask for."""
    timeouts = installed.provider.timeouts
    first_s = timeouts.create_s if step is Step.CREATE else timeouts.read_s
    further_s = MAX_FURTHER_CALLS * (timeouts.connect_s + timeouts.read_s)
    return timeouts.connect_s + first_s + further_s + _MARGIN_S
