"""The webhook client against real receivers on loopback: what it sends, reads and refuses."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from musicgate import FailureClass, ProviderError
from musicgate.http.addresses import is_public
from musicgate.webhooks.client import AiohttpWebhookClient
from tests.webhook_receivers import Receiver, receiving, responding


@pytest.fixture
async def client() -> AsyncIterator[AiohttpWebhookClient]:
    async with AiohttpWebhookClient(allow_private_addresses=True) as ready:
        yield ready


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as ready:
        yield ready


async def refusal(client: AiohttpWebhookClient, url: str, timeout_s: float = 5.0) -> str:
    with pytest.raises(ProviderError) as caught:
        await client.post(url, {"webhook-id": "msg_1"}, b"{}", timeout_s=timeout_s)
    assert caught.value.failure.reason is FailureClass.UNAVAILABLE
    assert "127.0.0.1" not in str(caught.value)
    return str(caught.value)


async def test_a_message_arrives_byte_for_byte(client: AiohttpWebhookClient, receiver: Receiver) -> None:
    body = '{"title":"音楽"}'.encode()
    answer = await client.post(f"{receiver.url}?a=%2F", {"webhook-id": "msg_1"}, body, timeout_s=5)
    assert answer.status == 204
    (message,) = receiver.received
    assert (message.raw, message.path, message.id) == (body, "/hook?a=%2F", "msg_1")
    assert message.headers["content-type"] == "application/json"
    assert message.headers["user-agent"] == "musicgate-webhooks"
    assert "cookie" not in message.headers


async def test_a_large_message_goes_out_with_its_length(
    client: AiohttpWebhookClient, receiver: Receiver
) -> None:
    body = b'"' + b"x" * 2_000_000 + b'"'
    await client.post(receiver.url, {}, body, timeout_s=5)
    assert receiver.received[0].raw == body
    assert receiver.received[0].headers["content-length"] == "2000002"


async def test_a_redirect_is_not_followed(client: AiohttpWebhookClient, receiver: Receiver) -> None:
    receiver.answers.append((307, {"Location": receiver.url}))
    answer = await client.post(receiver.url, {}, b"{}", timeout_s=5)
    assert (answer.status, len(receiver.received)) == (307, 1)


async def test_the_head_of_an_answer_is_read(client: AiohttpWebhookClient, receiver: Receiver) -> None:
    receiver.answers.append((503, {"Retry-After": "17"}))
    answer = await client.post(receiver.url, {}, b"{}", timeout_s=5)
    assert (answer.status, answer.header("retry-after"), answer.body) == (503, "17", b"")


async def test_no_cookie_is_kept(client: AiohttpWebhookClient, receiver: Receiver) -> None:
    url = receiver.url.replace("127.0.0.1", "localhost")  # no client keeps cookies of an IP address
    receiver.answers.append((200, {"Set-Cookie": "a=b; Path=/"}))
    await client.post(url, {}, b"{}", timeout_s=5)
    await client.post(url, {}, b"{}", timeout_s=5)
    assert "cookie" not in receiver.received[1].headers


@pytest.mark.parametrize(
    "raw",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 300_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 9\r\n\r\nnot gzip!",
        b"HTTP/1.0 200\r\n\r\nendless",
    ],
)
async def test_a_body_is_never_waited_for(client: AiohttpWebhookClient, raw: bytes) -> None:
    async with responding(raw, hang=True) as url:
        started = time.monotonic()
        assert (await client.post(url, {}, b"{}", timeout_s=5)).status == 200
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello\r\n\r\n",
        b"\x00" * 100,
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nCont",
    ],
)
async def test_garbage_is_no_answer(client: AiohttpWebhookClient, raw: bytes) -> None:
    async with responding(raw) as url:
        assert (await refusal(client, url)).startswith("the receiver gave no answer: ")


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 102 Processing\r\n\r\n"])
async def test_a_receiver_that_hangs_is_given_up_in_time(client: AiohttpWebhookClient, raw: bytes) -> None:
    async with responding(raw, hang=True) as url:
        started = time.monotonic()
        assert await refusal(client, url, timeout_s=0.2) == "the receiver gave no answer: none within 0.2 s"
        assert time.monotonic() - started < 2


async def test_a_refused_connection_is_no_answer(client: AiohttpWebhookClient) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/"
    assert await refusal(client, url) == "the receiver gave no answer: connection refused"


@pytest.mark.parametrize("url", ["http://h.test:99999/", "http://[x/", "nonsense", "ftp://h.test/"])
async def test_an_invalid_url_is_no_answer(client: AiohttpWebhookClient, url: str) -> None:
    assert await refusal(client, url) == "the receiver gave no answer: its address is not valid"


async def test_dns_rebinding_to_a_private_address_is_refused(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(receiver.url.split(":")[2].removesuffix("/hook"))
    leads_to = ["93.184.215.14", "127.0.0.1"]

    def rebind(_host: str, *_: object, **__: object) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (leads_to.pop(0), port))]

    monkeypatch.setattr(socket, "getaddrinfo", rebind)
    ((*_, first),) = await asyncio.get_running_loop().getaddrinfo("rebind.test", port)
    assert is_public(str(first[0]))  # a check of the name alone would pass
    async with AiohttpWebhookClient() as client:
        message = await refusal(client, f"http://rebind.test:{port}/")
    assert message.endswith("its address is private, and network.allow_private_addresses is off")
    assert (leads_to, receiver.received) == ([], [])
