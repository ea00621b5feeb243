"""Faults of the machine over a real socket, as a client of the vendor meets them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from musicgate.emulation import EmulatorOptions
from musicgate.emulation.mount import mounted
from tests.emulation.acme import acme

KEY = {"X-Acme-Key": "test-key-not-real"}


@asynccontextmanager
async def served(**switches: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the example vendor on a socket, at a speed that makes a song at once."""
    emulator = acme()(EmulatorOptions(speed=100_000.0, switches={"song_s": "3", **switches}))
    async with mounted(emulator) as origin, aiohttp.ClientSession(origin, headers=KEY) as session:
        yield session


async def create(session: aiohttp.ClientSession) -> str:
    async with session.post("/v1/songs", json={"prompt": "rain"}) as answer:
        assert answer.status == 202
        return str((await answer.json())["id"])


@pytest.mark.parametrize("fault", ["drop", "hangup"])
async def test_dropped_create_call_has_no_answer(fault: str) -> None:
    async with served(create=fault) as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.post("/v1/songs", json={"prompt": "rain"})


async def test_cut_answer_ends_early() -> None:
    async with served(create="cut") as session:
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.post("/v1/songs", json={"prompt": "rain"}) as answer:
                await answer.read()


async def test_cut_file_ends_early_and_is_whole_the_next_time() -> None:
    async with served(media="cut") as session:
        path = f"/media/{await create(session)}.mp3"
        with pytest.raises(aiohttp.ClientPayloadError):
            async with session.get(path) as answer:
                await answer.read()
        async with session.get(path) as answer:
            assert len(await answer.read()) == answer.content_length


async def test_head_and_range_of_a_file() -> None:
    async with served() as session:
        path = f"/media/{await create(session)}.mp3"
        async with session.head(path) as answer:
            length = answer.content_length
        async with session.get(path, headers={"Range": "bytes=10-19"}) as answer:
            assert (answer.status, len(await answer.read())) == (206, 10)
            assert answer.headers["Content-Range"] == f"bytes 10-19/{length}"


async def test_poll_answers_html_and_then_the_record() -> None:
    async with served(poll="html") as session:
        task_id = await create(session)
        async with session.get(f"/v1/songs/{task_id}") as answer:
            assert (answer.status, answer.content_type) == (502, "text/html")
        async with session.get(f"/v1/songs/{task_id}") as answer:
            assert (await answer.json())["status"] == "done"
