"""The audit of several servers: it finds what it is for, and complains of nothing that is allowed."""

from __future__ import annotations

import math

import pytest

from tests.crash.limits import most_amount, most_at_once, most_within
from tests.crash.replica_audit import last_loss_s
from tests.crash.server import Life
from tests.crash.watch import AskedPoll, Holding, ShareWatch, stale_polls


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ([], 0),
        ([(0, 2), (2, 4)], 1),
        ([(0, 3), (2, 4), (2.5, 2.7)], 3),
        ([(0, math.inf), (5, 6), (7, 8)], 2),
    ],
)
def test_the_most_at_once(spans: list[tuple[float, float]], most: int) -> None:
    assert most_at_once(spans) == most


def test_an_amount_becomes_another_one_at_its_end() -> None:
    # Expected costs of 2, 2 and 2; the first one costs 1 in the end, and the second one nothing.
    assert most_amount([(0, 5, 2, 1), (1, 3, 2, 0), (4, 6, 2, 2)]) == 4
    assert most_amount([(0, 5, 2, 1), (1, 4.5, 2, 0), (4, 6, 2, 2)]) == 6


@pytest.mark.parametrize(
    ("moments", "most"),
    [
        ([(0, 0), (5, 5), (9.9, 9.9)], 3),
        ([(0, 0), (5, 5), (10, 10)], 2),
        # The second one may have been as late as 12.
        ([(0, 0), (5, 12), (9.9, 9.9)], 2),
        ([(3, 4), (0, 1), (12, 12), (11, 11), (12.9, 12.9)], 4),
    ],
)
def test_the_most_that_are_certainly_within_ten_seconds(
    moments: list[tuple[float, float]], most: int
) -> None:
    assert most_within(moments, 10.0) == most


LIFE = Life(began_s=0.0, replica="a")
#: Share 7 is held by ``a``, and by ``b`` from some time between 10.0 and 10.2 on.
HELD = {7: [Holding("a", 1, 0.9, 1.1, 10.2), Holding("b", 2, 10.0, 10.2)]}


@pytest.mark.parametrize(
    ("at_s", "untold", "found"),
    [(0.95, 0, 0), (10.1, 0, 0), (11.0, 1, 0), (12.3, 0, 1)],
)
def test_a_poll_of_a_share_that_was_lost_is_found(at_s: float, untold: int, found: int) -> None:
    seen = stale_polls([AskedPoll(LIFE, 7, at_s)], HELD)
    assert (seen.polls, seen.untold, len(seen.found)) == (1, untold, found)


@pytest.mark.parametrize(("at_s", "untold", "found"), [(30.5, 1, 0), (32.5, 0, 1)])
def test_a_server_that_was_stopped_can_know_of_its_loss_when_it_goes_on(
    at_s: float, untold: int, found: int
) -> None:
    life = Life(began_s=0.0, replica="a", stops=[(9.0, 30.0)])
    seen = stale_polls([AskedPoll(life, 7, at_s)], HELD)
    assert (seen.untold, len(seen.found)) == (untold, found)


def test_a_poll_of_a_share_that_was_never_held_is_found() -> None:
    assert len(stale_polls([AskedPoll(LIFE, 8, 5.0)], HELD).found) == 1


def test_the_terms_of_a_share_are_watched() -> None:
    watch = ShareWatch("")
    watch.note([(7, 1, "a"), (8, 4, "b")], 0.0, 0.1)
    watch.note([(7, 1, "a"), (8, 4, "b")], 0.1, 0.2)
    watch.note([(7, 2, "b"), (8, 4, "b")], 0.2, 0.3)
    assert [(held.replica, held.term, held.ended_s) for held in watch.holdings[7]] == [
        ("a", 1, 0.3),
        ("b", 2, math.inf),
    ]
    assert (watch.held_at("b", 0.25), watch.held_at("b", 0.3)) == ([8], [7, 8])
    assert (watch.followed_s(7, "a", 0.05), watch.followed_s(8, "b", 0.05)) == (0.25, math.inf)
    assert watch.found == []
    watch.note([(8, 3, "a")], 0.3, 0.4)
    assert watch.found == ["share 8: term 3 of a after term 4"]


def test_the_last_loss_of_another_server_counts() -> None:
    killed = Life(began_s=0.0, ended_s=5.0, is_killed=True, replica="b")
    asked = Life(began_s=0.0, ended_s=6.0, replica="c")
    stopped = Life(began_s=0.0, stops=[(4.0, 9.0)], replica="d")
    own = Life(began_s=0.0, ended_s=7.0, is_killed=True, replica="a")
    lives = [killed, asked, stopped, own]
    assert [
        last_loss_s(lives, "a", *span) for span in [(1.0, 10.0), (1.0, 5.0), (5.0, 10.0), (1.0, 3.0)]
    ] == [
        5.0,
        4.0,
        None,
        None,
    ]
