"""What runs the use cases: supervisor, scheduler, create queue, calls in flight, quota, breaker.

It knows tasks, times and counts, and must not know what a step does: the step function is handed in. Start
with `supervisor`.
"""

from musicgate.engine.call import Call, Caller
from musicgate.engine.create_queue import CreateQueue, Slot
from musicgate.engine.health import ProviderHealth
from musicgate.engine.in_flight import InFlight
from musicgate.engine.news import News, NoNews
from musicgate.engine.quota import Quota
from musicgate.engine.scheduler import Scheduler
from musicgate.engine.shares import LocalShares, ShareLostError, Shares, own_id
from musicgate.engine.supervisor import (
    ServiceReport,
    Supervisor,
    is_cancelled,
    no_stray_cancellation,
)

__all__ = [
    "Call",
    "Caller",
    "CreateQueue",
    "InFlight",
    "LocalShares",
    "News",
    "NoNews",
    "ProviderHealth",
    "Quota",
    "Scheduler",
    "ServiceReport",
    "ShareLostError",
    "Shares",
    "Slot",
    "Supervisor",
    "is_cancelled",
    "no_stray_cancellation",
    "own_id",
]
