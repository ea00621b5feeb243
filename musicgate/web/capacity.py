"""Limits of what may be in progress at a time, in all and per account."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from musicgate.errors import LimitReachedError, RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

#: ``Retry-After`` of a refusal; when something will end is not known.
RETRY_S = 10


class Capacity:
    """A counter with a limit per account and one for all accounts together.

    Args:
        name: what is counted; the ``reason`` of a refusal.
        total: limit for all accounts together; None = unlimited.
    """

    def __init__(self, name: str, *, per_account: int, total: int | None = None) -> None:
        self.name = name
        self._counted = name.replace("_", " ")
        self._per_account = per_account
        self._total = total
        self._held: dict[str, int] = {}
        self.count = 0

    def acquire(self, account: str) -> None:
        """Count one more; `release` must follow.

        Raises:
            LimitReachedError: 429, the account is at its limit.
            RequestError: 503, all accounts together are.
        """
        held = self._held.get(account, 0)
        if held >= self._per_account:
            message = f"this account has {held} {self._counted} at a time, which is its limit"
            reset_at = datetime.now(UTC) + timedelta(seconds=RETRY_S)
            raise LimitReachedError(self.name, message, reset_at=reset_at, retry_after_s=RETRY_S)
        if self._total is not None and self.count >= self._total:
            message = f"the server has as many {self._counted} as it takes"
            raise RequestError(
                "gateway_error", message, reason=self.name, http_status=503, retry_after_s=RETRY_S
            )
        self._held[account] = held + 1
        self.count += 1

    def release(self, account: str) -> None:
        """Count one less."""
        self.count -= 1
        held = self._held[account] - 1
        if held:
            self._held[account] = held
        else:
            del self._held[account]

    @contextmanager
    def hold(self, account: str) -> Iterator[None]:
        """Count one more while the block runs; raises as `acquire` does."""
        self.acquire(account)
        try:
            yield
        finally:
            self.release(account)
