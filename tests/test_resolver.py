"""Names that nobody resolves hold up nobody else: neither other names nor what runs on the event loop's own threads."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from musicgate.errors import ProviderError
from musicgate.http.resolver import OwnThreadsResolver
from musicgate.webhooks.client import AiohttpWebhookClient
from tests.webhook_receivers import receiving

SLOW = 60


@pytest.fixture
def silent_names(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Names that end in ``slow.test`` are looked up until the event is set."""
    goes_on, find = threading.Event(), socket.getaddrinfo

    def look_up(host: str, *arguments: Any, **more: Any) -> Any:
        if host.endswith("slow.test"):
            goes_on.wait(30)
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return find(host, *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    yield goes_on
    goes_on.set()


async def test_a_name_is_looked_up() -> None:
    resolver = OwnThreadsResolver(threads=1)
    found = await resolver.resolve("localhost", 80)
    assert {(entry["hostname"], entry["host"], entry["port"]) for entry in found} == {
        ("localhost", "127.0.0.1", 80)
    }
    with pytest.raises(OSError, match=r".+"):
        await resolver.resolve("not a name", 80)
    await resolver.close()


async def test_messages_to_names_that_nobody_resolves_hold_up_nobody_else(
    silent_names: threading.Event,
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
        silent_names.set()
        ends = await asyncio.gather(*stuck, return_exceptions=True)
        assert {type(end) for end in ends} == {ProviderError}
