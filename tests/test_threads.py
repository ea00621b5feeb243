"""Calls on threads run to their end: real files and pipes, and cancellation while the thread works."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from musicgate.aio.threads import run_to_end
from musicgate.http import download as download_module
from musicgate.http.transport import AiohttpTransport
from tests.loopback_vendors import Vendors, answer, whole


class SlowCall:
    """Holds up a call on its thread, then records whether the descriptor is still that of the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.started = threading.Event()
        self.resume = threading.Event()
        self.was_open: bool | None = None

    def before(self, file: Any) -> None:
        handle = file.fileno()
        self.started.set()
        assert self.resume.wait(10)
        try:
            self.was_open = os.fstat(handle).st_ino == self.path.stat().st_ino
        except OSError:
            self.was_open = False


async def test_the_result_or_the_error_is_passed_on() -> None:
    assert await run_to_end(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await run_to_end(divmod, 7, 0)


async def test_a_cancelled_call_returns_when_its_thread_has_finished() -> None:
    may_end, has_ended = threading.Event(), threading.Event()

    def work() -> None:
        assert may_end.wait(10)
        has_ended.set()
        raise OSError("discarded")

    task = asyncio.create_task(run_to_end(work))
    await asyncio.sleep(0.05)
    for _ in range(3):  # cancelling again does not shorten the wait
        task.cancel()
        await asyncio.sleep(0.02)
        assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert has_ended.is_set()


async def test_a_time_out_is_raised_when_the_thread_has_finished() -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await run_to_end(time.sleep, 0.3)
    assert time.monotonic() - started >= 0.3


async def test_a_pipe_stays_open_under_a_blocked_write() -> None:
    reader, writer = os.pipe()
    more_than_a_pipe_holds = b"x" * 500_000

    async def fill() -> int:
        try:
            return await run_to_end(os.write, writer, more_than_a_pipe_holds)
        finally:
            os.close(writer)

    task = asyncio.create_task(fill())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.sleep(0.05)
    os.fstat(writer)  # raises when it is closed
    with os.fdopen(reader, "rb") as other_end:
        assert len(await asyncio.to_thread(other_end.read)) == 500_000
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.fixture(params=["cancelled", "timed out"])
def ending(request: pytest.FixtureRequest) -> str:
    text: str = request.param
    return text


async def test_a_download_that_ends_early_closes_its_file_after_the_write(
    vendors: Vendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    sink = tmp_path / "sink"
    slow = SlowCall(sink)
    write: Callable[..., None] = download_module._write

    def slow_write(file: Any, piece: bytearray) -> None:
        slow.before(file)
        write(file, piece)

    monkeypatch.setattr(download_module, "_write", slow_write)
    vendor = await vendors(answer(whole(b"song" * 1000)))
    async with AiohttpTransport(allow_private_addresses=True) as transport:
        timeout_s = 0.3 if ending == "timed out" else 5.0
        task = asyncio.create_task(
            transport.download(vendor.url, sink, max_bytes=1 << 20, timeout_s=timeout_s)
        )
        await asyncio.to_thread(slow.started.wait, 5)
        if ending == "cancelled":
            task.cancel()
        await asyncio.sleep(0.4)
        foreign = tmp_path / "jobs.db"
        with foreign.open("wb", buffering=0):  # gets the number of a descriptor that was closed too early
            slow.resume.set()
            await asyncio.wait([task])
        assert foreign.read_bytes() == b""
    assert task.cancelled() is (ending == "cancelled")
    assert slow.was_open
    assert sink.read_bytes() == b"song" * 1000
