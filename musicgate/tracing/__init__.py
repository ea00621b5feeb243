"""Spans of OpenTelemetry, by its API only: the application or an agent configures the SDK.

It knows `traceparent` (W3C Trace Context) and the API, and must not know what is traced. Without the API, or
without a configured SDK, there is no `Tracing`, and its callers do nothing.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from musicgate.errors import MusicgateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from opentelemetry.trace import Span, Tracer

__all__ = ["Tracing", "find_tracing", "span_of_job"]


class Tracing:
    """Makes spans.

    A trace goes on in other processes and after a restart, since a parent may be named as the text of a
    ``traceparent``.
    """

    def __init__(self, tracer: Tracer) -> None:
        # Here and not in each call: an import that is there already still takes a microsecond.
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, StatusCode, get_current_span
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._tracer = tracer
        self._nothing = Context()
        self._kinds = {kind.name: kind for kind in SpanKind}
        self._error = StatusCode.ERROR
        self._current_span = get_current_span
        self._propagator = TraceContextTextMapPropagator()

    def current(self) -> str:
        """The ``traceparent`` of the current span; empty where there is none, or an unsampled one."""
        if not self._current_span().get_span_context().trace_flags.sampled:
            return ""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get("traceparent", "")

    @contextmanager
    def span(
        self,
        name: str,
        attributes: Mapping[str, str | int],
        *,
        parent: str | None = None,
        kind: str = "INTERNAL",
    ) -> Iterator[Span]:
        """Make a span the current one while the block runs. An error of it is shown by its type only.

        Args:
            parent: a ``traceparent``, valid or not; None = the current span.
            kind: ``SERVER``, ``CLIENT``, ``PRODUCER`` or ``INTERNAL``.
        """
        context = None
        if parent is not None:
            context = self._propagator.extract({"traceparent": parent}, self._nothing)
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=self._kinds[kind],
            attributes=dict(attributes),
            # Texts of errors may quote a vendor, and are masked later.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                if not isinstance(error, MusicgateError) or error.http_status >= 500:
                    span.set_status(self._error)
                raise


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
