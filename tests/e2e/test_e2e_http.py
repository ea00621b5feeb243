"""HTTP on every route: RFC 9110 and 9112, one envelope for all errors, no credential in the log.

Conditions, ranges, Host, Origin and content codings as such are the subject of tests/test_conditions.py and
tests/test_web_bounds.py.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import zlib
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import attrs
import pytest
from aiohttp import web

from musicgate.model import Secret
from musicgate.settings import Account
from musicgate.views import render_live
from musicgate.web.app import make_app
from tests.e2e.raw import RawAnswer, connect, exchange, read_answer
from tests.e2e.running_server import ACCOUNT_KEY, JOBS, PLAN, UNFINISHED, song, violations

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.e2e.running_server import OpenServer, RunningServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = b"Host: localhost\r\n"
KEY = f"Authorization: Bearer {ACCOUNT_KEY}\r\n".encode()
PLAN_HEAD = b"POST /v1/music/plan HTTP/1.1\r\n" + HOST + KEY
SONG = song(switches="song_s=3,3 skip=text")
#: Values for the variables in paths.
FILLED = {
    "music_id": "music_x",
    "index": "0",
    "message_id": "msg_x",
    "job_id": "music_x",
    "token": "x",
    "name": "job",
    "file": "docs.js",
    "path": "app.js",
    "account": "unknown",
    "key_id": "x",
}
#: Routes that need no key.
PUBLIC = (
    *("/llms.txt", "/livez", "/readyz", "/openapi.json", "/docs", "/console"),
    *("/v1/schemas/", "/v1/callbacks/"),
)
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")


@attrs.frozen(kw_only=True)
class Route:
    """A path of the application, with its variables filled in, and its methods."""

    path: str
    methods: frozenset[str]

    @property
    def is_public(self) -> bool:
        return self.path.startswith(PUBLIC)


def routes_of(app: web.Application) -> list[Route]:
    found: dict[str, set[str]] = {}
    for route in app.router.routes():
        assert route.resource is not None
        path = re.sub(
            r"\{(\w+)(:[^}]*\}*?)?\}(?=$|/)", lambda name: FILLED[name[1]], route.resource.canonical
        )
        found.setdefault(path, set()).add(route.method)
    return [Route(path=path, methods=frozenset(methods)) for path, methods in found.items()]


def request(method: str, path: str, *more: str, body: bytes = b"") -> bytes:
    """The bytes of a request without a key."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", *more]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def check_headers(answer: RawAnswer) -> None:
    """Check the headers of every answer."""
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["server"] == "musicgate"
    assert answer.headers["referrer-policy"] == "no-referrer"


def check_envelope(answer: RawAnswer, *, is_head: bool = False) -> None:
    """Check the envelope of every error."""
    check_headers(answer)
    assert answer.headers["content-type"].startswith("application/json")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-gateway-error-attribution"] in {"user", "upstream"}
    if is_head:
        assert answer.raw == b""
        return
    assert violations("error", answer.body) == []
    assert answer.body["status_code"] == answer.status
    assert re.fullmatch("G-[0-9A-HJKMNP-TV-Z]{26}", answer.body["generation_id"])


async def test_every_route_answers_every_method_as_rfc_9110_requires(server: RunningServer) -> None:
    routes = routes_of(make_app(server.gateway))
    assert len(routes) > 20
    for route in routes:
        for method in METHODS:
            (answer,) = await exchange(server, request(method, route.path))
            is_head = method == "HEAD"
            if method not in route.methods:
                assert answer.status == 405, (method, route.path)
                assert set(answer.headers["allow"].split(", ")) == {*route.methods, "OPTIONS"}, route.path
            elif not route.is_public:
                assert answer.status == 401, (method, route.path)
                assert answer.headers["www-authenticate"] == "Bearer"
            if answer.status >= 400:
                check_envelope(answer, is_head=is_head)
            else:
                check_headers(answer)
        # Section 9.3.2: HEAD is there wherever GET is, with the same headers.
        assert ("GET" in route.methods) is ("HEAD" in route.methods), route.path


async def test_every_route_answers_options_with_its_methods(server: RunningServer) -> None:
    for route in routes_of(make_app(server.gateway)):
        preflight = request(
            "OPTIONS", route.path, "Origin: https://app.example", "Access-Control-Request-Method: POST"
        )
        (answer,) = await exchange(server, preflight)
        assert (answer.status, answer.raw) == (204, b"")
        assert set(answer.headers["allow"].split(", ")) == {*route.methods, "OPTIONS"}
        assert route.methods <= set(answer.headers["access-control-allow-methods"].split(", "))
        assert {"if-none-match", "range", "content-encoding", "authorization"} <= set(
            answer.headers["access-control-allow-headers"].lower().split(", ")
        )
        check_headers(answer)


async def test_head_has_the_headers_of_get_and_no_content(server: RunningServer) -> None:
    job = await server.generate(SONG)
    paths = [
        *(
            "/livez",
            "/v1/schemas/job",
            "/v1/music/models",
            "/v1/music/providers",
            "/v1/music/generate?limit=1",
        ),
        *(f"{JOBS}/{job['id']}{tail}" for tail in ("", "/audio/0", "/webhooks")),
    ]
    for path in paths:
        (got,) = await exchange(server, request("GET", path, KEY.decode().strip()))
        (head,) = await exchange(server, request("HEAD", path, KEY.decode().strip()))
        assert (got.status, head.status) == (200, 200), path
        volatile = {"date"}
        assert {name: value for name, value in head.headers.items() if name not in volatile} == {
            name: value for name, value in got.headers.items() if name not in volatile
        }, path
    (stream,) = await exchange(server, request("HEAD", f"{paths[5]}/events", KEY.decode().strip()))
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")


#: Name, bytes, status, reason.
MALFORMED: list[tuple[str, bytes, int, str | None]] = [
    ("no HTTP at all", b"\x00\x01\r\n\r\n", 400, "malformed_http"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "malformed_http"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "malformed_http"),
    ("HTTP/9", b"GET /livez HTTP/9.9\r\n" + HOST + b"\r\n", 505, "unknown_version"),
    ("HTTP/0.9", b"GET /livez\r\n\r\n", 505, None),
    ("unknown method", b"FROB /livez HTTP/1.1\r\n" + HOST + b"\r\n", 501, "unknown_method"),
    ("small letters", b"get /livez HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed_http"),
    ("bare line feeds", b"GET /livez HTTP/1.1\nHost: localhost\n\n", 400, "malformed_http"),
    ("long target", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + HOST + b"\r\n", 414, "target_too_long"),
    (
        "long header",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 9000 + b"\r\n\r\n",
        431,
        "header_too_large",
    ),
    ("long name", b"GET /livez HTTP/1.1\r\n" + HOST + b"a" * 9000 + b": x\r\n\r\n", 431, "header_too_large"),
    (
        "many headers",
        b"GET /livez HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 200 + b"\r\n",
        431,
        "too_many_headers",
    ),
    ("a blank before the colon", b"GET /livez HTTP/1.1\r\n" + HOST + b"X : 1\r\n\r\n", 400, "malformed_http"),
    ("letters that are no ASCII", b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed_http"),
    ("no Host", b"GET /livez HTTP/1.1\r\n\r\n", 400, "malformed_http"),
    ("two Hosts", b"GET /livez HTTP/1.1\r\n" + HOST + HOST + b"\r\n", 400, "malformed_http"),
    ("empty Host", b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", 400, "invalid_host"),
    ("two words in Host", b"GET /livez HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "invalid_host"),
    ("a user in Host", b"GET /livez HTTP/1.1\r\nHost: me@localhost\r\n\r\n", 400, "invalid_host"),
    ("a port that is none", b"GET /livez HTTP/1.1\r\nHost: localhost:99999\r\n\r\n", 400, "invalid_host"),
    ("absolute target without a host", b"GET http:// HTTP/1.1\r\n" + HOST + b"\r\n", 400, "malformed_http"),
    ("unknown expectation", PLAN_HEAD + b"Expect: tea\r\nContent-Length: 2\r\n\r\n{}", 417, None),
    ("unknown expectation, no route", request("GET", "/nowhere", "Expect: tea"), 417, None),
    ("CONNECT", b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"\r\n", 404, None),
    ("broken escapes", request("GET", "/%zz%ff"), 404, None),
]


@pytest.mark.parametrize(("name", "sent", "status", "reason"), MALFORMED, ids=[row[0] for row in MALFORMED])
async def test_malformed_http_is_answered_with_the_envelope(
    server: RunningServer, name: str, sent: bytes, status: int, reason: str | None
) -> None:
    (answer,) = await exchange(server, sent)
    check_envelope(answer)
    assert (answer.status, answer.body.get("reason")) == (status, reason)


#: Requests with an ambiguous end; a second request is hidden behind each.
SMUGGLED = [
    b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
    b"Content-Length: 2, 2\r\n\r\n{}",
    b"Content-Length: +2\r\n\r\n{}",
    b"Content-Length: -2\r\n\r\n{}",
    b"Content-Length: 0x2\r\n\r\n{}",
    b"Content-Length: 2_0\r\n\r\n{}",
    b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    b"Content-Length : 2\r\n\r\n{}",
    b"Content-Length:\r\n 2\r\n\r\n{}",
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: identity\r\n\r\n{}",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}X\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n",
]


@pytest.mark.parametrize("head", SMUGGLED, ids=[repr(row[:60]) for row in SMUGGLED])
async def test_no_second_request_is_smuggled_behind_an_ambiguous_end(
    server: RunningServer, head: bytes
) -> None:
    hidden = request("GET", "/v1/schemas/job")
    answers = await exchange(server, PLAN_HEAD + head + hidden)
    assert answers
    assert all(answer.status >= 400 for answer in answers)
    assert not any(b"$schema" in answer.raw for answer in answers)
    for answer in answers:
        check_envelope(answer)


def shape(answer: RawAnswer) -> tuple[int, list[str], dict[str, str]]:
    """What two answers have in common: status, names of headers in order, and values that are the same."""
    varying = {"date", "connection", "etag", "content-length"}
    names = [name for name in answer.headers if name != "connection"]
    return answer.status, names, {k: v for k, v in answer.headers.items() if k not in varying}


async def test_a_job_is_answered_alike_on_every_kind_of_connection(open_server: OpenServer) -> None:
    """Ours writes the head of an answer on a kept connection, and aiohttp writes all others."""
    accounts = (Account(name="test", key=Secret(ACCOUNT_KEY), requests_per_minute=50),)
    key, body_sent = KEY.decode().strip(), json.dumps(SONG).encode()
    async with open_server(accounts=accounts) as server:
        done = await server.generate(SONG)
        for method, path, body in (
            ("POST", "/v1/music/generate", body_sent),
            ("GET", f"{JOBS}/{done['id']}", b""),
            ("GET", f"{JOBS}/{done['id']}", b""),
        ):
            for prefer in ((), ("Prefer: wait=0, handling=strict",)):
                kept, closed, old = [
                    (await exchange(server, head.replace(b"HTTP/1.1", version)))[0]
                    for version, head in (
                        (b"HTTP/1.1", request(method, path, key, *prefer, body=body)),
                        (b"HTTP/1.1", request(method, path, key, *prefer, "Connection: close", body=body)),
                        (
                            b"HTTP/1.0",
                            request(method, path, key, *prefer, "Connection: keep-alive", body=body),
                        ),
                    )
                ]
                assert "connection" not in kept.headers
                assert (closed.headers["connection"], old.headers["connection"]) == ("close", "keep-alive")
                limits = {"ratelimit": "", "ratelimit-policy": ""} if body else {}
                made = [
                    shape(attrs.evolve(one, headers={**one.headers, **limits})) for one in (kept, closed, old)
                ]
                assert made[0] == made[1] == made[2]
                assert list(kept.body) == list(closed.body) == list(old.body)
                assert kept.headers.get("ratelimit-policy", "") == closed.headers.get("ratelimit-policy", "")
                assert ("ratelimit" in kept.headers) is bool(body)
                assert kept.headers["date"].endswith(" GMT")
                assert int(kept.headers["content-length"]) == len(kept.raw)


async def test_head_of_a_job_leaves_the_connection_to_the_next_request(server: RunningServer) -> None:
    job = await server.generate(SONG)
    reader, writer = await connect(server)
    writer.write(request("HEAD", f"{JOBS}/{job['id']}", KEY.decode().strip()) + request("GET", "/livez"))
    head, live = await read_answer(reader, is_head=True), await read_answer(reader)
    assert (head.status, head.raw, live.body) == (200, b"", render_live())
    writer.close()


async def test_a_job_is_found_however_its_path_is_spelled(server: RunningServer) -> None:
    job = await server.generate(SONG)
    key = KEY.decode().strip()
    plain = f"{JOBS}/{job['id']}"
    for path in (plain, plain.replace("music_", "%6Dusic_"), f"{plain}?x=1", f"http://localhost{plain}"):
        (answer,) = await exchange(server, request("GET", path, key))
        assert (answer.status, answer.body["id"]) == (200, job["id"]), path
    for path in (f"{plain}/", f"{plain}/x", f"/x{plain}", f"{plain}%2Fx"):
        (answer,) = await exchange(server, request("GET", path, key))
        assert answer.status == 404, path
        check_envelope(answer)


async def test_pipelined_requests_are_answered_in_order(server: RunningServer) -> None:
    reader, writer = await connect(server)
    writer.write(request("GET", "/livez") + request("GET", "/nowhere") + request("GET", "/livez"))
    # `exchange` would close its side after the first answer, and what is not answered by then is dropped.
    answers = [await read_answer(reader) for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 404, 200]
    writer.close()


async def test_a_broken_chunk_is_refused_at_once(server: RunningServer) -> None:
    head = PLAN_HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
    (answer,) = await exchange(server, head, b"zz\r\n", timeout_s=3)
    check_envelope(answer)
    assert (answer.status, answer.body["reason"]) == (400, "broken_body")


CREDENTIAL = "test-credential-not-real"


@pytest.mark.parametrize(
    "lines",
    [
        f"Authorization Bearer {CREDENTIAL}\r\n",
        f"Authorization: Bearer {CREDENTIAL}\x00\r\n",
        f"Authorization: Bearer {CREDENTIAL}{'s' * 9000}\r\n",
        f"Authorization : Bearer {CREDENTIAL}\r\n",
        f"Authorization: Bearer\r\n {CREDENTIAL}\r\n",
        f"Authorization: Basic {CREDENTIAL}\r\n",
        f"Authorization: Bearer {CREDENTIAL} {CREDENTIAL}\r\n",
        f"Authorization: Bearer {CREDENTIAL}\r\nAuthorization: Bearer {CREDENTIAL}\r\n",
        f"Transfer-Encoding: chunked\r\n\r\n{CREDENTIAL}\r\n",
        f"Host: {CREDENTIAL}@localhost\r\n",
    ],
)
async def test_no_credential_is_logged_or_shown(
    server: RunningServer, lines: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    sent = f"GET /v1/music/models HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode("latin-1")
    answers = await exchange(server, sent)
    assert answers[0].status >= 400
    assert CREDENTIAL not in caplog.text
    assert not any(CREDENTIAL.encode() in answer.raw for answer in answers)


async def test_an_answer_that_cannot_be_sent_is_logged_without_its_text(
    server: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise ValueError(CREDENTIAL)

    monkeypatch.setattr(web.Response, "prepare", broken)
    assert await exchange(server, request("GET", "/livez")) == []
    assert "connection failed error=ValueError at=" in caplog.text
    assert CREDENTIAL not in caplog.text


async def test_a_token_in_a_path_is_not_logged(
    server: RunningServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(server.gateway._context.store, "get", broken)
    (answer,) = await exchange(server, request("POST", f"/v1/callbacks/music_x/{CREDENTIAL}"))
    assert answer.status == 500
    assert "callbacks" in caplog.text
    assert CREDENTIAL not in caplog.text


# --- bodies ---


async def test_100_continue_is_sent_only_when_the_body_is_wanted(server: RunningServer) -> None:
    expect = b"Expect: 100-continue\r\nContent-Length: 20\r\n\r\n"
    first, answer = await exchange(server, PLAN_HEAD + expect, b'{"model": "suno/v5"}')
    assert (first.status, answer.status) == (100, 400)
    for head in (
        b"POST /v1/music/plan HTTP/1.1\r\n" + HOST,
        PLAN_HEAD + b"Content-Encoding: br\r\n",
        b"POST /v1/callbacks/music_x/x HTTP/1.1\r\n" + HOST,
    ):
        reader, writer = await connect(server)
        writer.write(head + expect)
        refused = await read_answer(reader)
        writer.close()
        check_envelope(refused)
        assert refused.headers["connection"] == "close"


async def test_bodies_may_be_compressed(server: RunningServer) -> None:
    body = json.dumps({"model": "suno/v5", "prompt": "rain"}).encode()
    packed = {"gzip": gzip.compress(body), "GZIP": gzip.compress(body), "deflate": zlib.compress(body)}
    for coding, data in {**packed, "identity": body}.items():
        headers = {"Content-Encoding": coding}
        assert (await server.call("POST", PLAN, data=data, headers=headers)).status == 200, coding


@pytest.mark.parametrize(("coding", "status"), [("br", 415), ("gzip, gzip", 415), ("gzip", 400)])
async def test_an_unknown_coding_and_a_body_that_is_not_in_its_coding_are_refused(
    server: RunningServer, coding: str, status: int
) -> None:
    reply = await server.call("POST", PLAN, data=b"{}", headers={"Content-Encoding": coding})
    assert reply.status == status
    if status == 415:
        assert reply.headers["Accept-Encoding"] == "gzip, deflate"
    else:
        assert reply.body["reason"] == "broken_content_encoding"


# --- conditions ---


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If-None-Match": '"other", {etag}'}, 304),
        ({"If-None-Match": "*"}, 304),
        ({"If-None-Match": 'W/"other"'}, 200),
        ({"If-Match": "*"}, 200),
        ({"If-Match": "{etag}"}, 412),
        ({"If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}, 200),
        ({"Range": "bytes=0-1"}, 200),
    ],
)
async def test_a_job_is_read_conditionally(
    server: RunningServer, headers: Mapping[str, str], status: int
) -> None:
    path = f"{JOBS}/{(await server.generate(SONG))['id']}"
    first = await server.call("GET", path)
    lines = [f"{name}: {value.format(etag=first.headers['ETag'])}" for name, value in headers.items()]
    for method in ("GET", "HEAD"):
        (answer,) = await exchange(server, request(method, path, KEY.decode().strip(), *lines))
        assert answer.status == status
        if status == 304:
            assert answer.raw == b""
            for name in ("etag", "cache-control", "vary"):
                assert answer.headers[name] == first.headers[name]
            assert "date" in answer.headers


async def test_a_job_is_deleted_and_cancelled_conditionally(server: RunningServer) -> None:
    job = (await server.create(UNFINISHED)).body
    path = f"{JOBS}/{job['id']}"
    for method, where in (("DELETE", path), ("POST", f"{path}/cancel")):
        for headers in ({"If-Match": '"other"'}, {"If-None-Match": "*"}):
            reply = await server.call(method, where, headers=headers)
            assert reply.status == 412
    assert (await server.get(job["id"])).body["status"] == "in_progress"
    assert (await server.call("DELETE", path, headers={"If-Match": "*"})).status == 204


@pytest.mark.parametrize(
    ("headers", "status", "part"),
    [
        ({"Range": "bytes=0-99"}, 206, (0, 99)),
        ({"Range": "bytes=-5"}, 206, (-5, None)),
        ({"Range": "bytes=0-1,4-5"}, 200, None),
        ({"Range": "bytes=99999999-"}, 416, None),
        ({"Range": "bytes=0-99", "If-Range": "{etag}"}, 206, (0, 99)),
        ({"Range": "bytes=0-99", "If-Range": '"other"'}, 200, None),
        ({"Range": "bytes=0-99", "If-None-Match": "{etag}"}, 304, None),
        ({"If-Match": '"other"', "Range": "bytes=0-1"}, 412, None),
        ({"If-Modified-Since": "{date}"}, 304, None),
        ({"If-Modified-Since": "yesterday"}, 200, None),
        ({"If-Unmodified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"}, 412, None),
    ],
)
async def test_audio_is_read_conditionally_and_in_parts(
    server: RunningServer, headers: Mapping[str, str], status: int, part: tuple[int, int | None] | None
) -> None:
    link = (await server.generate(SONG))["output"][0]["audio_url"]
    whole = await server.call("GET", link, key=None)
    known = {"etag": whole.headers["ETag"], "date": whole.headers["Last-Modified"]}
    sent = {name: value.format(**known) for name, value in headers.items()}
    reply = await server.call("GET", link, headers=sent, key=None)
    assert reply.status == status
    size = len(whole.raw)
    if part is not None:
        first, last = part[0] % size, size - 1 if part[1] is None else part[1]
        assert reply.raw == whole.raw[first : last + 1]
        assert reply.headers["Content-Range"] == f"bytes {first}-{last}/{size}"
    elif status == 200:
        assert reply.raw == whole.raw
        assert "Content-Range" not in reply.headers
    elif status == 416:
        assert reply.headers["Content-Range"] == f"bytes */{size}"
    elif status == 304:
        assert reply.headers["ETag"] == known["etag"]
        assert reply.headers["Cache-Control"] == whole.headers["Cache-Control"]
    where = urlsplit(link)
    lines = [f"{name}: {value}" for name, value in sent.items() if name != "Range"]
    (head,) = await exchange(
        server, request("HEAD", f"{where.path}?{where.query}", *lines, "Range: bytes=0-1")
    )
    assert head.status == (200 if status in {200, 206, 416} else status)


async def test_browsers_play_or_save_audio_and_never_run_it(server: RunningServer) -> None:
    job = await server.generate(SONG)
    link = job["output"][0]["audio_url"]
    shown = await server.call("GET", link, key=None)
    assert shown.headers["Content-Disposition"] == (
        f"inline; filename=\"{job['id']}-0.mp3\"; filename*=UTF-8''Midnight%20Blue.mp3"
    )
    assert shown.headers["Content-Security-Policy"].endswith("sandbox")
    assert shown.headers["X-Content-Type-Options"] == "nosniff"
    saved = await server.call("GET", f"{link}&download", key=None)
    assert saved.headers["Content-Disposition"].startswith("attachment; ")


#: A vendor's link, and the Location of the redirect to it; None = there is none.
LINKS = [
    ("https://media.example.com/a b.mp3?s=a%2Fb%3D", "https://media.example.com/a%20b.mp3?s=a%2Fb%3D"),
    ("http://media.example.com/\u00e4.mp3", "http://media.example.com/%C3%A4.mp3"),
    ("https://media.example.com/\r\nX: 1", "https://media.example.com/%0D%0AX:%201"),
    ("javascript:alert(1)", None),
    ("JavaScript://media.example.com/%0Aalert(1)", None),
    ("file:///etc/passwd", None),
    ("data:text/html,x", None),
    ("//media.example.com/x", None),
    ("https:///x", None),
    ("http://[", None),
]


async def test_only_http_and_https_links_are_redirected_to(open_server: OpenServer) -> None:
    async with open_server(archive=False) as server:
        made = await server.generate(SONG)
        store = server.gateway._context.store
        for url, location in LINKS:
            job = await store.get(made["id"])
            assert job is not None
            tracks = tuple(attrs.evolve(track, audio_url=url) for track in job.tracks)
            assert await store.replace(job, attrs.evolve(job, tracks=tracks, version=job.version + 1), [])
            reply = await server.call("GET", f"{JOBS}/{job.id}/audio/0")
            if location is None:
                assert (reply.status, reply.body["reason"]) == (404, "audio_not_found"), url
                assert "Location" not in reply.headers
            else:
                assert (reply.status, reply.headers["Location"]) == (302, location)


# --- no accounts ---


@pytest.mark.parametrize(
    "lines",
    [
        ["Origin: null"],
        ["Origin: http://evil.com#@localhost"],
        ["Origin:"],
        ["Origin: http://localhost", "Origin: http://127.0.0.1"],
    ],
)
async def test_without_accounts_a_foreign_origin_is_refused(
    server_without_accounts: RunningServer, lines: list[str]
) -> None:
    (answer,) = await exchange(server_without_accounts, request("GET", "/v1/music/models", *lines))
    check_envelope(answer)
    assert answer.status == 401


async def test_without_accounts_the_host_must_be_this_machine(server_without_accounts: RunningServer) -> None:
    target = b"GET http://evil.example/v1/music/models HTTP/1.1\r\n" + HOST + b"\r\n"
    without = b"GET /v1/music/models HTTP/1.0\r\n\r\n"
    for sent in (target, without):
        (answer,) = await exchange(server_without_accounts, sent)
        assert answer.status == 401
    for host in ("localhost:1", "[::1]", "127.0.0.1:8080"):
        (answer,) = await exchange(
            server_without_accounts, f"GET /v1/music/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        )
        assert answer.status == 200


# --- accounts apart ---


async def test_no_route_shows_anything_of_another_account(open_server: OpenServer) -> None:
    accounts = (
        Account(name="one", key=Secret(ACCOUNT_KEY)),
        Account(name="two", key=Secret("test-key-of-two")),
    )
    async with open_server(accounts=accounts) as server:
        job = await server.generate(SONG)
        marks = [job["id"].encode(), job["nativeResponseId"].encode(), b"suno_kie-key"]
        for ours in (job["id"], job["nativeResponseId"]):
            for route in routes_of(make_app(server.gateway)):
                path = route.path.replace("music_x", ours)
                for method in sorted(route.methods - {"HEAD"}):
                    before = request(method, path, "Authorization: Bearer test-key-of-two", body=b"{}")
                    (answer,) = await exchange(server, before)
                    # The id in the path may be repeated; nothing else may be shown.
                    shown = answer.raw.replace(ours.encode(), b"")
                    assert not any(mark in shown for mark in marks), (method, path)
        assert (await server.get(job["id"])).body["status"] == "completed"
