"""The ordered list of all checks of the contract."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from musicgate.testing.store_contract import (
    checks_books,
    checks_claims,
    checks_damage,
    checks_durability,
    checks_jobs,
    checks_keys,
    checks_lists,
    checks_outbox,
    checks_references,
    checks_shares,
)
from musicgate.testing.store_contract.subject import StoreUnderTest

if TYPE_CHECKING:
    from types import ModuleType

Check = Callable[[StoreUnderTest], Awaitable[None]]


def name_of(check: Check) -> str:
    """Return the name that a check is shown under."""
    return getattr(check, "__name__", "check").removeprefix("check_")


def _of(module: ModuleType) -> list[Check]:
    return [
        found
        for name, found in vars(module).items()
        if name.startswith("check_") and inspect.iscoroutinefunction(found)
    ]


#: Every check, in the order in which an author of a store makes them pass.
CHECKS: Final[tuple[Check, ...]] = tuple(
    check
    for module in (
        checks_jobs,
        checks_claims,
        checks_lists,
        checks_outbox,
        checks_references,
        checks_books,
        checks_keys,
        checks_durability,
        checks_damage,
        checks_shares,
    )
    for check in _of(module)
)
