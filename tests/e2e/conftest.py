"""The houses that the end-to-end tests share, one a module, and the way to start one of one's own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from musicgate.engine.breaker import Breaker
from musicgate.hosting.discovery import PluginHost, load_plugins

pytest.register_assert_rewrite("tests.e2e.house")

from tests.e2e.house import VENDORS, House, OpenHouse, running_house  # noqa: E402 - its asserts shall speak as well


@pytest.fixture(scope="session")
def plugins() -> PluginHost:
    """The four real plugins, loaded once."""
    host = load_plugins()
    assert set(VENDORS) <= set(host.providers), [record.error for record in host.records]
    return host


@pytest.fixture
def open_house(tmp_path: Path, plugins: PluginHost) -> OpenHouse:
    """Starts a house of one's own; its options are those of `running_house`."""
    return lambda **options: running_house(tmp_path, plugins, **options)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost) -> AsyncIterator[House]:
    """The house that the tests of a module share."""
    async with running_house(tmp_path_factory.mktemp("house"), plugins) as started:
        yield started


@pytest.fixture(autouse=True)
def _healthy(request: pytest.FixtureRequest) -> None:
    """Faults that one test plays must not move a vendor behind the others in the next one that shares the house."""
    if "house" in request.fixturenames:
        shared: House = request.getfixturevalue("house")
        for health in shared.gateway._context.health.values():
            health._breaker = Breaker()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def keyless(tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost) -> AsyncIterator[House]:
    """A house without accounts."""
    async with running_house(tmp_path_factory.mktemp("keyless"), plugins, accounts=()) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def patient(tmp_path_factory: pytest.TempPathFactory, plugins: PluginHost) -> AsyncIterator[House]:
    """A house that looks at its jobs as seldom as in life, while the vendors are fast."""
    folder = tmp_path_factory.mktemp("patient")
    async with running_house(folder, plugins, follow={"speed": 1.0}) as started:
        yield started
