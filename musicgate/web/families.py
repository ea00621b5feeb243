"""Every figure of ``/metrics``: name, labels, meaning, and where it is read. No library, no HTTP.

Adding a figure is adding a row of `FAMILIES`; the documentation is made from the table, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import TYPE_CHECKING, Final, Literal

import attrs

from musicgate.metrics import Histogram
from musicgate.model import BreakerState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from musicgate.gateway import Measures
    from musicgate.metrics import Histograms

#: Labels, in the order of the family's, and the value.
Sample = tuple[tuple[str, ...], "float | Histogram"]
_NANOS: Final = 1e9
#: The lane of jobs whose plugin is not known yet.
_OTHER: Final = "other"


@attrs.frozen(kw_only=True)
class Reading:
    """What one answer shows.

    Attributes:
        measures: of the gateway.
        requests: seconds of answered requests, by method, route and status class.
        held: what requests and streams occupy now, by kind.
        loop_lag: seconds by which the event loop was late.
    """

    measures: Measures
    requests: Histograms
    held: Mapping[str, int]
    loop_lag: Histogram


@attrs.frozen(kw_only=True)
class Family:
    """A figure.

    Attributes:
        name: without ``musicgate_``; a counter's ends with ``_total``.
        labels: names of the labels.
        about: one sentence.
        over_replicas: how the values of several processes become one.
        read: its samples.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...] = ()
    about: str
    over_replicas: Literal["sum", "max", "each"] = "sum"
    read: Callable[[Reading], Iterable[Sample]]


def _one(value: float | Histogram | None) -> Iterable[Sample]:
    return () if value is None else [((), value)]


def _by_lane(values: Iterable[tuple[str, float | Histogram]]) -> Iterable[Sample]:
    return [((plugin or _OTHER,), value) for plugin, value in values]


def _breakers(reading: Reading) -> Iterable[Sample]:
    for status in reading.measures.providers:
        for state in BreakerState:
            yield (status.provider.plugin, state.value), float(status.health.state is state)


FAMILIES: Final[tuple[Family, ...]] = (
    Family(
        name="build_info",
        kind="gauge",
        labels=("version",),
        about="1; the label is the version of musicgate.",
        over_replicas="each",
        read=lambda _: [((version("musicgate"),), 1.0)],
    ),
    Family(
        name="http_request_duration_seconds",
        kind="histogram",
        labels=("method", "route", "status"),
        about="Answered requests; the route is its template, and `other` for an unknown path. "
        "A stream lasts until it ends.",
        read=lambda reading: reading.requests.items(),
    ),
    Family(
        name="http_held",
        kind="gauge",
        labels=("what",),
        about="Requests in progress, event streams, waiting requests and live audio streams now.",
        read=lambda reading: [((what,), count) for what, count in reading.held.items()],
    ),
    Family(
        name="creates_total",
        kind="counter",
        labels=("outcome", "reason"),
        about="Create calls whose body was valid. `accepted` by the vendor, `queued` before its answer, "
        "`unknown` (no readable answer), `replayed` by an idempotency key; or `failed`, `limited`, `invalid`, "
        "`storage`, `closing`, `error`, with the class of the failure.",
        read=lambda reading: reading.measures.figures.creates.items(),
    ),
    Family(
        name="open_jobs",
        kind="gauge",
        labels=("place",),
        about="Open jobs that the process owns: they wait for a slot (`create_queue`), their call is in flight "
        "(`create_call`), they wait for their next step (`scheduled`), or it runs (`step`).",
        read=lambda reading: [((place,), count) for place, count in reading.measures.open_jobs.items()],
    ),
    Family(
        name="job_states_total",
        kind="counter",
        labels=("plugin", "state"),
        about="Jobs that came into a state. Counted by the process that stored it.",
        read=lambda reading: reading.measures.figures.states.items(),
    ),
    Family(
        name="job_failures_total",
        kind="counter",
        labels=("plugin", "reason"),
        about="Jobs that failed, by class of failure.",
        read=lambda reading: reading.measures.figures.failures.items(),
    ),
    Family(
        name="create_queue_jobs",
        kind="gauge",
        labels=("plugin",),
        about="Jobs that wait for a slot of a provider.",
        read=lambda reading: [
            ((status.provider.plugin,), status.waiting) for status in reading.measures.providers
        ],
    ),
    Family(
        name="create_slots_taken",
        kind="gauge",
        labels=("plugin",),
        about="Create calls of a provider that hold a slot.",
        read=lambda reading: [((plugin,), count) for plugin, count in reading.measures.slots.items()],
    ),
    Family(
        name="step_lateness_seconds",
        kind="histogram",
        labels=("plugin",),
        about="By how much steps of open jobs (polls, settling) began late; its count is the number of steps.",
        read=lambda reading: _by_lane(
            (labels[0], histogram) for labels, histogram in reading.measures.lateness.items()
        ),
    ),
    Family(
        name="steps_running",
        kind="gauge",
        labels=("plugin",),
        about="Steps that run now; at most `follow.concurrency`.",
        read=lambda reading: _by_lane(
            (plugin, running) for plugin, (running, _) in reading.measures.lanes.items()
        ),
    ),
    Family(
        name="steps_waiting",
        kind="gauge",
        labels=("plugin",),
        about="Jobs that are due and wait for a step.",
        read=lambda reading: _by_lane(
            (plugin, waiting) for plugin, (_, waiting) in reading.measures.lanes.items()
        ),
    ),
    Family(
        name="step_errors_total",
        kind="counter",
        about="Steps that raised; the log says why, and each is tried again.",
        read=lambda reading: _one(reading.measures.failed_steps),
    ),
    Family(
        name="vendor_call_duration_seconds",
        kind="histogram",
        labels=("plugin", "step", "outcome"),
        about="HTTP calls to vendors: `create`, `poll`, `cancel` or `next`; the outcome is a status class, "
        "or `no_answer`.",
        read=lambda reading: reading.measures.figures.vendor_calls.items(),
    ),
    Family(
        name="breaker_state",
        kind="gauge",
        labels=("plugin", "state"),
        about="1 for the state of a provider's circuit breaker, 0 for the others. Each process has its own.",
        over_replicas="max",
        read=_breakers,
    ),
    Family(
        name="vendor_error_ratio",
        kind="gauge",
        labels=("plugin",),
        about="Share of the last minute's create calls at which the vendor was not there.",
        over_replicas="max",
        read=lambda reading: [
            ((status.provider.plugin,), status.health.error_rate) for status in reading.measures.providers
        ],
    ),
    Family(
        name="provider_has_key",
        kind="gauge",
        labels=("plugin",),
        about="1 if the provider can be called, 0 if its key is not set.",
        over_replicas="max",
        read=lambda reading: [
            ((status.provider.plugin,), float(status.has_key)) for status in reading.measures.providers
        ],
    ),
    Family(
        name="spent_usd_total",
        kind="counter",
        labels=("plugin", "model"),
        about="Cost of finished jobs in dollars, by the declared prices. Counted by the process that ended them.",
        read=lambda reading: [
            (labels, nanos / _NANOS) for labels, nanos in reading.measures.figures.spent_usd_nanos.items()
        ],
    ),
    Family(
        name="unpriced_jobs_total",
        kind="counter",
        labels=("plugin", "model"),
        about="Finished jobs whose price is not known.",
        read=lambda reading: reading.measures.figures.unpriced.items(),
    ),
    Family(
        name="webhook_try_duration_seconds",
        kind="histogram",
        labels=("outcome",),
        about="Tries to send a message: `delivered`, the status class of a refusal, or `no_answer`.",
        read=lambda reading: reading.measures.figures.webhook_tries.items(),
    ),
    Family(
        name="webhook_messages_pending",
        kind="gauge",
        about="Messages to be sent, or sent again. Only the replica that sends them has this figure.",
        over_replicas="max",
        read=lambda reading: _one(reading.measures.pending),
    ),
    Family(
        name="webhook_oldest_pending_seconds",
        kind="gauge",
        about="Age of the oldest of these messages; 0 if there is none.",
        over_replicas="max",
        read=lambda reading: _one(None if reading.measures.pending is None else reading.measures.oldest_s),
    ),
    Family(
        name="download_duration_seconds",
        kind="histogram",
        labels=("plugin", "outcome"),
        about="Downloads of vendors' audio: `fetched` or `failed`. A failed one is tried again.",
        read=lambda reading: reading.measures.figures.downloads.items(),
    ),
    Family(
        name="kept_bytes_total",
        kind="counter",
        labels=("kind",),
        about="Bytes that were stored: audio, covers, conversions, peaks.",
        read=lambda reading: reading.measures.figures.kept_bytes.items(),
    ),
    Family(
        name="audio_work_duration_seconds",
        kind="histogram",
        labels=("what", "outcome"),
        about="Conversions (`as.mp3` ...), peaks and marks: `made` or `failed`.",
        read=lambda reading: reading.measures.figures.conversions.items(),
    ),
    Family(
        name="event_loop_lag_seconds",
        kind="histogram",
        about="By how much the event loop was late, four times a second.",
        read=lambda reading: _one(reading.loop_lag),
    ),
    Family(
        name="store_commit_writes",
        kind="histogram",
        about="Writes that were committed together.",
        read=lambda reading: _one(reading.measures.commits.sizes),
    ),
    Family(
        name="store_commit_duration_seconds",
        kind="histogram",
        about="Durable commits of the job store, as their callers wait for them.",
        read=lambda reading: _one(reading.measures.commits.durations),
    ),
    Family(
        name="service_running",
        kind="gauge",
        labels=("service",),
        about="1 while a background service runs, 0 while it waits for its restart.",
        over_replicas="each",
        read=lambda reading: [
            ((name,), float(report.is_running)) for name, report in reading.measures.services.items()
        ],
    ),
    Family(
        name="service_restarts_total",
        kind="counter",
        labels=("service",),
        about="How often a background service has failed and was restarted.",
        read=lambda reading: [
            ((name,), report.restarts) for name, report in reading.measures.services.items()
        ],
    ),
    Family(
        name="replica_shares",
        kind="gauge",
        about="Shares of the open jobs that the replica holds; of all replicas together 64. Not with SQLite.",
        read=lambda reading: _one(reading.measures.replica and reading.measures.replica.shares),
    ),
    Family(
        name="replicas_alive",
        kind="gauge",
        about="Replicas that the replica sees alive, itself included. Not with SQLite.",
        over_replicas="max",
        read=lambda reading: _one(reading.measures.replica and reading.measures.replica.replicas),
    ),
    Family(
        name="replica_heartbeat_age_seconds",
        kind="gauge",
        about="Time since the database confirmed the last heartbeat of the replica. Not with SQLite.",
        over_replicas="max",
        read=lambda reading: _one(reading.measures.replica and reading.measures.replica.heartbeat_age_s),
    ),
)
