"""Spans as an SDK receives them: parents, times, errors, and which one is current."""

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode, get_current_span

from musicgate.errors import ProviderError, RequestError
from musicgate.model import Failure, FailureClass
from musicgate.tracing import Tracing, span_of_job

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"


class Traced:
    """A `Tracing` and what it exported."""

    def __init__(self) -> None:
        self._exporter, provider = InMemorySpanExporter(), TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider.get_tracer("test"))

    @property
    def span(self) -> ReadableSpan:
        """The only span."""
        (span,) = self._exporter.get_finished_spans()
        return span


@pytest.fixture
def traced() -> Traced:
    return Traced()


def parent_of(span: ReadableSpan) -> str:
    assert span.parent is not None
    return f"00-{span.parent.trace_id:032x}-{span.parent.span_id:016x}-{span.parent.trace_flags:02x}"


@pytest.mark.parametrize("traceparent", [TRACEPARENT, TRACEPARENT[:-1] + "3"], ids=["sampled", "random id"])
def test_call_is_recorded_with_its_times_below_a_span_of_another_process(
    traced: Traced, traceparent: str
) -> None:
    traced.tracing.record(
        "vendor create", {"tries": 1}, parent=traceparent, start_ns=1_700_000_000_000_000_000
    )
    span = traced.span
    assert (span.name, span.kind, span.attributes) == ("vendor create", SpanKind.CLIENT, {"tries": 1})
    assert span.start_time == 1_700_000_000_000_000_000
    assert span.end_time is not None
    assert span.end_time > span.start_time
    assert parent_of(span) == traceparent
    assert span.parent is not None
    assert span.parent.is_remote
    assert span.status.status_code is StatusCode.UNSET


def test_current_span_is_named_as_a_parent_for_later(traced: Traced) -> None:
    with traced.tracing.span("POST", parent=TRACEPARENT[:-1] + "3", kind="SERVER"):
        named = traced.tracing.current()
    span = traced.span
    assert span.kind is SpanKind.SERVER
    assert span.context is not None
    assert named == f"00-{TRACE}-{span.context.span_id:016x}-03"
    assert traced.tracing.current() == ""
    assert not get_current_span().get_span_context().is_valid


def test_span_that_is_not_sampled_is_not_named() -> None:
    tracing = Tracing(TracerProvider(sampler=ALWAYS_OFF).get_tracer("test"))
    with tracing.span("POST", parent=""):
        assert tracing.current() == ""


@pytest.mark.parametrize("traceparent", ["", "nonsense", f"00-{TRACE}-{'0' * 16}-01"])
def test_traceparent_that_is_not_valid_begins_a_trace(traced: Traced, traceparent: str) -> None:
    with traced.tracing.span("caller", parent=TRACEPARENT):
        before = traced.tracing.current()
        with traced.tracing.span("POST", parent=traceparent):
            assert traced.tracing.current()[3:35] not in {TRACE, "0" * 32}
        assert traced.tracing.current() == before


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("a secret"), StatusCode.ERROR),
        (
            ProviderError(Failure(reason=FailureClass.UNKNOWN_OUTCOME, message="a secret", http_status=504)),
            StatusCode.ERROR,
        ),
        (RequestError("not_supported", "a secret"), StatusCode.UNSET),
    ],
    ids=["ours", "of a vendor", "of the caller"],
)
@pytest.mark.parametrize("way", ["block", "call"])
def test_error_is_shown_by_its_type_only(
    traced: Traced, error: Exception, status: StatusCode, way: str
) -> None:
    if way == "call":
        traced.tracing.record("x", {}, parent=TRACEPARENT, start_ns=1, error=error)
    else:
        with pytest.raises(type(error)), traced.tracing.span("x", parent=TRACEPARENT):
            raise error
    assert traced.span.attributes == {"error.type": type(error).__name__}
    assert traced.span.status.status_code is status
    assert "secret" not in traced.span.to_json()


def test_job_of_an_untraced_caller_has_no_span(traced: Traced) -> None:
    with span_of_job(traced.tracing, "", "settle", {}, parent=""):
        assert traced.tracing.current() == ""
    with span_of_job(traced.tracing, TRACEPARENT, "settle", {"musicgate.job": "m"}, parent=TRACEPARENT):
        pass
    assert (traced.span.name, parent_of(traced.span)) == ("settle", TRACEPARENT)
