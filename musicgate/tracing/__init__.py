"""Spans of OpenTelemetry, by its API only: the application or an agent configures the SDK.

It knows `traceparent` (W3C Trace Context) and the API, and must not know what is traced. Without the API, or
without a configured SDK, there is no `Tracing`, and its callers do nothing.

Spans are started and ended by plain calls. The API's own context managers are generators within generators,
which cost half as much again as all that the SDK does when a span starts and ends.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from musicgate.errors import MusicgateError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from contextvars import Token
    from types import TracebackType

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer

__all__ = ["Tracing", "find_tracing", "span_of_job"]


class Tracing:
    """Makes spans.

    A trace goes on in other processes and after a restart, since a parent may be named as the text of a
    ``traceparent``. An error is shown by its type only: its text may quote a vendor, and is masked later.
    """

    def __init__(self, tracer: Tracer) -> None:
        # Here and not in each call: an import that is there already still takes a microsecond.
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._start_span = tracer.start_span
        self._client = trace.SpanKind.CLIENT
        self._span_context, self._flags = trace.SpanContext, trace.TraceFlags
        self._remote_span = trace.NonRecordingSpan
        self._kinds = {kind.name: kind for kind in trace.SpanKind}
        self._error = trace.StatusCode.ERROR
        self._current_span, self._with_span = trace.get_current_span, trace.set_span_in_context
        self._attach, self._detach = context.attach, context.detach
        self._nothing = context.Context()
        self._extract = TraceContextTextMapPropagator().extract

    def current(self) -> str:
        """The ``traceparent`` of the current span; empty where there is none, or an unsampled one."""
        context = self._current_span().get_span_context()
        if not context.trace_flags.sampled:
            return ""
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"

    def span(
        self,
        name: str,
        attributes: Mapping[str, str | int] | None = None,
        *,
        parent: str | None,
        kind: str = "INTERNAL",
    ) -> AbstractContextManager[Span]:
        """Make a span the current one while a block runs.

        Args:
            parent: any ``traceparent``; one that is not valid begins a trace. None = the current span.
            kind: ``SERVER``, ``CLIENT``, ``PRODUCER`` or ``INTERNAL``.
        """
        context = None
        if parent is not None:
            context = self._extract({"traceparent": parent}) if parent else self._nothing
        return _Block(self, self._start_span(name, context, self._kinds[kind], attributes))

    def record(
        self,
        name: str,
        attributes: Mapping[str, str | int],
        *,
        parent: str,
        start_ns: int,
        error: BaseException | None = None,
    ) -> None:
        """Record a call that ends now, as a span of kind ``CLIENT``.

        Args:
            parent: what `current` returned.
            start_ns: when it began, as of `time.time_ns`.
            error: what ended it.
        """
        # By position, since `current` wrote it: the propagator's search takes more than twice as long.
        trace_id, span_id, flags = int(parent[3:35], 16), int(parent[36:52], 16), int(parent[53:55], 16)
        caller = self._span_context(trace_id, span_id, is_remote=True, trace_flags=self._flags(flags))
        context = self._with_span(self._remote_span(caller), self._nothing)
        span = self._start_span(name, context, self._client, attributes, start_time=start_ns)
        self.end(span, error)

    def end(self, span: Span, error: BaseException | None) -> None:
        """End a span, and show the error that ended its block."""
        if error is not None:
            span.set_attribute("error.type", type(error).__name__)
            if not isinstance(error, MusicgateError) or error.http_status >= 500:
                span.set_status(self._error)
        span.end()

    def attach(self, span: Span) -> Token[Context]:
        """Make a span the current one, until `detach`."""
        return self._attach(self._with_span(span))

    def detach(self, token: Token[Context]) -> None:
        """Make the span before it the current one again."""
        self._detach(token)


class _Block:
    """The block of `Tracing.span`."""

    __slots__ = ("_span", "_token", "_tracing")

    def __init__(self, tracing: Tracing, span: Span) -> None:
        self._tracing = tracing
        self._span = span

    def __enter__(self) -> Span:
        self._token = self._tracing.attach(self._span)
        return self._span

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._tracing.detach(self._token)
        self._tracing.end(self._span, error)


def span_of_job(
    tracing: Tracing | None,
    trace: str,
    name: str,
    attributes: Mapping[str, str | int],
    *,
    parent: str | None = None,
    kind: str = "INTERNAL",
) -> AbstractContextManager[object]:
    """A span about a job whose caller is traced; nothing for any other job.

    Args:
        trace: of the job; empty = its caller is not traced.
        parent: as in `Tracing.span`.
    """
    if tracing is None or not trace:
        return nullcontext()
    return tracing.span(name, attributes, parent=parent, kind=kind)


def find_tracing() -> Tracing | None:
    """The tracing that was configured for this process; None without the API, or without an SDK."""
    try:
        from opentelemetry import trace
    except ImportError:
        return None
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    return Tracing(provider.get_tracer("musicgate"))
