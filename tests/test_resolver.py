"""Slow name look-ups hold up neither other look-ups nor the event loop's own threads."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from musicgate.errors import ProviderError
from musicgate.http.resolver import ThreadPoolResolver
from musicgate.webhooks.client import AiohttpWebhookClient
from tests.webhook_receivers import receiving

SLOW = 60


@pytest.fixture
def slow_names(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Make look-ups of names that end in ``slow.test`` wait until the event is set."""
    resume, find = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **more: Any) -> Any:
        if host.endswith("slow.test"):
            resume.wait(30)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return find(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield resume
    resume.set()


async def test_a_name_is_resolved() -> None:
    resolver = ThreadPoolResolver(threads=1)
    found = await resolver.resolve("localhost", 80)
    assert {(entry["hostname"], entry["host"], entry["port"]) for entry in found} == {
        ("localhost", "127.0.0.1", 80)
    }
    with pytest.raises(OSError, match=r".+"):
        await resolver.resolve("not a name", 80)
    await resolver.close()


async def test_slow_look_ups_do_not_hold_up_other_messages_or_threads(
    slow_names: threading.Event,
) -> None:
    async with (
        receiving() as receiver,
        AiohttpWebhookClient(allow_private_addresses=True) as client,
    ):
        stuck = [
            asyncio.create_task(client.post(f"https://{number}.slow.test/", {}, b"{}", timeout_s=20))
            for number in range(SLOW)
        ]
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            answer = await client.post(receiver.url.replace("127.0.0.1", "localhost"), {}, b"{}", timeout_s=5)
            assert await asyncio.to_thread(lambda: "not held up") == "not held up"
        assert answer.status == 204
        slow_names.set()
        ends = await asyncio.gather(*stuck, return_exceptions=True)
        assert {type(end) for end in ends} == {ProviderError}
