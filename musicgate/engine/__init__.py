"""What runs the use cases: supervisor, scheduler, create queue, calls in flight, quota, breaker.

It knows tasks, times and counts, and must not know what a step does: the step function is handed in. Start
with `supervisor`.
"""

from musicgate.engine.admission import Admission, LocalAdmission, SharedAdmission
from musicgate.engine.call import Call, Caller
from musicgate.engine.create_queue import CreateQueue, Slot
from musicgate.engine.health import ProviderHealth
from musicgate.engine.in_flight import InFlight
from musicgate.engine.news import News, NoNews
from musicgate.engine.quota import Quota
from musicgate.engine.scheduler import Scheduler
from musicgate.engine.shared_queue import SharedCreateQueue
from musicgate.engine.shared_quota import SharedQuota
from musicgate.engine.shares import (
    FIRST_SHARE,
    LocalShares,
    ReplicaState,
    ShareLostError,
    Shares,
    own_id,
    until_seen,
)
from musicgate.engine.supervisor import (
    ServiceReport,
    Supervisor,
    is_cancelled,
    no_stray_cancellation,
)

__all__ = [
    "FIRST_SHARE",
    "Admission",
    "Call",
    "Caller",
    "CreateQueue",
    "InFlight",
    "LocalAdmission",
    "LocalShares",
    "News",
    "NoNews",
    "ProviderHealth",
    "Quota",
    "ReplicaState",
    "Scheduler",
    "ServiceReport",
    "ShareLostError",
    "SharedAdmission",
    "SharedCreateQueue",
    "SharedQuota",
    "Shares",
    "Slot",
    "Supervisor",
    "is_cancelled",
    "no_stray_cancellation",
    "own_id",
    "until_seen",
]
