"""What is counted of jobs and errors, histograms, and the examples that read the figures."""

import asyncio
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client import Histogram as TheirHistogram

from musicgate.engine.scheduler import Scheduler
from musicgate.errors import (
    GatewayClosedError,
    LimitReachedError,
    ProviderError,
    RequestError,
    StorageError,
)
from musicgate.gateway.counting import note_refusal, note_state
from musicgate.metrics import CALL_BOUNDS_S, Figures, Histogram
from musicgate.model import Failure, FailureClass, JobState
from musicgate.web.families import FAMILIES
from tests.sample_jobs import attempt, job

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
#: What Prometheus and its scrape add, and the library's own figures.
OTHER_FIGURES = {"up", "process_cpu_seconds_total", "process_resident_memory_bytes"}
OTHER_LABELS = {"instance", "job", "le"}
_NAME = re.compile(r"\b(?:musicgate|process|python)_\w+|\bup\b")


def test_histogram_has_the_buckets_of_the_library() -> None:
    values = [0.0, 0.005, 0.0050001, 0.3, 1.0, 299.9, 300.0, 301.0]
    ours, registry = Histogram(CALL_BOUNDS_S), CollectorRegistry()
    theirs = TheirHistogram("x", "x", buckets=CALL_BOUNDS_S, registry=registry)
    for value in values:
        ours.observe(value)
        theirs.observe(value)
    ends = [*map(str, CALL_BOUNDS_S), "+Inf"]
    assert ours.cumulative() == [registry.get_sample_value("x_bucket", {"le": end}) for end in ends]
    assert ours.total == registry.get_sample_value("x_sum")
    assert ours.count == len(values)


@pytest.mark.parametrize(
    ("error", "labels"),
    [
        (
            LimitReachedError("calls", "too many", reset_at=datetime(2026, 1, 1, tzinfo=UTC)),
            ("limited", "calls"),
        ),
        (
            RequestError("validation_error", "no", reason="what the caller wrote"),
            ("invalid", "validation_error"),
        ),
        (ProviderError(Failure(reason=FailureClass.CREDITS, message="no")), ("failed", "credits")),
        (StorageError("full"), ("storage", "gateway_error")),
        (GatewayClosedError(), ("closing", "gateway_error")),
        (RuntimeError("a bug"), ("error", "")),
    ],
    ids=["limit", "request", "provider", "storage", "closing", "bug"],
)
def test_refused_create_is_counted_by_classes_of_ours(error: Exception, labels: tuple[str, str]) -> None:
    figures = Figures()
    note_refusal(figures, error)
    assert figures.creates == {labels: 1}


def test_a_plugin_or_model_that_is_not_declared_is_other() -> None:
    figures = Figures()
    failed = job(
        JobState.FAILED,
        attempts=(attempt(),),
        failure=Failure(reason=FailureClass.EXPIRED, message="late"),
    )
    note_state(figures, {}, None, failed)
    assert figures.states == {("other", "failed"): 1}
    assert figures.failures == {("other", "expired"): 1}


async def test_a_step_that_waits_for_a_place_is_late() -> None:
    held = asyncio.Event()

    async def step(job_id: str) -> None:
        await held.wait()

    scheduler = Scheduler(step, concurrency=1, min_gap_s=0.001)
    task = asyncio.create_task(scheduler.run())
    scheduler.take("a", 0.0, "one")
    scheduler.take("b", 0.0, "one")
    await asyncio.sleep(0.03)
    assert scheduler.lanes() == {"one": (1, 1)}
    held.set()
    while len(scheduler):  # noqa: ASYNC110 - a scheduler sends no signal
        await asyncio.sleep(0.001)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    lateness = scheduler.lateness.of("one")
    assert lateness.count == 2
    assert lateness.total > 0.02


def test_names_follow_the_conventions_of_prometheus() -> None:
    """Prometheus, "Metric and label naming": base units, and ``_total`` for counters only."""
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert re.fullmatch("[a-z][a-z0-9_]*", family.name)
        assert family.name.endswith("_total") is (family.kind == "counter")
        assert not re.search("_(ms|us|mb|minutes|percent)(_|$)", family.name)
        assert not {"le", "quantile", "job", "instance"} & set(family.labels)


def expressions() -> Iterator[tuple[str, str]]:
    """Every PromQL expression of the examples, with its place."""
    alerts: Any = yaml.safe_load((EXAMPLES / "prometheus/alerts.yml").read_text("utf-8"))
    for group in alerts["groups"]:
        yield from ((rule["alert"], rule["expr"]) for rule in group["rules"])
    dashboard: Any = json.loads((EXAMPLES / "grafana/musicgate.json").read_text("utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$__rate_interval", "5m")


def strangers(expression: str) -> set[str]:
    """Figures of an expression that we do not have, and labels that they do not have."""
    samples = {
        f"musicgate_{family.name}{suffix}": set(family.labels)
        for family in FAMILIES
        for suffix in (("_bucket", "_sum", "_count") if family.kind == "histogram" else ("",))
    }
    used = set(_NAME.findall(expression))
    labels = set().union(*(samples.get(name, set()) for name in used)) | OTHER_LABELS
    grouped = {
        word for words in re.findall(r"\bby \(([^)]*)\)", expression) for word in re.split(", ?", words)
    }
    matched = set(re.findall(r"(\w+)(?:=~|!~|!=|=)\"", expression))
    return (used - set(samples) - OTHER_FIGURES) | ((grouped | matched) - labels)


def test_examples_read_figures_that_there_are() -> None:
    found = dict(expressions())
    assert len(found) > 40
    for _, expression in expressions():
        promql_parser.parse(expression)
    assert {place: strange for place, text in expressions() if (strange := strangers(text))} == {}


@pytest.mark.parametrize(
    ("expression", "strange"),
    [
        ("sum(musicgate_open_jobs)", set()),
        ("sum(musicgate_open_job)", {"musicgate_open_job"}),
        ('max by (plugin) (musicgate_open_jobs{place="step"})', {"plugin"}),
        ("rate(musicgate_event_loop_lag_seconds[5m])", {"musicgate_event_loop_lag_seconds"}),
    ],
)
def test_unknown_figures_and_labels_are_found(expression: str, strange: set[str]) -> None:
    assert strangers(expression) == strange


def test_every_alert_says_what_to_do() -> None:
    alerts: Any = yaml.safe_load((EXAMPLES / "prometheus/alerts.yml").read_text("utf-8"))
    for group in alerts["groups"]:
        for rule in group["rules"]:
            assert set(rule["annotations"]) == {"summary", "action"}
            assert rule["labels"]["severity"] in {"warning", "critical"}
