"""The client of a server: settings, what it repeats, what it makes of wrong answers; without asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import inspect
import re
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from musicgate import (
    AsyncClient,
    Client,
    ConfigError,
    DebugOptions,
    JobNotFoundError,
    JobTimeoutError,
    MusicRequest,
    RequestError,
    RoutingOptions,
    ServerError,
)
from musicgate.client import AdminClient, async_client, calls, retries
from musicgate.client.event_stream import EventReader
from musicgate.client.retries import pause_after
from musicgate.client.server import find_server
from musicgate.codec import read_request, write_request
from musicgate.views import read_error, read_job
from tests.bad_server import running
from tests.free_port import free_port
from tests.loopback_tls import server_tls
from tests.loopback_vendors import Vendor, serving

JOB = {
    "id": "music_1",
    "object": "music",
    "status": "completed",
    "created_at": "2026-11-20T10:38:43.744Z",
    "model": "V5",
    "output": [{"index": 0, "audio_url": "http://127.0.0.1/a", "duration": 6.0}],
}
OPEN = {**JOB, "status": "in_progress"}
ENVELOPE = {"error": "gateway_error", "generation_id": "G-1", "request_id": "G-1"}


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(async_client, "_FIRST_POLL_S", 0.01)


# --- settings ---


def test_settings_come_from_arguments_and_else_from_the_environment() -> None:
    environ = {"MUSICGATE_URL": "https://music.example/gate/", "MUSICGATE_API_KEY": "key-not-real"}
    server = find_server(None, None, None, environ)
    assert (server.name, server.key and server.key.reveal()) == ("https://music.example/gate", "key-not-real")
    given = find_server("http://127.0.0.1:8080", "", None, environ)
    assert (given.name, given.key) == ("http://127.0.0.1:8080", None)


@pytest.mark.parametrize(
    ("url", "key", "file", "message"),
    [
        (None, None, None, "url: not given; set url or MUSICGATE_URL"),
        ("music.example", None, None, "url: must be an http or https address"),
        ("http://music.example:99999", None, None, "url: must be an http or https address"),
        ("http://ann:pass-not-real@music.example", None, None, "url: must have no user name"),
        ("http://music.example", "two words-not-real", None, "api_key: must have no blanks"),
        ("https://music.example", None, "missing.pem", "ca_file: the file cannot be read: no such file"),
        ("https://music.example", None, __file__, "ca_file: the file holds no certificate"),
    ],
)
def test_a_malformed_setting_is_named_and_not_shown(
    url: str | None, key: str | None, file: str | None, message: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        find_server(url, key, file, {})
    assert "not-real" not in str(caught.value)


def test_a_malformed_variable_is_named() -> None:
    with pytest.raises(ConfigError, match="ca_file in MUSICGATE_CA_FILE: the file cannot be read"):
        find_server("https://music.example", None, None, {"MUSICGATE_CA_FILE": "missing.pem"})


# --- a wrong URL or certificate ---


async def test_nothing_that_listens_is_a_wrong_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "STRANGER_S", 0.05)  # and not for the usual minute
    async with AsyncClient(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(ServerError, match="connection refused; look at url") as caught:
            await client.submit({"model": "m"})
    assert (caught.value.setting, caught.value.maybe_stored) == ("url", False)


async def test_a_certificate_that_is_not_trusted_is_named(tmp_path: Path) -> None:
    tls, certificate = server_tls(tmp_path)
    async with running(JOB, tls=tls) as server:
        async with AsyncClient(server.url) as client:
            with pytest.raises(ServerError, match=r"self-signed certificate; set ca_file") as caught:
                await client.get("music_1")
        assert (caught.value.setting, caught.value.reason) == ("ca_file", "certificate_not_trusted")
        async with AsyncClient(server.url, ca_file=certificate) as client:
            assert (await client.get("music_1")).id == "music_1"
        async with AsyncClient(server.url.replace("https", "http"), retry_s=0.0) as client:
            with pytest.raises(ServerError, match="look at url"):
                await client.get("music_1")
    assert len(server.requests) == 1


async def test_tls_where_none_is_spoken_is_a_wrong_url() -> None:
    async with running(JOB) as server, AsyncClient(server.url.replace("http", "https")) as client:
        with pytest.raises(ServerError, match=r"begin with http://\?; look at url") as caught:
            await client.get("music_1")
    assert caught.value.setting == "url"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"<html>", "answers HTTP 200 without JSON"),
        ((404, {"detail": "Not Found"}, {}), "answers HTTP 404, and not as a musicgate does"),
        ((301, {}, {"Location": "https://elsewhere.example/"}), "answers HTTP 301, and not as a musicgate"),
        ([1], "answers HTTP 200 with JSON that is not an object"),
        ({"id": "1"}, "answers with JSON that is not a job"),
        ({**JOB, "output": [{"index": "0"}]}, "its output is no list of tracks"),
    ],
)
async def test_what_is_no_musicgate_is_said_once(answer: object, message: str) -> None:
    async with running(answer) as server, AsyncClient(server.url) as client:
        with pytest.raises(ServerError, match=re.escape(message)) as caught:
            await client.get("music_1")
    assert (caught.value.setting, len(server.requests)) == ("url", 1)


# --- what is repeated ---


@pytest.mark.parametrize("answer", ["hang up", (502, b"<h1>", {}), (429, ENVELOPE, {"Retry-After": "0"})])
async def test_a_create_call_is_repeated_with_its_key_until_the_time_is_up(answer: object) -> None:
    async with running(answer) as server, AsyncClient(server.url, retry_s=0.2) as client:
        with pytest.raises(ServerError) as caught:
            await client.submit({"model": "m"})
    keys = {headers["Idempotency-Key"] for headers in server.headers}
    assert keys == {f'"{caught.value.idempotency_key}"'}
    assert len(server.requests) > 1


async def test_a_replay_of_a_webhook_is_repeated_only_where_it_was_not_read() -> None:
    for answers, count in (((503, ENVELOPE, {}),), 1), (((429, ENVELOPE, {}), (503, ENVELOPE, {})), 2):
        async with running(*answers) as server, AsyncClient(server.url) as client:
            with pytest.raises(ServerError):
                await client.replay_webhook("music_1", "msg_1")
        assert len(server.requests) == count


@pytest.mark.parametrize("answer", ["hang up", (502, b"<h1>", {})])
async def test_a_key_is_not_made_twice_and_it_is_said_that_it_may_exist(answer: object) -> None:
    async with running(answer) as server, AdminClient(server.url) as client:
        for made, call in (
            ("key", client.create_key("studio")),
            ("key", client.rotate_key("0123", timedelta(hours=1))),
            ("account", client.create_account("studio", {})),
        ):
            with pytest.raises(ServerError, match=rf"it is not known whether an? {made} was created"):
                await call
    assert len(server.requests) == 3


async def test_what_an_administrator_may_say_twice_is_repeated() -> None:
    account = {"name": "a?b"}
    gone: object = (404, {**ENVELOPE, "error": "not_found"}, {})
    kept: object = (409, {**ENVELOPE, "error": "not_supported"}, {})
    answers: list[object] = ["hang up", account, "hang up", account, "hang up", gone, "hang up", kept, gone]
    async with running(*answers) as server, AdminClient(server.url) as client:
        assert await client.change_account("a?b", {"beta": None}, is_disabled=True) == account
        assert await client.revoke_key("0123") == account
        await client.delete_account("a?b")
        for _ in (kept, gone):
            with pytest.raises(RequestError):
                await client.delete_account("a?b")
    paths = ["accounts/a?b", "keys/0123/revoke", "accounts/a?b", "accounts/a?b"]
    assert [path for _, path, _ in server.requests[1:8:2]] == [f"/v1/admin/{path}" for path in paths]
    assert len(server.requests) == len(answers)


async def test_a_pause_that_the_server_wants_is_kept_or_the_call_ends() -> None:
    async with running((503, ENVELOPE, {"Retry-After": "30"})) as server, AsyncClient(server.url) as client:
        client._calls._retry_s = 20.0
        with pytest.raises(ServerError) as caught:
            await client.get("music_1")
    assert (caught.value.retry_after_s, caught.value.status, len(server.requests)) == (30, 503, 1)


async def test_waiting_polls_where_the_server_does_not_hold_the_answer() -> None:
    held = {"Preference-Applied": "wait=30"}
    answers = [(200, OPEN, held), (503, {**ENVELOPE, "reason": "waiting_requests"}, {}), OPEN, JOB]
    async with running(*answers) as server, AsyncClient(server.url) as client:
        assert (await client.wait("music_1")).answer == JOB
    assert [headers.get("Prefer") for headers in server.headers] == ["wait=30", "wait=30", None, None]


async def test_no_wait_is_endless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_client, "MAX_WAIT_S", 0.1)
    async with running(OPEN) as server, AsyncClient(server.url) as client:
        with pytest.raises(JobTimeoutError):
            await client.wait("music_1")
        with pytest.raises(JobTimeoutError):
            _ = [version async for version in client.watch("music_1")]
    stream = (200, b"id: 1\n", {"Content-Type": "text/event-stream"})
    async with running(stream) as server, AsyncClient(server.url) as client:
        with pytest.raises(JobTimeoutError):
            _ = [event async for event in client.events("music_1")]


@pytest.mark.parametrize("job_id", ["", ".", ".."])
async def test_an_id_does_not_lead_to_another_path(job_id: str) -> None:
    async with running(JOB) as server, AsyncClient(server.url) as client:
        for call in (client.get(job_id), client.delete(job_id), client.audio(job_id)):
            with pytest.raises(JobNotFoundError):
                await call
    assert server.requests == []


async def test_an_error_has_the_answer_of_the_server_without_the_key() -> None:
    said = {**ENVELOPE, "error": "not_found", "description": "not key-not-real", "more": [1]}
    async with (
        running((404, said, {})) as server,
        AsyncClient(server.url, api_key="key-not-real") as client,
    ):
        with pytest.raises(RequestError) as caught:
            await client.get("music_1")
    assert caught.value.answer == {**said, "description": "not ***"}


async def test_pages_that_lead_in_a_circle_end() -> None:
    page = {"object": "list", "data": [JOB], "next_cursor": "again"}
    async with running(page) as server, AsyncClient(server.url) as client:
        assert len([found async for found in client.list_jobs()]) == 2


def test_pauses_grow_and_are_never_shorter_than_the_server_asks() -> None:
    assert [pause_after(count, None, lambda: 1.0) for count in (0, 1, 2, 99)] == [0.01, 0.02, 0.04, 10.0]
    assert pause_after(0, None, lambda: 0.0) == 0.005
    assert pause_after(0, 7.0, lambda: 0.0) == 7.0


# --- downloads ---


def contents(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.iterdir()]


async def test_damaged_audio_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"song").hexdigest()
    async with running((200, b"Song", {"ETag": f'"{digest}"'})) as server, AsyncClient(server.url) as client:
        with pytest.raises(ServerError, match="another SHA-256") as caught:
            await client.download("music_1", tmp_path / "a.mp3")
    assert (caught.value.reason, contents(tmp_path)) == ("damaged", [])


async def test_a_file_is_replaced_only_by_a_whole_one(tmp_path: Path) -> None:
    target = tmp_path / "a.mp3"
    target.write_bytes(b"before")
    async with running("hang up") as server, AsyncClient(server.url, retry_s=0.0) as client:
        with pytest.raises(ServerError):
            await client.download("music_1", target)
    assert target.read_bytes() == b"before"
    async with running(b"after") as server, AsyncClient(server.url) as client:
        assert await client.download("music_1", target) == target
    assert contents(tmp_path) == [b"after"]


async def test_listening_waits_for_the_first_bytes_and_repeats_none() -> None:
    not_ready = (503, {**ENVELOPE, "error": "not_ready", "reason": "stream_not_ready"}, {"Retry-After": "0"})
    async with running(not_ready, b"song") as server, AsyncClient(server.url) as client:
        assert b"".join([piece async for piece in client.listen("music_1")]) == b"song"
    assert [path for _, path, _ in server.requests] == ["/v1/music/generate/music_1/stream/0"] * 2

    async def cut(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsong\r\n")
        await asyncio.sleep(0.1)  # or the client does not see what came before the cut
        writer.close()

    async with serving() as start:
        vendor = Vendor(port=0, script=cut)
        async with AsyncClient(f"http://127.0.0.1:{await start(vendor.serve)}") as client:
            with pytest.raises(ServerError, match="does not answer"):
                assert [piece async for piece in client.listen("music_1")] == []
    assert vendor.connections == 1


async def test_the_key_does_not_follow_a_redirect_to_another_host(tmp_path: Path) -> None:
    async with (
        running(b"song") as other,
        running((302, {}, {"Location": f"{other.url}/x"})) as server,
        AsyncClient(server.url, api_key="key-not-real") as client,
    ):
        assert await client.audio("music_1") == b"song"
    assert (server.requests[0][2], other.requests[0][2]) == ("Bearer key-not-real", None)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://[::1", "/again"])
async def test_a_redirect_to_nowhere_ends(target: str) -> None:
    async with running((302, {}, {"Location": target})) as server, AsyncClient(server.url) as client:
        with pytest.raises(ServerError, match="redirects"):
            await client.audio("music_1")


# --- values ---


def test_events_are_read_from_any_pieces() -> None:
    frame = '{"type": "%s", "number": %d, "at": "2026-11-20T10:38:43Z", "data": {"a": 1}}'
    lines = ["retry: 2000", "", ": still here", ""]
    for number, kind in ((1, "created"), (2, "of a newer server"), (3, "settled")):
        lines += [f"id: {number}", f"event: {kind}", f"data: {frame % (kind, number)}", ""]
    for end in ("\n", "\r\n"):
        stream = (end.join(lines) + end).encode()
        for cut in range(len(stream) + 1):
            reader = EventReader(0)
            events = [*reader.feed(stream[:cut]), *reader.feed(stream[cut:])]
            assert [(number, event.kind.value) for number, event in events] == [
                (1, "created"),
                (3, "settled"),
            ]
            assert (reader.last, reader.pause_s) == (3, 2.0)
        assert [number for number, _ in EventReader(1).feed(stream)] == [3]


@pytest.mark.parametrize(
    "request_",
    [
        MusicRequest(model="suno/v5"),
        MusicRequest(
            model="suno/v5",
            prompt="rain",
            duration_s=30,
            instrumental=False,
            seed=0,
            routing=RoutingOptions(only=(), order=("suno",), allow_fallbacks=False),
            debug=DebugOptions(trace=True, return_upstream_request=False),
            blocks={"suno": {"customMode": True}},
            metadata={"a": "b"},
            meta=True,
        ),
    ],
)
def test_a_request_is_written_as_it_is_read(request_: MusicRequest) -> None:
    assert read_request(write_request(request_), {"suno"}) == request_


#: Values of any type, with keys of the answers, two levels deep.
LEAVES = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=3)
KEYS = st.sampled_from(["index", "lines", "meter", "path", "pricing_breakdown", "reason", "audio", "data"])
INNER = LEAVES | st.lists(LEAVES, max_size=2) | st.dictionaries(KEYS, LEAVES, max_size=2)
VALUES = INNER | st.lists(INNER, max_size=2) | st.dictionaries(KEYS, INNER, max_size=2)
NAMES = st.sampled_from(sorted({*JOB, *("error", "usage", "attempts", "warnings", "progress", "details")}))


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES, max_size=4))
def test_whatever_a_server_sends_is_a_job_or_a_value_error(changes: dict[str, Any]) -> None:
    for read in (lambda: read_job({**JOB, **changes}), lambda: read_error(500, {**ENVELOPE, **changes})):
        with contextlib.suppress(ValueError):
            read()


# --- without asyncio ---


def parameters(function: object) -> list[tuple[str, object, object]]:
    found = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    return [(one.name, one.kind, one.default) for one in found]


def methods(kind: type) -> dict[str, Any]:
    return {name: value for name, value in vars(kind).items() if not name.startswith("_") and callable(value)}


def test_both_clients_have_the_same_methods() -> None:
    assert methods(Client).keys() == methods(AsyncClient).keys()
    for name, method in methods(Client).items():
        assert parameters(method) == parameters(methods(AsyncClient)[name]), name
        assert method.__doc__ == methods(AsyncClient)[name].__doc__, name
    assert parameters(Client.__init__) == parameters(AsyncClient.__init__)


async def test_threads_share_a_client_without_asyncio() -> None:
    events = b'data: {"type": "settled", "number": 1, "at": "2026-11-20T10:38:43Z", "data": {}}\n\n'
    async with running(JOB, JOB, JOB, (200, events, {"Content-Type": "text/event-stream"})) as server:

        def work() -> list[int]:
            with Client(server.url) as client:
                found: list[str] = []
                threads = [
                    threading.Thread(target=lambda: found.append(client.get("music_1").id)) for _ in "ab"
                ]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert found == ["music_1", "music_1"]
                assert client.wait("music_1").id == "music_1"
                numbers = [number for number, _ in client.events("music_1")]
            with pytest.raises(RuntimeError, match="closed"):
                client.get("music_1")
            return numbers

        assert await asyncio.to_thread(work) == [1]


async def test_a_generator_that_is_left_closes_its_stream() -> None:
    page = {"object": "list", "data": [JOB, JOB], "next_cursor": "x"}
    async with running(page) as server:

        def work() -> None:
            with Client(server.url) as client:
                for _ in client.list_jobs():
                    break

        await asyncio.to_thread(work)
    assert len(server.requests) == 1


FORKING = """
import os, sys
from musicgate import Client

client = Client(sys.argv[1])
parent = [client.get("music_1").id]
child = os.fork()
if not child:
    print("child", client.get("music_1").id, flush=True)
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
parent.append(client.get("music_1").id)
print("parent", *parent)
"""
INTERRUPTED = """
import pathlib, sys
from musicgate import Client

client = Client(sys.argv[1])
try:
    client.download("music_1", "song.mp3")
except KeyboardInterrupt:
    print("interrupted", list(pathlib.Path().iterdir()))
"""


async def run(code: str, url: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", code, url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 50)
    return process.returncode, out.decode(), err.decode()


async def test_a_client_works_on_both_sides_of_a_fork() -> None:
    async with running(JOB) as server:
        done = await run(FORKING, server.url)
    assert done == (0, "child music_1\nparent music_1 music_1\n", "")


async def test_an_interrupted_call_ends_at_once_and_leaves_nothing(tmp_path: Path) -> None:
    arrived = asyncio.Event()

    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        arrived.set()
        await reader.read()

    async with serving() as start:
        port = await start(Vendor(port=0, script=stall).serve)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-X", "faulthandler", "-W", "error", "-c", INTERRUPTED),
            f"http://127.0.0.1:{port}",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        # One that hangs tells where.
        hung = asyncio.get_running_loop().call_later(45, process.send_signal, signal.SIGABRT)
        async with asyncio.timeout(50):
            await arrived.wait()
            process.send_signal(signal.SIGINT)
            out, err = await process.communicate()
        hung.cancel()
    assert (process.returncode, out.decode(), err.decode()) == (0, "interrupted []\n", "")
