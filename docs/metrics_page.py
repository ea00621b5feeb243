"""Generate docs/metrics.md: every figure of ``/metrics``, who may read it, and what to make of it."""

from __future__ import annotations

from docs.markdown import GENERATED, table, ticks
from musicgate.web.families import FAMILIES

_INTRODUCTION = """\
# Metrics

`GET /metrics` answers with the figures of one process, as text for [Prometheus](https://prometheus.io) (0.0.4), or as
[OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/) 1.0 if the `Accept` header names it.

## Who may read them

The figures name models and money, so `server.metrics` says who reads them:

| `server.metrics` | |
| --- | --- |
| `token` (default) | who sends `server.metrics_token` as a bearer token. Without `[[accounts]]` and without a token: this machine, and no web page. With accounts and without a token: a 401 |
| `open` | every client that reaches the server, as of `/readyz` |
| `off` | no client: there is no such route |

```sh
export MUSICGATE_SERVER_METRICS_TOKEN=some-long-word
musicgate serve --config musicgate.toml
curl -H "Authorization: Bearer $MUSICGATE_SERVER_METRICS_TOKEN" http://127.0.0.1:8080/metrics
```

`examples/prometheus/prometheus.yml` scrapes with that token, `examples/prometheus/alerts.yml` has alerts, and
`examples/grafana/musicgate.json` is a dashboard to import into Grafana.

## Several replicas

Each process shows its own figures, and nothing is counted twice: what happened to a job is counted by the process
that stored it, and a call by the process that made it. So scrape every replica by itself, not through the proxy, and
combine the values as the table says: *sum*, or *max*, where each replica sees the same thing from its place; *each*
is not to be combined. Counters begin at 0 with each start of a process, which `rate()` and `increase()` know.
A call or a stored change whose process was killed right after it is missing: figures are for graphs, and bills are
made from the jobs.

Labels are bounded: routes are templates, plugins and models are those that are declared (`other` stands for the
rest), reasons are classes of ours. No label names a job, an account or anything that a caller wrote. Requests that
are no HTTP at all are not counted.

## All figures

Each name begins with `musicgate_`. The process's own figures (`process_*`, `python_*`) are those of
[prometheus-client](https://prometheus.github.io/client_python/).
"""

_LOGS = """\
## Logs

With `server.log_format = "json"` each line on standard error is one JSON object: `time`, `level`, `logger`, `event`,
and the facts of the event by their names. Errors have a `traceback`. With `server.access_log = true` there is a line for
each request that was answered, and one for each change of a job's state. `request` is the id that answers name as
`generation_id`; a job has that of the request that made it.

```text
{"time": "2026-11-29T11:20:00.123+00:00", "level": "INFO", "logger": "musicgate.web.request_log", "event": "request answered", "request": "G-01KB7E", "method": "POST", "route": "/v1/music/generate", "status": 200, "duration_ms": 212.4, "account": "ann", "job": "music_01KB7E"}
{"time": "2026-11-29T11:20:00.119+00:00", "level": "INFO", "logger": "musicgate.gateway.counting", "event": "job state changed", "job": "music_01KB7E", "request": "G-01KB7E", "account": "ann", "state": "in_progress", "before": "queued", "plugin": "suno_kie", "model": "suno/v4.5plus", "failure": null}
```

No line has a key, a prompt, a path or a body. Only a request with `debug.trace` has its exchanges with the vendor
logged, secrets masked.

## Traces

With `musicgate[tracing]` and a configured SDK of [OpenTelemetry](https://opentelemetry.io/docs/languages/python/), a
create call that its caller records (`traceparent`, [W3C](https://www.w3.org/TR/trace-context/)) is one trace, from the
request through each call to the vendor (`vendor create`, `vendor poll`, ...), `settle`, `download` and `webhook`. The job
keeps its `traceparent`, so the trace goes on after a restart and at another replica. musicgate uses the API only: the
application, or an agent, brings the SDK, its sampler and its exporter.

```text
pip install 'musicgate[tracing]' opentelemetry-distro opentelemetry-exporter-otlp
export OTEL_SERVICE_NAME=musicgate OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
opentelemetry-instrument musicgate serve
```

`opentelemetry-instrument` takes `--config` for an option of its own: name the settings file by `MUSICGATE_CONFIG`.

Spans have the ids of job and message, the plugin, and HTTP statuses. A poll has one if it learns something or fails;
those before it that only repeated an answer are counted in its `musicgate.repeated_polls`. An error is shown by its
type: no span has a key, a prompt, a URL or a text of a vendor, and no vendor and no receiver is told the trace. Without
an SDK nothing is made, and a caller's `traceparent` is not kept.

### What traces cost

A create makes two spans, `POST /v1/music/generate` and `vendor create`. Measured side by side on one core, at 64
connections and with every setting of the SDK at its default but the sampler (opentelemetry-sdk 1.45.2, Python 3.11,
OTLP over HTTP to a collector on the same machine, medians of 7 to 10 rounds; two servers without an SDK differ by 1 %
in CPU, and single rounds of one server by 10 %):

| creates that are recorded | CPU of a create | creates a second |
| --- | --- | --- |
| none: no SDK | 430 us | 2,170 |
| all: the SDK's default | + 170 us | - 28 % |
| 25 %: `OTEL_TRACES_SAMPLER_ARG=0.25` | + 130 us | - 23 % |
| 10 %: `OTEL_TRACES_SAMPLER_ARG=0.1` | + 50 us | - 11 % |

Most of it is the SDK's: to make, end, batch, encode and send two such spans takes it 97 us in a loop that does nothing
else, 74 us without a single attribute. (The request's span had neither method nor route when this was measured; the two
are some 10 us more.) It matters from hundreds of creates a second on. A server that comes near such
rates records a part of its creates:

```text
export OTEL_TRACES_SAMPLER=parentbased_traceidratio OTEL_TRACES_SAMPLER_ARG=0.1
```

A job is recorded from its create call to its webhook, or not at all. With this sampler a caller that sends a
`traceparent` decides for its own jobs, and the share is that of all others; `traceidratio` applies it to every trace.
Another size of batches (`OTEL_BSP_MAX_EXPORT_BATCH_SIZE`) saves nothing: 2,048 spans instead of 512 took more CPU,
128 as much. A collector that is away costs spans, but no create: the SDK keeps `OTEL_BSP_MAX_QUEUE_SIZE` (2,048) of
them, and logs that it drops the others.
"""


def metrics_page() -> str:
    """The page as Markdown."""
    rows = [
        [
            f"`{family.name}`",
            family.kind,
            ", ".join(f"`{label}`" for label in family.labels) or "-",
            ticks(family.about),
            family.over_replicas,
        ]
        for family in FAMILIES
    ]
    figures = table(["name", "kind", "labels", "meaning", "over replicas"], rows)
    return f"{GENERATED}\n\n{_INTRODUCTION}\n{figures}\n\n{_LOGS}"
