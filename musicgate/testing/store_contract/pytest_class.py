"""The contract as a pytest class: one test per check, skipped where the store cannot be asked."""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest

from musicgate.testing.store_contract.checks import CHECKS, Check, name_of
from musicgate.testing.store_contract.subject import StoreUnderTest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from musicgate.store import JobStore


class JobStoreContract:
    """Subclass this as ``TestContract``, with a fixture ``open_store``; the package shows it.

    Attributes:
        is_durable: False for a store whose jobs end with it; checks that open it again are skipped.
        skip_checks: checks that are turned off, by name, each with the reason, which pytest shows.
    """

    is_durable: bool = True
    skip_checks: Mapping[str, str] = MappingProxyType({})

    @pytest.fixture
    def open_store(self) -> Callable[[], AbstractAsyncContextManager[JobStore]]:
        """Make an empty place for a store, and return what opens the store there, again and again."""
        raise NotImplementedError("the class needs a fixture open_store")

    async def damage(self, store: JobStore, job_ids: Sequence[str]) -> None:
        """Make what is stored of these jobs unreadable, and their first events too.

        Without it, the checks on damage are skipped.
        """
        pytest.skip("the class has no method damage")

    async def take_share(self, store: JobStore, share: int) -> int:
        """Count up the term of a share, as an engine does for a replica that takes it, and return it.

        Without it, the checks on terms are skipped: a store of one process has none.
        """
        pytest.skip("the class has no method take_share")

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_contract(
        self, check: Check, open_store: Callable[[], AbstractAsyncContextManager[JobStore]]
    ) -> None:
        """One check of the contract, on an event loop of its own."""
        self._check_names()
        reason = self.skip_checks.get(name_of(check))
        if reason is not None:
            pytest.skip(f"turned off: {reason}")
        asyncio.run(self._perform(check, open_store))

    async def _perform(
        self, check: Check, open_store: Callable[[], AbstractAsyncContextManager[JobStore]]
    ) -> None:
        subject = StoreUnderTest(open_store, self)
        async with subject.opened():
            await check(subject)

    def _check_names(self) -> None:
        unknown = set(self.skip_checks) - {name_of(check) for check in CHECKS}
        assert not unknown, f"skip_checks: there are no checks {sorted(unknown)}; docs/testing.md lists them"
