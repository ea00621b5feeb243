"""How the courier's connections are shared between accounts, as tables."""

from collections import Counter
from datetime import UTC, datetime
from itertools import count

import pytest

from musicgate.store.port import PendingMessage
from musicgate.webhooks.fair_share import FairShare

NOW = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
_NUMBERS = count(1)


def messages(account: str, number: int, *, servers: int = 100) -> list[PendingMessage]:
    return [
        PendingMessage(
            id=f"msg_{next(_NUMBERS)}",
            account=account,
            origin=f"https://h{index % servers}.test:443",
            next_try_at=NOW,
        )
        for index in range(number)
    ]


def held(share: FairShare, *due: list[PendingMessage]) -> dict[str, int]:
    """Number of messages that got a connection, by account."""
    return dict(Counter(message.account for message in share.take([m for one in due for m in one])))


@pytest.mark.parametrize(
    ("total", "wanted", "got"),
    [
        (128, {"a": 1600}, {"a": 64}),
        (128, {"a": 1600, "b": 1600}, {"a": 43, "b": 43}),
        (128, {"a": 1600, "b": 5}, {"a": 62, "b": 5}),
        (4, {"a": 9, "b": 9, "c": 9}, {"a": 1, "b": 1, "c": 1}),
        (2, {"a": 9, "b": 9, "c": 9}, {"a": 1, "b": 1}),
        (1, {"a": 9}, {"a": 1}),
    ],
)
def test_an_account_holds_at_most_as_many_connections_as_are_still_free(
    total: int, wanted: dict[str, int], got: dict[str, int]
) -> None:
    share = FairShare(total, 4, is_shared=True)
    assert held(share, *(messages(account, number) for account, number in wanted.items())) == got


def test_an_account_that_comes_later_gets_its_share_and_no_more() -> None:
    share = FairShare(128, 4, is_shared=True)
    assert held(share, messages("a", 999)) == {"a": 64}
    assert held(share, messages("b", 999)) == {"b": 32}
    assert held(share, messages("c", 999)) == {"c": 16}
    assert held(share, messages("a", 999)) == {}


def test_the_only_account_of_a_server_gets_every_connection() -> None:
    assert held(FairShare(128, 4, is_shared=False), messages("local", 999)) == {"local": 128}


def test_each_account_has_its_own_connections_to_a_server() -> None:
    share = FairShare(128, 4, is_shared=True)
    slow = messages("a", 9, servers=1)
    assert held(share, slow, messages("a", 3), messages("b", 9, servers=1)) == {"a": 6, "b": 4}
    assert share.full_origins("a") == ["https://h0.test:443"]
    assert list(share.full_origins("c")) == []
    share.release(slow[0])
    assert list(share.full_origins("a")) == []


def test_accounts_are_ordered_by_fewest_connections_then_by_longest_wait() -> None:
    share = FairShare(4, 4, is_shared=True)
    due = [*messages("a", 2), *messages("b", 1), *messages("c", 1)]
    taken = list(share.take(due))
    assert [message.account for message in taken] == ["a", "b", "c"]
    assert share.in_order(["a", "b", "c", "d"]) == ["d"]
    share.release(taken[1])
    assert share.in_order(["a", "b", "c", "d"]) == ["d", "b", "a", "c"]
    for message in (taken[0], taken[2]):
        share.release(message)
    assert share.in_order(["c", "b", "a"]) == ["a", "b", "c"]
    assert share.free == 4
