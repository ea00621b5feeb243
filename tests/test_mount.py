"""Every answer of an emulator through a real socket, and its callbacks to a real receiver."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp import web
from yarl import URL

from musicgate.emulation import mount
from musicgate.emulation.mount import is_loopback, mounted
from musicgate.plugin import EmulatedAnswer, EmulatedCallback, EmulatorBooks, HttpRequest, HttpResponse
from tests.waiting import until


@attrs.define
class ScriptedVendor:
    """Answers everything with one answer, and sends the callbacks that it is given."""

    script: EmulatedAnswer | Callable[[HttpRequest], EmulatedAnswer]
    callbacks: list[EmulatedCallback] = attrs.field(factory=list)
    books: EmulatorBooks = attrs.field(factory=EmulatorBooks)
    received: list[tuple[HttpRequest, float]] = attrs.field(factory=list)
    callback_answers: list[tuple[str, int | None]] = attrs.field(factory=list)

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        self.received.append((request, now))
        return self.script if isinstance(self.script, EmulatedAnswer) else self.script(request)

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        due, self.callbacks = self.callbacks, []
        return due

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        self.callback_answers.append((callback_id, status))


def answer(body: bytes, *, status: int = 200, claimed: int | None = None, **how: Any) -> EmulatedAnswer:
    headers = {
        "Content-Type": "text/plain",
        "X-Native": "yes",
        "Content-Length": str(len(body) if claimed is None else claimed),
    }
    return attrs.evolve(
        EmulatedAnswer(response=HttpResponse(status=status, headers=headers, body=body)), **how
    )


@attrs.frozen
class Got:
    """The body as far as it came, and whether the connection closed before its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_cut: bool


async def fetch(origin: str, method: str = "GET", body: bytes | None = None) -> Got:
    got, is_cut = bytearray(), False
    async with aiohttp.ClientSession() as session, session.request(method, origin, data=body) as response:
        try:
            async for piece in response.content.iter_any():
                got += piece
        except aiohttp.ClientPayloadError:
            is_cut = True
        return Got(response.status, response.headers, bytes(got), is_cut)


async def test_request_and_answer_arrive_as_they_were_sent() -> None:
    vendor = ScriptedVendor(answer(b"made", status=201))
    async with mounted(vendor) as origin, aiohttp.ClientSession() as session:
        url = f"{origin}/a%2Fb?x=1&y=%20"
        async with session.post(
            URL(url, encoded=True), data=b"request", headers={"X-Key": "test-key-not-real"}
        ) as got:
            assert (got.status, got.headers["X-Native"], await got.read()) == (201, "yes", b"made")
    request, _ = vendor.received[0]
    assert (request.method, request.url, request.body) == ("POST", url, b"request")
    assert (request.headers["x-key"], request.headers.get("X-KEY")) == (
        "test-key-not-real",
        "test-key-not-real",
    )


async def test_time_is_epoch_seconds_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.time()
    vendor = ScriptedVendor(answer(b""))
    async with mounted(vendor) as origin:
        await fetch(origin)
        monkeypatch.setattr(time, "time", lambda: 0.0)
        await fetch(origin)
    first, second = (now for _, now in vendor.received)
    assert began - 1 < first < second < first + 10


async def test_answer_is_delayed_by_delay_s() -> None:
    vendor = ScriptedVendor(answer(b"late", delay_s=0.2))
    async with mounted(vendor) as origin:
        started = asyncio.get_running_loop().time()
        assert (await fetch(origin)).body == b"late"
        assert asyncio.get_running_loop().time() - started >= 0.19


async def test_dropped_call_gets_no_byte() -> None:
    vendor = ScriptedVendor(answer(b"never", drop=True))
    async with mounted(vendor) as origin:
        host, port = origin.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
    assert len(vendor.received) == 1


@pytest.mark.parametrize(
    ("vendor_answer", "arrives"),
    [
        (answer(b"0123456789", cut_after_bytes=4), b"0123"),
        (answer(b"0123456789", cut_after_bytes=0), b""),
        (answer(b"0123", claimed=10), b"0123"),
    ],
    ids=["cut", "cut before the body", "claims more than it has"],
)
async def test_cut_answer_announces_its_whole_length(vendor_answer: EmulatedAnswer, arrives: bytes) -> None:
    async with mounted(ScriptedVendor(vendor_answer)) as origin:
        got = await fetch(origin)
    assert (got.headers["Content-Length"], got.body, got.is_cut) == ("10", arrives, True)


async def test_body_is_sent_no_faster_than_bytes_per_s() -> None:
    vendor = ScriptedVendor(answer(b"x" * 400, bytes_per_s=2000))
    async with mounted(vendor) as origin:
        started = asyncio.get_running_loop().time()
        assert (await fetch(origin)).body == b"x" * 400
        assert 0.14 <= asyncio.get_running_loop().time() - started < 2


async def test_head_has_the_headers_and_no_body() -> None:
    async with mounted(ScriptedVendor(answer(b"0123456789"))) as origin:
        got = await fetch(origin, "HEAD")
    assert (got.status, got.headers["Content-Length"], got.body, got.is_cut) == (200, "10", b"", False)


async def test_request_body_over_the_limit_is_refused_with_413(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mount, "_MAX_BODY_BYTES", 10)
    vendor = ScriptedVendor(answer(b""))
    async with mounted(vendor) as origin:
        assert (await fetch(origin, "POST", b"x" * 11)).status == 413
        assert (await fetch(origin, "POST", b"x" * 10)).status == 200
    assert len(vendor.received) == 1


@asynccontextmanager
async def receiver(status: int) -> AsyncIterator[tuple[str, list[tuple[str, bytes]]]]:
    """A receiver of callbacks: its URL, and the requests that it received."""
    came: list[tuple[str, bytes]] = []

    async def receive(request: web.BaseRequest) -> web.Response:
        came.append((request.headers.get("X-Sign", ""), await request.read()))
        return web.Response(status=status, headers={"Location": "/elsewhere"} if status == 302 else {})

    runner = web.ServerRunner(web.Server(receive), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/hook", came
    finally:
        await runner.cleanup()


def callback(name: str, url: str) -> EmulatedCallback:
    request = HttpRequest(
        method="POST", url=url, headers={"X-Sign": "good"}, body=json.dumps({"id": name}).encode()
    )
    return EmulatedCallback(id=name, request=request)


@pytest.mark.parametrize("status", [200, 500, 302])
async def test_due_callback_is_sent_and_its_answer_reported(status: int) -> None:
    async with receiver(status) as (url, came):
        vendor = ScriptedVendor(answer(b""), callbacks=[callback("one", url)])
        async with mounted(vendor):
            await until(lambda: bool(vendor.callback_answers))
            assert vendor.callback_answers == [("one", status)]
            vendor.callbacks.append(callback("two", url))
            await until(lambda: len(vendor.callback_answers) == 2)
    assert came == [("good", b'{"id": "one"}'), ("good", b'{"id": "two"}')]


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/hook", "http://192.0.2.1/hook", "http://example.org/hook", "nonsense"]
)
async def test_callback_to_an_unreachable_or_foreign_url_is_reported_as_unanswered(url: str) -> None:
    vendor = ScriptedVendor(answer(b""), callbacks=[callback("lost", url)])
    async with mounted(vendor):
        await until(lambda: bool(vendor.callback_answers))
    assert vendor.callback_answers == [("lost", None)]


async def test_mount_ends_with_calls_in_flight_and_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    slow = ScriptedVendor(answer(b"", delay_s=30.0))
    async with aiohttp.ClientSession() as session:
        async with mounted(slow) as origin:
            caller = ScriptedVendor(answer(b""), callbacks=[callback("slow", f"{origin}/hook")])
            async with mounted(caller):
                pending = asyncio.create_task(session.post(origin))
                await until(lambda: len(slow.received) == 2)
                started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 2
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await pending
    await until(lambda: asyncio.all_tasks() == before)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:80/x", True),
        ("http://localhost/x", True),
        ("http://[::1]:9/x", True),
        ("http://127.0.0.1.example.org/", False),
        ("http://10.0.0.1/", False),
        ("http://example.org/127.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_is_loopback_only_for_urls_that_lead_to_this_machine(url: str, *, expected: bool) -> None:
    assert is_loopback(url) is expected
