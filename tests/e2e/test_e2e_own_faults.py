"""Faults of our own: a store that fails, a bug, a background service that stops."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web

from musicgate.errors import StorageError
from musicgate.web.kept_files import KeptFiles
from musicgate.web.listener import Listener, _ListeningSocket
from tests.e2e.running_server import JOBS, TIMEOUT_S, song

if TYPE_CHECKING:
    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

GATEWAY_ERROR = (500, "gateway_error", None)


async def test_a_request_that_cannot_be_stored_is_not_sent(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        message = "the disk is full"
        raise StorageError(message)

    with monkeypatch.context() as patch, server.vendor_calls() as calls:
        patch.setattr(server.gateway._context.store, "add", full)
        reply = await server.create(song())
    assert (reply.error, reply.body["error_type"]) == (GATEWAY_ERROR, "system")
    assert reply.headers["X-Gateway-Error-Attribution"] == "upstream"
    assert calls.creates == []
    assert (await server.create(song())).status == 200


@pytest.mark.parametrize("error", [RuntimeError("secret-detail"), StorageError("locked"), KeyError("x")])
async def test_an_error_of_ours_is_answered_as_json_without_details(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def broken(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(server.gateway._context.store, "head", broken)
        reply = await server.get("music_x")
    assert (reply.error, reply.body["error_type"]) == (GATEWAY_ERROR, "system")
    assert b"Traceback" not in reply.raw
    assert b"secret-detail" not in reply.raw


async def test_a_player_that_leaves_before_its_answer_is_no_fault(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    job = await server.generate(song())
    address = urlsplit(job["output"][0]["audio_url"])
    asked, serve = asyncio.Event(), KeptFiles.serve

    async def late(files: KeptFiles, request: web.Request, *more: Any, **named: Any) -> web.StreamResponse:
        asked.set()
        while request.transport is not None and not request.transport.is_closing():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return await serve(files, request, *more, **named)

    def has_left() -> bool:
        return any("client left" in record.getMessage() for record in caplog.records)

    caplog.set_level(logging.DEBUG, "musicgate.web.middleware")
    with monkeypatch.context() as patch:
        patch.setattr(KeptFiles, "serve", late)
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET {address.path}?{address.query} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with asyncio.timeout(TIMEOUT_S):
            await asked.wait()
            writer.transport.abort()
            while not has_left():  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.01)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_an_answer_of_a_vendor_that_cannot_be_stored_at_first_is_not_lost(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk fails when the vendor's task id is to be stored, and recovers."""
    store = server.gateway._context.store
    replace, failures = store.replace, [StorageError("full"), StorageError("full")]

    async def fails_twice(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await replace(*arguments, **options)

    with monkeypatch.context() as patch, server.vendor_calls() as calls:
        patch.setattr(store, "replace", fails_twice)
        job = await server.generate(song())
    assert (job["status"], len(calls.creates), calls.billed) == ("completed", 1, 1)


async def test_a_job_that_cannot_be_read_again_after_waiting_is_answered_as_it_was(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise StorageError("locked")

    with monkeypatch.context() as patch:
        patch.setattr(server.gateway, "wait", broken)
        reply = await server.create(song(), Prefer="wait=5")
    assert (reply.status, reply.body["status"] in {"queued", "in_progress"}) == (200, True)


async def test_a_create_call_to_a_closing_gateway_is_refused_and_stores_nothing(
    open_server: OpenServer,
) -> None:
    async with open_server() as server:
        server.gateway._runner.owners.in_flight.close()
        reply = await server.create(song())
        assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
        assert reply.body["description"] == "the gateway is closed; nothing was stored or sent"
        assert (await server.call("GET", JOBS)).body["data"] == []


async def test_readyz_counts_open_jobs_by_their_owner(open_server: OpenServer) -> None:
    async with open_server(follow={"speed": 1.0}) as server:
        assert (await server.create(song())).status == 200
        ready = await server.call("GET", "/readyz", key=None)
        assert ready.body["jobs"] == {"open": 1, "in_flight": 0, "scheduled": 1}


async def test_readyz_reports_a_background_service_that_failed_until_it_runs_again(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = asyncio.Event()

    async def serve(self: object) -> None:
        if not fails.is_set():
            fails.set()
            raise RuntimeError("the sweeper broke")
        await asyncio.Event().wait()

    monkeypatch.setattr("musicgate.gateway.sweep.Sweeper.run", serve)
    async with open_server() as server:
        await fails.wait()
        down = await server.call("GET", "/readyz", key=None)
        assert (down.status, down.body["error"], down.body["status"]) == (503, "gateway_error", "not_ready")
        assert down.body["background"]["sweeper"] == {
            "running": False,
            "restarts": 1,
            "error": "RuntimeError",
        }
        async with asyncio.timeout(10):
            again = down
            while again.status != 200:
                await asyncio.sleep(0.05)
                again = await server.call("GET", "/readyz", key=None)
        assert again.body["background"]["sweeper"]["running"]
        assert again.body["jobs"] == {"open": 0, "in_flight": 0, "scheduled": 0}


async def test_an_accept_loop_that_fails_is_started_again(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept, starts = Listener._accept, 0

    async def fails_once(self: Listener, sock: _ListeningSocket) -> None:
        nonlocal starts
        starts += 1
        if starts == 1:
            raise MemoryError
        await accept(self, sock)

    monkeypatch.setattr(Listener, "_accept", fails_once)
    async with open_server() as server:
        async with asyncio.timeout(10):
            ready = await server.call("GET", "/readyz", key=None)
        service = next(value for name, value in ready.body["background"].items() if name.startswith("accept"))
        assert service == {"running": True, "restarts": 1, "error": "MemoryError"}
