"""The job store under test: open, empty at the beginning, and opened again where a check asks for it."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager

    from musicgate.store import JobStore


class Abilities(Protocol):
    """What a check may ask of the author's class; see `JobStoreContract`."""

    is_durable: bool

    async def damage(self, store: JobStore, job_ids: Sequence[str]) -> None:
        """Damage what is stored of these jobs."""

    async def take_share(self, store: JobStore, share: int) -> int:
        """Take a share, and return its term."""


class StoreUnderTest:
    """A job store in one check.

    Attributes:
        store: open, and empty when the check begins.
    """

    store: JobStore

    def __init__(
        self, open_store: Callable[[], AbstractAsyncContextManager[JobStore]], abilities: Abilities
    ) -> None:
        """Use what opens the store, again and again at the same place."""
        self._open_store = open_store
        self._abilities = abilities
        self._stack = AsyncExitStack()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the store, and close it at the end."""
        async with self._stack:
            self.store = await self._stack.enter_async_context(self._open_store())
            yield

    async def reopen(self) -> JobStore:
        """Close the store and open it again, as a restart does.

        Skips the check where nothing survives that.
        """
        if not self._abilities.is_durable:
            pytest.skip("is_durable = False: jobs end with the store")
        await self._stack.aclose()
        self.store = await self._stack.enter_async_context(self._open_store())
        return self.store

    async def damage(self, *job_ids: str) -> None:
        """Make the stored documents of jobs, and their first events, unreadable."""
        await self._abilities.damage(self.store, job_ids)

    async def take_share(self, share: int) -> int:
        """Take a share of the jobs as a replica does, and return its new term."""
        return await self._abilities.take_share(self.store, share)
