"""One browser and one server for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from musicgate.hosting.discovery import PluginHost, load_plugins
from musicgate.model import Secret
from musicgate.settings import Account
from tests.browser.browsers import chromium

pytest.register_assert_rewrite("tests.e2e.running_server")

from tests.e2e.running_server import (  # noqa: E402 - its asserts are rewritten, too
    ACCOUNT_KEY,
    RunningServer,
    running_server,
)

_SECRET = "whsec_d2ViaG9vay1zZWNyZXQtbm90LXJlYWwtMDEyMzQ1Njc4OQ=="


@pytest.fixture(scope="session")
def plugins() -> PluginHost:
    """The real plugins, loaded once."""
    return load_plugins()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium; the tests are skipped without one."""
    async with chromium() as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(
    browser: Browser, tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost
) -> AsyncIterator[RunningServer]:
    """A server with emulated vendors and one account; not started where there is no browser."""
    accounts = (Account(name="test", key=Secret(ACCOUNT_KEY), webhook_secret=Secret(_SECRET)),)
    async with running_server(tmp_path_factory.mktemp("console"), plugins, accounts=accounts) as started:
        yield started
