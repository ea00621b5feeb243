"""The servers that the end-to-end tests share, one per module, and a way to start others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from musicgate.engine.breaker import Breaker
from musicgate.hosting.discovery import PluginHost, load_plugins

pytest.register_assert_rewrite("tests.e2e.running_server")

from tests.e2e.running_server import (  # noqa: E402 - its asserts are rewritten, too
    PLUGINS,
    OpenServer,
    RunningServer,
    running_server,
)


@pytest.fixture(scope="session")
def plugins() -> PluginHost:
    """The four real plugins, loaded once."""
    host = load_plugins()
    assert set(PLUGINS) <= set(host.providers), [record.error for record in host.records]
    return host


@pytest.fixture
def open_server(tmp_path: Path, plugins: PluginHost) -> OpenServer:
    """Starts a server of a test's own, with the options of `running_server`."""
    return lambda **options: running_server(tmp_path, plugins, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    """The server that the tests of a module share."""
    async with running_server(tmp_path_factory.mktemp("server"), plugins) as started:
        yield started


@pytest.fixture(autouse=True)
def _closed_breakers(request: pytest.FixtureRequest) -> None:
    """Close all breakers: faults of one test must not move a provider behind the others in the next."""
    if "server" in request.fixturenames:
        shared: RunningServer = request.getfixturevalue("server")
        for health in shared.gateway._context.health.values():
            health._breaker = Breaker()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server_without_accounts(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    async with running_server(tmp_path_factory.mktemp("no-accounts"), plugins, accounts=()) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slow_polling_server(
    tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    """A server that polls as rarely as in production, while its vendors are fast."""
    folder = tmp_path_factory.mktemp("slow-polling")
    async with running_server(folder, plugins, follow={"speed": 1.0}) as started:
        yield started
