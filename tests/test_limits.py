import math
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from musicgate.accounts import AccountBook
from musicgate.engine.limits import (
    AccountUsage,
    CallWindow,
    Limit,
    day_of,
    rate_limit_fields,
    reached_limit,
    requests_window,
)
from musicgate.settings import Account, Settings
from musicgate.settings.limits import AccountLimits

NOW = datetime(2026, 11, 20, 22, 30, tzinfo=UTC)
MIDNIGHT = datetime(2026, 11, 21, tzinfo=UTC)
USD = 1_000_000_000
ALL = AccountLimits(requests_per_minute=10, max_open_jobs=5, max_usd_per_day=2.0)
FINE = AccountUsage(requests_left=10)


def window(calls: int, per_s: float, *times: float) -> CallWindow:
    made = CallWindow(calls, per_s)
    for moment in times:
        made.count(moment)
    return made


@pytest.mark.parametrize(
    ("times", "now", "left", "wait_s"),
    [
        ((), 0.0, 3, 0.0),
        ((0.0, 1.0), 2.0, 1, 0.0),
        ((0.0, 1.0, 2.0), 2.0, 0, 8.0),
        ((0.0, 1.0, 2.0), 9.5, 0, 0.5),
        ((0.0, 1.0, 2.0), 10.0, 1, 0.0),
        ((0.0, 1.0, 2.0), 99.0, 3, 0.0),
    ],
)
def test_a_window_counts_the_calls_of_its_length(
    times: tuple[float, ...], now: float, left: int, wait_s: float
) -> None:
    looked_at = window(3, 10.0, *times)
    assert (looked_at.left(now), looked_at.wait_s(now)) == (left, wait_s)


@pytest.mark.parametrize(("running", "wait_s"), [(0, 0.0), (1, 7.0), (2, 8.0), (3, math.inf), (4, math.inf)])
def test_running_calls_count_from_their_beginning_on(running: int, wait_s: float) -> None:
    assert window(3, 10.0, 0.0, 1.0).wait_s(3.0, running) == wait_s


def test_never_more_calls_than_allowed_in_any_stretch_of_time() -> None:
    served, now, made = window(20, 10.0), 0.0, list[float]()
    while len(made) < 200:
        now += served.wait_s(now)
        served.count(now)
        made.append(now)
        now += 0.1
    for start in made:
        assert sum(start <= moment < start + 10 for moment in made) <= 20
    assert made[-1] < 110


def test_a_clock_that_is_set_back_costs_at_most_one_window() -> None:
    set_back = window(2, 10.0, 1000.0, 1004.0)
    assert set_back.wait_s(500.0) == 6.0
    assert set_back.left(510.0) == 2


def test_an_uncounted_call_is_free_again() -> None:
    counted = window(1, 10.0, 3.0)
    counted.uncount(3.0)
    counted.uncount(4.0)
    assert counted.left(3.0) == 1


def test_the_window_of_an_account_is_a_minute() -> None:
    assert requests_window(ALL) == CallWindow(10, 60)


def test_the_day_is_that_of_utc() -> None:
    assert day_of(NOW) == (datetime(2026, 11, 20, tzinfo=UTC), MIDNIGHT)


@pytest.mark.parametrize(
    ("usage", "price_nanos"),
    [
        (FINE, 0),
        (AccountUsage(requests_left=1, open_jobs=4, usd_nanos=USD), USD),
        (AccountUsage(requests_left=1, usd_nanos=2 * USD - 1), 0),
    ],
)
def test_a_request_within_the_limits_is_admitted(usage: AccountUsage, price_nanos: int) -> None:
    assert reached_limit(ALL, usage, price_nanos, NOW) is None


def test_without_limits_every_request_is_admitted() -> None:
    assert reached_limit(AccountLimits(), AccountUsage(open_jobs=10**6, usd_nanos=10**15), USD, NOW) is None


@pytest.mark.parametrize(
    ("usage", "price_nanos", "limit", "reset_at", "retry_after_s", "min_usd_nanos"),
    [
        (
            AccountUsage(requests_left=0, requests_wait_s=12.1),
            0,
            *(Limit.REQUESTS_PER_MINUTE, NOW + timedelta(seconds=13), 13, None),
        ),
        (
            attrs.evolve(FINE, open_jobs=5),
            0,
            *(Limit.MAX_OPEN_JOBS, NOW + timedelta(seconds=10), 10, None),
        ),
        (
            attrs.evolve(FINE, usd_nanos=2 * USD),
            0,
            *(Limit.MAX_USD_PER_DAY, MIDNIGHT, None, 0),
        ),
        (
            attrs.evolve(FINE, usd_nanos=USD + USD // 2),
            USD // 2 + 1,
            *(Limit.MAX_USD_PER_DAY, MIDNIGHT, None, USD // 2 + 1),
        ),
        (
            AccountUsage(requests_left=0, requests_wait_s=1.0, open_jobs=9, usd_nanos=9 * USD),
            0,
            *(Limit.REQUESTS_PER_MINUTE, NOW + timedelta(seconds=1), 1, None),
        ),
        (
            attrs.evolve(FINE, open_jobs=9, usd_nanos=9 * USD),
            0,
            *(Limit.MAX_OPEN_JOBS, NOW + timedelta(seconds=10), 10, None),
        ),
    ],
)
def test_the_first_reached_limit_refuses_a_request(
    usage: AccountUsage,
    price_nanos: int,
    limit: Limit,
    reset_at: datetime,
    retry_after_s: float | None,
    min_usd_nanos: int | None,
) -> None:
    reached = reached_limit(ALL, usage, price_nanos, NOW)
    assert reached is not None
    assert (reached.limit, reached.reset_at, reached.retry_after_s, reached.min_usd_nanos) == (
        *(limit, reset_at, retry_after_s, min_usd_nanos),
    )


def test_what_is_left_of_the_daily_budget_is_named() -> None:
    reached = reached_limit(ALL, attrs.evolve(FINE, usd_nanos=USD + USD // 2), USD, NOW)
    assert reached is not None
    assert reached.message.startswith("0.5 of 2 USD are left today")


@pytest.mark.parametrize(
    ("limits", "usage", "fields"),
    [
        (AccountLimits(), AccountUsage(), {}),
        (AccountLimits(max_usd_per_day=5.0), AccountUsage(), {}),
        (
            AccountLimits(requests_per_minute=10),
            AccountUsage(requests_left=9),
            {
                "RateLimit-Policy": '"requests-per-minute";q=10;w=60',
                "RateLimit": '"requests-per-minute";r=9',
            },
        ),
        (
            ALL,
            AccountUsage(requests_left=0, requests_wait_s=12.1, open_jobs=7),
            {
                "RateLimit-Policy": '"requests-per-minute";q=10;w=60, "open-jobs";q=5;qu="concurrent-requests"',
                "RateLimit": '"requests-per-minute";r=0;t=13, "open-jobs";r=0',
            },
        ),
    ],
)
def test_the_headers_are_those_of_the_draft(
    limits: AccountLimits, usage: AccountUsage, fields: dict[str, str]
) -> None:
    assert rate_limit_fields(limits, usage) == fields


def test_an_account_has_its_own_limits_and_else_those_of_all() -> None:
    settings = Settings(
        limits=AccountLimits(requests_per_minute=60, max_open_jobs=5),
        accounts=(
            Account(name="own", requests_per_minute=0, max_usd_per_day=2.5),
            Account(name="plain"),
            Account(name="own", max_open_jobs=7),
        ),
    )
    book = AccountBook(settings)
    assert book.limits_of("own") == AccountLimits(max_open_jobs=7, max_usd_per_day=2.5)
    assert book.limits_of("plain") == book.limits_of("unknown") == settings.limits
