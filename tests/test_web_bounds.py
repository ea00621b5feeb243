"""The cost of a request before it is read: codings, JSON, capacities, hosts, time-outs."""

import asyncio
import gzip
import json
import time
import zlib

import pytest
from aiohttp import web

from musicgate.errors import LimitReachedError, RequestError
from musicgate.text.bounds import LARGE_BODY_BYTES, MAX_BODY_VALUES
from musicgate.web.body import MAX_DEPTH, parse_json
from musicgate.web.capacity import Capacity
from musicgate.web.content_coding import (
    BodyDecoder,
    DecodeError,
    TooLargeError,
    UnknownCodingError,
    read_content_encoding,
)
from musicgate.web.host_header import read_host, read_origin
from musicgate.web.timeouts import RequestTimeouts

BODY = b'{"model": "suno/v5"}' * 100


def raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(body) + packer.flush()


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("", BODY),
        ("gzip", gzip.compress(BODY)),
        ("gzip", gzip.compress(BODY[:700]) + gzip.compress(BODY[700:])),
        ("deflate", zlib.compress(BODY)),
        ("deflate", raw_deflate(BODY)),
    ],
    ids=["none", "gzip", "gzip of two members", "deflate", "deflate without a header"],
)
@pytest.mark.parametrize("step", [1, 7, 100_000])
def test_body_is_decoded_however_it_is_cut_into_pieces(coding: str, packed: bytes, step: int) -> None:
    decoder = BodyDecoder(coding, len(BODY))
    for start in range(0, len(packed), step):
        decoder.feed(packed[start : start + step])
    assert decoder.end() == BODY


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", BODY),
        ("gzip", gzip.compress(BODY)[:-1]),
        ("gzip", gzip.compress(BODY)[:20]),
        ("gzip", gzip.compress(BODY) + b"x"),
        ("gzip", gzip.compress(b"") * 17),
        ("deflate", zlib.compress(BODY)[:-1]),
        ("deflate", zlib.compress(BODY) + b"x"),
        ("deflate", b"\xff\xff\xff"),
    ],
    ids=[
        "plain",
        "cut",
        "cut early",
        "more behind it",
        "17 members",
        "cut deflate",
        "more behind deflate",
        "noise",
    ],
)
def test_body_that_is_not_in_its_content_coding_is_refused(coding: str, packed: bytes) -> None:
    def decode() -> bytes:
        decoder = BodyDecoder(coding, 100_000)
        decoder.feed(packed)
        return decoder.end()

    with pytest.raises(DecodeError):
        decode()


@pytest.mark.parametrize("coding", ["gzip", "deflate", ""])
def test_nothing_is_decoded_beyond_the_limit(coding: str) -> None:
    bomb = bytes(200 * 1024 * 1024)
    packed = {"gzip": gzip.compress(bomb), "deflate": zlib.compress(bomb), "": bomb}[coding]
    started = time.process_time()
    with pytest.raises(TooLargeError):
        BodyDecoder(coding, 1_000_000).feed(packed)
    assert time.process_time() - started < 0.1


def test_content_encoding_is_read_in_any_spelling_and_one_coding_at_a_time() -> None:
    codings = {"": "", "identity": "", "GZip": "gzip", "x-gzip": "gzip", " deflate ,": "deflate"}
    assert {header: read_content_encoding(header) for header in codings} == codings
    for header in ("br", "zstd", "gzip, gzip", "gzip, br", "compress", "x", "gzip;q=1"):
        with pytest.raises(UnknownCodingError):
            read_content_encoding(header)


def test_json_with_too_many_values_is_not_parsed() -> None:
    fits = [1] * (MAX_BODY_VALUES - 1)
    assert parse_json(json.dumps(fits).encode()) == fits
    for shape in (b"[1" + b",1" * 400_000 + b"]", b"[" * 400_000, b"[" + b"{}," * 300_000 + b"1]"):
        started = time.process_time()
        with pytest.raises(RequestError) as caught:
            parse_json(shape)
        assert caught.value.reason == "too_many_values"
        assert time.process_time() - started < 0.02


def test_json_that_is_parsed_on_the_event_loop_blocks_it_for_less_than_20_ms() -> None:
    shapes = [
        b"[1.5" + b",1.5" * (LARGE_BODY_BYTES // 4 - 2) + b"]",
        json.dumps({f"key{number}": number for number in range(LARGE_BODY_BYTES // 17)}).encode(),
        json.dumps({"text": "\u00e9\\" * (LARGE_BODY_BYTES // 9)}).encode(),
    ]
    for shape in shapes:
        assert len(shape) <= LARGE_BODY_BYTES
        took_s = []
        for _ in range(3):
            started = time.process_time()
            parse_json(shape)
            took_s.append(time.process_time() - started)
        assert min(took_s) < 0.02


def test_json_nested_deeper_than_the_limit_is_refused() -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        inner = b"1"
        assert parse_json(opening * MAX_DEPTH + inner + closing * MAX_DEPTH)
        with pytest.raises(RequestError, match="nested too deeply"):
            parse_json(opening * (MAX_DEPTH + 1) + inner + closing * (MAX_DEPTH + 1))


def test_capacity_is_limited_per_account_and_for_all_accounts_together() -> None:
    capacity = Capacity("event_streams", per_account=2, total=3)
    capacity.acquire("one")
    with capacity.hold("one"):
        with pytest.raises(LimitReachedError) as own_limit:
            capacity.acquire("one")
        capacity.acquire("two")
        with pytest.raises(RequestError) as total_limit:
            capacity.acquire("three")
    assert (own_limit.value.code, own_limit.value.reason, own_limit.value.retry_after_s) == (
        "key_limit_exceeded",
        "event_streams",
        10,
    )
    assert (total_limit.value.http_status, total_limit.value.retry_after_s) == (503, 10)
    capacity.release("one")
    capacity.release("two")
    assert capacity.count == 0
    assert capacity._held == {}


@pytest.mark.parametrize(
    ("header", "host", "port"),
    [
        ("localhost", "localhost", None),
        ("LOCALHOST:80", "localhost", 80),
        ("127.0.0.1:8080", "127.0.0.1", 8080),
        ("[::1]", "::1", None),
        ("[::1]:8080", "::1", 8080),
        ("my_service.internal.", "my_service.internal.", None),
    ],
)
def test_host_header_is_read(header: str, host: str, port: int | None) -> None:
    found = read_host(header)
    assert found is not None
    assert (found.host, found.port) == (host, port)


@pytest.mark.parametrize(
    "header",
    [
        *(
            "",
            " ",
            "local host",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "localhost:80:80",
            "localhost/",
        ),
        *(
            "user@localhost",
            "evil.com#@localhost",
            "localhost?",
            "localhost,evil.com",
            "::1",
            "[::1",
            "::1]",
            "[x]",
        ),
        *(
            "[::1]x",
            "[127.0.0.1]",
            "http://localhost",
            "loc\u00e4lhost",
            "localhost\x00",
            "\\localhost",
            "%6cocalhost",
        ),
    ],
)
def test_malformed_host_header_is_none(header: str) -> None:
    assert read_host(header) is None


@pytest.mark.parametrize(
    ("header", "is_local"),
    [
        ("http://localhost", True),
        ("http://localhost:3000", True),
        ("https://127.0.0.1:8443", True),
        ("http://[::1]:5173", True),
        ("http://localhost.evil.com", False),
        ("http://evil.com#@localhost", False),
        ("http://evil.com\\@localhost", False),
        ("http://localhost@evil.com", False),
        ("http://user:pw@localhost", False),
        ("http://localhost/", False),
        ("http://localhost?x", False),
        ("http://localhost http://evil.com", False),
        ("null", False),
        ("", False),
        ("localhost", False),
        ("//localhost", False),
        ("file://localhost", False),
        ("chrome-extension://localhost", False),
        ("http://127.0.0.1.evil.com", False),
        ("http://2130706433", False),
        ("http://[::ffff:1.2.3.4]", False),
    ],
)
def test_origin_is_loopback_only_if_it_is_exactly_that(header: str, is_local: bool) -> None:
    found = read_origin(header)
    assert (found is not None and found.is_loopback) is is_local


@pytest.mark.asyncio
async def test_time_limit_that_is_just_expiring_does_not_keep_the_others_from_expiring() -> None:
    timeouts = RequestTimeouts()

    async def wait(seconds: float | None) -> None:
        with pytest.raises(TimeoutError):
            async with timeouts.limit(seconds):
                await asyncio.sleep(30)

    waiters = [asyncio.create_task(wait(seconds)) for seconds in (5, None, 60)]
    await asyncio.sleep(0)
    expiring = min(
        (limit for limit in timeouts._running if limit.when()), key=lambda limit: limit.when() or 0
    )
    expiring._on_timeout()  # type: ignore[attr-defined] # as the loop does, before the task runs
    async with asyncio.timeout(2):
        await timeouts.expire(web.Application())
        await asyncio.gather(*waiters)
