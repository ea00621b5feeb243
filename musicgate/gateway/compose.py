"""Puts the house together: settings to ports, plugins to live providers; the only place of the use cases that names an adapter."""

from __future__ import annotations

import secrets
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from ulid import ULID

from musicgate.errors import ConfigError, InvalidRequestError, PluginError
from musicgate.gateway.admit import Admission
from musicgate.gateway.context import GatewayContext, LiveProvider
from musicgate.gateway.create_queue import CreateQueue
from musicgate.gateway.health import Health
from musicgate.schema import SchemaValidator, compose_request_schema, option_blocks
from musicgate.settings import check_webhooks, keep_declared, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from musicgate.model import Job
    from musicgate.plugins import PluginHost
    from musicgate.ports import Clock
    from musicgate.settings import Settings

_TOKEN_BYTES = 24


@asynccontextmanager
async def furnish(
    settings: Settings, host: PluginHost, changed: Callable[[Job | None, Job], None]
) -> AsyncIterator[GatewayContext]:
    """Open the adapters that the settings name; close them in reverse order.

    Raises:
        ConfigError: a setting names something that does not exist, or another process uses the store.
        StorageError: the store cannot be opened.
    """
    # Imported here: opening a gateway needs sqlite3 and aiohttp, asking for --help does not.
    from musicgate.adapters.clock import SystemClock
    from musicgate.adapters.files import FileAssetStore
    from musicgate.adapters.proxies import Proxies
    from musicgate.adapters.sqlite import SqliteJobStore
    from musicgate.adapters.transport import AiohttpTransport
    from musicgate.adapters.webhook_client import AiohttpWebhookClient

    settings = keep_declared(settings, (plugin.provider for plugin in host.providers.values()))
    check_webhooks(settings)
    clock = SystemClock()
    proxies = Proxies.from_settings(settings.network.proxy, settings.environ)
    providers = live_providers(settings, host, clock)
    declared = [live.provider for live in providers.values()]
    schema = compose_request_schema(declared)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteJobStore.open(store_path(settings)))
        network = settings.network
        transport = await stack.enter_async_context(
            AiohttpTransport(
                clock=clock,
                allow_private_addresses=network.allow_private_addresses,
                downloads=network.downloads,
                proxies=proxies,
            )
        )
        webhooks = await stack.enter_async_context(
            AiohttpWebhookClient(
                clock=clock,
                allow_private_addresses=network.allow_private_addresses,
                proxies=proxies,
                concurrency=settings.webhooks.concurrency,
            )
        )
        yield GatewayContext(
            settings=settings,
            host=host,
            providers=providers,
            validator=SchemaValidator(schema),
            blocks=option_blocks(schema, declared),
            clock=clock,
            transport=transport,
            store=store,
            assets=FileAssetStore(assets_path(settings)),
            webhooks=webhooks,
            tell=changed,
            admission=Admission(settings, {name: live.provider for name, live in providers.items()}),
            new_id=lambda prefix: f"{prefix}{ULID()}",
            new_token=lambda: secrets.token_urlsafe(_TOKEN_BYTES),
        )


def live_providers(settings: Settings, host: PluginHost, clock: Clock) -> dict[str, LiveProvider]:
    """Every provider that is installed and not switched off, with the operator's settings checked.

    Raises:
        ConfigError: a ``[providers.<plugin>]`` table names no installed plugin, or breaks the plugin's settings schema.
    """
    for name in settings.providers:
        if name not in host.providers:
            installed = ", ".join(sorted(host.providers)) or "none"
            broken = next(
                (record.error for record in host.records if record.name == name and record.error), None
            )
            said = (
                f"this plugin could not be loaded: {broken}"
                if broken
                else f"no such plugin is installed (there are {installed})"
            )
            raise ConfigError(said, key=f"providers.{name}", source=settings.source)
    live = {}
    for name, plugin in host.providers.items():
        resolved = resolve(settings, plugin.provider)
        if not resolved.enabled:
            continue
        _check_options(name, plugin.provider.settings_schema, resolved.settings.options, settings.source)
        declared, speed = resolved.provider, settings.follow.speed
        live[name] = LiveProvider(
            plugin=plugin,
            provider=declared,
            settings=resolved.settings,
            key=resolved.key,
            create_queue=CreateQueue(
                clock, parallel=declared.max_parallel_creates, window=declared.create_window, speed=speed
            ),
            health=Health(name, speed),
        )
    return live


def store_path(settings: Settings) -> Path:
    """The SQLite file of a store URL, its folder made.

    Raises:
        ConfigError: another kind of URL.
    """
    url = urlsplit(settings.store_url)
    if url.scheme != "sqlite" or url.netloc:
        raise ConfigError(
            "must have the form sqlite:///relative.db or sqlite:////absolute.db",
            key="store.url",
            source=settings.source,
        )
    return _made(Path(unquote(url.path).removeprefix("/")), settings, "store.url", parent=True)


def assets_path(settings: Settings) -> Path:
    """The folder of an assets URL, made.

    Raises:
        ConfigError: another kind of URL.
    """
    url = urlsplit(settings.assets_url)
    if url.scheme != "file" or url.netloc:
        raise ConfigError(
            "must have the form file:///absolute/folder", key="assets.url", source=settings.source
        )
    return _made(Path(unquote(url.path)), settings, "assets.url", parent=False)


def _made(path: Path, settings: Settings, key: str, *, parent: bool) -> Path:
    try:
        (path.parent if parent else path).mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        section = settings.store if key == "store.url" else settings.assets
        hint = "" if section.url else "; it is in the data folder, which MUSICGATE_DATA_DIR names"
        message = f"its folder cannot be made: {exc.strerror}{hint}"
        raise ConfigError(message, key=key, source=settings.source_of(key)) from None
    return path


def _check_options(name: str, schema: object, options: object, source: str | None) -> None:
    if not isinstance(schema, dict) or not schema:
        return
    try:
        SchemaValidator(schema).check(options)
    except InvalidRequestError as error:
        violation = error.violations[0]
        key = ".".join([f"providers.{name}", *map(str, violation.path)])
        raise ConfigError(violation.message, key=key, source=source) from None
    except Exception as exc:  # noqa: BLE001 - a plugin's schema may be anything; the error's text may quote an option
        raise PluginError(name, f"its settings schema is not valid ({type(exc).__name__})") from None
