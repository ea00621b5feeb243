"""One call to a vendor as the use cases make it: whatever breaks or hangs on the way comes out as a `ProviderError`.

`musicgate.gateway.exchange` reads what a vendor says and knows the errors that belong to that. This knows the others: a port that raises what
it never should, a plugin that breaks in a way of its own, a transport that does not keep its own time-outs. Of a create call all of these
mean that it may have been taken.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from musicgate.errors import ProviderError
from musicgate.gateway.exchange import MAX_FURTHER_CALLS, exchange
from musicgate.gateway.supervisor import no_stray_cancellation
from musicgate.hookspecs import Step
from musicgate.model import Failure, FailureClass

if TYPE_CHECKING:
    from musicgate.gateway.context import GatewayContext, LiveProvider
    from musicgate.model import Job, JobUpdate
    from musicgate.wire import HttpRequest

_log = logging.getLogger(__name__)
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
        with no_stray_cancellation():
            async with asyncio.timeout(longest_call_s(live, step)):
                return await exchange(context, live, step, request, job)
    except ProviderError:
        raise
    except TimeoutError as exc:
        failure = Failure(
            reason=FailureClass.UNKNOWN_OUTCOME, message=f"{live.name}: the call hung", http_status=504
        )
        raise ProviderError(failure, maybe_accepted=True) from exc
    except Exception as exc:
        _log.exception("job %s: the call to %s broke", job.id, live.name)
        message = f"{live.name}: the call broke ({type(exc).__name__})"
        failure = Failure(reason=FailureClass.UNKNOWN_OUTCOME, message=message)
        raise ProviderError(failure, maybe_accepted=True) from exc


def longest_call_s(live: LiveProvider, step: Step) -> float:
    """Seconds that a call can last at the most: its own time-outs, and those of the further calls that a plugin may ask for."""
    timeouts = live.provider.timeouts
    first_s = timeouts.create_s if step is Step.CREATE else timeouts.read_s
    further_s = MAX_FURTHER_CALLS * (timeouts.connect_s + timeouts.read_s)
    return timeouts.connect_s + first_s + further_s + _MARGIN_S
