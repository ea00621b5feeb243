"""Open a gateway's context: the composition root, which names the adapters."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from musicgate.accounts import AccountBook
from musicgate.codec import SchemaValidator, compose_request_schema, option_blocks
from musicgate.engine import (
    CreateQueue,
    ProviderHealth,
    Quota,
    SharedCreateQueue,
    SharedQuota,
    Shares,
)
from musicgate.errors import ConfigError, MarksError, StorageError
from musicgate.gateway.context import GatewayContext
from musicgate.gateway.job_stores import open_job_store
from musicgate.gateway.replication import replication
from musicgate.hosting import installed_providers
from musicgate.metrics import Figures
from musicgate.planning import Planner
from musicgate.settings import check_webhooks, keep_declared

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from musicgate.aio import Clock
    from musicgate.assets import ObjectStore
    from musicgate.gateway.audio_files import Marks
    from musicgate.gateway.audio_keeper import AudioKeeper
    from musicgate.gateway.imports import Importer
    from musicgate.hosting import InstalledProvider, PluginHost
    from musicgate.http.transport import AiohttpTransport
    from musicgate.model import Job
    from musicgate.settings import Settings
    from musicgate.store import JobStore, Ledger

#: Seconds beyond `store.heartbeat_s` after which a silent replica counts as dead.
_SILENCE_MARGIN_S = 2.0
#: Seconds for which a slot is trusted at most, and the part of the time until its replica counts as dead.
_FRESH_S, _FRESH_PART = 5.0, 1 / 3
#: A server that starts waits no longer for its asset store.
_LONGEST_CHECK_S = 10.0


@asynccontextmanager
async def open_context(
    settings: Settings,
    host: PluginHost,
    on_change: Callable[[Job | None, Job], None],
    *,
    alone: bool = False,
) -> AsyncIterator[GatewayContext]:
    """Open the adapters that the settings name; close them in reverse order at the end.

    Args:
        alone: no other process may use the store meanwhile.

    Raises:
        ConfigError: a setting names something that does not exist, or another process uses the store.
        StorageError: the store cannot be opened.
    """
    # Imported here: opening a gateway needs aiohttp, asking for --help does not.
    from musicgate.aio import SystemClock, new_id, new_token
    from musicgate.http.proxies import Proxies
    from musicgate.webhooks.client import AiohttpWebhookClient

    settings = keep_declared(settings, (plugin.provider for plugin in host.providers.values()))
    check_webhooks(settings)
    clock = SystemClock()
    proxies = Proxies.from_settings(settings.network.proxy, settings.environ)
    providers = installed_providers(settings, host)
    health = breakers(settings, providers)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_job_store(settings, alone=alone))
        network = settings.network
        transport = await stack.enter_async_context(_transport(settings, clock))
        webhooks = await stack.enter_async_context(
            AiohttpWebhookClient(
                clock=clock,
                allow_private_addresses=network.allow_private_addresses,
                proxies=proxies,
                concurrency=settings.webhooks.concurrency,
            )
        )
        objects = open_asset_store(settings)
        stack.push_async_callback(objects.close)
        figures = Figures()
        keeper = _keeper(stack, settings, objects, store, figures)
        shares, news = replication(settings)
        ledger = ledger_of(settings, store, shares)
        accounts = AccountBook(settings)
        accounts.update(await store.keys.load())
        yield GatewayContext(
            settings=settings,
            host=host,
            providers=providers,
            create_queues=create_queues(settings, providers, clock, shares, ledger),
            health=health,
            planner=planner(settings, providers, health),
            clock=clock,
            transport=transport,
            store=store,
            keeper=keeper,
            webhooks=webhooks,
            on_change=on_change,
            quota=account_quota(settings, providers, ledger, accounts),
            accounts=accounts,
            ledger=ledger,
            new_id=new_id,
            new_token=new_token,
            shares=shares,
            news=news,
            figures=figures,
        )


@asynccontextmanager
async def open_importer(settings: Settings) -> AsyncIterator[Importer]:
    """Open what is needed to take an operator's audio into custody; no vendor and no job is followed.

    Raises:
        ConfigError: a setting is wrong, or another process uses the store.
        StorageError: the store cannot be opened.
    """
    from musicgate.aio import SystemClock, new_id, new_token
    from musicgate.gateway.imports import Importer

    clock = SystemClock()
    async with AsyncExitStack() as stack:
        # Alone: a job is open while its audio is fetched, with a deadline that has passed. A replica would
        # end it.
        store = await stack.enter_async_context(open_job_store(settings, alone=True))
        transport = await stack.enter_async_context(_transport(settings, clock))
        objects = open_asset_store(settings)
        stack.push_async_callback(objects.close)
        yield Importer(
            store=store,
            objects=objects,
            keeper=_keeper(stack, settings, objects, store),
            transport=transport,
            clock=clock,
            max_bytes=settings.assets.max_bytes,
            new_id=new_id,
            new_token=new_token,
        )


def _transport(settings: Settings, clock: Clock) -> AiohttpTransport:
    from musicgate.http.proxies import Proxies
    from musicgate.http.transport import AiohttpTransport

    return AiohttpTransport(
        clock=clock,
        allow_private_addresses=settings.network.allow_private_addresses,
        downloads=settings.network.downloads,
        proxies=Proxies.from_settings(settings.network.proxy, settings.environ),
    )


def _keeper(
    stack: AsyncExitStack,
    settings: Settings,
    objects: ObjectStore,
    store: JobStore,
    figures: Figures | None = None,
) -> AudioKeeper:
    from musicgate.assets import AudioWorkers, Staging
    from musicgate.gateway.audio_keeper import AudioKeeper

    workers = AudioWorkers()
    stack.callback(workers.close)
    return AudioKeeper(
        objects=objects,
        store=store,
        staging=Staging(staging_path(settings)),
        workers=workers,
        marks=marks_of(settings),
        figures=figures,
    )


def ledger_of(settings: Settings, store: JobStore, shares: Shares) -> Ledger | None:
    """What counts limits for all replicas; None where this process is the only one."""
    if not shares.replica:
        return None
    silent_after_s = _silent_after_s(settings)
    return store.ledger(shares.replica, lambda replica: shares.silence_s(replica) > silent_after_s)


def _silent_after_s(settings: Settings) -> float:
    """Seconds of silence after which a replica counts as dead, and its create calls as ended."""
    return settings.store.heartbeat_s + _SILENCE_MARGIN_S


def account_quota(
    settings: Settings,
    providers: Mapping[str, InstalledProvider],
    ledger: Ledger | None,
    accounts: AccountBook | None = None,
) -> Quota | SharedQuota:
    """The limits of accounts, counted by the ledger where there is one."""
    declared = {name: installed.provider for name, installed in providers.items()}
    if ledger is None:
        return Quota(settings, declared, accounts)
    return SharedQuota(settings, declared, ledger, accounts)


def create_queues(
    settings: Settings,
    providers: Mapping[str, InstalledProvider],
    clock: Clock,
    shares: Shares,
    ledger: Ledger | None = None,
) -> dict[str, CreateQueue]:
    """A create queue per provider, as its plugin declares it and its operator limits it."""
    speed = settings.follow.speed
    fresh_s = min(_FRESH_S, _silent_after_s(settings) * _FRESH_PART)
    queues: dict[str, CreateQueue] = {}
    for name, installed in providers.items():
        parallel, window = installed.provider.max_parallel_creates, installed.provider.create_window
        if ledger is None or (parallel is None and window is None):
            queues[name] = CreateQueue(clock, parallel=parallel, window=window, speed=speed)
        else:
            queues[name] = SharedCreateQueue(
                clock,
                ledger,
                plugin=name,
                replica=shares.replica,
                is_seen=lambda: shares.is_seen,
                fresh_s=fresh_s,
                parallel=parallel,
                window=window,
                speed=speed,
            )
    return queues


def breakers(settings: Settings, providers: Mapping[str, InstalledProvider]) -> dict[str, ProviderHealth]:
    """A closed circuit breaker per provider."""
    return {name: ProviderHealth(name, settings.follow.speed) for name in providers}


def planner(
    settings: Settings,
    providers: Mapping[str, InstalledProvider],
    health: Mapping[str, ProviderHealth],
) -> Planner:
    """The planner over all providers, with the composed request schema."""
    declared = [installed.provider for installed in providers.values()]
    schema = compose_request_schema(declared)
    return Planner(
        validator=SchemaValidator(schema),
        blocks=option_blocks(schema, declared),
        providers=providers,
        trouble=lambda name, now: health[name].trouble(now),
        pricing_required=settings.server.pricing_required,
        converts=settings.assets.archive,
    )


def open_asset_store(settings: Settings) -> ObjectStore:
    """The store of ``assets.url``: a local folder, which is made, or a bucket.

    Raises:
        ConfigError: another kind of URL, or an option that the store does not know.
    """
    from musicgate.assets import open_objects

    if urlsplit(settings.assets_url).scheme == "file":
        _make(_folder_of(settings), settings)
    try:
        return open_objects(settings.assets_url, environ=settings.environ)
    except ValueError as exc:
        raise ConfigError(str(exc), key="assets.url", source=settings.source_of("assets.url")) from None


async def check_asset_store(settings: Settings) -> str | None:
    """Write to the store of ``assets.url`` once, before a song is paid for.

    Returns:
        None; or why it cannot be written now, which may pass: songs are kept once it can.

    Raises:
        ConfigError: the URL is wrong, or the store refuses: credentials, permissions, no such bucket.
    """
    objects = open_asset_store(settings)
    try:
        async with asyncio.timeout(_LONGEST_CHECK_S):
            await objects.check()
    except TimeoutError:
        return f"the store of assets.url gave no answer within {_LONGEST_CHECK_S:g} s"
    except StorageError as error:
        if not error.is_refusal:
            return str(error)
        message = f"{error}; check the address, and the credentials in the environment"
        raise ConfigError(message, key="assets.url", source=settings.source_of("assets.url")) from None
    finally:
        await objects.close()
    return None


def marks_of(settings: Settings) -> Marks:
    """How ``[assets]`` wants finished files to be marked.

    Raises:
        ConfigError: half of what signing needs is set, or cannot be used.
    """
    from musicgate.assets.marks import SigningKey, check_signing
    from musicgate.gateway.audio_files import Marks

    assets = settings.assets
    named = {"assets.sign_certificate": assets.sign_certificate, "assets.sign_key": assets.sign_key}
    if not any(named.values()):
        return Marks(tags=assets.tags)
    for key, path in named.items():
        if not path:
            raise ConfigError("is needed for signing, beside the other one", key=key, source=settings.source)
        if not Path(path).is_file():
            raise ConfigError("names no file", key=key, source=settings.source_of(key))
    signing = SigningKey(certificate=Path(assets.sign_certificate), key=Path(assets.sign_key))
    try:
        check_signing(signing)
    except MarksError as exc:
        raise ConfigError(
            f"cannot be used: {exc}", key="assets.sign_certificate", source=settings.source
        ) from exc
    return Marks(tags=assets.tags, signing=signing)


def staging_path(settings: Settings) -> Path:
    """Where audio is until it is stored: beside a local store, else in the data folder."""
    is_local = urlsplit(settings.assets_url).scheme == "file"
    return _folder_of(settings) / ".incoming" if is_local else settings.data_dir / "incoming"


def _folder_of(settings: Settings) -> Path:
    url = urlsplit(settings.assets_url)
    if url.netloc:
        raise ConfigError(
            "must have the form file:///absolute/folder", key="assets.url", source=settings.source
        )
    return Path(unquote(url.path))


def _make(folder: Path, settings: Settings) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        hint = "" if settings.assets.url else "; it is in the data folder, which MUSICGATE_DATA_DIR names"
        message = f"its folder cannot be made: {exc.strerror}{hint}"
        raise ConfigError(message, key="assets.url", source=settings.source_of("assets.url")) from None
