"""One trace from the caller's ``traceparent`` to the webhook, also across a restart."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from musicgate.model import Secret
from musicgate.settings import Account
from musicgate.tracing import find_tracing
from tests.e2e.running_server import ACCOUNT_KEY, UNFINISHED, song
from tests.webhook_receivers import receiving

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
SECRET = Secret("whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ==")
ACCOUNTS = (Account(name="test", key=Secret(ACCOUNT_KEY), webhook_secret=SECRET),)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """The spans of a configured SDK; for this test only, since the API keeps a provider for ever."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    return exporter


async def spans_until(
    exporter: InMemorySpanExporter, name: str, at_least: int = 1
) -> dict[str, list[ReadableSpan]]:
    """The spans by name, once there are so many of one name."""
    async with asyncio.timeout(10):
        while True:
            found: dict[str, list[ReadableSpan]] = {}
            for span in exporter.get_finished_spans():
                found.setdefault(span.name, []).append(span)
            if len(found.get(name, ())) >= at_least:
                return found
            await asyncio.sleep(0.01)


async def test_one_trace_from_the_caller_to_the_webhook(
    open_server: OpenServer, exported: InMemorySpanExporter
) -> None:
    async with receiving() as receiver, open_server(accounts=ACCOUNTS) as server:
        request = song(prompt="a secret idea", webhook_url=receiver.url)
        reply = await server.create(request, traceparent=TRACEPARENT)
        await server.finish(reply.body["id"])
        found = await spans_until(exported, "webhook")
    assert set(found) == {
        "POST /v1/music/generate", "vendor create", "vendor poll", "settle", "download", "webhook"
    }  # fmt: skip
    assert {
        f"{span.context.trace_id:032x}" for spans in found.values() for span in spans if span.context
    } == {TRACE}
    (create,) = found["POST /v1/music/generate"]
    assert create.parent is not None
    assert f"{create.parent.span_id:016x}" == CALLER
    assert create.kind is SpanKind.SERVER
    assert create.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/music/generate",
        "http.response.status_code": 200,
    }
    assert create.context is not None
    for name in ("vendor create", "vendor poll", "settle", "webhook"):
        assert {span.parent.span_id for span in found[name] if span.parent} == {create.context.span_id}
    (attempt,) = found["vendor create"]
    assert attempt.kind is SpanKind.CLIENT
    assert attempt.attributes == {
        "musicgate.job": reply.body["id"],
        "musicgate.plugin": "suno_kie",
        "http.response.status_code": 200,
    }
    assert create.start_time is not None
    assert attempt.start_time is not None
    assert attempt.end_time is not None
    assert create.start_time <= attempt.start_time < attempt.end_time
    settles = {span.context.span_id for span in found["settle"] if span.context}
    assert {span.parent.span_id for span in found["download"] if span.parent} <= settles
    texts = " ".join(span.to_json() for spans in found.values() for span in spans)
    for hidden in ("secret idea", "not-real", receiver.url):
        assert hidden not in texts


async def test_a_request_that_is_refused_is_named_by_its_route(
    open_server: OpenServer, exported: InMemorySpanExporter
) -> None:
    async with open_server() as server:
        reply = await server.call(
            "POST", "/v1/audio/speech", body={"input": 1}, headers={"traceparent": TRACEPARENT}
        )
    assert reply.status == 400
    (span,) = exported.get_finished_spans()
    assert span.name == "POST /v1/audio/speech"
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/audio/speech",
        "error.type": "InvalidRequestError",
    }
    assert span.status.status_code is StatusCode.UNSET


async def test_the_trace_goes_on_after_a_restart(
    open_server: OpenServer, exported: InMemorySpanExporter
) -> None:
    async with open_server() as server:
        await server.create(UNFINISHED, traceparent=TRACEPARENT)
        await spans_until(exported, "vendor poll")
    exported.clear()
    async with open_server():
        found = await spans_until(exported, "vendor poll")
    assert [f"{span.context.trace_id:032x}" for span in found["vendor poll"][:1] if span.context] == [TRACE]


async def test_a_trace_that_its_caller_does_not_record_is_not_recorded(
    open_server: OpenServer, exported: InMemorySpanExporter
) -> None:
    async with open_server() as server:
        job = await server.create(song(), traceparent=TRACEPARENT[:-1] + "0")
        await server.finish(job.body["id"])
        stored = await server.gateway.get(job.body["id"])
    assert exported.get_finished_spans() == ()
    assert stored is not None
    assert stored.trace == ""


def test_without_an_sdk_there_is_no_tracing() -> None:
    assert find_tracing() is None
