"""Proxies: which one is chosen for a URL, and real calls through one on loopback, plain and CONNECT."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp.connector
import attrs
import pytest
from yarl import URL

from musicgate import (
    ConfigError,
    FailureClass,
    HttpRequest,
    HttpResponse,
    ProviderError,
)
from musicgate.gateway.compose import open_context
from musicgate.http.proxies import Proxies
from musicgate.http.transport import AiohttpTransport
from musicgate.model import Timeouts
from musicgate.settings import NetworkSettings, Settings, load_settings
from musicgate.webhooks.client import AiohttpWebhookClient
from tests.fake_vendor import FakeVendor, host_of
from tests.free_port import free_port
from tests.loopback_tls import server_tls
from tests.loopback_vendors import Serve, Vendor, Vendors, answer, whole

# --- choosing a proxy ---

P, Q = "http://proxy.example:3128", "http://other.example:8080"


@pytest.mark.parametrize(
    ("setting", "environ", "url", "proxy"),
    [
        ("", {}, "https://a.example", None),
        ("", {"HTTPS_PROXY": P}, "https://a.example", P),
        ("", {"HTTPS_PROXY": P}, "http://a.example", None),
        ("", {"HTTP_PROXY": P, "HTTPS_PROXY": Q}, "http://a.example", P),
        ("", {"HTTPS_PROXY": P, "https_proxy": Q}, "https://a.example", Q),
        ("", {"HTTPS_PROXY": ""}, "https://a.example", None),
        ("", {"HTTPS_PROXY": "proxy.example:3128"}, "https://a.example", P),
        (P, {}, "https://a.example", P),
        (P, {}, "http://a.example", P),
        (P, {"HTTPS_PROXY": Q}, "https://a.example", P),
        ("none", {"HTTPS_PROXY": P, "HTTP_PROXY": P}, "https://a.example", None),
        (P, {"NO_PROXY": "*"}, "https://a.example", None),
        (P, {"NO_PROXY": "a.example"}, "https://a.example", None),
        (P, {"no_proxy": "b.example, A.Example"}, "https://a.example", None),
        (P, {"NO_PROXY": "a.example"}, "https://x.a.example.", None),
        (P, {"NO_PROXY": ".a.example"}, "https://x.a.example", None),
        (P, {"NO_PROXY": "*.a.example"}, "https://x.a.example", None),
        (P, {"NO_PROXY": "a.example"}, "https://ba.example", P),
        (P, {"NO_PROXY": "a.example:8443"}, "https://a.example:8443", None),
        (P, {"NO_PROXY": "a.example:8443"}, "https://a.example", P),
        (P, {"NO_PROXY": "192.0.2.0/24"}, "http://192.0.2.7", None),
        (P, {"NO_PROXY": "192.0.2.7"}, "http://192.0.2.7", None),
        (P, {"NO_PROXY": "192.0.2.0/24"}, "http://192.0.3.7", P),
        (P, {"NO_PROXY": "192.0.2.7:81"}, "http://192.0.2.7:80", P),
        (P, {"NO_PROXY": "2001:db8::/32"}, "http://[2001:db8::1]", None),
        (P, {"NO_PROXY": "[2001:db8::1]:81"}, "http://[2001:db8::1]:81", None),
        (P, {"NO_PROXY": "[2001:db8::1]:81"}, "http://[2001:db8::1]:82", P),
        (P, {"NO_PROXY": " , "}, "https://a.example", P),
        (P, {}, "http://127.0.0.1:8000", None),
        (P, {}, "http://localhost", None),
        (P, {}, "http://[::1]:8000", None),
    ],
)
def test_a_proxy_is_chosen_as_curl_and_go_choose_it(
    setting: str, environ: dict[str, str], url: str, proxy: str | None
) -> None:
    found = Proxies.from_settings(setting, environ).for_url(URL(url))
    assert (None if found is None else str(found)) == proxy


@pytest.mark.parametrize(
    "value", ["socks5://user:test-key-not-real@proxy.example", "http://", "http://a:b:c", "//x y"]
)
def test_a_value_that_is_no_http_proxy_is_refused_without_being_shown(value: str) -> None:
    for setting, environ, key in ((value, {}, "network.proxy"), ("", {"https_proxy": value}, "HTTPS_PROXY")):
        with pytest.raises(ConfigError) as caught:
            Proxies.from_settings(setting, environ)
        assert str(caught.value) == f'{key}: must be http://host:port of an HTTP proxy, or "none"'
        assert caught.value.key == key


def test_repr_omits_the_password_of_a_proxy() -> None:
    assert "test-key" not in repr(
        Proxies.from_settings("http://user:test-key-not-real@proxy.example:3128", {})
    )


# --- real calls ---


@attrs.define
class SmallProxy:
    """A proxy that forwards every request to one server on loopback, by CONNECT or by absolute URL."""

    to_port: int
    port: int = 0
    heads: list[bytes] = attrs.field(factory=list)
    refusal: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.refusal:
            writer.write(self.refusal)
            return
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        if head.startswith(b"CONNECT "):
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            _, url, _ = head.split(b" ", 2)
            to_writer.write(head.replace(url, URL(url.decode(), encoded=True).raw_path_qs.encode(), 1))
        with contextlib.suppress(ConnectionError):
            await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))
        to_writer.close()

    @property
    def lines(self) -> list[bytes]:
        return [head.split(b"\r\n")[0] for head in self.heads]


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65536):
        writer.write(piece)
        await writer.drain()
    writer.close()


@pytest.fixture
async def vendor(vendors: Vendors) -> Vendor:
    return await vendors(answer(whole(b'{"id": 1}')))


@pytest.fixture
async def proxy(serve: Serve, vendor: Vendor) -> SmallProxy:
    small = SmallProxy(to_port=vendor.port)
    small.port = await serve(small.serve)
    return small


@pytest.fixture
def proxies(proxy: SmallProxy) -> Proxies:
    return Proxies.from_settings(f"http://user:pass%20word@127.0.0.1:{proxy.port}", {})


@pytest.fixture
async def transport(proxies: Proxies) -> AsyncIterator[AiohttpTransport]:
    async with AiohttpTransport(proxies=proxies) as opened:
        yield opened


async def send(transport: AiohttpTransport, url: str, method: str = "POST") -> HttpResponse:
    request = HttpRequest(
        method=method, url=url, body=b"{}", headers={"Authorization": "Bearer test-key-not-real"}
    )
    return await transport.send(
        request, timeouts=Timeouts(connect_s=2), read_timeout_s=5, max_body_bytes=1000
    )


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_an_api_call_goes_through_the_proxy(
    transport: AiohttpTransport, proxy: SmallProxy, vendor: Vendor, method: str
) -> None:
    assert (await send(transport, "http://vendor.example/v1/a%2Fb?s=%2F", method)).body == b'{"id": 1}'
    assert proxy.lines == [f"{method} http://vendor.example/v1/a%2Fb?s=%2F HTTP/1.1".encode()]
    assert b"\r\nProxy-Authorization: Basic dXNlcjpwYXNzIHdvcmQ=\r\n" in proxy.heads[0]
    assert b"\r\nHost: vendor.example\r\n" in vendor.heads[0]


async def test_loopback_is_reached_without_the_proxy(proxy: SmallProxy, vendor: Vendor) -> None:
    direct = Proxies.from_settings(f"http://127.0.0.1:{proxy.port}", {"NO_PROXY": "vendor.example"})
    async with AiohttpTransport(proxies=direct, allow_private_addresses=True) as transport:
        await send(transport, vendor.url)
    assert (len(vendor.heads), proxy.heads) == (1, [])


@pytest.fixture
def public_names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Resolve every name to a public address; gives the names that were looked up."""
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def look_up(host: str, port: Any, *arguments: Any, **more: Any) -> Any:
        if host[0].isdigit():
            return real(host, port, *arguments, **more)
        looked_up.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.215.14", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return looked_up


async def test_media_and_webhooks_go_through_the_proxy_when_their_names_are_public(
    transport: AiohttpTransport, proxies: Proxies, proxy: SmallProxy, public_names: list[str], tmp_path: Path
) -> None:
    await transport.download(
        "http://cdn.example/a%2Fb ü?s=%2F", tmp_path / "sink", max_bytes=100, timeout_s=5
    )
    assert (tmp_path / "sink").read_bytes() == b'{"id": 1}'
    async with AiohttpWebhookClient(proxies=proxies) as webhooks:
        assert (await webhooks.post("http://hook.example/x", {}, b"{}", timeout_s=5)).status == 200
    assert proxy.lines == [
        b"GET http://cdn.example/a%2Fb%20%C3%BC?s=%2F HTTP/1.1",
        b"POST http://hook.example/x HTTP/1.1",
    ]
    assert public_names == ["cdn.example", "hook.example"]


async def test_every_redirect_is_checked_before_the_proxy_is_used(
    vendors: Vendors, serve: Serve, public_names: list[str], tmp_path: Path
) -> None:
    moved = await vendors(answer(whole(b"", "302 Found", "Location: http://10.0.0.1/")))
    small = SmallProxy(to_port=moved.port)
    small.port = await serve(small.serve)
    proxies = Proxies.from_settings(f"http://127.0.0.1:{small.port}", {})
    async with AiohttpTransport(proxies=proxies) as transport:
        with pytest.raises(ProviderError, match="its address is private"):
            await transport.download("http://cdn.example/", tmp_path / "sink", max_bytes=100, timeout_s=5)
    assert small.lines == [b"GET http://cdn.example/ HTTP/1.1"]


async def test_a_name_that_cannot_be_resolved_is_not_left_to_the_proxy(
    transport: AiohttpTransport, proxy: SmallProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(ProviderError, match="its name cannot be resolved"):
        await transport.download("http://cdn.example/", tmp_path / "sink", max_bytes=100, timeout_s=5)
    assert proxy.heads == []


async def test_when_private_addresses_are_allowed_names_are_left_to_the_proxy(
    proxies: Proxies, proxy: SmallProxy, public_names: list[str], tmp_path: Path
) -> None:
    async with AiohttpTransport(proxies=proxies, allow_private_addresses=True) as transport:
        await transport.download("http://10.0.0.1/x", tmp_path / "sink", max_bytes=100, timeout_s=5)
    assert proxy.lines == [b"GET http://10.0.0.1/x HTTP/1.1"]
    assert public_names == []


# --- refusals of a proxy ---


def refusal_of(error: ProviderError) -> tuple[FailureClass, bool, str]:
    return error.failure.reason, error.maybe_accepted, str(error)


@pytest.mark.parametrize(
    ("url", "status", "message"),
    [
        ("http://vendor.example/", 407, "vendor.example was not asked: the proxy wants other credentials"),
        (
            "https://vendor.example/",
            407,
            "vendor.example could not be reached: the proxy refused with HTTP 407",
        ),
        (
            "https://vendor.example/",
            403,
            "vendor.example could not be reached: the proxy refused with HTTP 403",
        ),
        (
            "https://vendor.example/",
            502,
            "vendor.example could not be reached: the proxy refused with HTTP 502",
        ),
    ],
)
async def test_a_refusal_by_the_proxy_means_that_nothing_was_sent(
    transport: AiohttpTransport, proxy: SmallProxy, url: str, status: int, message: str
) -> None:
    proxy.refusal = whole(b"", f"{status} No")
    with pytest.raises(ProviderError) as caught:
        await send(transport, url)
    assert refusal_of(caught.value) == (FailureClass.UNAVAILABLE, False, message)


async def test_an_unreachable_proxy_means_that_nothing_was_sent(
    tmp_path: Path, public_names: list[str]
) -> None:
    gone = Proxies.from_settings(f"http://127.0.0.1:{free_port()}", {})
    async with AiohttpTransport(proxies=gone) as transport, AiohttpWebhookClient(proxies=gone) as webhooks:
        for url in ("http://vendor.example/", "https://vendor.example/"):
            with pytest.raises(ProviderError) as caught:
                await send(transport, url)
            message = "vendor.example could not be reached: the proxy gave no connection (connection refused)"
            assert refusal_of(caught.value) == (FailureClass.UNAVAILABLE, False, message)
            with pytest.raises(ProviderError, match="the proxy gave no connection"):
                await transport.download(url, tmp_path / "sink", max_bytes=100, timeout_s=5)
            with pytest.raises(ProviderError, match="the proxy gave no connection"):
                await webhooks.post(url, {}, b"{}", timeout_s=5)


# --- TLS ---


@pytest.fixture
async def secure(vendor: Vendor, tmp_path: Path) -> AsyncIterator[tuple[int, Path]]:
    """The vendor behind TLS: its port, and its certificate, which is not trusted."""
    context, certificate = server_tls(tmp_path)

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await vendor.serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], certificate
    server.close()


async def test_an_untrusted_certificate_is_reported_as_such(
    secure: tuple[int, Path], vendor: Vendor, tmp_path: Path
) -> None:
    url = f"https://127.0.0.1:{secure[0]}/"
    async with (
        AiohttpTransport(allow_private_addresses=True) as transport,
        AiohttpWebhookClient(allow_private_addresses=True) as webhooks,
    ):
        with pytest.raises(ProviderError) as caught:
            await send(transport, url)
        message = "127.0.0.1 could not be reached: its certificate is not trusted"
        assert refusal_of(caught.value) == (FailureClass.UNAVAILABLE, False, message)
        with pytest.raises(ProviderError, match="could not be reached: its certificate is not trusted"):
            await transport.download(url, tmp_path / "sink", max_bytes=100, timeout_s=5)
        with pytest.raises(ProviderError, match="no answer: its certificate is not trusted"):
            await webhooks.post(url, {}, b"{}", timeout_s=5)
    assert vendor.heads == []


async def test_tls_is_tunnelled_through_the_proxy_and_verified_end_to_end(
    secure: tuple[int, Path],
    vendor: Vendor,
    proxy: SmallProxy,
    proxies: Proxies,
    public_names: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy.to_port = secure[0]
    async with AiohttpTransport(proxies=proxies) as transport:
        with pytest.raises(ProviderError, match="its certificate is not trusted"):
            await send(transport, "https://vendor.example/")
    trusting = ssl.create_default_context(cafile=str(secure[1]))
    monkeypatch.setattr(aiohttp.connector, "_SSL_CONTEXT_VERIFIED", trusting)
    async with AiohttpTransport(proxies=proxies) as transport:
        assert (await send(transport, "https://vendor.example/v1?s=%2F")).body == b'{"id": 1}'
        await transport.download(
            "https://vendor.example:8443/a", tmp_path / "sink", max_bytes=100, timeout_s=5
        )
        with pytest.raises(ProviderError, match="its certificate is not trusted"):
            await send(transport, "https://stranger.example/")
    assert proxy.lines[1:3] == [
        b"CONNECT vendor.example:443 HTTP/1.1",
        b"CONNECT vendor.example:8443 HTTP/1.1",
    ]
    assert not any(b"test-key-not-real" in head for head in proxy.heads)
    assert vendor.heads[0].startswith(b"POST /v1?s=%2F HTTP/1.1\r\n")
    assert not any(b"Proxy-Authorization" in head for head in vendor.heads)


# --- settings ---


@pytest.mark.parametrize("source", ["setting", "environment"])
async def test_the_gateway_uses_its_proxy_in_every_client(
    proxy: SmallProxy, public_names: list[str], tmp_path: Path, source: str
) -> None:
    address = f"http://127.0.0.1:{proxy.port}"
    settings = load_settings(environ={"HTTP_PROXY": address} if source == "environment" else {})
    network = NetworkSettings(proxy=address if source == "setting" else "", downloads=1)
    settings = attrs.evolve(settings, data_dir=tmp_path, network=network)
    async with open_context(settings, host_of(FakeVendor("one")), lambda *_: None) as context:
        assert isinstance(context.transport, AiohttpTransport)
        await send(context.transport, "http://vendor.example/")
        await context.transport.download("http://cdn.example/", tmp_path / "sink", max_bytes=100, timeout_s=5)
        await context.webhooks.post("http://hook.example/", {}, b"{}", timeout_s=5)
    assert [line.split(b"/")[2] for line in proxy.lines] == [
        b"vendor.example",
        b"cdn.example",
        b"hook.example",
    ]


async def test_the_gateway_does_not_start_with_an_invalid_proxy(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, environ={"HTTPS_PROXY": "socks5://127.0.0.1:1"})
    with pytest.raises(ConfigError, match="HTTPS_PROXY"):
        async with open_context(settings, host_of(FakeVendor("one")), lambda *_: None):
            pass
