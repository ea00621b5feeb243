"""A gateway without a socket for tests: a small plugin, a scripted transport, a manual clock.

The vendor's JSON is made up, so that one small body can express every answer of a plugin; see
`FakeVendor.parse_response`.
"""

import asyncio
import base64
import functools
import inspect
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

from musicgate import (
    HOOK_API,
    CallbackClaim,
    Failure,
    FailureClass,
    HttpRequest,
    HttpResponse,
    Job,
    JobState,
    JobUpdate,
    MusicRequest,
    NativeTrack,
    Offer,
    Provider,
    ProviderError,
    RequestError,
    Settings,
    Step,
    Translation,
    UnsupportedOptionError,
    hookimpl,
)
from musicgate.accounts import AccountBook
from musicgate.aio.clock import SystemClock
from musicgate.assets import AudioWorkers, Staging
from musicgate.assets.folder import FolderObjects
from musicgate.codec.schema import SchemaValidator, compose_request_schema
from musicgate.engine import LocalShares, News, NoNews, Shares
from musicgate.engine.health import ProviderHealth
from musicgate.engine.quota import Quota
from musicgate.errors import StorageError
from musicgate.gateway import Gateway, compose
from musicgate.gateway.audio_keeper import AudioKeeper
from musicgate.gateway.context import GatewayContext
from musicgate.gateway.events import Changes
from musicgate.hosting.discovery import PluginHost, load_plugins
from musicgate.hosting.installed import InstalledProvider, installed_providers
from musicgate.http.port import Transport
from musicgate.model import (
    Ability,
    Doubt,
    Meter,
    OptionWarning,
    PollSchedule,
    PriceRule,
    ProviderSettings,
    Timeouts,
    WarningCode,
)
from musicgate.planning.plan import Planner
from musicgate.settings import ServerSettings
from musicgate.store import Ledger
from musicgate.store.port import JobStore
from musicgate.store.sqlite import SqliteJobStore

#: Its threads start when they are needed, and end with the process.
_WORKERS = AudioWorkers()
START = datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
KEY = "test-key-not-real"
MODEL = "fake/song"


class FakeVendor:
    """A provider plugin as an object: offers `MODEL` at host ``<plugin>.test``; keywords are `Provider`'s."""

    HOOK_API = HOOK_API

    def __init__(self, plugin: str = "one", *, takes_seed: bool = False, **declared: Any) -> None:
        self.takes_seed = takes_seed
        offer = Offer(
            model=MODEL,
            native_model=f"{plugin}-native",
            abilities=frozenset({Ability.STYLE}),
            prices=(PriceRule(meter=Meter.REQUESTS, price_usd=Decimal("0.06")),),
        )
        known: dict[str, Any] = {
            "name": "fake",
            "plugin": plugin,
            "label": plugin.title(),
            "base_url": f"https://{plugin}.test",
            "key_env": f"{plugin.upper()}_KEY",
            "base_url_env": f"{plugin.upper()}_URL",
            "offers": (offer,),
            "option_block": "fake",
            "options_schema": {"type": "object"},
            "poll": PollSchedule(first_s=5, min_s=5, max_s=15),
            "deadline_s": 600.0,
        }
        self.declared = Provider(**{**known, **declared})

    @hookimpl
    def provider(self) -> Provider:
        return self.declared

    @hookimpl
    def translate_request(
        self, request: MusicRequest, offer: Offer, settings: ProviderSettings, callback_url: str | None
    ) -> Translation:
        """Refuse ``fake.refuse``, ``fake.invalid`` and ``fake.unoffered``, raise on ``fake.crash``.

        ``seed`` cannot be expressed.
        """
        options = request.block("fake")
        if options.get("crash") == self.declared.plugin:
            raise RuntimeError("translate broke")
        if options.get("refuse") == self.declared.plugin:
            raise UnsupportedOptionError(("fake", "refuse"), "cannot be expressed")
        if self.declared.plugin in str(options.get("unoffered", "")):
            raise RequestError("unsupported_model_or_endpoint", f"{self.declared.plugin} has no such model")
        if options.get("invalid") in {True, self.declared.plugin}:
            raise RequestError("validation_error", "prompt is too short", reason="prompt_too_short")
        lost = OptionWarning(code=WarningCode.NOT_APPLIED, path=("seed",), message="no seed here")
        body = {
            "prompt": request.prompt,
            "model": offer.native_model,
            "callback": options.get("callback", callback_url),
        }
        return Translation(
            request=HttpRequest.post_json(f"{settings.base_url}/create", body),
            native_model=offer.native_model or "",
            warnings=() if request.seed is None or self.takes_seed else (lost,),
        )

    @hookimpl
    def poll_request(self, job: Job, settings: ProviderSettings) -> HttpRequest | None:
        """A GET with the native id; raises for the status ``mute``."""
        if job.native_status == "mute":
            raise RuntimeError("poll broke")
        return None if self.declared.blocking else HttpRequest.get(f"{settings.base_url}/job/{job.native_id}")

    @hookimpl
    def parse_response(self, step: Step, response: HttpResponse) -> JobUpdate | HttpRequest:
        """Read the made-up JSON.

        * ``crash``: raise an unexpected error;
        * ``raise``: raise a `ProviderError` of that class, with ``maybe``;
        * ``next``: one more request;
        * ``no``: a failure of that class;
        * ``doubt``: a doubt of that class;
        * else ``id``, ``status`` and ``tracks``.
        """
        body: dict[str, Any] = response.json_object()
        if "crash" in body:
            raise RuntimeError(f"parse broke at {body['crash']}")
        if "raise" in body:
            raise ProviderError(
                _failure(body["raise"], body), status=response.status, maybe_accepted=bool(body.get("maybe"))
            )
        if "next" in body:
            return HttpRequest.get(body["next"])
        doubt = Doubt(failure=_failure(body["doubt"], body), grace_s=30) if "doubt" in body else None
        return JobUpdate(
            native_id=body.get("id"),
            native_status=body.get("status"),
            state=JobState(body["state"]) if "state" in body else None,
            tracks=tuple(_track(item) for item in body.get("tracks", ())),
            failure=_failure(body["no"], body) if "no" in body else None,
            doubt=doubt,
            body=body,
        )

    @hookimpl
    def map_status(self, native_status: str) -> JobState | None:
        """Know three statuses; raise for ``break``."""
        if native_status == "break":
            raise RuntimeError("map_status broke")
        states = {"waits": JobState.QUEUED, "works": JobState.IN_PROGRESS, "done": JobState.COMPLETED}
        return states.get(native_status)

    @hookimpl
    def parse_callback(self, headers: Mapping[str, str], body: bytes) -> CallbackClaim:
        """The body is the claim; the header ``x-signature`` is good, bad or absent."""
        verified = {"good": True, "bad": False}.get(headers.get("x-signature", ""))
        claim = json.loads(body)
        return CallbackClaim(
            native_id=claim.get("id"), verified=verified, message="" if verified else "stale"
        )


class Observer:
    """Records every stored version; raises each time if it is to fail."""

    HOOK_API = HOOK_API

    def __init__(self, *, fails: bool = False) -> None:
        self.versions: list[tuple[int | None, int]] = []
        self.fails = fails

    @hookimpl
    def job_changed(self, before: Job | None, after: Job) -> None:
        self.versions.append((None if before is None else before.version, after.version))
        if self.fails:
            raise RuntimeError("an observer broke")


def _failure(reason: str, body: Mapping[str, Any]) -> Failure:
    return Failure(
        reason=FailureClass(reason),
        message=body.get("message", f"the vendor answered {reason}"),
        native_code=body.get("code"),
        native_message=body.get("words"),
        suggestion=body.get("suggestion"),
        retry_after_s=body.get("retry_after_s"),
    )


def _track(item: Mapping[str, Any]) -> NativeTrack:
    return NativeTrack(
        native_id=item.get("id"),
        audio_url=item.get("url"),
        fallback_urls=tuple(item.get("more", ())),
        audio=base64.b64decode(item["audio"]) if "audio" in item else None,
        stream_audio_url=item.get("stream"),
        image_url=item.get("image"),
        title=item.get("title"),
        duration_s=item.get("duration_s"),
        failure_message=item.get("broken"),
    )


#: A scripted answer: a JSON body, a status with one, raw bytes, an error to raise, or a function that returns
#: one.
Answer = Any


class ScriptedTransport:
    """Answers from a script, one list per host; a call without an answer is an error of the test.

    Attributes:
        sent: every API call that left, in order.
        on_send: awaited before each answer.
        media: bytes or an error, by link.
    """

    def __init__(self) -> None:
        self.sent: list[HttpRequest] = []
        self.fetched: list[str] = []
        #: Headers of the links that were fetched with the key, by link.
        self.fetched_with: dict[str, Mapping[str, str]] = {}
        self.read_timeouts_s: list[float] = []
        self.media: dict[str, bytes | Exception] = {}
        self.on_send: Callable[[HttpRequest], Awaitable[None]] | None = None
        self._scripts: dict[str, deque[Answer]] = {}

    def script(self, plugin: str, *answers: Answer) -> None:
        self._scripts.setdefault(f"{plugin}.test", deque()).extend(answers)

    @property
    def hosts(self) -> list[str]:
        """The plugins that were called, in order."""
        return [str(urlsplit(request.url).hostname).removesuffix(".test") for request in self.sent]

    async def send(
        self, request: HttpRequest, *, timeouts: Timeouts, read_timeout_s: float, max_body_bytes: int
    ) -> HttpResponse:
        self.sent.append(request)
        self.read_timeouts_s.append(read_timeout_s)
        if self.on_send is not None:
            await self.on_send(request)
        script = self._scripts.get(str(urlsplit(request.url).hostname))
        if not script:
            raise AssertionError(f"no answer is scripted for {request.method} {request.url}")
        answer = script.popleft()
        if callable(answer):
            answer = answer()
        if inspect.isawaitable(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return HttpResponse(
            status=status, body=body if isinstance(body, bytes) else json.dumps(body).encode()
        )

    async def download(
        self,
        url: str,
        sink: Path,
        *,
        max_bytes: int,
        timeout_s: float,
        own_headers: Mapping[str, str] | None = None,
    ) -> None:
        self.fetched.append(url)
        if own_headers is not None:
            self.fetched_with[url] = own_headers
        found = self.media.get(url, broken_link("HTTP 404"))
        if isinstance(found, Exception):
            raise found
        await asyncio.to_thread(sink.write_bytes, found)

    @asynccontextmanager
    async def listen(
        self, url: str, *, max_bytes: int, own_headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        found = self.media.get(url, broken_link("HTTP 404"))
        if isinstance(found, Exception):
            raise found

        async def pieces(content: bytes) -> AsyncIterator[bytes]:
            yield content

        yield "audio/mpeg", pieces(found)


def unreached() -> ProviderError:
    """The error of a call that did not leave."""
    return ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message="connection refused"))


def lost() -> ProviderError:
    """The error of a call that left without an answer."""
    failure = Failure(reason=FailureClass.UNKNOWN_OUTCOME, message="the connection was cut")
    return ProviderError(failure, maybe_accepted=True)


def broken_link(message: str) -> ProviderError:
    """The error of a media link without audio."""
    return ProviderError(Failure(reason=FailureClass.UPSTREAM_FAILED, message=message))


class FolderAssets(FolderObjects):
    """The real store of objects in a folder, on a disk that can fail.

    Attributes:
        troubles: errors to raise at the next `put` calls.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.troubles: list[StorageError] = []

    async def put(self, name: str, source: Path, content_type: str) -> None:
        if self.troubles:
            raise self.troubles.pop(0)
        await super().put(name, source, content_type)

    @property
    def parts(self) -> list[Path]:
        """Files that are being written: neither kept nor discarded."""
        return [path for kind in (".staging", ".incoming") for path in (self.folder / kind).glob("*")]


class HandClock:
    """A clock that moves only when a test sets it or a task sleeps."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> datetime:
        return self.moment

    def steady(self) -> datetime:
        return self.moment

    async def sleep(self, delay_s: float) -> None:
        self.moment += timedelta(seconds=delay_s)

    def pass_s(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


class ScriptedWebhooks:
    """Customers' webhooks: scripted answers, then 200; a text is the reason of a missing answer.

    Attributes:
        sent: url, headers and parsed body of each message.
    """

    def __init__(self) -> None:
        self.answers: deque[HttpResponse | int | str] = deque()
        self.sent: list[tuple[str, Mapping[str, str], Any]] = []

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float
    ) -> HttpResponse:
        self.sent.append((url, headers, json.loads(body)))
        answer = self.answers.popleft() if self.answers else 200
        if isinstance(answer, str):
            raise ProviderError(Failure(reason=FailureClass.UNAVAILABLE, message=answer))
        return HttpResponse(status=answer) if isinstance(answer, int) else answer


def quota_of(context: GatewayContext) -> Quota:
    """The quota of a gateway that counts in memory."""
    assert isinstance(context.quota, Quota)
    return context.quota


@attrs.frozen(kw_only=True)
class Rig:
    """A gateway without a socket, and its parts."""

    gate: Gateway
    transport: ScriptedTransport
    clock: HandClock
    assets: FolderAssets
    store: Any
    host: PluginHost

    @property
    def context(self) -> GatewayContext:
        return self.gate._context

    async def submit(self, **fields: Any) -> Job:
        """Read and submit a request for `MODEL`."""
        return await self.gate.submit(self.gate.read({"model": MODEL, "prompt": "jazz", **fields}))

    async def stored(self, job: Job) -> Job:
        """The stored version of a job."""
        found = await self.context.store.get(job.id)
        assert found is not None
        return found


def host_of(*vendors: FakeVendor, **others: object) -> PluginHost:
    """A plugin host with these vendors and other plugins, without the installed ones."""
    return load_plugins({vendor.declared.plugin: vendor for vendor in vendors} | others, installed=False)


def settings_for(*vendors: FakeVendor, keyless: tuple[str, ...] = (), **sections: Any) -> Settings:
    """Settings with a key for every vendor but the keyless ones."""
    keys = {vendor.declared.key_env: KEY for vendor in vendors if vendor.declared.plugin not in keyless}
    return Settings(environ=keys, **{"server": ServerSettings(drain_s=0.0), **sections})


def ledger_of(_store: JobStore, _clock: Any) -> Ledger | None:
    """None: one process counts in memory. Tests replace it to count for replicas."""
    return None


def _ignore_change(_before: Job | None, _after: Job) -> None:
    pass


def _planner(
    settings: Settings, providers: dict[str, InstalledProvider], health: dict[str, ProviderHealth]
) -> Planner:
    """A planner with one validator for all tests, since compiling a schema takes most of the time."""
    return Planner(
        validator=_validator(),
        blocks=frozenset({"fake", "suno"}),
        providers=providers,
        trouble=lambda name, now: health[name].trouble(now),
        pricing_required=settings.server.pricing_required,
        converts=settings.assets.archive,
    )


@functools.cache
def _validator() -> SchemaValidator:
    return SchemaValidator(compose_request_schema([FakeVendor().declared]))


def context_of(
    settings: Settings,
    host: PluginHost,
    store: JobStore,
    transport: Transport,
    assets: FolderAssets,
    clock: Any,
    changed: Callable[[Job | None, Job], None] | None = None,
    workers: Any = None,
    shares: Shares | None = None,
    news: News | None = None,
) -> GatewayContext:
    """A gateway context on the given ports, with ids that count."""
    numbers, providers = count(1), installed_providers(settings, host)
    health = compose.breakers(settings, providers)
    ledger, accounts = ledger_of(store, clock), AccountBook(settings)
    shares = shares or LocalShares()
    return GatewayContext(
        settings=settings,
        host=host,
        providers=providers,
        create_queues=compose.create_queues(settings, providers, clock, shares, ledger),
        health=health,
        planner=_planner(settings, providers, health),
        clock=clock,
        transport=transport,
        store=store,
        keeper=AudioKeeper(
            objects=assets,
            store=store,
            staging=Staging(assets.folder / ".incoming"),
            workers=workers or _WORKERS,
        ),
        webhooks=ScriptedWebhooks(),
        on_change=changed or _ignore_change,
        quota=compose.account_quota(settings, providers, ledger, accounts),
        accounts=accounts,
        ledger=ledger,
        new_id=lambda prefix: f"{prefix}{shares.replica}{next(numbers):04}",
        new_token=lambda: "token-not-real",
        shares=shares,
        news=news or NoNews(),
    )


@asynccontextmanager
async def rig_of(
    folder: Path,
    *vendors: FakeVendor,
    store: Any,
    keyless: tuple[str, ...] = (),
    shares: Shares | None = None,
    news: News | None = None,
    **sections: Any,
) -> AsyncIterator[Rig]:
    """A gateway whose scheduler does not run: a test takes each step with `advance`."""
    settings = settings_for(*vendors, keyless=keyless, **sections)
    host, transport, clock = host_of(*vendors), ScriptedTransport(), HandClock()
    assets = FolderAssets(folder)
    changes = Changes()
    context = context_of(
        settings,
        host,
        store,
        transport,
        assets,
        clock,
        lambda _, after: changes.notify(after.id),
        shares=shares,
        news=news,
    )
    gate = Gateway(context, changes)
    try:
        yield Rig(gate=gate, transport=transport, clock=clock, assets=assets, store=store, host=host)
    finally:
        await gate.close()


def open_context_with(
    transport: ScriptedTransport, assets: FolderAssets, path: Path
) -> Callable[..., AbstractAsyncContextManager[GatewayContext]]:
    """A replacement of `open_context`: the real clock and a SQLite file, but no socket."""

    @asynccontextmanager
    async def open_context(
        settings: Settings, host: PluginHost, changed: Callable[[Job | None, Job], None], *, alone: bool
    ) -> AsyncIterator[GatewayContext]:
        async with SqliteJobStore.open(path) as store:
            yield context_of(settings, host, store, transport, assets, SystemClock(), changed)

    return open_context
