"""Share the courier's connections between accounts: it counts messages in flight.

An account may hold as many connections as are still free, and no more. So one account alone gets half of
them, two get a third each, n get 1/(n+1), and the rest stays free for an account that had nothing to send
until now: no message in flight is stopped for it. Where there is only one account, it gets all connections.

Each account has a few connections per receiving server. So a receiver that hangs holds up neither the other
receivers of its account nor another account's messages to the same server.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict, deque
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from musicgate.store import PendingMessage

_Key = TypeVar("_Key")


class FairShare:
    """How many messages each account has in flight, in all and to each server.

    Attributes:
        is_shared: there is more than one account.

    Args:
        total: connections in all.
        per_server: connections of an account to one server.
        is_shared: there is more than one account.
    """

    def __init__(self, total: int, per_server: int, *, is_shared: bool) -> None:
        self._total = total
        self._per_server = per_server
        self.is_shared = is_shared
        self._held: Counter[str] = Counter()
        self._held_at: Counter[tuple[str, str]] = Counter()
        self._served: Counter[str] = Counter()
        self._servings = 0

    @property
    def free(self) -> int:
        """Number of free connections."""
        return self._total - self._held.total()

    def has_room(self, account: str) -> bool:
        """True if the account may have one more message in flight."""
        return self.free > (self._held[account] if self.is_shared else 0)

    def full_origins(self, account: str) -> Collection[str]:
        """The servers to which the account has as many messages in flight as it may."""
        return [
            origin
            for (holder, origin), held in self._held_at.items()
            if holder == account and not self._left(held)
        ]

    def in_order(self, accounts: Iterable[str]) -> list[str]:
        """The accounts with room: first by fewest connections, then by the longest wait for one."""
        return sorted(
            filter(self.has_room, accounts), key=lambda account: (self._held[account], self._served[account])
        )

    def take(self, due: Iterable[PendingMessage]) -> Iterator[PendingMessage]:
        """Take connections for due messages, alternating between the accounts; yields those that got one.

        Args:
            due: messages that hold none yet; those of one account in the order of sending.
        """
        waiting: defaultdict[str, deque[PendingMessage]] = defaultdict(deque)
        for message in due:
            waiting[message.account].append(message)
        order = [(self._held[account], self._served[account], account) for account in waiting]
        heapq.heapify(order)
        while order:
            account = heapq.heappop(order)[2]
            first = self._first_with_room(waiting[account]) if self.has_room(account) else None
            if first is None:
                continue
            self._hold(first)
            heapq.heappush(order, (self._held[account], self._served[account], account))
            yield first

    def release(self, message: PendingMessage) -> None:
        """Give back the connection of a message."""
        _subtract(self._held, message.account)
        _subtract(self._held_at, (message.account, message.origin))

    def _first_with_room(self, waiting: deque[PendingMessage]) -> PendingMessage | None:
        while waiting:
            message = waiting.popleft()
            if self._left(self._held_at[message.account, message.origin]):
                return message
        return None

    def _hold(self, message: PendingMessage) -> None:
        self._held[message.account] += 1
        self._held_at[message.account, message.origin] += 1
        self._servings += 1
        self._served[message.account] = self._servings

    def _left(self, held: int) -> bool:
        return held < self._per_server


def _subtract(counter: Counter[_Key], key: _Key) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
