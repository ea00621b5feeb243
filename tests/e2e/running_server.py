"""A whole server on loopback: HTTP, gateway, SQLite, the plugins, emulators of their vendors.

`RunningServer.call` checks every answer against the published schemas and against what holds for all
errors, so a test states only what is special about its case. Faults are switched on by words in a prompt
(``[emulate create=429]``), so most tests of a module share one server.
"""

from __future__ import annotations

import asyncio
import io
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import aiohttp
import attrs
import av
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

import musicgate_schemas
from musicgate.emulation.mount import mounted
from musicgate.gateway import Gateway
from musicgate.hosting.discovery import PluginHost, load_plugins
from musicgate.model import Provider, Secret
from musicgate.plugin.emulator import (
    EmulatedAnswer,
    EmulatedCallback,
    Emulator,
    EmulatorBooks,
    EmulatorOptions,
)
from musicgate.plugin.hooks import hookimpl
from musicgate.plugin.wire import HttpRequest
from musicgate.settings import (
    Account,
    AssetSettings,
    AuditSettings,
    FollowSettings,
    NetworkSettings,
    ServerSettings,
    Settings,
    StoreSettings,
    WebhookSettings,
)
from musicgate.web.serve import serve
from tests.e2e.described import description_of
from tests.free_port import free_port

PLUGINS = ("suno_kie", "apiin_one", "elevenlabs", "minimax", "fal", "acestep")
MODELS = {
    "suno_kie": "suno/v5",
    "apiin_one": "suno/v5",
    "elevenlabs": "elevenlabs/music",
    "minimax": "minimax/music-2.6",
    "fal": "fal/ace-step",
    "acestep": "acestep/turbo",
}
JOBS = "/v1/music/generate"
PLAN = "/v1/music/plan"
#: How much faster than real time emulators and polling run: a song of 45 s takes 0.15 s.
SPEED = 300.0
#: Songs of three seconds, which are made quickly, or as long as requested; no limit on the number of creates.
_SWITCHES = {
    "suno_kie": {"rate": "off", "song_s": "3,4"},
    "apiin_one": {"song_s": "3"},
    "elevenlabs": {},
    "minimax": {"song_s": "3"},
    "fal": {"song_s": "3"},
    "acestep": {"song_s": "3"},
}
CALLBACK_SECRET = "test-secret-not-real"
ACCOUNT_KEY = "test-key-not-real"
#: Longest time that a test waits for anything, in seconds.
TIMEOUT_S = 30.0
#: A prompt with this text is answered late by any vendor.
HOLD = b"[hold]"
HOLD_S = 1.0

_HOOKS = (
    *("translate_request", "poll_request", "cancel_request", "parse_response"),
    *("map_status", "parse_callback", "emulator"),
)
#: Paths below the jobs that answer with something else than jobs.
_OTHER_ANSWERS = re.compile("/audio/|/image/|/stream/|/webhooks|/events")

OpenServer = Callable[..., AbstractAsyncContextManager["RunningServer"]]


def song(plugin: str = "suno_kie", switches: str = "", **more: object) -> dict[str, Any]:
    """A request that only this plugin can serve, with switches for its emulator in the prompt."""
    prompt = f"rain [emulate {switches}]" if switches else "rain"
    return {"model": MODELS[plugin], "prompt": prompt, "provider": {"only": [plugin]}, **more}


#: A job that its vendor never finishes.
UNFINISHED = song(switches="stuck=TEXT_SUCCESS callbacks=off")


class RecordingVendor:
    """An emulator that records every request, and delays its answer to those that contain `HOLD`."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self.books: EmulatorBooks = emulator.books
        self.requests: list[HttpRequest] = []

    def answer(self, request: HttpRequest, now: float) -> EmulatedAnswer:
        self.requests.append(request)
        answer = self._emulator.answer(request, now)
        return attrs.evolve(answer, delay_s=HOLD_S) if HOLD in request.body else answer

    def due_callbacks(self, now: float) -> Sequence[EmulatedCallback]:
        return self._emulator.due_callbacks(now)

    def callback_answered(self, callback_id: str, status: int | None, now: float) -> None:
        self._emulator.callback_answered(callback_id, status, now)


@attrs.define
class VendorCalls:
    """The calls that vendors received while a block ran; filled when it ends."""

    creates: list[HttpRequest] = attrs.field(factory=list)
    reads: list[HttpRequest] = attrs.field(factory=list)
    billed: int = 0

    @property
    def body(self) -> dict[str, Any]:
        """The JSON body of the only create call."""
        assert len(self.creates) == 1
        return dict(json.loads(self.creates[0].body))


@attrs.frozen(kw_only=True)
class Reply:
    """An HTTP answer of the server."""

    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object in it."""
        value = json.loads(self.raw, parse_constant=_refuse_constant)
        assert isinstance(value, dict)
        return value

    @property
    def error(self) -> tuple[int, str | None, str | None]:
        """Status, error code and reason."""
        body = self.body
        return self.status, body.get("error"), body.get("reason")


def _refuse_constant(name: str) -> None:
    message = f"{name} is not JSON, and many readers break on it"
    raise AssertionError(message)


class RunningServer:
    """A running server with everything behind it, and a client for it."""

    def __init__(
        self,
        url: str,
        gateway: Gateway,
        session: aiohttp.ClientSession,
        vendors: dict[str, RecordingVendor],
    ) -> None:
        self.url = url
        self.gateway = gateway
        self.vendors = vendors
        self.session = session

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = ACCOUNT_KEY,
    ) -> Reply:
        """Send one request, and check what holds for every answer."""
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        if body is not None:
            data = json.dumps(body).encode()
        url = path if path.startswith("http") else self.url + path
        async with self.session.request(
            method, url, data=data, headers={**sent, **(headers or {})}, allow_redirects=False
        ) as answer:
            reply = Reply(status=answer.status, headers=answer.headers.copy(), raw=await answer.read())
        check_answer(method, path, reply)
        if url.startswith(self.url):
            described = description_of(self.gateway)
            assert described.violations(method, url, reply.status, reply.headers, reply.raw) == []
        return reply

    async def create(self, request: Mapping[str, object], **headers: str) -> Reply:
        """``POST /v1/music/generate``; header names with ``_`` for ``-``."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.call("POST", JOBS, body=request, headers=named)

    async def plan(self, request: Mapping[str, object]) -> Reply:
        """``POST /v1/music/plan``."""
        return await self.call("POST", PLAN, body=request)

    async def get(self, music_id: str, key: str | None = ACCOUNT_KEY) -> Reply:
        """``GET /v1/music/generate/{music_id}``."""
        return await self.call("GET", f"{JOBS}/{music_id}", key=key)

    async def wait_until(self, music_id: str, holds: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Poll, as a client does, until something holds for a job."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                job = (await self.get(music_id)).body
                if holds(job):
                    return job
                await asyncio.sleep(0.01)

    async def finish(self, music_id: str) -> dict[str, Any]:
        """Poll until the job is final."""
        return await self.wait_until(music_id, lambda job: job["status"] in {"completed", "failed"})

    async def generate(self, request: Mapping[str, object]) -> dict[str, Any]:
        """Create a job and wait until it is final."""
        reply = await self.create(request)
        assert reply.status == 200, reply.raw
        return await self.finish(reply.body["id"])

    @contextmanager
    def vendor_calls(self, *plugins: str) -> Iterator[VendorCalls]:
        """Record the calls that these vendors (default: all) receive while the block runs."""
        watched = [self.vendors[name] for name in plugins or PLUGINS]
        before = [(len(vendor.requests), len(vendor.books.creates)) for vendor in watched]
        calls = VendorCalls()
        try:
            yield calls
        finally:
            for vendor, (requests, creates) in zip(watched, before, strict=True):
                new = vendor.requests[requests:]
                for request in new:
                    # ACE-Step is read by POST as well.
                    is_create = request.method == "POST" and not request.url.endswith("/query_result")
                    (calls.creates if is_create else calls.reads).append(request)
                calls.billed += len(vendor.books.creates) - creates


@asynccontextmanager
async def running_server(
    folder: Path,
    plugins: PluginHost,
    *,
    accounts: Sequence[Account] = (Account(name="test", key=Secret(ACCOUNT_KEY)),),
    switches: Mapping[str, Mapping[str, str]] | None = None,
    providers: Mapping[str, Mapping[str, Any]] | None = None,
    server: Mapping[str, Any] | None = None,
    follow: Mapping[str, Any] | None = None,
    webhooks: Mapping[str, Any] | None = None,
    assets: Mapping[str, Any] | None = None,
    audit: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    allow_private_addresses: bool = True,
    archive: bool = True,
    speed: float = SPEED,
    has_public_url: bool = True,
) -> AsyncIterator[RunningServer]:
    """Start a server.

    Args:
        folder: for the store and the audio.
        switches: faults of all tasks, by plugin.
        providers: settings of ``[providers.<plugin>]``, by plugin; ``api_key`` None = no key.
        server, follow, webhooks, assets, audit: settings of these sections.
        environ: variables of the object store.
        allow_private_addresses: links and webhooks may lead to private addresses, this machine's among them.
        has_public_url: vendors can call back.
    """
    async with AsyncExitStack() as stack:
        vendors, tables = {}, {}
        for name in PLUGINS:
            secret = CALLBACK_SECRET if name == "suno_kie" else None
            options = EmulatorOptions(
                speed=speed,
                switches={**_SWITCHES[name], **(switches or {}).get(name, {})},
                webhook_secret=secret,
            )
            vendors[name] = RecordingVendor(plugins.providers[name].emulator(options))
            table = {
                "api_key": f"{name}-key-not-real",
                "base_url": await stack.enter_async_context(mounted(vendors[name])),
                "webhook_secret": secret,
                **(providers or {}).get(name, {}),
            }
            tables[name] = {key: value for key, value in table.items() if value is not None}
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        settings = Settings(
            server=ServerSettings(
                **{
                    "port": port,
                    "public_url": url if has_public_url else "",
                    "create_wait_s": 0.5,
                    "drain_s": 0.0,
                    **(server or {}),
                }
            ),
            store=StoreSettings(url=f"sqlite:///{folder / 'jobs.db'}"),
            assets=AssetSettings(
                **{"url": (folder / "audio").as_uri(), "archive": archive, **(assets or {})}
            ),
            environ=environ or {},
            network=NetworkSettings(allow_private_addresses=allow_private_addresses),
            follow=FollowSettings(**{"speed": speed, **(follow or {})}),
            webhooks=WebhookSettings(**(webhooks or {})),
            audit=AuditSettings(**(audit or {})),
            accounts=tuple(accounts),
            providers=tables,
            data_dir=folder,
        )
        gateway = await stack.enter_async_context(Gateway.open(settings, plugins=plugins))
        await stack.enter_async_context(serve(gateway, "127.0.0.1", port))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        yield RunningServer(url, gateway, session, vendors)


def check_answer(method: str, path: str, reply: Reply) -> None:
    """Check what holds for every answer: its published schema, and the headers of an error."""
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    if path == "/mcp" and "jsonrpc" in reply.body:
        return  # the errors of that protocol
    if reply.status >= 400:
        assert violations("error", reply.body) == []
        body = reply.body
        assert body["status_code"] == reply.status
        assert body["request_id"] == body["generation_id"]
        assert reply.headers["Content-Type"].startswith("application/json")
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["X-Gateway-Error-Attribution"] in {"user", "upstream"}
    elif reply.status == 200 and path.startswith(PLAN):
        assert violations("plan", reply.body) == []
    elif reply.status == 200 and path.startswith("/v1/music/generat") and not _OTHER_ANSWERS.search(path):
        shown = reply.body["data"] if reply.body["object"] == "list" else [reply.body]
        assert [violations("job", job) for job in shown] == [[] for _ in shown]


_REGISTRY: Registry[Any] = Registry().with_resources(
    (name, Resource.from_contents(schema)) for name, schema in musicgate_schemas.by_id().items()
)
_VALIDATORS = {
    name: Draft202012Validator(musicgate_schemas.load(name), registry=_REGISTRY)
    for name in ("job", "error", "plan")
}


def violations(schema: str, value: object) -> list[str]:
    """Where a value breaks a published schema."""
    return [f"{error.json_path}: {error.message}" for error in _VALIDATORS[schema].iter_errors(value)]


def decoded_s(audio: bytes) -> float:
    """The length of audio by decoding all of it, as a player does."""
    with av.open(io.BytesIO(audio), mode="r") as container:
        frames = list(container.decode(audio=0))
    return float(sum(frame.samples for frame in frames) / frames[0].sample_rate)


def plugins_declaring(**changes: Mapping[str, object]) -> PluginHost:
    """The plugins with changed declarations, e.g. ``minimax={"stage": Stage.ALPHA}``."""
    modules = {name: import_module(f"musicgate_{name}") for name in PLUGINS}
    altered = {name: _altered(module, changes.get(name, {})) for name, module in modules.items()}
    return load_plugins(altered, installed=False)


def _altered(original: ModuleType, changes: Mapping[str, object]) -> ModuleType:
    declared: Provider = attrs.evolve(original.provider(), **changes)

    @hookimpl
    def provider() -> Provider:
        return declared

    plugin = ModuleType(f"altered_{original.__name__}")
    hooks = {name: getattr(original, name) for name in _HOOKS if hasattr(original, name)}
    vars(plugin).update(HOOK_API=1, provider=provider, **hooks)
    return plugin
