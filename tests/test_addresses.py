"""Which addresses are public, and that media and webhooks reach no private one, however it is spelled."""

import asyncio
import ipaddress
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from musicgate import FailureClass, ProviderError
from musicgate.http import addresses
from musicgate.http.addresses import PrivateAddressError, check_public, is_public
from musicgate.http.proxies import Proxies
from musicgate.http.transport import AiohttpTransport
from musicgate.webhooks.client import AiohttpWebhookClient
from tests.loopback_vendors import Vendor, Vendors, answer, whole


def table(text: str) -> list[str]:
    return text.split()


#: The first and the last address of every range that is refused, and well-known services in them.
PRIVATE_V4 = table(
    """
    0.0.0.0 0.0.0.1 0.255.255.255
    10.0.0.0 10.0.0.1 10.255.255.255
    100.64.0.0 100.100.100.200 100.127.255.255
    127.0.0.1 127.8.8.8 127.255.255.255
    168.63.129.16
    169.254.0.0 169.254.169.254 169.254.170.2 169.254.42.42 169.254.255.255
    172.16.0.0 172.17.0.1 172.31.255.255
    192.0.0.0 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.192 192.0.0.255
    192.0.2.0 192.0.2.255
    192.31.196.1 192.52.193.1 192.175.48.1
    192.88.99.0 192.88.99.1 192.88.99.255
    192.168.0.0 192.168.1.1 192.168.255.255
    198.18.0.0 198.19.255.255
    198.51.100.0 198.51.100.255
    203.0.113.0 203.0.113.255
    224.0.0.0 224.0.0.1 239.255.255.255
    240.0.0.0 255.255.255.254 255.255.255.255
    """
)
PRIVATE_V6 = table(
    """
    :: ::1 ::2 ::127.0.0.1 ::8.8.8.8 ::ffff:0:8.8.8.8
    64:ff9b:1:: 64:ff9b:1::8.8.8.8 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 64:ff9b:2::8.8.8.8
    100:: 100::1 100:0:0:1::1 200::1 400::1 1000::1
    2001:: 2001:0:808:808::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:3::1 2001:4:112::1
    2001:10::1 2001:20::1 2001:30::1 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff
    2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff
    2620:4f:8000::1
    3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff
    4000::1 5f00::1 8000::1 c000::1 e000::1 f000::1
    fc00::1 fd00::1 fd00:ec2::254 fd20:ce::254 fdff:ffff::1
    fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff02::1 ff0e::1
    """
)
#: IPv4 in IPv6: mapped, 6to4, and NAT64.
WRAPPERS = ("::ffff:{0}", "2002:{1:04x}:{2:04x}::1", "64:ff9b::{0}")
NO_ADDRESSES = [
    "",
    "localhost",
    "8.8.8",
    "8.8.8.8.8",
    "0x8.8.8.8",
    "134744072",
    "008.8.8.8",
    "[::1]",
    "8.8.8.8/32",
]
PUBLIC = table(
    """
    1.0.0.1 8.8.8.8 9.255.255.255 11.0.0.0 93.184.215.14 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1
    168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255
    192.0.1.0 192.0.3.0 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0
    198.51.99.255 203.0.112.255 203.0.114.0 223.255.255.255
    2000::1 2001:200::1 2001:4860:4860::8888 2001:db7::1 2001:db9::1 2606:4700::1111 2620:4f:8001::1 2a00:1450::1
    3ffe::1 3fff:1000::1
    """
)


def wrapped(address: str, wrapper: str) -> str:
    first, second, third, fourth = (int(part) for part in address.split("."))
    return wrapper.format(address, first << 8 | second, third << 8 | fourth)


@pytest.mark.parametrize("address", [*PRIVATE_V4, *PRIVATE_V6, *NO_ADDRESSES])
def test_an_address_that_is_not_public_is_recognised(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_private_address_stays_private_in_every_wrapper(wrapper: str) -> None:
    assert [address for address in PRIVATE_V4 if is_public(wrapped(address, wrapper))] == []
    assert is_public(wrapped("8.8.8.8", wrapper))


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_recognised(address: str) -> None:
    assert is_public(address)


def test_the_tables_of_addresses_are_long() -> None:
    assert len(set(PRIVATE_V4) | set(PRIVATE_V6)) >= 90
    assert len(PUBLIC) >= 30


def test_the_verdict_does_not_depend_on_the_tables_of_the_interpreter(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for kind in (ipaddress.IPv4Address, ipaddress.IPv6Address):
        for flag in (
            "is_global",
            "is_private",
            "is_reserved",
            "is_multicast",
            "is_loopback",
            "is_link_local",
        ):
            monkeypatch.setattr(kind, flag, property(lambda _: pytest.fail("asked the interpreter")))
    assert is_public("8.8.8.8")
    assert not is_public("10.0.0.1")


def test_one_private_address_among_public_ones_is_refused() -> None:
    def info(address: str) -> tuple[Any, ...]:
        return socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)

    check_public([info("8.8.8.8"), info("1.1.1.1")])
    for found in ([], [info("10.0.0.1")], [info("8.8.8.8"), info("10.0.0.1")]):
        with pytest.raises(PrivateAddressError):
            check_public(found)


# --- media and webhooks are refused ---


@pytest.fixture
async def inside(vendors: Vendors) -> Vendor:
    """A server that must never get a request."""
    return await vendors(answer(whole(b"secret")))


@pytest.fixture(params=["direct", "through a proxy"])
async def proxies(request: pytest.FixtureRequest, vendors: Vendors) -> Proxies:
    """No proxy, and one that would forward anything."""
    if request.param == "direct":
        return Proxies()
    proxy = await vendors(answer(whole(b"proxied secret")))
    return Proxies.from_settings(f"http://127.0.0.1:{proxy.port}", {})


@pytest.fixture
async def transport(proxies: Proxies) -> AsyncIterator[AiohttpTransport]:
    async with AiohttpTransport(proxies=proxies) as opened:
        yield opened


@pytest.fixture
async def webhooks(proxies: Proxies) -> AsyncIterator[AiohttpWebhookClient]:
    async with AiohttpWebhookClient(proxies=proxies) as opened:
        yield opened


def literal(address: str) -> str:
    return f"[{address.partition('%')[0]}]" if ":" in address else address


#: The second message is for old spellings of addresses.
REFUSED = "its address is private|its address is not valid"


async def both_refuse(
    transport: AiohttpTransport, webhooks: AiohttpWebhookClient, url: str, sink: Path
) -> None:
    with pytest.raises(ProviderError) as caught:
        await transport.download(url, sink, max_bytes=1000, timeout_s=5)
    assert caught.value.failure.reason is FailureClass.UPSTREAM_FAILED
    assert re.search(REFUSED, str(caught.value)), url
    with pytest.raises(ProviderError, match=REFUSED):
        await webhooks.post(url, {}, b"{}", timeout_s=5)


async def test_no_private_address_is_reached_as_a_literal(
    transport: AiohttpTransport, webhooks: AiohttpWebhookClient, inside: Vendor, tmp_path: Path
) -> None:
    tried = [*PRIVATE_V4, *PRIVATE_V6, *(wrapped("127.0.0.1", wrapper) for wrapper in WRAPPERS)]
    for address in tried:
        await both_refuse(transport, webhooks, f"http://{literal(address)}:{inside.port}/", tmp_path / "sink")
    for spelling in ("localhost", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "LOCALHOST"):
        await both_refuse(transport, webhooks, f"http://{spelling}:{inside.port}/", tmp_path / "sink")
    assert inside.connections == 0


async def test_no_private_address_is_reached_by_a_name(
    transport: AiohttpTransport,
    webhooks: AiohttpWebhookClient,
    inside: Vendor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resolved, asked = [""], list[str]()

    def look_up(host: str, *_: object, **__: object) -> list[Any]:
        asked.append(host)
        where = (resolved[0].partition("%")[0], inside.port)
        if ":" in where[0]:
            return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (*where, 0, 0))]
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", where)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    for address in [*PRIVATE_V4, *PRIVATE_V6]:
        resolved[0] = address
        await both_refuse(transport, webhooks, f"http://cdn.example:{inside.port}/", tmp_path / "sink")
    assert set(asked) == {"cdn.example"}
    assert inside.connections == 0


async def test_no_private_address_is_reached_by_a_redirect(
    inside: Vendor, vendors: Vendors, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [f"http://{literal(address)}:{inside.port}/" for address in [*PRIVATE_V4, *PRIVATE_V6]]
    targets.remove(f"http://127.0.0.1:{inside.port}/")  # which counts as public here
    targets += ["//localhost/", "HTTP://LOCALHOST/"]
    left = iter(targets)

    async def redirect(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(whole(b"", "302 Found", f"Location: {next(left)}"))
        writer.close()

    outside = await vendors(redirect)
    judge = addresses.is_public
    # For this test the first address counts as public, so that the redirect itself is reached.
    monkeypatch.setattr(addresses, "is_public", lambda address: address == "127.0.0.1" or judge(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(2, 1, 6, "", ("127.0.0.2", inside.port))])
    async with AiohttpTransport() as transport:
        for target in targets:
            with pytest.raises(ProviderError) as caught:
                await transport.download(outside.url, tmp_path / "sink", max_bytes=1000, timeout_s=5)
            assert "private" in str(caught.value) or "not valid" in str(caught.value), target
    assert (outside.connections, inside.connections) == (len(targets), 0)


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "javascript:alert(1)", "ftp://cdn.example/x", "ws://cdn.example/x", "data:,x"],
)
async def test_only_http_and_https_are_followed(
    vendors: Vendors, webhooks: AiohttpWebhookClient, tmp_path: Path, target: str
) -> None:
    outside = await vendors(answer(whole(b"", "302 Found", f"Location: {target}")))
    async with AiohttpTransport(allow_private_addresses=True) as transport:
        for url in (target, outside.url):
            with pytest.raises(ProviderError, match="it does not lead to a web address"):
                await transport.download(url, tmp_path / "sink", max_bytes=1000, timeout_s=5)
    with pytest.raises(ProviderError, match="its address is not valid"):
        await webhooks.post(target, {}, b"{}", timeout_s=5)
