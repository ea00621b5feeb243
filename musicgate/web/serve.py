"""The HTTP server: binds the application to an address; without accounts, to loopback only."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web

from musicgate.errors import ConfigError
from musicgate.gateway import account_book
from musicgate.web.app import LOOP_LAG, make_app
from musicgate.web.host_header import is_loopback
from musicgate.web.listener import Listener
from musicgate.web.middleware import request_handler
from musicgate.web.open_files import connections_that_fit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from musicgate.gateway import Gateway

#: Seconds that running requests get when the server stops.
_SHUTDOWN_S = 10.0


@asynccontextmanager
async def serve(gateway: Gateway, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serve a gateway while the block runs.

    Args:
        port: 0 = any free one.

    Returns:
        Host and port that are bound.

    Raises:
        ConfigError: the address is taken or not ours, or not loopback although no account is configured.
    """
    if account_book(gateway).is_open and not is_loopback(host):
        message = (
            f"without [[accounts]] the server binds loopback only, not {host}; to let callers with a key in, set"
            " server.admin_key, or make the first key with musicgate keys create --admin"
        )
        raise ConfigError(message, key="server.host", source=gateway.settings.source)
    settings = gateway.settings
    max_connections = connections_that_fit(settings)
    app = make_app(gateway, max_connections)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_S)
    await runner.setup()
    server = runner.server
    assert server is not None  # noqa: S101 - it is there after setup()
    server.request_handler = request_handler(app, server.request_handler)
    listener = Listener(server, settings.server, max_connections, gateway.supervisor)
    try:
        try:
            bound = await listener.open(host, port)
        except OSError as exc:
            message = f"cannot listen on {host}:{port}: {exc.strerror or exc}"
            raise ConfigError(message, key="server.port", source=settings.source) from exc
        app[LOOP_LAG].start()
        yield bound
    finally:
        app[LOOP_LAG].stop()
        await listener.close()
        await runner.cleanup()
