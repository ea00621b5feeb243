"""The transport against real sockets on loopback (cut, slow, refused, lying), and scripted responses."""

import asyncio
import contextlib
import gzip
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import attrs
import pytest
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from musicgate.errors import ProviderError, StorageError
from musicgate.http import connector
from musicgate.http import transport as module
from musicgate.http.addresses import PrivateAddressError, public_socket
from musicgate.http.client_errors import exact_url
from musicgate.http.plain_client import PlainClient
from musicgate.http.proxies import Proxies
from musicgate.http.transport import AiohttpTransport
from musicgate.model import FailureClass, Timeouts
from musicgate.plugin.wire import HttpRequest, HttpResponse
from tests.free_port import free_port
from tests.loopback_vendors import Script, Serve, Vendors, answer, then_silence, whole

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
POST = HttpRequest.post_json("http://vendor.example/v1/create?key=test-key-not-real", {"prompt": "my words"})


class StoppedClock:
    """A clock that always shows the same time."""

    def now(self) -> datetime:
        return NOW

    def steady(self) -> datetime:
        return self.now()

    async def sleep(self, delay_s: float) -> None:
        raise AssertionError("the transport never sleeps")


@pytest.fixture
async def transport() -> AsyncIterator[AiohttpTransport]:
    opened = AiohttpTransport(clock=StoppedClock(), allow_private_addresses=True, stall_timeout_s=0.2)
    async with opened:
        yield opened


async def send(
    transport: AiohttpTransport,
    url: str,
    *,
    method: str = "POST",
    read_timeout_s: float = 5.0,
    body: bytes = b"{}",
    max_body_bytes: int = 1000,
) -> HttpResponse:
    request = HttpRequest(
        method=method, url=url, body=body, headers={"Authorization": "Bearer test-key-not-real"}
    )
    return await transport.send(
        request,
        timeouts=Timeouts(connect_s=1.0),
        read_timeout_s=read_timeout_s,
        max_body_bytes=max_body_bytes,
    )


async def refusal(sending: Awaitable[object]) -> ProviderError:
    """Return the error, after checking that it shows neither key, nor query, nor body."""
    with pytest.raises(ProviderError) as caught:
        await sending
    shown = str(caught.value) + repr(caught.value.failure)
    for private in ("test-key-not-real", "key=", "/v1/create", "my words"):
        assert private not in shown
    return caught.value


def raising(error: Exception) -> Callable[..., Awaitable[None]]:
    async def fail(*_arguments: object) -> None:
        raise error

    return fail


def verdict(error: ProviderError) -> tuple[str, bool, int | None]:
    return error.failure.reason.value, error.maybe_accepted, error.failure.http_status


# --- whole answers ---


@pytest.mark.parametrize("status", [200, 201, 204, 302, 400, 401, 429, 500, 503])
async def test_every_whole_response_is_returned_unchanged(
    transport: AiohttpTransport, vendors: Vendors, status: int
) -> None:
    body = b"" if status == 204 else b'{"code": 200}'
    fields = "Retry-After: 7", "Location: http://x.example/"
    vendor = await vendors(answer(whole(body, f"{status} Any", *fields)))
    response = await send(transport, vendor.url)
    assert (response.status, response.body) == (status, body)
    assert response.header("retry-after") == "7"
    assert response.received_at == NOW
    assert len(vendor.heads) == 1


@pytest.mark.parametrize("body", [b"", b"<html>busy</html>", b'{"cut": ', b"\xff\xfe", b"x" * 1000])
async def test_a_body_is_returned_as_bytes_whatever_it_holds(
    transport: AiohttpTransport, vendors: Vendors, body: bytes
) -> None:
    vendor = await vendors(answer(whole(body)))
    assert (await send(transport, vendor.url)).body == body


async def test_body_without_length_ends_with_the_connection(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(answer(b"HTTP/1.1 200 OK\r\n\r\n{}"))
    assert [(await send(transport, vendor.url)).body for _ in range(2)] == [b"{}", b"{}"]
    assert vendor.connections == 2


async def test_interim_answers_are_not_the_answer(transport: AiohttpTransport, vendors: Vendors) -> None:
    hint = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    vendor = await vendors(answer(hint + hint + whole(b"{}", "201 Created"), close=False))
    for _ in range(2):
        response = await send(transport, vendor.url)
        assert (response.status, response.body) == (201, b"{}")
        assert response.header("Link") is None
    assert vendor.connections == 1


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"method": "GET", "body": b""},
        {"method": "GET", "body": b"{}"},
        {"method": "HEAD", "body": b""},
        {"method": "post"},
        {"method": "DELETE"},
        {"body": b""},
        {"body": b"x" * 600_000},
        {"url": "?a=%2F&b=c%20d"},
        {"url": "/a/../%7Eb//c;d=e?x=//y?z"},
        {"url": "/a?"},
        {"url": "/?#part"},
        {"url": "/\u00fc b"},
        {"headers": {}},
        {"headers": {"content-type": "text/plain", "ACCEPT-ENCODING": "br", "accept": "a/b"}},
        {"headers": {"X-B": "", "X-A": " two  words ", "Authorization": "Bearer \u00fc"}},
        {"headers": {"X-A": "1", "x-a": "2"}},
        {"headers": {"User-Agent": "own", "X-A": "1"}},
        {"headers": {"Host": "other.example"}},
        {"headers": {"Cookie": "a=b"}},
        {"headers": {"Connection": "close"}},
        {"headers": {"Content-Length": "2"}},
        {"headers": {"Upgrade": "h2c", "TE": "trailers", "Content-Encoding": "x", "Trailer": "A"}},
    ],
    ids=repr,
)
async def test_a_request_has_the_bytes_that_a_session_of_aiohttp_sends(
    transport: AiohttpTransport, vendors: Vendors, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any]
) -> None:
    vendor = await vendors(answer(whole(b""), close=False))
    request = HttpRequest(
        method="POST", url="/v1/create", headers={"Accept": "application/json", "X-Key": "k"}, body=b"{}"
    )
    request = attrs.evolve(request, **changed)
    request = attrs.evolve(request, url=f"http://127.0.0.1:{vendor.port}{request.url}")

    async def exchange() -> HttpResponse:
        return await transport.send(
            request, timeouts=Timeouts(connect_s=1.0), read_timeout_s=5.0, max_body_bytes=1000
        )

    response = await exchange()
    monkeypatch.setattr(PlainClient, "prepare", lambda *_: None)
    assert response == await exchange()
    assert vendor.heads[0] == vendor.heads[1]
    assert vendor.bodies[0] == vendor.bodies[1]


@pytest.mark.parametrize(
    "changed",
    [
        {"method": "PUT"},
        {"method": "get"},
        {"method": "GET", "body": b"{}"},
        {"body": b"x" * (1 << 19)},
        {"url": "http://user:password@vendor.example/"},
        {"url": "http://VENDOR.example/"},
        {"url": "http://vendor.example"},
        {"url": "http://vendor.example/?"},
        {"url": "http://vendor.example/#part"},
        {"url": "http://vendor.example/\u00fc"},
        {"url": "http://vendor.example/a b"},
        {"url": "http://vendor.example:99999/"},
        {"url": "http://:80/"},
        {"url": "http://b\u00fccher.example/"},
        {"url": "https://proxied.example/"},
        *({"headers": {name: "1"}} for name in ("expect", "Transfer-Encoding", "Content-Length", "HOST")),
        {"headers": {"User-Agent": "own"}},
        {"headers": {"X-A": "1", "x-a": "1"}},
    ],
    ids=repr,
)
async def test_a_request_that_needs_more_is_left_to_a_session(changed: dict[str, Any]) -> None:
    proxies = Proxies(https=URL("http://127.0.0.1:1"), exempt=("direct.example",))
    async with aiohttp.TCPConnector() as connections:
        client = PlainClient(connections, proxies=proxies, user_agent="own", repeats=False)
        request = HttpRequest(method="POST", url="https://direct.example/a?b", body=b"{}")
        assert client.prepare(request) is not None
        assert client.prepare(attrs.evolve(request, url="http://other.example/")) is not None
        assert client.prepare(attrs.evolve(request, **changed)) is None


async def test_another_version_of_aiohttp_is_used_through_its_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = HttpRequest.get("http://vendor.example/")
    for version, is_plain in (("3.14.99", True), ("3.15.0", False), ("4.0.0a1", False)):
        monkeypatch.setattr("aiohttp.__version__", version)
        async with aiohttp.TCPConnector() as connections:
            client = PlainClient(connections, proxies=Proxies(), user_agent="own", repeats=False)
            assert (client.prepare(request) is not None) is is_plain


async def test_nearly_every_request_needs_no_session(
    transport: AiohttpTransport, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aiohttp.ClientSession, "request", None)
    vendor = await vendors(answer(whole(b"{}"), close=False))
    for request in HttpRequest.get(vendor.url), HttpRequest.post_json(vendor.url, {"prompt": "my words"}):
        await transport.send(request, timeouts=Timeouts(), read_timeout_s=5.0, max_body_bytes=1000)
    assert vendor.connections == 2


async def test_connection_is_not_kept_when_the_answer_came_before_the_request_was_out(
    transport: AiohttpTransport, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ResponseHandler, "writing_paused", True)
    vendor = await vendors(answer(whole(b"{}"), close=False))
    assert [(await send(transport, vendor.url)).status for _ in range(2)] == [200, 200]
    assert vendor.connections == 2


async def test_a_request_arrives_unchanged(transport: AiohttpTransport, vendors: Vendors) -> None:
    vendor = await vendors(answer(whole(b"{}", "200 OK", "X-Two: a", "X-Two: b")))
    request = HttpRequest(
        method="POST",
        url=f"http://127.0.0.1:{vendor.port}/a%2Fb/%7Ec?sign=a%2Bb%3D&x=1",
        headers={"Content-Type": "application/json", "X-Key": "test-key-not-real"},
        body=b'{"a": "\xc3\xbc"}',
    )
    response = await transport.send(request, timeouts=Timeouts(), read_timeout_s=5, max_body_bytes=100)
    assert vendor.heads[0].startswith(b"POST /a%2Fb/%7Ec?sign=a%2Bb%3D&x=1 HTTP/1.1\r\n")
    assert b"\r\nX-Key: test-key-not-real\r\n" in vendor.heads[0]
    assert b"\r\nUser-Agent: musicgate\r\n" in vendor.heads[0]
    assert vendor.bodies == [b'{"a": "\xc3\xbc"}']
    assert response.header("x-two") == "a, b"


async def test_a_large_body_is_sent_whole_and_with_its_length(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(answer(whole(b"{}")))
    body = bytes(range(256)) * 10_000
    await send(transport, vendor.url, body=body)
    assert vendor.bodies == [body]
    assert b"Content-Length: 2560000\r\n" in vendor.heads[0]


async def test_a_compressed_body_is_decompressed(transport: AiohttpTransport, vendors: Vendors) -> None:
    packed = gzip.compress(b'{"code": 200}')
    vendor = await vendors(answer(whole(packed, "200 OK", "Content-Encoding: gzip")))
    assert (await send(transport, vendor.url)).body == b'{"code": 200}'


@pytest.mark.parametrize("is_packed", [True, False])
async def test_a_body_that_is_longer_than_what_is_read_at_once_comes_whole(
    transport: AiohttpTransport, vendors: Vendors, is_packed: bool
) -> None:
    body = bytes(range(256)) * 8_000
    packed = whole(gzip.compress(body), "200 OK", "Content-Encoding: gzip")
    vendor = await vendors(answer(packed if is_packed else whole(body)))
    assert (await send(transport, vendor.url, max_body_bytes=3_000_000)).body == body


async def test_a_redirect_of_an_api_call_is_not_followed(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    elsewhere = await vendors(answer(whole(b"stolen")))
    vendor = await vendors(answer(whole(b"moved", "307 Temporary Redirect", f"Location: {elsewhere.url}")))
    response = await send(transport, vendor.url)
    assert (response.status, response.body) == (307, b"moved")
    assert elsewhere.connections == 0


async def test_cookies_are_not_kept(transport: AiohttpTransport, vendors: Vendors) -> None:
    vendor = await vendors(answer(whole(b"{}", "200 OK", "Set-Cookie: a=b; Path=/"), close=False))
    for method in ("GET", "GET", "POST"):
        # By name: aiohttp's own cookie jar keeps nothing from an IP address anyway.
        await send(transport, f"http://localhost:{vendor.port}/", method=method)
    assert len(vendor.heads) == 3
    assert not any(b"cookie" in head.lower() for head in vendor.heads)


async def test_the_transport_does_not_read_proxies_from_the_environment(
    transport: AiohttpTransport, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor, proxy = await vendors(answer(whole(b"{}"))), await vendors(answer(whole(b"proxied")))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    assert (await send(transport, vendor.url)).body == b"{}"


# --- no byte of the request left ---


async def test_a_refused_connection_is_unavailable(transport: AiohttpTransport) -> None:
    error = await refusal(send(transport, f"http://127.0.0.1:{free_port()}/v1/create?key=test-key-not-real"))
    assert verdict(error) == ("unavailable", False, None)
    assert error.retryable
    assert str(error) == "127.0.0.1 could not be reached: connection refused"


async def test_an_unknown_name_is_unavailable(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_arguments: object, **_options: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = await refusal(send(transport, "https://vendor.example/v1/create?key=test-key-not-real"))
    assert verdict(error) == ("unavailable", False, None)
    assert str(error) == "vendor.example could not be reached: its name cannot be resolved"


async def test_a_failed_tls_handshake_is_unavailable(transport: AiohttpTransport, serve: Serve) -> None:
    async def no_tls(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    port = await serve(no_tls)
    error = await refusal(send(transport, f"https://127.0.0.1:{port}/v1/create?key=test-key-not-real"))
    assert verdict(error) == ("unavailable", False, None)
    assert "no TLS connection came about" in str(error)


async def test_a_connection_that_takes_too_long_is_unavailable(
    transport: AiohttpTransport, serve: Serve
) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    # A TLS handshake that is never answered: the connection is not established.
    request = HttpRequest(method="POST", url=f"https://127.0.0.1:{await serve(silent)}/", body=b"{}")
    error = await refusal(
        transport.send(request, timeouts=Timeouts(connect_s=0.1), read_timeout_s=5, max_body_bytes=100)
    )
    assert verdict(error) == ("unavailable", False, None)
    assert str(error) == "127.0.0.1 could not be reached: no connection within 0.1 s"


@pytest.mark.parametrize(
    "url", ["http://", "not a url", "http://[::1/", "ftp://vendor.example/x", "http://a:b/"]
)
async def test_an_invalid_url_is_unavailable(transport: AiohttpTransport, url: str) -> None:
    error = await refusal(send(transport, url))
    assert verdict(error) == ("unavailable", False, None)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"headers": {"X-Key": "one\ntwo"}}, "its header X-Key holds a line break"),
        ({"headers": {"X-Key": 5}}, "its header X-Key is of the type int, not text"),
        ({"method": "PO ST"}, "its method is no HTTP method"),
        ({"body": "text"}, "its body is of the type str, not bytes"),
    ],
)
async def test_a_request_that_cannot_be_serialised_is_not_sent(
    transport: AiohttpTransport, vendors: Vendors, changed: dict[str, Any], reason: str
) -> None:
    vendor = await vendors(answer(whole(b"{}")))
    request = attrs.evolve(HttpRequest(method="POST", url=vendor.url, body=b"{}"), **changed)
    error = await refusal(transport.send(request, timeouts=Timeouts(), read_timeout_s=5, max_body_bytes=100))
    assert verdict(error) == ("unavailable", False, None)
    assert str(error).startswith(f"127.0.0.1 was not asked: {reason}")
    assert vendor.connections == 0


# --- long headers ---


@pytest.mark.parametrize("size_bytes", [9_000, 34_000, 65_000])
async def test_an_answer_with_a_long_header_is_read(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path, size_bytes: int
) -> None:
    policy = "x" * size_bytes
    vendor = await vendors(answer(whole(b'{"id": 1}', "200 OK", f"Content-Security-Policy: {policy}")))
    for method in ("POST", "GET"):
        response = await send(transport, vendor.url, method=method)
        assert (response.body, response.header("content-security-policy")) == (b'{"id": 1}', policy)
    await download(transport, vendor.url, tmp_path / "sink")
    assert (tmp_path / "sink").stat().st_size == 9


async def test_a_header_above_the_limit_is_refused(transport: AiohttpTransport, vendors: Vendors) -> None:
    vendor = await vendors(answer(whole(b"{}", "200 OK", f"X-Long: {'x' * 70_000}")))
    assert verdict(await refusal(send(transport, vendor.url))) == ("unknown_outcome", True, None)


# --- the outcome is unknown ---


@pytest.mark.parametrize(
    "raw, status",
    [
        (b"", None),
        (b"HTTP/1.1 20", None),
        (b"HTTP/1.1 200 OK\r\nContent-Le", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 200),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a', 200),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\nabc", 500),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", 200),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", 200),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd", 200),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", None),
    ],
)
async def test_a_cut_response_leaves_the_outcome_unknown_and_is_not_retried(
    transport: AiohttpTransport, vendors: Vendors, raw: bytes, status: int | None
) -> None:
    vendor = await vendors(answer(raw))
    error = await refusal(send(transport, vendor.url))
    assert verdict(error) == ("unknown_outcome", True, None)
    assert error.status == status
    assert not error.retryable
    assert len(vendor.heads) == 1


async def test_a_connection_reset_while_the_request_goes_out_leaves_the_outcome_unknown(
    transport: AiohttpTransport, serve: Serve
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(10)
        writer.transport.abort()

    url = f"http://127.0.0.1:{await serve(hang_up)}/?key=test-key-not-real"
    error = await refusal(send(transport, url, body=b"x" * 5_000_000))
    assert verdict(error) == ("unknown_outcome", True, None)
    assert str(error) == "127.0.0.1: the connection was cut before the answer was complete"


@pytest.mark.parametrize("raw", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"])
async def test_a_late_response_leaves_the_outcome_unknown(
    transport: AiohttpTransport, vendors: Vendors, raw: bytes
) -> None:
    vendor = await vendors(then_silence(raw))
    error = await refusal(send(transport, vendor.url, read_timeout_s=0.1))
    assert verdict(error) == ("unknown_outcome", True, 504)
    assert str(error) == "127.0.0.1: no whole answer within 0.1 s"
    assert len(vendor.heads) == 1


async def test_a_dripping_response_is_cut_off_at_the_time_limit(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(500):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    vendor = await vendors(drip)
    error = await refusal(send(transport, vendor.url, read_timeout_s=0.2))
    assert verdict(error) == ("unknown_outcome", True, 504)


async def test_the_read_time_out_starts_when_the_connection_is_established(
    transport: AiohttpTransport, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor = await vendors(answer(whole(b"{}")))
    resolve = aiohttp.TCPConnector._resolve_host

    async def slowly(*arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await resolve(*arguments, **options)

    monkeypatch.setattr(aiohttp.TCPConnector, "_resolve_host", slowly)
    assert (await send(transport, vendor.url, read_timeout_s=0.2)).body == b"{}"


@pytest.mark.parametrize(
    "raw",
    [
        whole(b"x" * 1001),
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 5000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1000\r\n" + b"x" * 0x1000 + b"\r\n0\r\n\r\n",
        whole(gzip.compress(b"x" * 1001, mtime=0), "200 OK", "Content-Encoding: gzip"),
    ],
)
async def test_a_response_above_the_size_limit_is_refused(
    transport: AiohttpTransport, vendors: Vendors, raw: bytes
) -> None:
    vendor = await vendors(answer(raw))
    error = await refusal(send(transport, vendor.url))
    assert verdict(error) == ("protocol", True, None)
    assert (error.status, str(error)) == (200, "the vendor's answer (HTTP 200) is larger than 1000 bytes")


# --- kept connections ---


def server_scripted(*scripts: Script) -> Script:
    """One script for each request, over all connections; the last one repeats."""
    left = list(scripts)

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(reader, writer)

    return script


KEEP = answer(whole(b"{}"), close=False)


async def test_creates_and_polls_keep_connections_of_their_own(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(KEEP)
    for method in ("POST", "POST", "GET", "GET", "POST"):
        await send(transport, vendor.url, method=method)
    assert vendor.connections == 2


async def test_create_gets_a_new_connection_once_the_kept_one_was_idle_too_long(
    vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CREATE_IDLE_S", 0.05)
    vendor = await vendors(KEEP)
    async with AiohttpTransport() as transport:
        await send(transport, vendor.url)
        await asyncio.sleep(0.08)
        await send(transport, vendor.url)
    assert vendor.connections == 2


def test_idle_bound_leaves_gunicorns_two_seconds_room_for_a_round_trip() -> None:
    assert module.CREATE_IDLE_S == 1.0


@pytest.mark.parametrize("late", [b"", whole(b"", "408 Request Timeout")], ids=["end", "408"])
@pytest.mark.parametrize("is_read", [True, False], ids=["seen by the loop", "not seen by the loop"])
async def test_create_does_not_take_a_kept_connection_on_which_something_has_come(
    transport: AiohttpTransport, late: bytes, *, is_read: bool
) -> None:
    """A server on a thread, so that its end or its 408 arrives while the event loop reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"

        def serve_one() -> socket.socket:
            connection, _ = server.accept()
            connection.recv(65_536)
            connection.sendall(whole(b"{}"))
            return connection

        first = thread.submit(serve_one)
        await send(transport, url)
        connection = first.result()
        if late:
            connection.sendall(late)
        else:
            connection.close()
        if is_read:
            await asyncio.sleep(0.05)
        else:
            time.sleep(0.05)  # noqa: ASYNC251 - the loop is to be late
        second = thread.submit(serve_one)
        response = await send(transport, url, read_timeout_s=2.0)
        second.result().close()
        connection.close()
    assert (response.status, response.body) == (200, b"{}")


async def test_create_whose_kept_connection_has_ended_is_unavailable_when_no_new_one_comes_about(
    transport: AiohttpTransport,
) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n{}")
        writer.write(whole(b"{}"))
        await writer.drain()
        writer.close()
        server.close()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    await send(transport, url)
    await asyncio.sleep(0.02)
    assert verdict(await refusal(send(transport, url))) == ("unavailable", False, None)


@pytest.mark.parametrize(
    "broken",
    [
        answer(b""),
        answer(b"HTTP/1.1 200 OK\r\nContent-Le"),
        answer(b'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"a'),
    ],
    ids=["after reading the request", "in the head of the answer", "in its body"],
)
async def test_create_whose_reused_connection_is_closed_has_an_unknown_outcome_and_is_never_sent_again(
    transport: AiohttpTransport, vendors: Vendors, broken: Script
) -> None:
    vendor = await vendors(server_scripted(KEEP, broken, KEEP))
    await send(transport, vendor.url)
    error = await refusal(send(transport, vendor.url))
    assert verdict(error) == ("unknown_outcome", True, None)
    assert (vendor.connections, len(vendor.heads)) == (1, 2)


async def test_create_whose_reused_connection_is_reset_while_it_is_sent_has_an_unknown_outcome(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    vendor = await vendors(server_scripted(KEEP, reset, KEEP))
    await send(transport, vendor.url)
    error = await refusal(send(transport, vendor.url, body=b"x" * 3_000_000))
    assert verdict(error) == ("unknown_outcome", True, None)
    assert (vendor.connections, len(vendor.heads)) == (1, 2)


async def test_late_answer_on_a_reused_connection_leaves_the_outcome_unknown(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(server_scripted(KEEP, then_silence()))
    await send(transport, vendor.url)
    error = await refusal(send(transport, vendor.url, read_timeout_s=0.1))
    assert verdict(error) == ("unknown_outcome", True, 504)


async def test_new_connection_is_used_even_if_the_server_speaks_first(
    transport: AiohttpTransport, vendors: Vendors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connector, "_readable", lambda _: lambda: True)
    vendor = await vendors(KEEP)
    for _ in range(2):
        assert (await send(transport, vendor.url)).status == 200
    assert vendor.connections == 2


async def test_a_poll_survives_a_reused_connection_that_the_vendor_closed(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    async def once_per_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b"{}"))
        await writer.drain()
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    vendor = await vendors(once_per_connection)
    assert [(await send(transport, vendor.url, method="GET")).status for _ in range(3)] == [200, 200, 200]
    assert vendor.connections == 3


async def test_a_poll_whose_connections_break_is_repeated_once(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(answer(b""))
    error = await refusal(send(transport, vendor.url, method="GET", body=b""))
    assert verdict(error) == ("unknown_outcome", True, None)
    assert (vendor.connections, len(vendor.heads)) == (2, 2)


async def test_a_poll_that_is_not_answered_in_http_is_not_repeated(
    transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(answer(b"SSH-2.0-OpenSSH\r\n\r\n"))
    error = await refusal(send(transport, vendor.url, method="GET", body=b""))
    assert verdict(error) == ("unknown_outcome", True, None)
    assert error.failure.message.endswith(": the answer is not HTTP")
    assert vendor.connections == 1


async def test_a_refused_repeat_of_a_poll_does_not_hide_that_the_first_one_left(
    transport: AiohttpTransport,
) -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        server.close()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    request = HttpRequest.get(f"http://127.0.0.1:{port}/")
    error = await refusal(transport.send(request, timeouts=Timeouts(), read_timeout_s=5, max_body_bytes=100))
    assert isinstance(error.__cause__, aiohttp.ClientConnectorError)
    assert verdict(error) == ("unknown_outcome", True, None)


@pytest.mark.parametrize(
    "raised", [aiohttp.ServerDisconnectedError(), TimeoutError(), aiohttp.ClientPayloadError("key=secret")]
)
async def test_an_error_without_a_reported_connection_may_still_be_an_unknown_outcome(
    transport: AiohttpTransport, monkeypatch: pytest.MonkeyPatch, raised: Exception
) -> None:
    monkeypatch.setattr(PlainClient, "send", raising(raised))
    error = await refusal(transport.send(POST, timeouts=Timeouts(), read_timeout_s=5, max_body_bytes=100))
    assert error.failure.reason is FailureClass.UNKNOWN_OUTCOME
    assert error.maybe_accepted


async def test_a_cancelled_call_stays_cancelled(transport: AiohttpTransport, vendors: Vendors) -> None:
    vendor = await vendors(then_silence())
    sending = asyncio.create_task(send(transport, vendor.url))
    while not vendor.heads:  # noqa: ASYNC110 - until the request has arrived
        await asyncio.sleep(0.01)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


# --- downloads ---


async def download(
    transport: AiohttpTransport, url: str, sink: Path, *, max_bytes: int = 5_000_000, timeout_s: float = 5.0
) -> None:
    await transport.download(url, sink, max_bytes=max_bytes, timeout_s=timeout_s)


async def test_media_is_written_to_the_file(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    song = bytes(range(256)) * 10_000
    vendor = await vendors(answer(whole(song, "200 OK")))
    (tmp_path / "sink").write_bytes(b"old" * 1_000_000)
    await download(transport, vendor.url, tmp_path / "sink")
    assert (tmp_path / "sink").read_bytes() == song
    assert b"Accept-Encoding: identity\r\n" in vendor.heads[0]
    assert b"Authorization" not in vendor.heads[0]


@pytest.mark.parametrize(
    "path, line",
    [
        ("/a song ü.mp3?x=ü y", b"GET /a%20song%20%C3%BC.mp3?x=%C3%BC%20y HTTP/1.1"),
        ("/a%2Fb~c?sign=a%2Bb%3D%7E", b"GET /a%2Fb~c?sign=a%2Bb%3D%7E HTTP/1.1"),
        (
            "/my song ü%20%2f.mp3?Expires=1&Signature=ab%2Fc%2Bd%3D%3D&x={a}",
            b"GET /my%20song%20%C3%BC%20%2f.mp3?Expires=1&Signature=ab%2Fc%2Bd%3D%3D&x={a} HTTP/1.1",
        ),
        ("/half \ud83d.mp3?s=%2F", b"GET /half%20%3F.mp3?s=%2F HTTP/1.1"),
        ("/a\r\nX-Evil: 1?s=%2F", b"GET /a%0D%0AX-Evil:%201?s=%2F HTTP/1.1"),
    ],
)
async def test_a_media_url_is_requested_without_being_normalised(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path, path: str, line: bytes
) -> None:
    vendor = await vendors(answer(whole(b"song")))
    await download(transport, f"http://127.0.0.1:{vendor.port}{path}", tmp_path / "sink")
    assert vendor.heads[0].split(b"\r\n")[0] == line


@pytest.mark.parametrize("is_relative", [True, False])
async def test_a_redirect_is_followed_without_being_normalised(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path, *, is_relative: bool
) -> None:
    last = await vendors(answer(whole(b"song")))
    path = "/my song \u00fc.mp3?Signature=ab%2Fc%2Bd%3D%3D"

    async def redirect(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(first.heads) > 1:
            writer.write(whole(b"song"))
        else:
            target = path if is_relative else f"http://127.0.0.1:{last.port}{path}"
            writer.write(
                whole(b"", "302 Found").replace(b"\r\n\r\n", f"\r\nLocation: {target}\r\n\r\n".encode())
            )

    first = await vendors(redirect)
    await download(transport, first.url, tmp_path / "sink")
    asked = first.heads[1] if is_relative else last.heads[0]
    assert asked.split(b"\r\n")[0] == b"GET /my%20song%20%C3%BC.mp3?Signature=ab%2Fc%2Bd%3D%3D HTTP/1.1"


async def test_undecodable_bytes_of_a_redirect_are_sent_back_unchanged(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    last = await vendors(answer(whole(b"song")))
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:%d/\xe9?s=%%2F\r\n\r\n"
    first = await vendors(answer(head % last.port))
    await download(transport, first.url, tmp_path / "sink")
    assert last.heads[0].split(b"\r\n")[0] == b"GET /%E9?s=%2F HTTP/1.1"


def test_an_internationalised_name_becomes_punycode() -> None:
    assert (
        str(exact_url("http://b\u00fccher.example:81/\u00fc?s=%2F"))
        == "http://xn--bcher-kva.example:81/%C3%BC?s=%2F"
    )


async def test_downloads_are_limited_and_waiting_does_not_use_up_their_time_out(
    vendors: Vendors, tmp_path: Path
) -> None:
    running, peak = [0], [0]

    async def slow(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running[0] += 1
        peak[0] = max(peak[0], running[0])
        await asyncio.sleep(0.1)
        running[0] -= 1
        writer.write(whole(b"song"))
        writer.close()

    vendor = await vendors(slow)
    async with AiohttpTransport(allow_private_addresses=True, downloads=3) as transport:
        sinks = [tmp_path / f"sink-{number}" for number in range(15)]
        saved = await asyncio.gather(
            *(download(transport, vendor.url, sink, timeout_s=0.4) for sink in sinks)
        )
    assert (len(saved), peak[0]) == (15, 3)


async def test_media_of_an_address_of_the_operator_may_be_private_and_is_asked_for_with_the_key(
    vendors: Vendors, tmp_path: Path
) -> None:
    vendor = await vendors(answer(whole(b"song")))
    async with AiohttpTransport() as transport:
        key = {"Authorization": "Bearer key"}
        sink = tmp_path / "sink"
        await transport.download(vendor.url, sink, max_bytes=100, timeout_s=5, own_headers=key)
        assert sink.read_bytes() == b"song"
        assert b"Authorization: Bearer key\r\n" in vendor.heads[0]
        with pytest.raises(ProviderError, match="private"):
            await transport.download(vendor.url, sink, max_bytes=100, timeout_s=5)


async def test_key_of_media_does_not_follow_a_redirect(vendors: Vendors, tmp_path: Path) -> None:
    other = await vendors(answer(whole(b"song")))
    vendor = await vendors(answer(whole(b"", "302 Found", f"Location: {other.url}")))
    async with AiohttpTransport(allow_private_addresses=True) as transport:
        with pytest.raises(ProviderError, match="HTTP 302"):
            await transport.download(
                vendor.url, tmp_path / "sink", max_bytes=100, timeout_s=5, own_headers={"X-Key": "key"}
            )
    assert (len(vendor.heads), other.heads) == (1, [])


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_followed_to_the_media(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path, status: int
) -> None:
    last = await vendors(answer(whole(b"song")))
    first = await vendors(answer(whole(b"", f"{status} Moved", f"Location: {last.url}")))
    await download(transport, first.url, tmp_path / "sink")
    assert (tmp_path / "sink").stat().st_size == 4


@pytest.mark.parametrize("hops, is_followed", [(5, True), (6, False)])
async def test_at_most_five_redirects_are_followed(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path, hops: int, *, is_followed: bool
) -> None:
    left = [hops]

    async def redirect_again(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        raw = whole(b"", "302 Found", "Location: /next") if left[0] else whole(b"song")
        left[0] -= 1
        writer.write(raw)

    vendor = await vendors(redirect_again)
    if is_followed:
        await download(transport, vendor.url, tmp_path / "sink")
        assert (tmp_path / "sink").stat().st_size == 4
    else:
        error = await refusal(download(transport, vendor.url, tmp_path / "sink"))
        assert str(error) == "the media link failed: it was redirected more than 5 times"


@pytest.mark.parametrize(
    "raw, reason, status",
    [
        (whole(b"", "403 Forbidden"), "the answer is HTTP 403", 403),
        (whole(b"", "404 Not Found"), "the answer is HTTP 404", 404),
        (whole(b"part", "206 Partial Content"), "the answer is HTTP 206", 206),
        (whole(b"x", "302 Found"), "the answer is HTTP 302", 302),
        (whole(b"", "302 Found", "Location: file:///etc/passwd"), "it does not lead to a web address", None),
        (whole(b""), "it is empty", None),
        (whole(b"x" * 101), "it is larger than 100 bytes", None),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101, "it is larger than 100 bytes", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc", "the answer was cut short", None),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n",
            "the answer was cut short",
            None,
        ),
        (b"", "the connection was cut before the answer was complete", None),
        (b"nonsense\r\n\r\n", "the answer is not HTTP", None),
    ],
)
async def test_a_failed_download_gives_the_reason(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path, raw: bytes, reason: str, status: int | None
) -> None:
    vendor = await vendors(answer(raw))
    error = await refusal(download(transport, vendor.url, tmp_path / "sink", max_bytes=100))
    assert error.failure.reason is FailureClass.UPSTREAM_FAILED
    assert not error.maybe_accepted
    assert error.is_final is ("larger" in reason)
    assert (str(error), error.status) == (f"the media link failed: {reason}", status)


async def test_a_download_without_a_server_gives_the_reason(
    transport: AiohttpTransport, tmp_path: Path
) -> None:
    error = await refusal(download(transport, f"http://127.0.0.1:{free_port()}/", tmp_path / "sink"))
    assert str(error) == "the media link failed: its server could not be reached: connection refused"


@pytest.mark.parametrize("url", ["", "song.mp3", "file:///etc/passwd", "http://", "http://[::1/x"])
async def test_an_invalid_media_url_is_refused(transport: AiohttpTransport, tmp_path: Path, url: str) -> None:
    error = await refusal(download(transport, url, tmp_path / "sink"))
    assert error.failure.reason is FailureClass.UPSTREAM_FAILED


def open_files() -> set[str]:
    links = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # closed meanwhile
            links.add(str(entry.readlink()))
    return links


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="this system does not list its open files")
async def test_a_download_cancelled_at_its_start_leaves_no_file_open(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    vendor = await vendors(then_silence(b""))
    for number in range(20):
        task = asyncio.create_task(download(transport, vendor.url, tmp_path / f"sink-{number}"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.05)  # time for a thread to open a file that would stay open
    assert [path for path in open_files() if str(tmp_path) in path] == []


async def test_a_stalled_download_is_aborted(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    vendor = await vendors(then_silence(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nabc"))
    error = await refusal(download(transport, vendor.url, tmp_path / "sink"))
    assert str(error) == "the media link failed: it stalled for 0.2 s"


async def test_a_download_with_a_too_large_content_length_is_aborted_at_once(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    vendor = await vendors(then_silence(b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n"))
    error = await refusal(download(transport, vendor.url, tmp_path / "sink", max_bytes=100))
    assert str(error) == "the media link failed: it is larger than 100 bytes"


async def test_a_dripping_download_is_aborted_at_the_time_limit(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        for _ in range(500):
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.02)

    vendor = await vendors(drip)
    error = await refusal(download(transport, vendor.url, tmp_path / "sink", timeout_s=0.3))
    assert str(error) == "the media link failed: it took longer than 0.3 s"


async def test_a_file_that_cannot_be_written_is_a_storage_error(
    transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    vendor = await vendors(answer(whole(b"song")))
    with pytest.raises(StorageError, match="the audio cannot be written: No such file or directory"):
        await download(transport, vendor.url, tmp_path / "missing" / "sink")
    with pytest.raises(StorageError, match="the audio cannot be written: No space left on device"):
        await download(transport, vendor.url, Path("/dev/full"))


# --- private addresses ---


def test_no_socket_is_made_for_a_private_address() -> None:
    with pytest.raises(PrivateAddressError):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80)))
    with public_socket((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", 80))) as made:
        assert made.family == socket.AF_INET


@pytest.fixture
async def strict_transport() -> AsyncIterator[AiohttpTransport]:
    async with AiohttpTransport() as opened:
        yield opened


async def test_the_refusal_of_a_private_address_names_the_setting(
    strict_transport: AiohttpTransport, vendors: Vendors, tmp_path: Path
) -> None:
    vendor = await vendors(answer(whole(b"secret")))
    error = await refusal(download(strict_transport, vendor.url, tmp_path / "sink"))
    assert "its address is private, and network.allow_private_addresses is off" in str(error)


async def test_api_calls_may_go_to_private_addresses(
    strict_transport: AiohttpTransport, vendors: Vendors
) -> None:
    vendor = await vendors(answer(whole(b"{}")))
    assert (await send(strict_transport, vendor.url)).status == 200
